"""A PyTorch module as it is timed: eager, compiled or scripted, in its precision and layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

from benchmarks.frameworks.contracts import Generates, Handoff, Placed, Source
from benchmarks.frameworks.description import OPTIMIZER, Arrays
from benchmarks.frameworks.torch import calls, layout
from benchmarks.frameworks.torch.device import Device
from benchmarks.frameworks.torch.optimizers import Stepper
from benchmarks.frameworks.torch.weights import Inventory, array
from benchmarks.tasks.task import Objective

KERAS_SCALE = 2.0**15
"""The first scale of Keras' LossScaleOptimizer; as there, it grows after 2000 good steps."""


SAVED = "weights.safetensors"
Loss = Callable[[tuple[Any, ...], tuple[Any, ...]], Any]


class Training(NamedTuple):
    """An objective: its loss of inputs and targets, and what moves its weights."""

    loss: Loss
    stepper: Stepper


class Program:
    """A module through PyTorch's canonical loop.

    ``module`` runs; ``source_module`` is the Python module behind it, the same but for TorchScript.
    """

    def __init__(
        self, device: Device, source: Source, handoff: Handoff, values: Mapping[str, Any]
    ) -> None:
        self.device, self.source, self.told = device, source, handoff.outputs
        self.first = frozenset(name for name, one in handoff.outputs.items() if one.first)
        asked = device.asked
        module = source.make(source.task).to(device=asked.device, dtype=device.dtype)
        _require_lstm(device, module)
        if device.channels_last:
            module = module.to(memory_format=torch.channels_last)
        self.held = Inventory(module, source.extra)
        self.held.assign(handoff.assigned)
        changes = dict(handoff.changes)
        epsilon = changes.pop(OPTIMIZER, {}).get("epsilon")
        self.held.equalize(changes)
        # Two trained biases move twice as fast as one: users of PyTorch's defaults have that.
        self.held.load(values, hold_spare=asked.policy != "defaults")
        self.source_module = module
        self.module = _scripted(module) if asked.mode == "script" else module
        self._start = {n: t.detach().cpu().clone() for n, t in self.module.state_dict().items()}
        self._infer = self._made(self._call(list(source.task.inputs)))
        self._postprocess = self._made(source.postprocess) if source.postprocess else None
        self._generates = {
            name: self._made(self._of(one)) for name, one in source.generates.items()
        }
        self.loss_of = self._mixed(self._loss_of)
        self._only = calls.criterion(source, source.task.steps[0], self.first)
        self.trainings = [
            Training(
                self._made(self._loss(one)),
                Stepper(self.held.moved(one), one.optimizer, own=source.optimizer, epsilon=epsilon),
            )
            for one in source.task.steps
        ]
        self.scaler = self._scaler()

    def _call(self, names: list[str]) -> Callable[[tuple[Any, ...]], Any]:
        """What the module makes of those inputs, given all in the order of the task."""
        every = list(self.source.task.inputs)
        call = calls.caller(self.source_module, names, runs=self.module)
        if len(every) == 1:
            module = self.module
            return lambda given: module(given[0])

        def infer(given: tuple[Any, ...]) -> Any:
            tensors = dict(zip(every, given, strict=True))
            return call({name: tensors[name] for name in names})

        return infer

    def _loss(self, objective: Objective) -> Loss:
        """An objective's loss of inputs and targets in the order of the task."""
        source, aims = self.source, list(self.source.task.targets)
        call = self._call(list(objective.inputs or source.task.inputs))
        parts = calls.criterion(source, objective, self.first)

        def loss(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> Any:
            targets = dict(zip(aims, wanted, strict=True))
            return calls.total(parts(calls.named(call(given)), targets))

        return loss

    @property
    def layers(self) -> dict[str, Any]:
        """Every module below the model, by path."""
        return {path: one for path, one in self.source_module.named_modules() if path}

    def set_training(self, *, training: bool) -> None:
        """As the contract says."""
        self.source_module.train(training)
        if self.module is not self.source_module:
            # TorchScript leaves an overridden train() behind, and so forgets what is frozen.
            modes = {name: part.training for name, part in self.source_module.named_modules()}
            for name, part in self.module.named_modules():
                part.training = modes[name]

    def infer(self, batch: Placed) -> Any:
        """As the contract says."""
        with self.inference():
            return self._infer(batch.inputs)

    def postprocess(self, outputs: Any) -> Any:
        """As the contract says; a scripted module's, too, runs as it is written."""
        if self._postprocess is None:
            raise NotImplementedError("the PyTorch twin defines no postprocess(outputs)")
        with self.inference():
            return self._postprocess(outputs)

    def first_token(self, batch: Placed) -> Any:
        """As the contract says; a scripted module's, too, runs as it is written."""
        given = dict(zip(self.source.task.inputs, batch.inputs, strict=True))
        return self._generated("first_token", given)

    def next_token(self, held: Any) -> Any:
        """As the contract says: the cache is written to in place."""
        return self._generated("next_token", held)

    def _of(self, function: Generates) -> Callable[[Any], Any]:
        """The function of what it is given beside the module."""
        return lambda given: function(self.source_module, given)

    def _generated(self, name: str, given: Any) -> Any:
        if name not in self._generates:
            raise NotImplementedError(f"the PyTorch twin defines no {name}(model, ...)")
        with self.inference():
            return self._generates[name](given)

    def forward(self, batch: Placed) -> Any:
        """The outputs as a loop calls for them, in training or not."""
        return self._infer(batch.inputs)

    def _loss_of(self, outputs: Any, batch: Placed) -> Any:
        targets = dict(zip(self.source.task.targets, batch.targets, strict=True))
        return calls.total(self._only(calls.named(outputs), targets))

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return _sum([one.loss(batch.inputs, batch.targets) for one in self.trainings])

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        return _sum([self._gradients(one, batch) for one in self.trainings])

    def step(self, batch: Placed) -> Any:
        """As the contract says."""
        losses = []
        for one in self.trainings:
            losses.append(self._gradients(one, batch))
            self._move(one.stepper)
        if self.scaler:
            self.scaler.update()
        return _sum(losses)

    def _gradients(self, one: Training, batch: Placed) -> Any:
        """The loss of an objective; the gradients of the weights that it moves are kept."""
        one.stepper.zero_grad()
        loss = one.loss(batch.inputs, batch.targets)
        several = len(self.trainings) > 1
        self.backward(loss, one.stepper.parameters if several else None)
        return loss

    def backward(self, loss: Any, weights: list[Any] | None = None) -> None:
        """Gradients of a loss, scaled where that is needed; of all weights if none are given."""
        (self.scaler.scale(loss) if self.scaler else loss).backward(inputs=weights)

    def update(self) -> None:
        """Move the weights of the only objective by their gradients."""
        self._move(self.stepper)
        if self.scaler:
            self.scaler.update()

    @property
    def stepper(self) -> Stepper:
        """The stepper of the only objective."""
        (only,) = self.trainings
        return only.stepper

    def _move(self, stepper: Stepper) -> None:
        if self.scaler:
            self.scaler.step(stepper.optimizer)
        else:
            stepper.step()

    def reset(self) -> None:
        """As the contract says."""
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                tensor.copy_(self._start[name])
        for one in self.trainings:
            one.stepper.reset()

    def export(self) -> Arrays:
        """As the contract says."""
        return self.held.canonical("", lambda tensor: tensor)

    def outputs(self, value: Any) -> Arrays:
        """As the contract says."""
        made = {name: array(one) for name, one in calls.named(value).items()}
        return {  # a loss has the name of a single output, but no axis
            name: layout.canonical(one, layout.Tag(first=told.first, grid=told.grid))
            if (told := self.told.get(name)) and one.ndim
            else one
            for name, one in made.items()
        }

    def state(self) -> Arrays:
        """As the contract says."""
        module = self.module
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        for at, one in enumerate(self.trainings):
            held = one.stepper.optimizer.state_dict()["state"]
            for index, slots in held.items():
                found = {n: t for n, t in slots.items() if torch.is_tensor(t)}
                tensors |= {f"optimizer {at}/{index}/{name}": t for name, t in found.items()}
        if self.device.asked.device == "cuda":
            tensors["seed of the device"] = torch.cuda.get_rng_state()
        tensors["seed"] = torch.get_rng_state()
        return {name: array(tensor) for name, tensor in tensors.items()}

    def evaluate(self, batch: Placed) -> None:
        """As the contract says."""
        if len(self.trainings) > 1:
            raise NotImplementedError("a model of several objectives has no one loss to evaluate")
        with self.inference():
            self.loss_of(self._infer(batch.inputs), batch)

    def tune(self, batch: Placed, *, whole: bool) -> tuple[Arrays, Arrays]:
        """As the contract says: ``requires_grad`` off, and with ``whole`` also ``eval()``."""
        owners = [
            (path, module)
            for path, module in self.source_module.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        ]
        if len(owners) == 1 or len(self.trainings) > 1:
            raise NotImplementedError("there is no one head on a base")
        *_, (head, last) = owners
        trained = {id(one) for one in last.parameters(recurse=False)}
        flags = [(one, one.requires_grad) for one in self.source_module.parameters()]
        for one, _ in flags:
            one.requires_grad_(id(one) in trained)
        self.set_training(training=True)
        if whole:
            for path, module in self.source_module.named_modules():
                if not _around(path, head):
                    module.training = False
        before = self._base(head)
        optimizer = torch.optim.SGD(last.parameters(recurse=False), lr=0.01)
        self.trainings[0].loss(batch.inputs, batch.targets).backward()
        optimizer.step()
        after = self._base(head)
        for one, flag in flags:
            one.requires_grad_(flag)
            one.grad = None
        return before, after

    def _base(self, head: str) -> Arrays:
        """What the layers before the last one hold."""
        held = self.source_module.state_dict()
        return {n: array(t) for n, t in held.items() if n.rpartition(".")[0] != head}

    def save(self, folder: Path) -> None:
        """As the contract says: the ``state_dict`` as safetensors, which nothing unpickles."""
        held = self.module.state_dict()
        save_file({n: t.detach().clone().contiguous() for n, t in held.items()}, folder / SAVED)

    def restore(self, folder: Path) -> None:
        """As the contract says."""
        self.module.load_state_dict(load_file(folder / SAVED))

    def traced(self) -> int | None:
        """As the contract says."""
        return self.device.traced()

    def inference(self) -> Any:
        """Inference mode; TorchScript, once it has trained, refuses that mode's tensors."""
        script = self.device.asked.mode == "script"
        return torch.no_grad() if script else torch.inference_mode()

    def _made(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function in the mode and precision asked for."""
        compiled = self.device.asked.mode == "compile"
        return self._mixed(torch.compile(function) if compiled else function)

    def _mixed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function under autocast, where layers compute in less than parameters are kept in."""
        asked = self.device.asked
        if not asked.mixed:
            return function
        device, dtype = asked.device, getattr(torch, asked.compute)

        def cast(*arguments: Any) -> Any:
            with torch.autocast(device, dtype=dtype):
                return function(*arguments)

        return cast

    def _scaler(self) -> Any:
        """What scales losses in float16, whose gradients would vanish, from where Keras starts."""
        asked = self.device.asked
        if asked.compute != "float16":
            return None
        start = {} if asked.policy == "defaults" else {"init_scale": KERAS_SCALE}
        return torch.amp.GradScaler(asked.device, **start)


def _around(path: str, head: str) -> bool:
    """Whether a module is the head, or holds it."""
    return path == head or not path or head.startswith(f"{path}.")


def _sum(losses: list[Any]) -> Any:
    """One loss as it is; several as their sum."""
    return losses[0] if len(losses) == 1 else torch.stack(losses).detach().sum()


def _scripted(module: Any) -> Any:
    """The module, compiled by TorchScript.

    Raises:
        NotImplementedError: it uses something that TorchScript does not know.
    """
    try:
        return torch.jit.script(module)
    except Exception as error:  # whatever its compiler stumbles over
        text = " ".join(str(error).split())[:300]
        raise NotImplementedError(
            f"TorchScript cannot compile this module: {type(error).__name__}: {text}"
        ) from error


def _require_lstm(device: Device, module: Any) -> None:
    """Try PyTorch's own LSTM in mixed precision, where the module has one.

    Raises:
        NotImplementedError: there is none here (oneDNN has float16 on a few CPUs alone).
    """
    asked = device.asked
    if not asked.mixed or not any(isinstance(m, torch.nn.LSTM) for m in module.modules()):
        return
    tiny = torch.nn.LSTM(8, 8).to(asked.device)
    try:
        with torch.autocast(asked.device, dtype=getattr(torch, asked.compute)):
            tiny(torch.zeros(1, 1, 8, device=asked.device))
    except RuntimeError as error:
        raise NotImplementedError(
            f"PyTorch has no {asked.compute} LSTM on this {asked.device}"
        ) from error
