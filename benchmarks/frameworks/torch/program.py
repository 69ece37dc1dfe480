"""A PyTorch module as it is timed: eager, compiled or scripted, in its precision and layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from benchmarks.frameworks.contracts import Handoff, Placed, Source
from benchmarks.frameworks.description import OPTIMIZER, Arrays
from benchmarks.frameworks.torch import calls, layout
from benchmarks.frameworks.torch.device import Device
from benchmarks.frameworks.torch.optimizers import Stepper
from benchmarks.frameworks.torch.weights import Inventory, array

KERAS_SCALE = 2.0**15
"""The first scale of Keras' LossScaleOptimizer; as there, it grows after 2000 good steps."""


class Program:
    """A module through PyTorch's canonical loop.

    ``module`` runs; ``source_module`` is the Python module behind it, the same but for TorchScript.
    """

    def __init__(
        self, device: Device, source: Source, handoff: Handoff, values: Mapping[str, Any]
    ) -> None:
        self.device, self.source, self.first = device, source, frozenset(handoff.first)
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
        self.module = torch.jit.script(module) if asked.mode == "script" else module
        self._start = {n: t.detach().cpu().clone() for n, t in self.module.state_dict().items()}
        names, aims = list(source.task.inputs), list(source.task.targets)
        call = calls.caller(module, names, runs=self.module)

        def infer(given: tuple[Any, ...]) -> Any:
            return call(given)

        def loss(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> Any:
            targets = dict(zip(aims, wanted, strict=True))
            made = calls.named(call(given))
            return calls.total(calls.parts(source, made, targets, self.first))

        compiled = asked.mode == "compile"
        self._infer = self._mixed(torch.compile(infer) if compiled else infer)
        self._loss = self._mixed(torch.compile(loss) if compiled else loss)
        self.loss_of = self._mixed(self._loss_of)
        trained = [p for p in self.module.parameters() if p.requires_grad]
        self.stepper = Stepper(
            trained, source.task.optimizer, own=source.optimizer, epsilon=epsilon
        )
        self.scaler = self._scaler()

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

    def forward(self, batch: Placed) -> Any:
        """The outputs as a loop calls for them, in training or not."""
        return self._infer(batch.inputs)

    def _loss_of(self, outputs: Any, batch: Placed) -> Any:
        targets = dict(zip(self.source.task.targets, batch.targets, strict=True))
        made = calls.parts(self.source, calls.named(outputs), targets, self.first)
        return calls.total(made)

    def loss(self, batch: Placed) -> Any:
        """As the contract says."""
        return self._loss(batch.inputs, batch.targets)

    def gradients(self, batch: Placed) -> Any:
        """As the contract says."""
        self.stepper.zero_grad()
        loss = self._loss(batch.inputs, batch.targets)
        self.backward(loss)
        return loss

    def step(self, batch: Placed) -> Any:
        """As the contract says."""
        loss = self.gradients(batch)
        self.update()
        return loss

    def backward(self, loss: Any) -> None:
        """Gradients of a loss, scaled where that is needed."""
        (self.scaler.scale(loss) if self.scaler else loss).backward()

    def update(self) -> None:
        """Move the weights by their gradients."""
        if self.scaler:
            self.scaler.step(self.stepper.optimizer)
            self.scaler.update()
        else:
            self.stepper.step()

    def reset(self) -> None:
        """As the contract says."""
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                tensor.copy_(self._start[name])
        self.stepper.reset()

    def export(self) -> Arrays:
        """As the contract says."""
        return self.held.canonical("", lambda tensor: tensor)

    def outputs(self, value: Any) -> Arrays:
        """As the contract says."""
        return {  # a loss has the name of a single output, but no axis
            name: layout.canonical(
                array(one), layout.Tag(first=name in self.first and one.dim() > 1)
            )
            for name, one in calls.named(value).items()
        }

    def traced(self) -> int | None:
        """As the contract says."""
        return self.device.traced()

    def inference(self) -> Any:
        """Inference mode; TorchScript, once it has trained, refuses that mode's tensors."""
        script = self.device.asked.mode == "script"
        return torch.no_grad() if script else torch.inference_mode()

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
