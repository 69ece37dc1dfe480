"""PyTorch: eager, ``torch.compile`` and TorchScript."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters._protocol import Array, Epoch, Settings, Trace
from benchmarks.models._spec import ModelSpec, Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType

    from benchmarks.inputs import Batch, Dataset
    from benchmarks.weights import Weights
    from profilers.ops.rows import Recording

KERAS_SCALE = 2.0**15
"""The first scale of Keras' LossScaleOptimizer; as there, it grows after 2000 good steps."""


@dataclass
class Model:
    """A module and the callables that its mode made of it.

    ``module`` runs; ``source`` is the Python module behind it, the same but for TorchScript.
    """

    spec: ModelSpec
    weights: Weights
    source: Any
    module: Any
    infer: Callable[[Any], Any]
    loss: Callable[[Any, Any], Any]
    optimizer: Any
    scaler: Any


class Torch:
    """PyTorch through its canonical loop."""

    requires: ClassVar[tuple[str, ...]] = ("torch",)
    late: ClassVar[tuple[str, ...]] = ("torch._dynamo", "torch._inductor.compile_fx")
    dialect: ClassVar[str] = "torch"
    layout: ClassVar[str] = "channels_first"
    modes: ClassVar[Mapping[str, bool]] = {"eager": True, "compile": True, "script": False}
    proof_mode: ClassVar[str] = "eager"
    env: ClassVar[Mapping[str, str]] = {}
    # Compiled kernels are anonymous unless the compiler is told to mark them.
    profile_env: ClassVar[Mapping[str, str]] = {"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"}
    cache_env: ClassVar[tuple[str, ...]] = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")

    def __init__(self, settings: Settings) -> None:
        import torch

        from benchmarks.dialects import torch as dialect
        from benchmarks.engines import torch as engine
        from benchmarks.inputs import channels_first

        self.torch, self.dialect_rules, self.asked = torch, dialect, settings
        self.engine, self.channels_first = engine, channels_first
        engine.set_up(settings)
        self.channels_last = settings.layout == "channels_last"
        self.device = torch.device(settings.device)
        self.dtype = getattr(torch, settings.storage)

    def build(self, twin: ModuleType, spec: ModelSpec, weights: Weights) -> Model:
        module = twin.build(spec).to(device=self.device, dtype=self.dtype)
        self.engine.require_lstm(self.asked, module)
        if self.channels_last:
            module = module.to(memory_format=self.torch.channels_last)
        self.dialect_rules.load(module, spec.layers, weights)
        network = self.torch.jit.script(module) if self.asked.mode == "script" else module

        def loss(x: Any, y: Any) -> Any:
            return self.torch.nn.functional.cross_entropy(network(x), y)

        compiled = self.asked.mode == "compile"
        return Model(
            spec=spec,
            weights=weights,
            source=module,
            module=network,
            infer=self._mixed(self.torch.compile(network) if compiled else network),
            loss=self._mixed(self.torch.compile(loss) if compiled else loss),
            optimizer=self._optimizer(network, spec.optimizer),
            scaler=self._scaler(),
        )

    def reset(self, model: Model, weights: Weights) -> None:
        self.dialect_rules.load(model.module, model.spec.layers, weights)
        model.optimizer.zero_grad(set_to_none=True)
        model.optimizer.state.clear()

    def place(self, batch: Batch) -> Any:
        x = self.torch.from_numpy(self.channels_first(batch.x))
        if x.is_floating_point():
            x = x.to(self.dtype)
        return self._laid_out(x.to(self.device)), self.torch.from_numpy(batch.y).to(self.device)

    def set_training(self, model: Model, *, training: bool) -> None:
        model.source.train(training)
        if model.module is not model.source:
            # TorchScript leaves an overridden train() behind, and so forgets what is frozen.
            modes = {name: part.training for name, part in model.source.named_modules()}
            for name, part in model.module.named_modules():
                part.training = modes[name]

    def forward(self, model: Model, batch: Any) -> Any:
        with self._inference():
            return model.infer(batch[0])

    def loss(self, model: Model, batch: Any) -> Any:
        return model.loss(*batch)

    def backward(self, model: Model, batch: Any) -> Any:
        model.optimizer.zero_grad(set_to_none=True)
        loss = model.loss(*batch)
        self._slopes(model, loss)
        return loss

    def train_step(self, model: Model, batch: Any) -> Any:
        loss = self.backward(model, batch)
        self._update(model)
        return loss

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        return self._loader(data.x_train, data.y_train, data, batch)

    def epoch(self, model: Model, data: Dataset, batch: int) -> Epoch:
        torch, cross_entropy = self.torch, self._mixed(self.torch.nn.functional.cross_entropy)
        train = self._loader(data.x_train, data.y_train, data, batch)
        test = self._loader(data.x_test, data.y_test, data, batch)

        def run() -> tuple[float, float, float, float]:
            totals = torch.zeros(2, device=self.device)
            self.set_training(model, training=True)
            for x, y in train:
                model.optimizer.zero_grad(set_to_none=True)
                logits = model.infer(x)
                loss = cross_entropy(logits, y)
                self._slopes(model, loss)
                self._update(model)
                totals += self._score(logits.detach(), y, loss.detach())
            learned = (totals / len(data.y_train)).tolist()
            totals = torch.zeros(2, device=self.device)
            self.set_training(model, training=False)
            with self._inference():
                for x, y in test:
                    logits = model.infer(x)
                    totals += self._score(logits, y, cross_entropy(logits, y))
            kept = (totals / len(data.y_test)).tolist()
            return learned[0], learned[1], kept[0], kept[1]

        return Epoch(run=run)

    def synchronize(self) -> None:
        self.engine.synchronize(self.asked.device)

    def device_peak_bytes(self) -> int | None:
        return self.engine.peak_bytes(self.asked.device)

    def traced(self) -> int | None:
        return self.engine.traced(self.asked.mode)

    def export(self, model: Model) -> Weights:
        return self.dialect_rules.export(model.module, model.spec.layers)

    def numpy(self, value: Any) -> Array:
        return value.detach().cpu().double().numpy()

    def trace(self, model: Model, batch: Any) -> Trace:
        cross_entropy = self.torch.nn.functional.cross_entropy
        return self.dialect_rules.trace(model.module, model.spec.layers, cross_entropy, batch)

    def trained(self, model: Model, batch: Any, optimizer: str, steps: int) -> Weights:
        spec = dataclasses.replace(model.spec, optimizer=Optimizer(name=optimizer))  # type: ignore[arg-type]
        other = dataclasses.replace(
            model, spec=spec, optimizer=self._optimizer(model.module, spec.optimizer)
        )
        for _ in range(steps):
            self.train_step(other, batch)
        return self.dialect_rules.biased_variance(
            model.module,
            self.export(model),
            model.weights,
            spec.layers,
            batch=len(batch[1]),
            steps=steps,
        )

    def parameter_count(self, model: Model) -> int:
        return self.dialect_rules.parameter_count(model.module, model.spec.layers)

    def flops(self, model: Model, batch: Any) -> float | None:
        return self.engine.flops(lambda: model.module(batch[0]))

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        return self.engine.ceiling_work(self.asked, size, copied)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        del dumped
        modules = {name: module for name, module in model.source.named_modules() if name}
        return self.engine.record(self.asked, step, steps, modules)

    def settings(self) -> dict[str, Any]:
        return self.engine.read_back(self.asked) | {
            "precision": self.asked.compute,
            "layout": self.asked.layout or self.layout,
            "version": self.torch.__version__,
            **({"mixed": "autocast: products and convolutions"} if self.asked.mixed else {}),
        }

    def _mixed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function under autocast, where layers compute in less than parameters are kept in."""
        if not self.asked.mixed:
            return function
        device, dtype = self.asked.device, getattr(self.torch, self.asked.compute)

        def cast(*arguments: Any) -> Any:
            with self.torch.autocast(device, dtype=dtype):
                return function(*arguments)

        return cast

    def _scaler(self) -> Any:
        """What scales losses in float16, whose gradients would vanish, from where Keras starts."""
        if self.asked.compute != "float16":
            return None
        start = {} if self.asked.policy == "defaults" else {"init_scale": KERAS_SCALE}
        return self.torch.amp.GradScaler(self.asked.device, **start)

    @staticmethod
    def _slopes(model: Model, loss: Any) -> None:
        (model.scaler.scale(loss) if model.scaler else loss).backward()

    def _update(self, model: Model) -> None:
        self._match_epsilon(model.optimizer, model.spec.optimizer)
        if model.scaler:
            model.scaler.step(model.optimizer)
            model.scaler.update()
        else:
            model.optimizer.step()

    def _laid_out(self, x: Any) -> Any:
        """Images in the layout of the policy; anything else as it is."""
        images = self.channels_last and x.dim() == 4  # noqa: PLR2004 - batch, channel, height, width
        return x.contiguous(memory_format=self.torch.channels_last) if images else x

    def _inference(self) -> Any:
        """Inference mode; TorchScript, once it has trained, refuses that mode's tensors."""
        script = self.asked.mode == "script"
        return self.torch.no_grad() if script else self.torch.inference_mode()

    def _optimizer(self, module: Any, chosen: Optimizer) -> Any:
        parameters = [p for p in module.parameters() if p.requires_grad]
        if chosen.name == "adam":
            betas = (chosen.beta_1, chosen.beta_2)
            return self.torch.optim.Adam(parameters, lr=chosen.learning_rate, betas=betas)
        return self.torch.optim.SGD(parameters, lr=chosen.learning_rate, momentum=chosen.momentum)

    @staticmethod
    def _match_epsilon(optimizer: Any, chosen: Optimizer) -> None:
        """Give PyTorch's Adam the epsilon that makes its step equal to Keras'.

        PyTorch divides by sqrt(v / (1 - b2^t)) + e, Keras by (sqrt(v) + epsilon) / sqrt(1 - b2^t):
        the same where e = epsilon / sqrt(1 - b2^t).
        """
        if chosen.name != "adam":
            return
        for group in optimizer.param_groups:
            taken = optimizer.state[group["params"][0]].get("step", 0)
            group["eps"] = chosen.epsilon / math.sqrt(1 - chosen.beta_2 ** (float(taken) + 1))

    def _score(self, logits: Any, y: Any, loss: Any) -> Any:
        correct = (logits.argmax(1) == y).sum()
        return self.torch.stack([loss * len(y), correct.to(loss.dtype)])

    def _loader(self, x: Any, y: Any, data: Dataset, batch: int) -> Iterable[Any]:
        images = self.channels_first(x)
        host = self.engine.loader(images, y, batch=batch, scale=data.scale, dtype=self.dtype)
        return self.engine.Placed(host, self.asked.device, self._laid_out)


ADAPTER = Torch
