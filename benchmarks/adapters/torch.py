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


class Torch:
    """PyTorch through its canonical loop."""

    requires: ClassVar[tuple[str, ...]] = ("torch",)
    late: ClassVar[tuple[str, ...]] = ("torch._dynamo", "torch._inductor.compile_fx")
    dialect: ClassVar[str] = "torch"
    modes: ClassVar[Mapping[str, bool]] = {"eager": True, "compile": True, "script": False}
    proof_mode: ClassVar[str] = "eager"
    env: ClassVar[Mapping[str, str]] = {}
    # Compiled kernels are anonymous unless the compiler is told to mark them.
    profile_env: ClassVar[Mapping[str, str]] = {"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"}
    cache_env: ClassVar[tuple[str, ...]] = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")

    def __init__(self, settings: Settings) -> None:
        import torch

        from benchmarks.dialects import torch as dialect

        self.torch, self.dialect_rules, self.asked = torch, dialect, settings
        torch.manual_seed(settings.seed)
        if settings.policy != "defaults":
            torch.set_num_threads(settings.threads)
            torch.set_num_interop_threads(1)
            torch.set_flush_denormal(True)  # TensorFlow's executors always flush
            best = settings.policy == "best"
            torch.backends.cuda.matmul.allow_tf32 = best
            torch.backends.cudnn.allow_tf32 = best
            torch.backends.cudnn.benchmark = True  # TensorFlow always autotunes
        # PyTorch's own guide to performance has convolutions run faster this way.
        layout = settings.layout or ("channels_last" if settings.policy == "best" else None)
        self.channels_last = layout == "channels_last"
        self.device = torch.device(settings.device)
        self.dtype = getattr(torch, settings.precision)

    def build(self, twin: ModuleType, spec: ModelSpec, weights: Weights) -> Model:
        module = twin.build(spec).to(device=self.device, dtype=self.dtype)
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
            infer=self.torch.compile(network) if compiled else network,
            loss=self.torch.compile(loss) if compiled else loss,
            optimizer=self._optimizer(network, spec.optimizer),
        )

    def reset(self, model: Model, weights: Weights) -> None:
        self.dialect_rules.load(model.module, model.spec.layers, weights)
        model.optimizer.zero_grad(set_to_none=True)
        model.optimizer.state.clear()

    def place(self, batch: Batch) -> Any:
        x = self.torch.from_numpy(self.dialect_rules.channels_first(batch.x))
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
        loss.backward()
        return loss

    def train_step(self, model: Model, batch: Any) -> Any:
        loss = self.backward(model, batch)
        self._match_epsilon(model.optimizer, model.spec.optimizer)
        model.optimizer.step()
        return loss

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        return self._loader(data.x_train, data.y_train, data, batch)

    def epoch(self, model: Model, data: Dataset, batch: int) -> Epoch:
        torch, functional = self.torch, self.torch.nn.functional
        train = self._loader(data.x_train, data.y_train, data, batch)
        test = self._loader(data.x_test, data.y_test, data, batch)

        def run() -> tuple[float, float, float, float]:
            totals = torch.zeros(2, device=self.device)
            self.set_training(model, training=True)
            for x, y in train:
                model.optimizer.zero_grad(set_to_none=True)
                logits = model.infer(x)
                loss = functional.cross_entropy(logits, y)
                loss.backward()
                self._match_epsilon(model.optimizer, model.spec.optimizer)
                model.optimizer.step()
                totals += self._score(logits.detach(), y, loss.detach())
            learned = (totals / len(data.y_train)).tolist()
            totals = torch.zeros(2, device=self.device)
            self.set_training(model, training=False)
            with self._inference():
                for x, y in test:
                    logits = model.infer(x)
                    totals += self._score(logits, y, functional.cross_entropy(logits, y))
            kept = (totals / len(data.y_test)).tolist()
            return learned[0], learned[1], kept[0], kept[1]

        return Epoch(run=run)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def device_peak_bytes(self) -> int | None:
        if self.device.type != "cuda":
            return None
        peak = self.torch.cuda.max_memory_allocated(self.device)
        self.torch.cuda.reset_peak_memory_stats(self.device)
        return int(peak)

    def traced(self) -> int | None:
        if self.asked.mode != "compile":
            return None
        counters = self.torch._dynamo.utils.counters  # noqa: SLF001 - its public face has none
        return int(counters["stats"]["unique_graphs"])

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
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter, self.torch.no_grad():
            model.module(batch[0])
        return float(counter.get_total_flops())

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        a, b = (self.torch.rand(size, size, dtype=self.dtype, device=self.device) for _ in range(2))
        out = self.torch.empty_like(a)
        source = self.torch.rand(copied, dtype=self.dtype, device=self.device)
        target = self.torch.empty_like(source)
        return lambda: self.torch.mm(a, b, out=out), lambda: target.copy_(source)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        del dumped
        from profilers.ops import torch as ops

        return ops.record(
            step,
            self.synchronize,
            steps=steps,
            network=model.source,
            hooks=self.asked.mode == "eager",
        )

    def settings(self) -> dict[str, Any]:
        torch = self.torch
        return {
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "precision": str(self.dtype).removeprefix("torch."),
            "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
            "autotune": torch.backends.cudnn.benchmark if self.device.type == "cuda" else None,
            "flush_denormals": self.asked.policy != "defaults",
            "policy": self.asked.policy,
            "onednn": torch.backends.mkldnn.is_available(),
            "layout": "channels_last" if self.channels_last else "channels_first",
            "engine": self.asked.mode,
            "version": torch.__version__,
            "loader": "DataLoader in the training process (num_workers=0)",
        }

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
        torch = self.torch
        images = torch.from_numpy(self.dialect_rules.channels_first(x))
        labels = torch.from_numpy(y)
        dtype, scale = self.dtype, data.scale

        class Samples(torch.utils.data.Dataset):  # type: ignore[name-defined]
            """Bytes in memory, made floats sample by sample, as a data set of files would."""

            def __len__(self) -> int:
                return len(labels)

            def __getitem__(self, index: int) -> Any:
                image = images[index]
                floats = image.to(dtype) / scale if image.dtype == torch.uint8 else image
                return floats, labels[index]

        host = torch.utils.data.DataLoader(Samples(), batch_size=batch, drop_last=True)
        return _Placed(host, self.device, self._laid_out)


class _Placed:
    """A loader whose batches are moved to the device, and laid out for it, as they come."""

    def __init__(self, loader: Any, device: Any, lay_out: Callable[[Any], Any]) -> None:
        self.loader, self.device, self.lay_out = loader, device, lay_out

    def __iter__(self) -> Any:
        for x, y in self.loader:
            yield x.to(self.device, non_blocking=True), y.to(self.device, non_blocking=True)


ADAPTER = Torch
