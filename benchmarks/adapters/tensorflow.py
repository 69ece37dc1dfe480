"""TensorFlow through Keras: the functions that ``fit`` and ``predict`` compile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters._keras import Keras, Model
from benchmarks.adapters._protocol import Array, Settings, Trace
from benchmarks.dialects import graph_flops
from benchmarks.models._spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.inputs import Batch, Dataset
    from profilers.ops.rows import Recording

PREFETCHED = 2  # batches made ahead: a fixed number, so that an idle worker soon falls quiet


class TensorFlow(Keras):
    """Keras 3 on TensorFlow."""

    requires: ClassVar[tuple[str, ...]] = ("tensorflow", "keras")
    modes: ClassVar[Mapping[str, bool]] = {"graph": True, "xla": True, "eager": False}
    proof_mode: ClassVar[str] = "eager"
    env: ClassVar[Mapping[str, str]] = {
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # or it takes the whole device from its neighbours
    }
    profile_env: ClassVar[Mapping[str, str]] = {
        "XLA_FLAGS": "--xla_dump_to={dump} --xla_dump_hlo_as_text"
    }

    def __init__(self, settings: Settings) -> None:
        import tensorflow as tf

        if settings.layout == "channels_first" and settings.device == "cpu":
            raise NotImplementedError("TensorFlow convolves channels-last only on a CPU")
        if settings.policy != "defaults":
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        if settings.tf32 is not None:
            tf.config.experimental.enable_tensor_float_32_execution(enabled=settings.tf32)
        if settings.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif not tf.config.list_physical_devices("GPU"):
            raise NotImplementedError("TensorFlow sees no GPU")

        import keras

        self.tf = tf
        self.adopt(keras, settings)

    def model(self, spec: ModelSpec, network: Any) -> Model:
        criterion, tape, scale = (
            self.criterion(),
            self.tf.GradientTape,
            network.optimizer.scale_loss,
        )

        def loss(x: Any, y: Any) -> Any:
            return criterion(y, network(x, training=True))

        def backward(x: Any, y: Any) -> Any:
            with tape() as recorded:
                value = loss(x, y)
                scaled = scale(value)  # the loss itself but where losses are scaled
            return value, recorded.gradient(scaled, network.trainable_variables)

        return Model(
            spec=spec,
            network=network,
            infer=lambda batch: network.predict_function([batch[:1]]),
            loss=self._as_keras_does(loss),
            backward=self._as_keras_does(backward),
            step=self.stepper(network),
        )

    def stepper(self, network: Any) -> Callable[[Any], Any]:
        return lambda batch: network.train_function(iter((batch,)))

    def batches(self, x: Array, y: Array, data: Dataset, batch: int) -> Any:
        tf, dtype, scale = self.tf, self.asked.storage, data.scale
        options = tf.data.Options()
        options.threading.private_threadpool_size = self.asked.threads
        samples = tf.data.Dataset.from_tensor_slices((x, y)).with_options(options)
        if x.dtype == "uint8":
            samples = samples.map(
                lambda image, label: (tf.cast(image, dtype) / scale, label),
                num_parallel_calls=self.asked.threads,
            )
        return samples.batch(batch, drop_remainder=True).prefetch(PREFETCHED)

    def place(self, batch: Batch) -> Any:
        x = self.tf.constant(self.dialect_rules.images(batch.x))
        if x.dtype.is_floating:
            x = self.tf.cast(x, self.asked.storage)
        return self.tf.identity(x), self.tf.identity(self.tf.constant(batch.y))

    def synchronize(self) -> None:
        self.tf.test.experimental.sync_devices()

    def device_peak_bytes(self) -> int | None:
        if self.asked.device == "cpu":
            return None
        peak = self.tf.config.experimental.get_memory_info("GPU:0")["peak"]
        self.tf.config.experimental.reset_memory_stats("GPU:0")
        return int(peak)

    def trace(self, model: Model, batch: Any) -> Trace:
        array = self.dialect_rules.array
        probe, names = self.dialect_rules.watched(model.network)
        sought = self.dialect_rules.trainable(model.network, model.spec.layers)
        with self.tf.GradientTape() as tape:
            outputs = probe(batch[0], training=True)
            outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
            loss = self.criterion()(batch[1], outputs[-1])
        slopes = tape.gradient(loss, outputs + [v.value for v in sought.values()])
        slopes = [None if s is None else self.tf.convert_to_tensor(s) for s in slopes]
        inner = zip(names, slopes[: len(outputs)], strict=True)
        return Trace(
            output=array(outputs[-1]),
            loss=array(loss),
            activations={n: array(o) for n, o in zip(names, outputs, strict=True)},
            activation_gradients={n: array(s) for n, s in inner if s is not None},
            gradients={k: array(s) for k, s in zip(sought, slopes[len(outputs) :], strict=True)},
        )

    def flops(self, model: Model, batch: Any) -> float | None:
        graph_of = self.tf.function(lambda x: model.network(x, training=False), autograph=False)
        concrete = graph_of.get_concrete_function(batch[0])
        return graph_flops.count([t.op for t in concrete.outputs], self.tf.get_static_value)

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        tf, shape = self.tf, (size, size)
        a, b = (tf.random.uniform(shape, dtype=self.asked.compute) for _ in range(2))
        # Assigning or copying a tensor only shares its memory; this reads and writes all of it.
        source = tf.random.uniform((copied,), dtype=self.asked.compute)
        product = tf.function(lambda: tf.linalg.matmul(a, b), autograph=False)
        return product, lambda: tf.negative(source)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        from profilers.ops import tensorflow as ops

        return self.recorded(ops.record, model, step, steps, dumped)

    def settings(self) -> dict[str, Any]:
        from tensorflow.python.util import _pywrap_util_port

        tf = self.tf
        return {
            **self.keras_settings(),
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "interop_threads": tf.config.threading.get_inter_op_parallelism_threads(),
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "autotune": True if self.asked.device != "cpu" else None,
            "flush_denormals": self._flushes_denormals() if self.asked.device == "cpu" else None,
            "onednn": bool(_pywrap_util_port.IsMklEnabled()),
            "version": f"{tf.__version__}, Keras {self.keras.__version__}",
            "loader": f"tf.data, prefetch({PREFETCHED})",
        }

    def _flushes_denormals(self) -> bool:
        """Found by experiment: half of the smallest normal number."""
        halved = self._as_keras_does(lambda x: x * 0.5)(self.tf.constant(2.0**-126))
        return bool(halved.numpy() == 0)

    def _as_keras_does(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.asked.mode == "eager":
            return function
        return self.tf.function(
            self.counted(function), jit_compile=self.asked.mode == "xla", autograph=False
        )


ADAPTER = TensorFlow
