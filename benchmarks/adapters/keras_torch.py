"""Keras on PyTorch: what Keras costs shows beside the same engine without it.

``compile`` is what Keras documents for this backend: ``jit_compile=True`` wraps the step that
``fit`` calls in ``torch.compile``. (Its ``"auto"``, the default, is eager here.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters._keras import Keras, Model
from benchmarks.adapters._protocol import Array, Settings, Trace
from benchmarks.models._spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from benchmarks.inputs import Batch, Dataset
    from profilers.ops.rows import Recording


class KerasTorch(Keras):
    """Keras 3 on PyTorch."""

    requires: ClassVar[tuple[str, ...]] = ("torch", "keras")
    late: ClassVar[tuple[str, ...]] = ("torch._dynamo", "torch._inductor.compile_fx")
    modes: ClassVar[Mapping[str, bool]] = {"eager": False, "compile": False}
    proof_mode: ClassVar[str] = "eager"
    env: ClassVar[Mapping[str, str]] = {
        "KERAS_BACKEND": "torch",
        # Keras asks for a GPU when it is imported: through NVML, a fork can still use CUDA.
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    # Compiled kernels are anonymous unless the compiler is told to mark them.
    profile_env: ClassVar[Mapping[str, str]] = {"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"}
    cache_env: ClassVar[tuple[str, ...]] = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")

    def __init__(self, settings: Settings) -> None:
        import torch

        from benchmarks.engines import torch as engine

        engine.set_up(settings)

        import keras

        self.torch, self.engine = torch, engine
        self._scope = keras.device("gpu:0" if settings.device == "cuda" else "cpu")
        self._scope.__enter__()  # for as long as the process lives
        self.adopt(keras, settings)

    def model(self, spec: ModelSpec, network: Any) -> Model:
        criterion, scale = self.criterion(), network.optimizer.scale_loss

        def loss(x: Any, y: Any) -> Any:
            return criterion(y, network(x, training=True))

        compiled = self.asked.mode == "compile"
        if compiled:
            self._build_losses(network)
        as_timed = self.torch.compile(loss) if compiled else loss

        def backward(x: Any, y: Any) -> Any:
            network.zero_grad()
            value = as_timed(x, y)
            scale(value).backward()  # the loss itself but where losses are scaled
            return value

        return Model(
            spec=spec,
            network=network,
            infer=lambda batch: network.predict_function((batch[:1],)),
            loss=as_timed,
            backward=backward,
            step=self.stepper(network),
        )

    def _build_losses(self, network: Any) -> None:
        """As ``fit`` does first: Dynamo cannot trace the code that builds losses and metrics."""
        x = self.torch.zeros((1, *network.input_shape[1:]), device=self.asked.device)
        y = self.torch.zeros(1, dtype=self.torch.int64, device=self.asked.device)
        network._symbolic_build(data_batch=(x, y))  # noqa: SLF001 - fit's own, and no other way in

    def stepper(self, network: Any) -> Callable[[Any], Any]:
        return lambda batch: network.train_function((batch,))

    def batches(self, x: Array, y: Array, data: Dataset, batch: int) -> Any:
        dtype = getattr(self.torch, self.asked.storage)
        return self.engine.loader(x, y, batch=batch, scale=data.scale, dtype=dtype)

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        placed: Iterable[Any] = self.engine.Placed(super().loader(data, batch), self.asked.device)
        return placed

    def place(self, batch: Batch) -> Any:
        images = self.dialect_rules.images(batch.x)
        x, y = (self.torch.from_numpy(a).to(self.asked.device) for a in (images, batch.y))
        return (x.to(getattr(self.torch, self.asked.storage)) if x.is_floating_point() else x), y

    def set_training(self, model: Model, *, training: bool) -> None:
        """As ``fit`` and ``evaluate`` do for layers that PyTorch brought along."""
        model.network.train(training)

    def count_traces(self, network: Any) -> None:
        """PyTorch counts its graphs itself."""

    def traced(self) -> int | None:
        return self.engine.traced(self.asked.mode)

    def synchronize(self) -> None:
        self.engine.synchronize(self.asked.device)

    def device_peak_bytes(self) -> int | None:
        return self.engine.peak_bytes(self.asked.device)

    def trace(self, model: Model, batch: Any) -> Trace:
        array = self.dialect_rules.array
        probe, names = self.dialect_rules.watched(model.network)
        sought = self.dialect_rules.trainable(model.network, model.spec.layers)
        outputs = probe(batch[0], training=True)
        outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
        loss = self.criterion()(batch[1], outputs[-1])
        inner = {n: o for n, o in zip(names, outputs, strict=True) if o.requires_grad}
        wanted = [*inner.values(), *(v.value for v in sought.values())]
        slopes = self.torch.autograd.grad(loss, wanted, allow_unused=True)
        return Trace(
            output=array(outputs[-1]),
            loss=array(loss),
            activations={n: array(o) for n, o in zip(names, outputs, strict=True)},
            activation_gradients={
                n: array(s) for n, s in zip(inner, slopes, strict=False) if s is not None
            },
            gradients={k: array(s) for k, s in zip(sought, slopes[len(inner) :], strict=True)},
        )

    def flops(self, model: Model, batch: Any) -> float | None:
        return self.engine.flops(lambda: model.network(batch[0], training=False))

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        return self.engine.ceiling_work(self.asked, size, copied)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        del dumped
        modules = {self.dialect_rules.spec_name(one): one for one in model.network.layers}
        return self.engine.record(self.asked, step, steps, modules)

    def settings(self) -> dict[str, Any]:
        return {
            **self.engine.read_back(self.asked),
            **self.keras_settings(),
            "version": f"{self.torch.__version__}, Keras {self.keras.__version__}",
        }


ADAPTER = KerasTorch
