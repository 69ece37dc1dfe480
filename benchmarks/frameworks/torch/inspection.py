"""A PyTorch twin for the proof: described, loaded with canonical weights, traced and trained."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.frameworks.description import Arrays, Assigned, Description, Node, Weight
from benchmarks.frameworks.torch import layout
from benchmarks.frameworks.torch.optimizers import Stepper
from benchmarks.frameworks.torch.watch import Watch, array
from benchmarks.tasks import losses
from benchmarks.tasks.layers import Kind, Part, Slot, attribute, kind_of
from benchmarks.tasks.optimizers import Optimizer, RMSprop
from benchmarks.tasks.task import Batch, Task, TaskError

MODEL = "(model)"
"""The path of weights that the model itself owns, not one of its layers."""
IMAGE_RANK = 4


def set_up(engine: str, seed: int) -> None:
    """Seed PyTorch; ``engine`` is always ``torch``."""
    del engine
    torch.manual_seed(seed)


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
        module = make()
        if not isinstance(module, torch.nn.Module):
            raise TaskError(
                f"the PyTorch side gives a {type(module).__name__}, not a torch.nn.Module"
            )
        self.module = module.double().train()
        self.loss, self.task, self.extra = loss, task, extra
        self.findings: list[dict[str, Any]] = []
        self.size = len(next(iter(batch.inputs.values())))
        self.inputs = {n: _tensor(a, task.inputs[n].kind) for n, a in batch.inputs.items()}
        self.targets = {n: _target(n, a, task) for n, a in batch.targets.items()}
        self.targets_last = {n: _tensor(a, "") for n, a in batch.targets.items()}
        self.kinds = dict(self._owners())
        self._modules = dict(self.module.named_modules())
        self._grids: dict[str, tuple[layout.Grid | None, layout.Grid | None]] = {}
        self._parts = {path: self._parts_of(path) for path in self.kinds}
        self._own = self._owned_weights()
        self._biased = 0.0
        for (
            module_
        ) in self.module.modules():  # a mask inside of a layer, where no function shows it
            if isinstance(module_, torch.nn.RNNBase | torch.nn.MultiheadAttention):
                module_.dropout = 0.0

    def describe(self) -> Description:
        """Layers in forward order, from one training-mode pass that changes nothing."""
        kept = copy.deepcopy(self.module.state_dict())
        with torch.no_grad(), Watch(self.module, self.kinds, self.size, keep=False) as seen:
            outputs = named(self._call())
        self.module.load_state_dict(kept)
        for path in self.kinds:
            self._grids[path] = (seen.grids.get(path), seen.layouts.grid_out.get(path))
        drops = list(seen.drops)
        nodes = []
        for path in [*dict.fromkeys(seen.calls), *(p for p in self.kinds if p not in seen.calls)]:
            nodes += self._nodes(path, seen)
            for part in self._parts[path]:
                at = 1 + (seen.calls.index(path) if path in seen.calls else len(seen.calls))
                for what, rate in part.drops:
                    drops.append(_drop(what, rate, at, path))
        return Description(
            nodes=tuple(nodes),
            steps=tuple(seen.steps),
            drops=tuple(sorted(drops, key=lambda d: d.after)),
            outputs={
                n: tuple(layout.canonical(array(o), seen.layouts.of(o)).shape[1:])
                for n, o in outputs.items()
            },
            parameters=sum(p.numel() for p in self.module.parameters()) - self._spare(),
            random=tuple(dict.fromkeys(seen.random)),
        )

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """Set weights from canonical values; a second bias that Keras has not is held at zero."""
        self.assigned = {one.path: one.weights for one in assigned}
        with torch.no_grad():
            for path, part, slot, tensor in self._slots():
                key = self.assigned.get(path, {}).get(slot.name)
                if slot.spare:
                    tensor.zero_()
                    tensor.requires_grad_(requires_grad=False)
                elif key is not None:
                    stored = tensor.detach().numpy()
                    turned = slot.back(self._arranged(part, path, slot, values[key], back=True))
                    stored[slot.index] = np.reshape(turned, stored[slot.index].shape)

    def trace(self) -> Arrays:
        """One training-mode forward and backward pass; keys as in ``description.Arrays``."""
        self.module.zero_grad(set_to_none=True)
        kept = copy.deepcopy(self.module.state_dict())
        inputs = {n: t.clone() for n, t in self.inputs.items()}
        for tensor in inputs.values():
            tensor.requires_grad_(tensor.is_floating_point())
        with Watch(self.module, self.kinds, self.size, keep=True) as seen:
            outputs = named(self._call(inputs))
            parts = self._losses(outputs, seen.layouts)
        total = torch.stack([p.reshape(()) for p in parts.values()]).sum()
        found = dict(seen.arrays)
        if total.requires_grad:
            total.backward()
        self.module.load_state_dict(kept)
        self._split_recurrent(found)
        found |= {
            f"output/{n}": layout.canonical(array(o), seen.layouts.of(o))
            for n, o in outputs.items()
        }
        found |= {f"loss/{n}": array(p) for n, p in parts.items()} | {"loss": array(total)}
        for name, tensor in inputs.items():
            if tensor.grad is not None:
                held = array(tensor.grad)
                image = self.task.inputs[name].kind == "image"
                found[f"input_gradient/{name}"] = np.moveaxis(held, 1, -1) if image else held
        found |= self._canonical("gradient/", lambda tensor: tensor.grad, trainable=True)
        return found

    def train(self, optimizer: Optimizer, steps: int) -> Arrays:
        """Canonical weights and buffers after some steps on the batch, from where they stand."""
        trained = [p for p in self.module.parameters() if p.requires_grad]
        stepper = Stepper(trained, optimizer, restated=True)
        with self._restated_norms() as settle:
            for _ in range(steps):
                stepper.zero_grad()
                with Watch(self.module, self.kinds, self.size, keep=False) as seen:
                    parts = self._losses(named(self._call()), seen.layouts)
                torch.stack([p.reshape(()) for p in parts.values()]).sum().backward()
                stepper.step()
                settle()
        if isinstance(optimizer, RMSprop):
            self.findings.append(
                {
                    "name": "rmsprop_epsilon",
                    "text": "PyTorch's RMSprop adds epsilon outside of the root, Keras' inside:"
                    " restated for the proof",
                    "error": None,
                }
            )
        return self._canonical("", lambda tensor: tensor, trainable=False)

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Set constants of layers by path: ``epsilon``, and ``momentum`` in Keras' sense."""
        for path, values in changes.items():
            module = self._modules["" if path == MODEL else path]
            if "epsilon" in values:
                module.eps = values["epsilon"]
            if "momentum" in values:
                module.momentum = round(1.0 - values["momentum"], 12)

    def _call(self, inputs: Mapping[str, Any] | None = None) -> Any:
        """The model's output, its inputs given by name, by position, or as one mapping."""
        given = dict(inputs or self.inputs)
        if len(given) == 1:
            return self.module(*given.values())
        signature = inspect.signature(self.module.forward).parameters
        if set(given) <= set(signature):
            return self.module(**given)
        single = [p for p in signature.values() if p.default is p.empty]
        return self.module(given) if len(single) == 1 else self.module(*given.values())

    def _losses(self, outputs: Mapping[str, Any], layouts: layout.Layouts) -> dict[str, Any]:
        """The parts of the loss. A named one is of outputs and targets channels last."""
        if self.loss is not None:
            made = self.loss(dict(outputs), self.targets)
            return dict(made) if isinstance(made, Mapping) else {"loss": made}
        found = {}
        for part in self.task.loss or ():
            if part.output not in outputs:
                known = ", ".join(outputs)
                raise TaskError(f"the PyTorch side has no output {part.output!r}; it has: {known}")
            loss = losses.load(part.name, self.extra)
            output = outputs[part.output]
            if layouts.of(output).first:
                output = output.movedim(1, -1)
            value = loss.torch(output, self.targets_last[part.target], **part.options)
            found[f"{part.output}.{part.name}"] = part.weight * value
        return found

    def _owners(self) -> Iterator[tuple[str, Kind | None]]:
        """Every module that owns weights, or is of a known kind that does, by path."""
        inside: list[str] = []
        for path, module in self.module.named_modules():
            if any(path.startswith(f"{outer}.") for outer in inside):
                continue
            kind = kind_of(module, "torch", self.extra)
            held = isinstance(module, torch.nn.ParameterList | torch.nn.ParameterDict)
            if kind is not None:
                inside.append(path)
                yield path, kind
            elif not held and any(True for _ in _direct(module)):
                yield path, None

    def _parts_of(self, path: str) -> tuple[Part, ...]:
        kind, module = self.kinds[path], self._modules[path]
        if kind is not None:
            return kind.torch_parts(module)
        names = [name for name, _ in _direct(module)]
        return (Part(slots=tuple(Slot(name=n, attribute=n) for n in names)),)

    def _owned_weights(self) -> set[tuple[str, str, str]]:
        """Path, suffix and name of each slot whose tensor no earlier one has: the rest are tied."""
        owned, seen = set(), set[tuple[int, str]]()
        for path, parts in self._parts.items():
            for part in parts:
                for slot in part.slots:
                    tensor = _reach(self._modules[path], slot.attribute)
                    mark = (id(tensor), str(slot.index))
                    if tensor is not None and mark not in seen:
                        seen.add(mark)
                        owned.add((path, part.suffix, slot.name))
        return owned

    def _slots(self) -> Iterator[tuple[str, Part, Slot, Any]]:
        """Path of the node, its part, slot and tensor of everything that holds numbers."""
        for path, parts in self._parts.items():
            for part in parts:
                for slot in part.slots:
                    if (path, part.suffix, slot.name) in self._own:
                        tensor = _reach(self._modules[path], slot.attribute)
                        yield _joined(path, part.suffix), part, slot, tensor

    def _nodes(self, path: str, seen: Watch) -> list[Node]:
        kind, module = self.kinds[path], self._modules[path]
        made = []
        for part in self._parts[path]:
            weights = {}
            for slot in part.slots:
                if slot.spare or (path, part.suffix, slot.name) not in self._own:
                    continue
                tensor = _reach(module, slot.attribute)
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
            grid_in, grid_out = self._grids[path]
            macs = None
            if kind and given is not None and output is not None:
                macs = seen.calls.count(path) * kind.macs(shapes, part.constants, given, output)
            made.append(
                Node(
                    path=_joined(path, part.suffix),
                    kind=kind.name if kind else f"?{type(module).__name__}",
                    cls=type(module).__name__,
                    weights=weights,
                    constants=part.constants,
                    calls=seen.calls.count(path),
                    input=given,
                    output=output,
                    macs=macs,
                    grid_in=grid_in,
                    grid_out=grid_out,
                )
            )
        return made

    def _arranged(self, part: Part, path: str, slot: Slot, held: Any, *, back: bool) -> Any:
        """Features of a flattened channels-first map in channels-last order, or back again."""
        base = path.removesuffix(f".{part.suffix}") if part.suffix else path
        module_path = "" if base == MODEL else base
        kind = self.kinds.get(module_path)
        grid_in, grid_out = self._grids.get(module_path, (None, None))
        turn = layout.restored if back else layout.reordered
        if kind is not None and kind.name == "Dense":
            if slot.name == "kernel" and grid_in:
                held = turn(held, 0, grid_in)
            if grid_out:
                held = turn(held, -1, grid_out)
        elif held.ndim == 1 and (grid_in or grid_out):
            held = turn(held, 0, grid_in or grid_out or ())
        return held

    def _canonical(self, prefix: str, of: Callable[[Any], Any], *, trainable: bool) -> Arrays:
        found: Arrays = {}
        for path, part, slot, tensor in self._slots():
            key = getattr(self, "assigned", {}).get(path, {}).get(slot.name)
            value = of(tensor)
            if key is None or slot.spare or value is None:
                continue
            if trainable and not tensor.requires_grad:
                continue
            held = slot.turn(array(value)[slot.index])
            found[prefix + key] = self._arranged(part, path, slot, held, back=False)
        return found

    def _spare(self) -> int:
        return sum(t.numel() for _, _, slot, t in self._slots() if slot.spare)

    def _split_recurrent(self, found: Arrays) -> None:
        """Inputs and outputs of each layer of a stacked or bidirectional recurrent module."""
        for path, parts in self._parts.items():
            module = self._modules[path]
            stacked = len(parts) > 1 and isinstance(module, torch.nn.RNNBase)
            if not stacked or f"node/{path}/in" not in found:
                continue
            x = torch.from_numpy(found[f"node/{path}/in"])
            for index in range(module.num_layers):
                outputs = []
                for reverse in range(1 + module.bidirectional):
                    part = parts[index * (1 + module.bidirectional) + reverse]
                    out = _single(module, index, reverse, x)
                    name = f"node/{_joined(path, part.suffix)}"
                    found[f"{name}/in"], found[f"{name}/out"] = array(x), array(out)
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

        def settle() -> None:
            for norm, variance in kept.items():
                norm.running_var.copy_(variance)
            kept.clear()

        try:
            yield settle
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


def named(output: Any, name: str = "output") -> dict[str, Any]:
    """Outputs by name: one tensor is ``output``, a sequence ``output_0``, …, a mapping its keys."""
    if isinstance(output, Mapping):
        return {str(k): v for k, v in output.items() if isinstance(v, torch.Tensor)}
    if isinstance(output, tuple | list):
        found: dict[str, Any] = {}
        for index, one in enumerate(output):
            found |= named(one, f"{name}_{index}")
        return found
    return {name: output} if isinstance(output, torch.Tensor) else {}


def _tensor(held: Any, kind: str) -> Any:
    if kind == "image":
        held = np.ascontiguousarray(np.moveaxis(held, -1, 1))
    return torch.from_numpy(np.array(held)).to(
        torch.float64
        if held.dtype.kind == "f"
        else torch.bool
        if held.dtype.kind == "b"
        else torch.int64
    )


def _target(name: str, held: Any, task: Task) -> Any:
    source = task.targets[name].source
    kind = task.inputs[source].kind if source else ""
    return _tensor(held, kind if kind == "image" else "")


def _direct(module: Any) -> Iterator[tuple[str, Any]]:
    """Name and tensor of a module's own parameters, those in its lists of parameters included."""
    yield from module.named_parameters(recurse=False)
    for name, child in module.named_children():
        if isinstance(child, torch.nn.ParameterList | torch.nn.ParameterDict):
            for inner, tensor in child.named_parameters():
                yield f"{name}.{inner}", tensor


def _reach(module: Any, path: str) -> Any:
    found = attribute(module, path)
    if found is None and "." in path:
        return dict(module.named_parameters()).get(path)
    return found


def _joined(path: str, suffix: str) -> str:
    return (path or MODEL) + (f".{suffix}" if suffix else "")


def _drop(what: str, rate: float, after: int, where: str) -> Any:
    from benchmarks.frameworks.description import Drop

    return Drop(what=what, rate=rate, after=after, where=where)


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
