"""A Keras twin for the proof: described, loaded with canonical weights, traced and trained."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frameworks._keras import engines, patches, watch
from benchmarks.frameworks._keras.optimizers import make as optimizer_of
from benchmarks.frameworks.description import Arrays, Assigned, Description, Drop, Node, Weight
from benchmarks.tasks import losses
from benchmarks.tasks.layers import Kind, Part, Slot, attribute, kind_of
from benchmarks.tasks.optimizers import SGD, Optimizer
from benchmarks.tasks.task import Batch, Task, TaskError

MODEL = "(model)"
NOISE = 1e-12
"""Relative differences below this are the rounding of float64: no finding."""
THREADS = 2
"""Threads of one of TensorFlow's operations: a proof is small."""


def set_up(engine: str, seed: int) -> None:
    """Import Keras in float64; ``KERAS_BACKEND`` has been set to its engine."""
    del engine
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen == "tensorflow":
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    elif chosen == "jax":
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax

        jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own signature
    import keras

    keras.backend.clear_session()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.config.set_image_data_format("channels_last")
    patches.compute_in_float64()
    keras.utils.set_random_seed(seed)


class Twin:
    """A model in float64 on the CPU, with its batch; everything random in it is switched off."""

    def __init__(
        self,
        make: Callable[[], Any],
        loss: Callable[..., Any] | None,
        task: Task,
        batch: Batch,
        extra: tuple[Path, ...] = (),
    ) -> None:
        import keras

        self.keras = keras
        self.model = make()
        if not isinstance(self.model, keras.layers.Layer):
            given = type(self.model).__name__
            raise TaskError(f"the Keras side gives a {given}, not a keras.Model or a layer")
        self.loss, self.task, self.extra = loss, task, extra
        self.findings: list[dict[str, Any]] = []
        self.assigned: dict[str, dict[str, str]] = {}
        self.size = len(next(iter(batch.inputs.values())))
        self.inputs = {n: _tensor(a) for n, a in batch.inputs.items()}
        self.targets = {n: _tensor(a) for n, a in batch.targets.items()}
        self.paths: dict[int, tuple[Any, str]] = {}
        self._call_of: Callable[[Mapping[str, Any], bool], Any] | None = None
        with patches.restated():
            self._call(self.inputs, training=False)
        self.paths = dict(_paths(self.model))
        self._refuse_other_types()
        self.kinds = dict(self._owners())
        self._parts = {i: self._parts_of(i) for i in self.kinds}
        self._drops = {i: [d for p in self._parts[i] for d in p.drops] for i in self.kinds}
        self._rates = watch.rates(list(self.paths.values()))
        for layer, _ in self.paths.values():
            watch.switch_off(layer)
        scales = [patches.exact_scale(layer) for layer, _ in self.paths.values()]
        self._note_restated({patches.SCALE: scales} if any(scales) else {})
        self._note_stateful()

    def describe(self) -> Description:
        """Layers in forward order, from one training-mode pass that changes nothing."""
        kept = [_array(v) for v in self.model.variables]
        seen = self._watched(keep=False)
        with patches.restated(), patches.draws() as random, engines.eager():
            outputs = named(seen.run(lambda: self._call(self.inputs, training=True)))
        self._put_back(kept)
        nodes: list[Node] = []
        for index in self._order(seen):
            nodes += self._nodes(index, seen)
        return Description(
            nodes=tuple(nodes),
            steps=tuple(seen.steps),
            drops=tuple(drop for drop, _ in self._all_drops(seen)),
            outputs={n: tuple(o.shape[1:]) for n, o in outputs.items()},
            parameters=sum(
                int(np.prod(t.shape)) for t in self._held(self.model.variables) if t is not None
            ),
            regularisers=len(self.model.losses),
            random=tuple(dict.fromkeys(random)),
        )

    def _order(self, seen: watch.Watch) -> list[int]:
        """What owns weights, by identity: in the order of its first call, then what has none."""
        called = list(dict.fromkeys(seen.calls))
        return [*called, *(i for i in self.kinds if i not in called)]

    def _all_drops(self, seen: watch.Watch) -> list[tuple[Drop, int | None]]:
        """What drops, in forward order, and its place in ``seen.drops`` where it is a layer."""
        found: list[tuple[Drop, int | None]] = [(d, i) for i, d in enumerate(seen.drops)]
        for index in self._order(seen):
            at = 1 + (seen.calls.index(index) if index in seen.calls else len(seen.calls))
            where = self._path(index)
            found += [
                (Drop(what=w, rate=r, after=at, where=where), None) for w, r in self._drops[index]
            ]
        return sorted(found, key=lambda one: one[0].after)

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """Set variables from canonical values."""
        self.assigned = {one.path: one.weights for one in assigned}
        for path, slot, variable in self._slots():
            key = self.assigned.get(path, {}).get(slot.name)
            if key is None:
                continue
            stored = _array(variable)
            stored[slot.index] = np.reshape(slot.back(values[key]), stored[slot.index].shape)
            variable.assign(stored)

    def trace(self) -> Arrays:
        """One training-mode forward and backward pass; keys as in ``description.Arrays``."""
        kept = [_array(v) for v in self.model.variables]
        floats = [n for n, t in self.inputs.items() if _floating(t)]
        trained = list(self.model.trainable_variables)
        seen, found = self._watched(keep=True), Arrays()

        def loss(inputs: list[Any], *, watched: bool) -> Any:
            given = {**self.inputs, **dict(zip(floats, inputs, strict=True))}
            if not watched:
                return self._total(self._losses(named(self._call(given, training=True))))
            outputs = named(seen.run(lambda: self._call(given, training=True)))
            parts = self._losses(outputs)
            total = self._total(parts)
            found.update({f"output/{n}": _array(o) for n, o in outputs.items()})
            found.update({f"loss/{n}": _array(p) for n, p in parts.items()})
            found["loss"] = _array(total)
            return total

        with patches.restated() as differences:
            slopes, of_inputs = engines.gradients(loss, trained, [self.inputs[n] for n in floats])
        self._note_restated(differences)
        self._put_back(kept)
        dropped = {i: at for at, (_, i) in enumerate(self._all_drops(seen)) if i is not None}
        for key, held in seen.arrays.items():
            name, _, place = key.partition("/")
            found[f"drop/{dropped[int(place)]}" if name == "drop" else key] = held
        for name, slope in zip(floats, of_inputs, strict=True):
            if slope is not None:
                found[f"input_gradient/{name}"] = _array(engines.dense(slope))
        by_variable = {id(v): s for v, s in zip(trained, slopes, strict=True)}
        for path, slot, variable in self._slots():
            slope = by_variable.get(id(variable))
            given = self.assigned.get(path, {}).get(slot.name)
            if given is not None and slope is not None:
                held = _array(engines.dense(slope))
                found[f"gradient/{given}"] = slot.turn(held[slot.index])
        return found

    def train(self, optimizer: Optimizer, steps: int) -> Arrays:
        """Canonical weights and buffers after some steps on the batch, from where they stand."""
        start = [_array(v) for v in self.model.variables]
        sparse = self._steps(optimizer, steps, densify=True)
        restated = self._canonical()
        if sparse and not isinstance(optimizer, SGD):
            end = [_array(v) for v in self.model.variables]
            self._put_back(start)
            self._steps(optimizer, steps, densify=False)
            self._note_sparse(restated, self._canonical(), sparse, steps)
            self._put_back(end)
        return restated

    def _put_back(self, kept: list[Any]) -> None:
        for variable, held in zip(self.model.variables, kept, strict=True):
            variable.assign(held)

    def _steps(self, optimizer: Optimizer, steps: int, *, densify: bool) -> set[int]:
        """Train; the variables, by identity, whose gradients came as indexed rows."""
        trained, made = list(self.model.trainable_variables), optimizer_of(optimizer)
        made.build(trained)
        sparse: set[int] = set()

        def loss(inputs: list[Any], *, watched: bool) -> Any:
            del inputs, watched
            return self._total(self._losses(named(self._call(self.inputs, training=True))))

        with patches.restated():
            for _ in range(steps):
                slopes, _ = engines.gradients(loss, trained, [])
                rows = zip(slopes, trained, strict=True)
                sparse |= {id(v) for s, v in rows if engines.indexed(s)}
                if densify:
                    slopes = [engines.dense(s) for s in slopes]
                pairs = [(s, v) for s, v in zip(slopes, trained, strict=True) if s is not None]
                made.apply_gradients(pairs) if pairs else None
        return sparse

    def _canonical(self) -> Arrays:
        found: Arrays = {}
        for path, slot, variable in self._slots():
            key = self.assigned.get(path, {}).get(slot.name)
            if key is not None:
                found[key] = slot.turn(_array(variable)[slot.index])
        return found

    def _call(self, inputs: Mapping[str, Any], *, training: bool) -> Any:
        """The model's output, its inputs given as the model takes them."""
        for layer, _ in self.paths.values():
            if getattr(layer, "stateful", False):
                layer.reset_state()
        if self._call_of is not None:
            return self._call_of(inputs, training)
        tries = list(self._ways(dict(inputs)))
        first: Exception | None = None
        for way in tries:
            try:
                made = way(inputs, training)
            except Exception as error:
                first = first or error
                continue
            self._call_of = way
            return made
        raise first or TaskError("the Keras side takes no input")

    def _ways(
        self, inputs: Mapping[str, Any]
    ) -> Iterator[Callable[[Mapping[str, Any], bool], Any]]:
        model = self.model
        if len(inputs) == 1:
            yield lambda given, training: model(*given.values(), training=training)
            yield lambda given, training: model(dict(given), training=training)
            return
        plain = inspect.signature(model.call).parameters
        names = [n for n in plain if n not in {"training", "mask", "inputs"}]
        if not isinstance(model, self.keras.Sequential) and set(inputs) <= set(names):
            yield lambda given, training: model(**given, training=training)
        elif len([n for n in names if plain[n].default is plain[n].empty]) == len(inputs):
            yield lambda given, training: model(*given.values(), training=training)
        yield lambda given, training: model(dict(given), training=training)
        yield lambda given, training: model(list(given.values()), training=training)

    def _losses(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.loss is not None:
            made = self.loss(dict(outputs), self.targets)
            return dict(made) if isinstance(made, Mapping) else {"loss": made}
        found = {}
        for part in self.task.loss or ():
            if part.output not in outputs:
                known = ", ".join(outputs)
                raise TaskError(f"the Keras side has no output {part.output!r}; it has: {known}")
            loss = losses.load(part.name, self.extra)
            value = loss.keras(outputs[part.output], self.targets[part.target], **part.options)
            found[f"{part.output}.{part.name}"] = part.weight * value
        return found

    def _total(self, parts: Mapping[str, Any]) -> Any:
        """All parts and what the model adds itself (regularisers)."""
        ops = self.keras.ops
        every = [*parts.values(), *self.model.losses]
        return ops.sum(ops.stack([ops.reshape(one, ()) for one in every]))

    def _owners(self) -> Iterator[tuple[int, Kind | None]]:
        """Every layer that owns weights, or is of a known kind that does, by identity."""
        inside: list[str] = []
        for index, (layer, path) in self.paths.items():
            if any(path.startswith(f"{outer}/") for outer in inside):
                continue
            kind = kind_of(layer, "keras", self.extra)
            if kind is not None and kind.keras_parts(layer):
                inside.append(path)
                yield index, kind
            elif kind is None and watch.own_variables(layer):
                yield index, None

    def _parts_of(self, index: int) -> tuple[Part, ...]:
        layer, _ = self.paths[index]
        kind = self.kinds[index]
        if kind is not None:
            return kind.keras_parts(layer)
        slots, used = [], dict[str, int]()
        weights = {id(v) for v in getattr(layer, "_trainable_variables", ())}  # frozen ones too
        for place, variable in enumerate(watch.own_variables(layer)):
            if not _array(variable).size or id(variable) not in weights:
                continue
            name = variable.name
            used[name] = used.get(name, 0) + 1
            name = name if used[name] == 1 else f"{name}_{used[name]}"
            slots.append(Slot(name=name, attribute=f"#{place}"))
        return (Part(slots=tuple(slots)),)

    def _slots(self) -> Iterator[tuple[str, Slot, Any]]:
        """Path of the node, slot and variable of everything that holds numbers, each once."""
        seen = set[tuple[int, str]]()
        for index, parts in self._parts.items():
            layer, _ = self.paths[index]
            for part in parts:
                for slot in part.slots:
                    variable = _reach(layer, slot.attribute)
                    mark = (id(variable), str(slot.index))
                    if variable is None or mark in seen:
                        continue
                    seen.add(mark)
                    yield _joined(self._path(index), part.suffix), slot, variable

    def _nodes(self, index: int, seen: watch.Watch) -> list[Node]:
        layer, _ = self.paths[index]
        kind, trained = self.kinds[index], {id(v) for v in self.model.trainable_variables}
        own = {(path, slot.name): v for path, slot, v in self._slots()}
        made = []
        for part in self._parts[index]:
            path, weights = _joined(self._path(index), part.suffix), dict[str, Weight]()
            for slot in part.slots:
                variable = own.get((path, slot.name))
                if variable is None:
                    continue
                held = slot.turn(_array(variable)[slot.index])
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
                macs = count * kind.macs(shapes, part.constants, given, output)
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
                    macs=macs,
                )
            )
        return made

    def _watched(self, *, keep: bool) -> watch.Watch:
        known = {i: self.kinds[i] is not None for i in self.kinds}
        paths = {i: self._path(i) for i in self.kinds}
        return watch.Watch(known, paths, self._rates, keep=keep)

    def _path(self, index: int) -> str:
        return self.paths[index][1] or MODEL

    def _held(self, variables: list[Any]) -> Iterator[Any]:
        """Variables that training moves or that would be, and no statistics or seeds."""
        buffers = {id(v) for _, slot, v in self._slots() if slot.buffer}
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
        named = [path for layer, path in self.paths.values() if getattr(layer, "stateful", False)]
        if named:
            text = f"stateful layers ({', '.join(named)}) are reset before each pass of the proof"
            self.findings.append({"name": "stateful", "text": text, "error": None})

    def _refuse_other_types(self) -> None:
        """A layer that computes in another type than float64 cannot be proven in it.

        Raises:
            TaskError: there is one.
        """
        for layer, path in self.paths.values():
            computes = str(getattr(layer, "compute_dtype", "float64"))
            if "float" in computes and computes != "float64":
                raise TaskError(
                    f"the Keras side's layer {path or layer.name} computes in {computes}, so that a"
                    " proof in float64 cannot be had: leave its dtype out"
                )

    def _note_sparse(self, dense: Arrays, sparse: Arrays, tables: set[int], steps: int) -> None:
        """Tell how far the ``tables``, by identity, are apart, if they are."""
        worst = 0.0
        for path, slot, variable in self._slots():
            key = self.assigned.get(path, {}).get(slot.name)
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


def named(output: Any, name: str = "output") -> dict[str, Any]:
    """Outputs by name: one tensor is ``output``, a sequence ``output_0``, …, a mapping its keys."""
    if isinstance(output, Mapping):
        return {str(k): _plain(v) for k, v in output.items()}
    if isinstance(output, tuple | list):
        found: dict[str, Any] = {}
        for index, one in enumerate(output):
            found |= named(one, f"{name}_{index}")
        return found
    return {name: _plain(output)}


def _plain(output: Any) -> Any:
    """The tensor without the logits that Keras' softmax hangs on it.

    Its cross-entropy would take those instead of what the model gives, on TensorFlow alone.
    """
    if hasattr(output, "_keras_logits"):
        import tensorflow as tf

        return tf.identity(output)
    return output


def _paths(model: Any) -> Iterator[tuple[int, tuple[Any, str]]]:
    """Identity, layer and path of the model and every layer below it, each once."""
    seen = set[int]()
    waiting = [(model, "")]
    while waiting:
        layer, path = waiting.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield id(layer), (layer, path)
        below, used = [], set[str]()
        for child in watch.children(layer):
            name = _name_in(layer, child)
            while name in used:
                name += "_"
            used.add(name)
            below.append((child, f"{path}/{name}" if path else name))
        waiting = below + waiting


def _name_in(parent: Any, child: Any) -> str:
    """What a layer is called in the one that holds it.

    In a subclassed model that is the attribute (``fc1``), with the place in a list or the key in a
    mapping behind it (``blocks/0``); in a container, and where no attribute holds it, its own name.
    """
    if type(parent).__name__ not in watch.ROUTES:
        for name, value in vars(parent).items():
            if name.startswith("_"):
                continue
            if value is child:
                return name
            held: Any = ()
            if isinstance(value, Mapping):
                held = value.items()
            elif isinstance(value, list | tuple):
                held = enumerate(value)
            for place, one in held:
                if one is child:
                    return f"{name}/{place}"
    return str(child.name)


def _joined(path: str, suffix: str) -> str:
    return path + (f".{suffix}" if suffix else "")


def _reach(layer: Any, path: str) -> Any:
    if path.startswith("#"):
        return watch.own_variables(layer)[int(path[1:])]
    return attribute(layer, path)


def _tensor(held: Any) -> Any:
    import keras

    return keras.ops.convert_to_tensor(held)


def _floating(tensor: Any) -> bool:
    return "float" in str(tensor.dtype)


def _array(tensor: Any) -> Any:
    import keras

    return np.array(keras.ops.convert_to_numpy(tensor), dtype=np.float64)
