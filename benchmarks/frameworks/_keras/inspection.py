"""A Keras twin for the proof: described, loaded with canonical weights, traced and trained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import frameworks
from benchmarks.frameworks import decisions
from benchmarks.frameworks._keras import calls, engines, patches, watch
from benchmarks.frameworks._keras.optimizers import make as optimizer_of
from benchmarks.frameworks._keras.optimizers import told as optimizer_told
from benchmarks.frameworks._keras.weights import Inventory, array, joined, refuse_bomb
from benchmarks.frameworks.contracts import Source
from benchmarks.frameworks.description import (
    Arrays,
    Assigned,
    Description,
    Drop,
    Node,
    Output,
    Weight,
)
from benchmarks.tasks import stored
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Batch, Objective, TaskError

NOISE = 1e-12
"""Relative differences below this are the rounding of float64: no finding."""


def set_up(seed: int) -> None:
    """Import Keras in float64; its engine has been set up before."""
    with frameworks.by_itself():
        import keras

    keras.backend.clear_session()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.config.set_image_data_format("channels_last")
    patches.compute_in_float64()
    keras.utils.set_random_seed(seed)


class Twin:
    """A model in float64 on the CPU, with its batch; everything random in it is switched off."""

    def __init__(self, source: Source, batch: Batch) -> None:
        import keras

        with patches.restated():  # what TensorFlow lacks in float64 is needed to build it, too
            self.model, self.source = source.make(source.task), source
        if not isinstance(self.model, keras.layers.Layer):
            given = type(self.model).__name__
            raise TaskError(f"the Keras side gives a {given}, not a keras.Model or a layer")
        self.findings: list[dict[str, Any]] = []
        self._stateful: list[Any] = []
        self._callers: dict[tuple[str, ...], calls.Caller] = {}
        self.feed(batch)
        with patches.restated():
            self._call(self.inputs, training=False)
        self.held = Inventory(self.model, source.extra)
        self._refuse_other_types()
        self._drops = {i: [d for p in ps for d in p.drops] for i, ps in self.held.parts.items()}
        layers = list(self.held.layers.values())
        self._rates = watch.rates(layers)
        for layer, _ in layers:
            watch.switch_off(layer)
        scales = [patches.exact_scale(layer) for layer, _ in layers]
        self._note_restated({patches.SCALE: scales} if any(scales) else {})
        self._note_stateful()

    def feed(self, batch: Batch) -> None:
        """Take another batch of the same task from here on."""
        self.size = len(next(iter(batch.inputs.values())))
        self.inputs = {n: _tensor(a) for n, a in batch.inputs.items()}
        self.targets = {n: _tensor(a) for n, a in batch.targets.items()}

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """Set variables from canonical values."""
        self.held.assign(assigned)
        self.held.load(values)

    def adopt(self, path: Path) -> Arrays:
        """Set the weights that a file holds; all, canonical.

        A ``.weights.h5`` is Keras' own; in any other file the names are the paths of variables,
        with or without the name of the model in front.

        Raises:
            TaskError: the file does not fit; one line says why.
        """
        if path.name.endswith(stored.KERAS):
            try:
                refuse_bomb(path)
                self.model.load_weights(str(path))
            except Exception as error:
                text = " ".join(str(error).split())[:300]
                raise TaskError(f"{path.name} does not fit the Keras side: {text}") from None
            return self.held.canonical()
        own = {v.path: v for v in self.model.variables if _floating(v)}
        held = stored.read(path)
        if not own.keys() & held.keys():
            own = {name.partition("/")[2]: v for name, v in own.items()}
        stored.check(path, held, {n: tuple(v.shape) for n, v in own.items()}, "Keras")
        for name, variable in own.items():
            variable.assign(held[name])
        return self.held.canonical()

    def infer(self) -> Arrays:
        """Outputs of one inference pass, by name."""
        with patches.restated():
            outputs = calls.plain(self._call(self.inputs, training=False))
        return {name: array(one) for name, one in outputs.items()}

    def count(self) -> tuple[float | None, str]:
        """No counter of Keras' own."""
        return None, "Keras counts no FLOPs"

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Set ``epsilon`` and ``momentum`` of layers by path."""
        for layer, path in self.held.layers.values():
            for name, value in changes.get(path, {}).items():
                setattr(layer, name, value)

    def describe(self) -> Description:
        """Layers in forward order, from one training-mode pass that changes nothing."""
        kept = [array(v) for v in self.model.variables]
        seen = self._watched(keep=False)
        with patches.restated(), patches.draws() as random, engines.eager():
            outputs = calls.plain(seen.run(lambda: self._call(self.inputs, training=True)))
        self._put_back(kept)
        nodes: list[Node] = []
        for index in self._order(seen):
            nodes += self._nodes(index, seen)
        return Description(
            nodes=tuple(nodes),
            steps=tuple(seen.steps),
            drops=tuple(drop for drop, _ in self._all_drops(seen)),
            outputs={n: Output(shape=tuple(o.shape[1:])) for n, o in outputs.items()},
            parameters=sum(
                int(np.prod(t.shape)) for t in self._held(self.model.variables) if t is not None
            ),
            regularisers=tuple(self._regularisers()),
            optimizer=optimizer_told(self.source.optimizer()) if self.source.optimizer else {},
            random=tuple(dict.fromkeys(random)),
        )

    def _regularisers(self) -> Iterator[str]:
        """The layer and the attribute of each loss that the model adds itself."""
        found = [
            f"{path or layer.name}: {name}"
            for layer, path in self.held.layers.values()
            for name in sorted(vars(layer))
            if name.endswith("_regularizer") and getattr(layer, name) is not None
        ]
        yield from found[: len(self.model.losses)]
        yield from ["model: add_loss"] * (len(self.model.losses) - len(found))

    def _order(self, seen: watch.Tracer) -> list[int]:
        """What owns weights, by identity: in the order of its first call, then what has none."""
        called = list(dict.fromkeys(seen.calls))
        return [*called, *(i for i in self.held.kinds if i not in called)]

    def _all_drops(self, seen: watch.Tracer) -> list[tuple[Drop, int | None]]:
        """What drops, in forward order, and its place in ``seen.drops`` where it is a layer."""
        found: list[tuple[Drop, int | None]] = [(d, i) for i, d in enumerate(seen.drops)]
        for index in self._order(seen):
            at = 1 + (seen.calls.index(index) if index in seen.calls else len(seen.calls))
            where = self.held.path(index)
            found += [
                (Drop(what=w, rate=r, after=at, where=where), None) for w, r in self._drops[index]
            ]
        return sorted(found, key=lambda one: one[0].after)

    def trace(self) -> Arrays:
        """One training-mode forward and backward pass; keys as in ``description.Arrays``."""
        kept = [array(v) for v in self.model.variables]
        floats = [n for n, t in self.inputs.items() if _floating(t)]
        seen, found = self._watched(keep=True), Arrays(loss=np.zeros(()))
        of_weights, of_floats = dict[int, Any](), dict[str, Any]()
        with patches.restated() as differences:
            for objective in self.source.task.steps:
                loss = self._traced_loss(objective, floats, seen, found)
                moved = self.held.moved(objective)
                slopes, inputs = engines.gradients(loss, moved, [self.inputs[n] for n in floats])
                _add(of_weights, zip([id(v) for v in moved], slopes, strict=True))
                _add(of_floats, zip(floats, inputs, strict=True))
                self._put_back(kept)
            found |= {key: array(one) for key, one in self._decided(found).items()}
            found |= self._generated()
        self._note_restated(differences)
        dropped = {i: at for at, (_, i) in enumerate(self._all_drops(seen)) if i is not None}
        for key, held in seen.arrays.items():
            name, _, place = key.partition("/")
            found[f"drop/{dropped[int(place)]}" if name == "drop" else key] = held
        found |= {f"input_gradient/{name}": slope for name, slope in of_floats.items()}
        for path, slot, variable in self.held.slots():
            given, total = self.held.key(path, slot), of_weights.get(id(variable))
            if given is not None and total is not None:
                found[f"gradient/{given}"] = slot.turn(total[slot.index])
        return found

    def _decided(self, found: Arrays) -> dict[str, Any]:
        """What is decided of the outputs of training, as found, and of those of inference."""
        import keras

        heads = {key.partition("/")[::2]: one for key, one in found.items()}
        outputs = {name: _tensor(one) for (head, name), one in heads.items() if head == "output"}
        return decisions.made(
            self.source,
            outputs,
            self.targets,
            lambda: calls.plain(self._call(self.inputs, training=False)),
            keras.ops.zeros_like,
        )

    def _generated(self) -> Arrays:
        """What is generated, in inference mode."""

        def whole(tokens: Any) -> Any:
            given = {name: _tensor(tokens.astype("int32")) for name in self.inputs}
            return array(calls.plain(self._call(given, training=False))["output"])

        return decisions.generated(self.source, self.model, self.inputs, array, whole)

    def _traced_loss(
        self, objective: Objective, floats: list[str], seen: watch.Tracer, found: Arrays
    ) -> engines.Loss:
        """An objective's loss of float inputs, which writes what a watched pass computes."""
        prefix = f"loss/{objective.name}." if objective.name else "loss/"
        first = objective.name == self.source.task.steps[0].name

        def loss(inputs: list[Any], *, watched: bool) -> Any:
            given = {**self.inputs, **dict(zip(floats, inputs, strict=True))}
            if not watched:
                return self._total(self._parts(objective, given))
            outputs = None
            if first:  # the pass that is compared: of all inputs
                outputs = calls.plain(seen.run(lambda: self._call(given, training=True)))
                found.update({f"output/{n}": array(o) for n, o in outputs.items()})
            parts = self._parts(objective, given, outputs)
            total = self._total(parts)
            found.update({f"{prefix}{n}": array(p) for n, p in parts.items()})
            found["loss"] = found["loss"] + array(total)
            return total

        return loss

    def train(self, objectives: Sequence[Objective], steps: int) -> Arrays:
        """Canonical weights and buffers after some steps on the batch, from where they stand."""
        start = [array(v) for v in self.model.variables]
        sparse, losses = self._steps(objectives, steps, densify=True)
        restated = self.held.canonical()
        if sparse and not all(isinstance(one.optimizer, SGD) for one in objectives):
            end = [array(v) for v in self.model.variables]
            self._put_back(start)
            self._steps(objectives, steps, densify=False)
            self._note_sparse(restated, self.held.canonical(), sparse, steps)
            self._put_back(end)
        return restated | ({"loss": np.sum(list(losses.values()))} if losses else {})

    def _put_back(self, kept: list[Any]) -> None:
        for variable, held in zip(self.model.variables, kept, strict=True):
            variable.assign(held)

    def _steps(
        self, objectives: Sequence[Objective], steps: int, *, densify: bool
    ) -> tuple[set[int], dict[str, Any]]:
        """Train; the variables, by identity, whose gradients came as rows, and the last losses."""
        sparse, last = set[int](), dict[str, Any]()
        trainings = []
        for objective in objectives:
            made = optimizer_of(objective.optimizer, self.source.optimizer)
            made.build(moved := self.held.moved(objective))
            trainings.append((objective, moved, made))

        def loss_of(objective: Objective) -> engines.Loss:
            def loss(inputs: list[Any], *, watched: bool) -> Any:
                del inputs
                total = self._total(self._parts(objective, self.inputs))
                if watched:
                    last[objective.name] = array(total)
                return total

            return loss

        with patches.restated():
            for _, (objective, moved, made) in product(range(steps), trainings):
                slopes, _ = engines.gradients(loss_of(objective), moved, [])
                rows = zip(slopes, moved, strict=True)
                sparse |= {id(v) for s, v in rows if engines.indexed(s)}
                if densify:
                    slopes = [engines.dense(s) for s in slopes]
                pairs = [(s, v) for s, v in zip(slopes, moved, strict=True) if s is not None]
                made.apply_gradients(pairs) if pairs else None
        return sparse, last

    def _nodes(self, index: int, seen: watch.Tracer) -> list[Node]:
        layer, _ = self.held.layers[index]
        kind, trained = self.held.kinds[index], {id(v) for v in self.model.trainable_variables}
        own = {(path, slot.name): v for path, slot, v in self.held.slots()}
        made = []
        for part in self.held.parts[index]:
            path, weights = joined(self.held.path(index), part.suffix), dict[str, Weight]()
            for slot in part.slots:
                variable = own.get((path, slot.name))
                if variable is None:
                    continue
                held = slot.turn(array(variable)[slot.index])
                weights[slot.name] = Weight(
                    shape=tuple(held.shape),
                    trainable=id(variable) in trained and not slot.buffer,
                    buffer=slot.buffer,
                    start=(float(held.mean()), float(held.std())) if held.size else (0.0, 0.0),
                )
            if not weights:
                continue
            given, output = seen.shapes.get(index, (None, None))
            count, macs = seen.calls.count(index), None
            if kind and given is not None and output is not None:
                shapes = {name: one.shape for name, one in weights.items()}
                macs = kind.macs(shapes, part.constants, given, output)
                macs = macs * seen.totals[index] // (math.prod(output) * self.size)
            made.append(
                Node(
                    path=path,
                    kind=kind.name if kind else f"?{type(layer).__name__}",
                    cls=type(layer).__name__,
                    weights=weights,
                    constants=part.constants,
                    calls=count,
                    input=given,
                    output=output,
                    total=seen.totals.get(index, 0) // self.size,
                    macs=macs,
                )
            )
        return made

    def _call(self, inputs: Mapping[str, Any], *, training: bool) -> Any:
        for layer in self._stateful:
            layer.reset_state()
        caller = self._callers.setdefault(tuple(inputs), calls.Caller(self.model))
        return caller(inputs, training=training)

    def _parts(
        self,
        objective: Objective,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The parts of an objective's loss, of these outputs unless it asks for fewer inputs."""
        if outputs is None or objective.inputs:
            given = {n: t for n, t in inputs.items() if n in (objective.inputs or inputs)}
            outputs = calls.plain(self._call(given, training=True))
        return calls.parts(self.source, objective, outputs, self.targets)

    def _total(self, parts: Mapping[str, Any]) -> Any:
        return calls.total(self.model, parts)

    def _watched(self, *, keep: bool) -> watch.Tracer:
        known = {i: self.held.kinds[i] is not None for i in self.held.kinds}
        paths = {i: self.held.path(i) for i in self.held.kinds}
        return watch.Tracer(known, paths, self._rates, keep=keep)

    def _held(self, variables: list[Any]) -> Iterator[Any]:
        """Variables that training moves or that would be, and no statistics or seeds."""
        buffers = {id(v) for _, slot, v in self.held.slots() if slot.buffer}
        for variable in variables:
            floating = "float" in str(variable.dtype)
            yield variable if floating and id(variable) not in buffers else None

    def _note_restated(self, differences: Mapping[str, list[float]]) -> None:
        told = {found["name"] for found in self.findings}
        for name, errors in differences.items():
            if max(errors) > NOISE and name not in told:
                text = patches.RESTATED[name].format(error=max(errors))
                self.findings.append({"name": name, "text": text, "error": max(errors)})

    def _note_stateful(self) -> None:
        found = [(x, p) for x, p in self.held.layers.values() if getattr(x, "stateful", False)]
        self._stateful = [layer for layer, _ in found]
        if found:
            names = ", ".join(path for _, path in found)
            text = f"stateful layers ({names}) are reset before each pass of the proof"
            self.findings.append({"name": "stateful", "text": text, "error": None})

    def _refuse_other_types(self) -> None:
        """A layer that computes in another type than float64 cannot be proven in it.

        Raises:
            TaskError: there is one.
        """
        for layer, path in self.held.layers.values():
            computes = str(getattr(layer, "compute_dtype", "float64"))
            if "float" in computes and computes != "float64":
                raise TaskError(
                    f"the Keras side's layer {path or layer.name} computes in {computes}, so that a"
                    " proof in float64 cannot be had: leave its dtype out"
                )

    def _note_sparse(self, dense: Arrays, sparse: Arrays, tables: set[int], steps: int) -> None:
        """Tell how far the ``tables``, by identity, are apart, if they are."""
        worst = 0.0
        for path, slot, variable in self.held.slots():
            key = self.held.key(path, slot)
            if key is not None and id(variable) in tables:
                size = float(np.linalg.norm(dense[key]))
                apart = float(np.linalg.norm(dense[key] - sparse[key]))
                worst = max(worst, apart / size if size else apart)
        if worst < NOISE or any(f["name"] == "sparse_adam" for f in self.findings):
            return
        self.findings.append(
            {
                "name": "sparse_adam",
                "text": "Keras' Adam on TensorFlow squares an embedding's sparse gradient before it"
                f" adds up repeated tokens: after {steps} steps its table differs by {worst:.0e}"
                " from the stated arithmetic; restated for the proof",
                "error": worst,
            }
        )


def _add(found: dict[Any, Any], slopes: Iterable[tuple[Any, Any]]) -> None:
    """Add each gradient to what was found for the same weight or input before."""
    for name, slope in slopes:
        if slope is not None:
            found[name] = found.get(name, 0.0) + array(engines.dense(slope))


def _tensor(held: Any) -> Any:
    import keras

    return keras.ops.convert_to_tensor(held)


def _floating(tensor: Any) -> bool:
    return "float" in str(tensor.dtype)
