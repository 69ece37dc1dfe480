"""A PyTorch twin for the proof: described, loaded with canonical weights, traced and trained."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.frameworks import decisions
from benchmarks.frameworks.contracts import Source
from benchmarks.frameworks.description import (
    OPTIMIZER,
    Arrays,
    Assigned,
    Description,
    Drop,
    Node,
    Output,
    Weight,
)
from benchmarks.frameworks.torch import calls, layout, optimizers
from benchmarks.frameworks.torch.optimizers import Stepper
from benchmarks.frameworks.torch.watch import Tracer
from benchmarks.frameworks.torch.weights import Inventory, array, joined, reach
from benchmarks.tasks import stored
from benchmarks.tasks.optimizers import RMSprop
from benchmarks.tasks.task import Batch, Objective, TaskError


def set_up(seed: int) -> None:
    """Seed PyTorch."""
    torch.manual_seed(seed)


class Twin:
    """A model in float64 on the CPU, with its batch; everything random in it is switched off."""

    def __init__(self, source: Source, batch: Batch) -> None:
        with _double():
            module = source.make(source.task)
        if not isinstance(module, torch.nn.Module):
            raise TaskError(
                f"the PyTorch side gives a {type(module).__name__}, not a torch.nn.Module"
            )
        self.module, self.source = module.double().train(), source
        self.findings: list[dict[str, Any]] = []
        self.held = Inventory(self.module, source.extra)
        self.first: tuple[str, ...] = ()
        self.dropped: dict[int, int] = {}
        self.epsilon: float | None = None
        for one in self.module.modules():  # a mask inside of a layer, where no function shows it
            if isinstance(one, torch.nn.RNNBase | torch.nn.MultiheadAttention):
                one.dropout = 0.0
        self.feed(batch)

    def feed(self, batch: Batch) -> None:
        """Take another batch of the same task from here on."""
        self.size = len(next(iter(batch.inputs.values())))
        self.inputs = calls.tensors(batch.inputs, self.source.task, torch.float64)
        self.targets = calls.tensors(batch.targets, self.source.task, torch.float64)

    def describe(self) -> Description:
        """Layers in forward order, from one training-mode pass that changes nothing."""
        kept = copy.deepcopy(self.module.state_dict())
        with torch.no_grad(), Tracer(self.module, self.held.kinds, self.size, keep=False) as seen:
            outputs = self._outputs(seen)
        self.module.load_state_dict(kept)
        kinds = self.held.kinds
        for path in kinds:
            self.held.grids[path] = (seen.grids.get(path), seen.layouts.grid_out.get(path))
        made = {n: _output(o, seen.layouts.of(o)) for n, o in outputs.items()}
        self.first = tuple(name for name, one in made.items() if one.first)
        ends = {
            path: joined(path, parts[-1].suffix) for path, parts in self.held.parts.items() if parts
        }
        drops = [replace(drop, where=ends.get(drop.where, drop.where)) for drop in seen.drops]
        watched = len(drops)
        nodes = []
        for path in [*dict.fromkeys(seen.calls), *(p for p in kinds if p not in seen.calls)]:
            nodes += self._nodes(path, seen)
            suffixes = {part.suffix for part in self.held.parts[path]}
            for part in self.held.parts[path]:
                if f"{part.suffix}.reverse" in suffixes:  # both directions share one mask
                    continue
                at = 1 + (seen.calls.index(path) if path in seen.calls else len(seen.calls))
                where = joined(path, part.suffix)
                for what, rate in part.drops:
                    drops.append(Drop(what=what, rate=rate, after=at, where=where))
        order = sorted(range(len(drops)), key=lambda i: drops[i].after)
        self.dropped = {i: at for at, i in enumerate(order) if i < watched}
        return Description(
            nodes=tuple(nodes),
            steps=tuple(seen.steps),
            drops=tuple(drops[i] for i in order),
            outputs=made,
            parameters=sum(p.numel() for p in self.module.parameters()) - self.held.spare(),
            random=tuple(dict.fromkeys(seen.random)),
            optimizer=self._own_optimizer(),
        )

    def _own_optimizer(self) -> dict[str, Any]:
        make = self.source.optimizer
        return optimizers.told(make(list(self.module.parameters()))) if make else {}

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """Set weights from canonical values; a second bias that Keras has not is held at zero."""
        self.held.assign(assigned)
        self.held.load(values)

    def adopt(self, path: Path) -> Arrays:
        """Set the weights that a file holds under the names of ``state_dict``; all, canonical.

        Two biases of a recurrent layer become one, which is their sum.

        Raises:
            TaskError: the file does not fit; one line says why.
        """
        own = {
            name: tensor
            for name, tensor in self.module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        held = {
            name: array
            for name, array in stored.read(path).items()
            if not name.endswith("num_batches_tracked")
        }
        stored.check(path, held, {n: tuple(t.shape) for n, t in own.items()}, "PyTorch")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(held[name])))
            for path_, _, slot, tensor in self.held.slots():
                if slot.spare:
                    layer = self.held.modules[self.held.base(path_)]
                    reach(layer, slot.attribute.replace("bias_hh", "bias_ih")).add_(tensor)
        return self.held.canonical("", lambda tensor: tensor)

    def infer(self) -> Arrays:
        """Outputs of one inference pass, by name."""
        self.module.eval()
        with torch.no_grad(), Tracer(self.module, self.held.kinds, self.size, keep=False) as seen:
            outputs = self._outputs(seen)
        self.module.train()
        return {n: layout.canonical(array(o), seen.layouts.of(o)) for n, o in outputs.items()}

    def count(self) -> tuple[float | None, str]:
        """FLOPs of one sample's inference, counted by PyTorch's operations."""
        from torch.utils.flop_counter import FlopCounterMode

        self.module.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            self._outputs()
        self.module.train()
        return counter.get_total_flops() / self.size, ""

    def trace(self) -> Arrays:
        """One training-mode forward and backward pass; keys as in ``description.Arrays``."""
        self.module.zero_grad(set_to_none=True)
        kept = copy.deepcopy(self.module.state_dict())
        inputs = {n: t.clone() for n, t in self.inputs.items()}
        for tensor in inputs.values():
            tensor.requires_grad_(tensor.is_floating_point())
        with Tracer(self.module, self.held.kinds, self.size, keep=True) as seen:
            outputs = self._outputs(seen, inputs)
            parts = [(one, self._parts(one, outputs, inputs)) for one in self.source.task.steps]
        places = {f"drop/{i}": f"drop/{at}" for i, at in self.dropped.items()}
        found = {places.get(k, k): held for k, held in seen.arrays.items()} | {"loss": np.zeros(())}
        floats = [tensor for tensor in inputs.values() if tensor.requires_grad]
        for objective, made in parts:
            total, moved = calls.total(made), [*self.held.moved(objective), *floats]
            if total.requires_grad and moved:
                total.backward(inputs=moved, retain_graph=True)
            prefix = f"loss/{objective.name}." if objective.name else "loss/"
            found |= {f"{prefix}{name}": array(part) for name, part in made.items()}
            found["loss"] = found["loss"] + array(total)
        self.module.load_state_dict(kept)
        self._split_recurrent(found)
        found |= {key: array(one) for key, one in self._decided(outputs).items()}
        found |= self._generated()
        found |= {
            f"output/{n}": layout.canonical(array(o), seen.layouts.of(o))
            for n, o in outputs.items()
        }
        for name, tensor in inputs.items():
            if tensor.grad is not None:
                held = array(tensor.grad)
                image = self.source.task.inputs[name].kind == "image"
                found[f"input_gradient/{name}"] = np.moveaxis(held, 1, -1) if image else held
        found |= self.held.canonical("gradient/", lambda tensor: tensor.grad, trainable=True)
        return found

    def train(self, objectives: Sequence[Objective], steps: int) -> Arrays:
        """Canonical weights and buffers after some steps on the batch, from where they stand."""
        own, epsilon = self.source.optimizer, self.epsilon
        steppers = [
            Stepper(self.held.moved(one), one.optimizer, restated=True, own=own, epsilon=epsilon)
            for one in objectives
        ]
        losses: dict[str, Any] = {}
        with self._restated_norms() as restate:
            for _ in range(steps):
                for one, stepper in zip(objectives, steppers, strict=True):
                    stepper.zero_grad()
                    loss = calls.total(self._parts(one))
                    loss.backward(inputs=stepper.parameters or None)
                    stepper.step()
                    restate()
                    losses[one.name] = array(loss)
        if any(isinstance(one.optimizer, RMSprop) for one in objectives):
            self.findings.append(
                {
                    "name": "rmsprop_epsilon",
                    "text": "PyTorch's RMSprop adds epsilon outside of the root, Keras' inside:"
                    " restated for the proof",
                    "error": None,
                }
            )
        moved = self.held.canonical("", lambda tensor: tensor)
        return moved | ({"loss": np.sum(list(losses.values()))} if losses else {})

    def _decided(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """What is decided of the outputs of training, and of those of inference."""

        def infer() -> dict[str, Any]:
            self.module.eval()
            found = self._outputs()
            self.module.train()
            return found

        with torch.no_grad(), _double():
            return decisions.made(self.source, outputs, self.targets, infer, torch.zeros_like)

    def _generated(self) -> Arrays:
        """What is generated, in inference mode."""

        def whole(tokens: Any) -> Any:
            given = {name: torch.from_numpy(tokens).to(one) for name, one in self.inputs.items()}
            return array(self._outputs(inputs=given)["output"])

        self.module.eval()
        with torch.no_grad(), _double():
            found = decisions.generated(self.source, self.module, self.inputs, array, whole)
        self.module.train()
        return found

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Set constants of layers by path: ``epsilon``, and ``momentum`` in Keras' sense."""
        layers = dict(changes)
        self.epsilon = layers.pop(OPTIMIZER, {}).get("epsilon", self.epsilon)
        self.held.equalize(layers)

    def _outputs(
        self, seen: Tracer | None = None, inputs: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        given = self.inputs if inputs is None else inputs
        for name, tensor in given.items() if seen is not None else ():
            if seen is not None and self.source.task.inputs[name].kind == "image":
                seen.layouts.put(tensor, layout.Tag(first=True))
        with _double():
            return calls.named(calls.caller(self.module, list(given))(given))

    def _parts(
        self,
        objective: Objective,
        outputs: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The parts of an objective's loss, of these outputs unless it asks for fewer inputs."""
        given = self.inputs if inputs is None else inputs
        if outputs is None or objective.inputs:
            given = {n: t for n, t in given.items() if n in (objective.inputs or given)}
            with Tracer(self.module, self.held.kinds, self.size, keep=False) as seen:
                outputs = self._outputs(seen, given)
        with _double():
            return calls.criterion(self.source, objective, self.first)(outputs, self.targets)

    def _nodes(self, path: str, seen: Tracer) -> list[Node]:
        kind, module = self.held.kinds[path], self.held.modules[path]
        made = []
        for part in self.held.parts[path]:
            weights = {}
            for slot in part.slots:
                if slot.spare or not self.held.owns(path, part, slot):
                    continue
                tensor = reach(module, slot.attribute)
                held = slot.turn(array(tensor)[slot.index])
                weights[slot.name] = Weight(
                    shape=tuple(held.shape),
                    trainable=bool(getattr(tensor, "requires_grad", False)) and not slot.buffer,
                    buffer=slot.buffer,
                    start=(float(held.mean()), float(held.std())) if held.size else (0.0, 0.0),
                )
            if not weights:
                continue
            given, output = seen.shapes.get(path, (None, None))
            shapes = {name: one.shape for name, one in weights.items()}
            grid_in, grid_out = self.held.grids[path]
            macs = None
            if kind and given is not None and output is not None:
                macs = kind.macs(shapes, part.constants, given, output)
                macs = macs * seen.totals[path] // (math.prod(output) * self.size)
            made.append(
                Node(
                    path=joined(path, part.suffix),
                    kind=kind.name if kind else f"?{type(module).__name__}",
                    cls=type(module).__name__,
                    weights=weights,
                    constants=part.constants,
                    calls=seen.calls.count(path),
                    input=given,
                    output=output,
                    total=seen.totals.get(path, 0) // self.size,
                    macs=macs,
                    grid_in=grid_in,
                    grid_out=grid_out,
                )
            )
        return made

    def _split_recurrent(self, found: Arrays) -> None:
        """Inputs and outputs of each layer of a stacked or bidirectional recurrent module."""
        for path, parts in self.held.parts.items():
            module = self.held.modules[path]
            stacked = len(parts) > 1 and isinstance(module, torch.nn.RNNBase)
            if not stacked or f"node/{path}/in" not in found:
                continue
            x = torch.from_numpy(found[f"node/{path}/in"])
            for index in range(module.num_layers):
                outputs = []
                for reverse in range(1 + module.bidirectional):
                    part = parts[index * (1 + module.bidirectional) + reverse]
                    out = _single(module, index, reverse, x)
                    name = f"node/{joined(path, part.suffix)}"
                    found[f"{name}/in"] = array(x)
                    found[f"{name}/out"] = array(out.flip(1) if reverse else out)  # as they arise
                    outputs.append(out)
                x = torch.cat(outputs, dim=-1)
            del found[f"node/{path}/in"], found[f"node/{path}/out"]

    @contextmanager
    def _restated_norms(self) -> Iterator[Callable[[], None]]:
        """Feed running variances the biased estimate, as Keras does, for as long as it lasts.

        Yields what must be called after each step: a backward pass needs them untouched.
        """
        norms = [
            module
            for module in self.module.modules()
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)  # noqa: SLF001 - every rank
            and module.running_var is not None
        ]
        kept: dict[Any, Any] = {}
        handles = [handle for norm in norms for handle in _biased(norm, kept)]

        def restate() -> None:
            for norm, variance in kept.items():
                norm.running_var.copy_(variance)
            kept.clear()

        try:
            yield restate
        finally:
            for handle in handles:
                handle.remove()
        if norms and not any(f["name"] == "biased_variance" for f in self.findings):
            self.findings.append(
                {
                    "name": "biased_variance",
                    "text": "PyTorch's BatchNorm feeds its running variance the unbiased estimate,"
                    " Keras' the biased one, n / (n - 1) apart: restated for the proof",
                    "error": None,
                }
            )


def _output(tensor: Any, tag: layout.Tag) -> Output:
    flat = tag.grid if tag.grid and tensor.shape[-1] == math.prod(tag.grid) else None
    shape = tuple(layout.canonical(array(tensor), tag).shape[1:])
    return Output(shape=shape, first=tag.first, grid=flat)


@contextmanager
def _double() -> Iterator[None]:
    """Have what a model makes of numbers (a mean, a first state) be float64, as its weights are."""
    own = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(own)


def _single(module: Any, index: int, reverse: int, x: Any) -> Any:
    """What one layer and direction of a recurrent module makes of (batch, steps, features)."""
    tail = f"_l{index}" + ("_reverse" if reverse else "")
    keywords = {"nonlinearity": module.nonlinearity} if hasattr(module, "nonlinearity") else {}
    base = next(c for c in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN) if isinstance(module, c))
    one = base(x.shape[-1], module.hidden_size, bias=module.bias, batch_first=True, **keywords)
    one = one.double()
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            if hasattr(module, name + tail):
                getattr(one, f"{name}_l0").copy_(getattr(module, name + tail))
        out, _ = one(x.flip(1) if reverse else x)
    return out.flip(1) if reverse else out


def _biased(norm: Any, kept: dict[Any, Any]) -> Iterator[Any]:
    """Hooks that write to ``kept`` the running variance that the biased estimate would give."""
    before: list[Any] = []

    def keep(module: Any, args: Any) -> None:
        del args
        before.append(module.running_var.detach().clone())

    def restate(module: Any, args: Any, output: Any) -> None:
        del output
        old = before.pop()
        if not module.training:
            return
        n = args[0].numel() / args[0].shape[1]
        share = module.momentum
        if share is None:
            share = 1.0 / float(module.num_batches_tracked)
        added = module.running_var.detach() - (1 - share) * old
        kept[module] = (1 - share) * kept.get(module, old) + added * (n - 1) / n

    yield norm.register_forward_pre_hook(keep)
    yield norm.register_forward_hook(restate)
