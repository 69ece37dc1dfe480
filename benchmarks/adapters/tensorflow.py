"""TensorFlow through Keras: the functions that ``fit`` and ``predict`` compile."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters._protocol import Array, Epoch, Settings, Trace
from benchmarks.dialects import graph_flops
from benchmarks.models._spec import ModelSpec, Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType

    from benchmarks.inputs import Batch, Dataset
    from benchmarks.weights import Weights
    from profilers.ops.rows import Recording

PREFETCHED = 2  # batches made ahead: a fixed number, so that an idle worker soon falls quiet


@dataclass
class Model:
    """A Keras model and the functions its mode made of it.

    ``fitted`` shares the layers but counts accuracy too, as ``fit`` does in an epoch.
    """

    spec: ModelSpec
    network: Any
    infer: Callable[[Any], Any]
    loss: Callable[[Any, Any], Any]
    backward: Callable[[Any, Any], Any]
    step: Callable[[Any], Any]
    fitted: Any = field(default=None)


class TensorFlow:
    """Keras 3 on TensorFlow."""

    requires: ClassVar[tuple[str, ...]] = ("tensorflow", "keras")
    late: ClassVar[tuple[str, ...]] = ()
    dialect: ClassVar[str] = "keras"
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
    cache_env: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        import tensorflow as tf

        if settings.policy != "defaults":
            tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            best = settings.policy == "best"
            tf.config.experimental.enable_tensor_float_32_execution(enabled=best)
        if settings.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        elif not tf.config.list_physical_devices("GPU"):
            raise RuntimeError("TensorFlow sees no GPU")

        import keras

        from benchmarks.dialects import keras as dialect

        self.tf, self.keras, self.dialect_rules, self.asked = tf, keras, dialect, settings
        self.traces = 0
        keras.config.set_floatx(settings.precision)
        keras.config.set_dtype_policy(settings.precision)
        keras.utils.set_random_seed(settings.seed)

    def build(self, twin: ModuleType, spec: ModelSpec, weights: Weights) -> Model:
        network = twin.build(spec)
        self.dialect_rules.load(network, spec.layers, weights)
        self._compile(network, spec.optimizer)
        self._count_traces(network)
        network.make_train_function()
        network.make_predict_function()
        criterion, tape = self._criterion(), self.tf.GradientTape

        def loss(x: Any, y: Any) -> Any:
            return criterion(y, network(x, training=True))

        def backward(x: Any, y: Any) -> Any:
            with tape() as recorded:
                value = loss(x, y)
            return value, recorded.gradient(value, network.trainable_variables)

        return Model(
            spec=spec,
            network=network,
            infer=network.predict_function,
            loss=self._as_keras_does(loss),
            backward=self._as_keras_does(backward),
            step=network.train_function,
        )

    def reset(self, model: Model, weights: Weights) -> None:
        self.dialect_rules.load(model.network, model.spec.layers, weights)
        for network in filter(None, (model.network, model.fitted)):
            network.reset_metrics()
            rate = network.optimizer.learning_rate
            for variable in network.optimizer.variables:
                if variable is not rate:
                    variable.assign(self.keras.ops.zeros_like(variable))

    def place(self, batch: Batch) -> Any:
        x = self.tf.constant(batch.x)
        if x.dtype.is_floating:
            x = self.tf.cast(x, self.asked.precision)
        return self.tf.identity(x), self.tf.identity(self.tf.constant(batch.y))

    def set_training(self, model: Model, *, training: bool) -> None:
        """Nothing: Keras passes the mode with each call."""

    def forward(self, model: Model, batch: Any) -> Any:
        return model.infer([batch[:1]])

    def loss(self, model: Model, batch: Any) -> Any:
        return model.loss(*batch)

    def backward(self, model: Model, batch: Any) -> Any:
        return model.backward(*batch)

    def train_step(self, model: Model, batch: Any) -> Any:
        """As the protocol says; after the first step since a reset, Keras gives the mean loss."""
        return model.step(iter((batch,)))["loss"]

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        return self._loader(data.x_train, data.y_train, data, batch)

    def epoch(self, model: Model, data: Dataset, batch: int) -> Epoch:
        train = self._loader(data.x_train, data.y_train, data, batch)
        test = self._loader(data.x_test, data.y_test, data, batch)
        if model.fitted is None:
            model.fitted = self.keras.Model(model.network.inputs, model.network.outputs)
            self._compile(model.fitted, model.spec.optimizer, metrics=["accuracy"])
            self._count_traces(model.fitted)

        def run() -> tuple[float, float, float, float]:
            history = model.fitted.fit(train, epochs=1, shuffle=False, verbose=0).history
            loss, accuracy = model.fitted.evaluate(test, verbose=0)
            return history["loss"][0], history["accuracy"][0], loss, accuracy

        return Epoch(run=run)

    def synchronize(self) -> None:
        self.tf.test.experimental.sync_devices()

    def device_peak_bytes(self) -> int | None:
        if self.asked.device == "cpu":
            return None
        peak = self.tf.config.experimental.get_memory_info("GPU:0")["peak"]
        self.tf.config.experimental.reset_memory_stats("GPU:0")
        return int(peak)

    def traced(self) -> int | None:
        return None if self.asked.mode == "eager" else self.traces

    def export(self, model: Model) -> Weights:
        return self.dialect_rules.export(model.network, model.spec.layers)

    def numpy(self, value: Any) -> Array:
        return self.dialect_rules.array(value)

    def trace(self, model: Model, batch: Any) -> Trace:
        array = self.dialect_rules.array
        probe, names = self.dialect_rules.watched(model.network)
        sought = self.dialect_rules.trainable(model.network, model.spec.layers)
        with self.tf.GradientTape() as tape:
            outputs = probe(batch[0], training=True)
            outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
            loss = self._criterion()(batch[1], outputs[-1])
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

    def trained(self, model: Model, batch: Any, optimizer: str, steps: int) -> Weights:
        chosen = dataclasses.replace(Optimizer(), name=optimizer)  # type: ignore[arg-type]
        network = self.keras.Model(model.network.inputs, model.network.outputs)
        self._compile(network, chosen)
        network.make_train_function()
        for _ in range(steps):
            network.train_function(iter((batch,)))
        return self.export(model)

    def parameter_count(self, model: Model) -> int:
        return self.dialect_rules.parameter_count(model.network, model.spec.layers)

    def flops(self, model: Model, batch: Any) -> float | None:
        graph_of = self.tf.function(lambda x: model.network(x, training=False), autograph=False)
        concrete = graph_of.get_concrete_function(batch[0])
        return graph_flops.count([t.op for t in concrete.outputs], self.tf.get_static_value)

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        tf, shape = self.tf, (size, size)
        a, b = (tf.random.uniform(shape, dtype=self.asked.precision) for _ in range(2))
        # Assigning or copying a tensor only shares its memory; this reads and writes all of it.
        source = tf.random.uniform((copied,), dtype=self.asked.precision)
        product = tf.function(lambda: tf.linalg.matmul(a, b), autograph=False)
        return product, lambda: tf.negative(source)

    def record(
        self, model: Model, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        from profilers.ops import tensorflow as ops

        layers = {layer.name: type(layer).__name__ for layer in model.network.layers}
        return ops.record(step, self.synchronize, steps=steps, layers=layers, dumped=dumped)

    def settings(self) -> dict[str, Any]:
        from tensorflow.python.util import _pywrap_util_port

        tf = self.tf
        return {
            "threads": tf.config.threading.get_intra_op_parallelism_threads(),
            "interop_threads": tf.config.threading.get_inter_op_parallelism_threads(),
            "precision": self.keras.config.dtype_policy().name,
            "tf32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "autotune": True if self.asked.device != "cpu" else None,
            "flush_denormals": True,
            "policy": self.asked.policy,
            "onednn": bool(_pywrap_util_port.IsMklEnabled()),
            "layout": self.keras.config.image_data_format(),
            "engine": self.asked.mode,
            "version": f"{tf.__version__}, Keras {self.keras.__version__}",
            "loader": f"tf.data, prefetch({PREFETCHED})",
        }

    def _compile(self, network: Any, chosen: Optimizer, metrics: list[str] | None = None) -> None:
        network.compile(
            optimizer=self._optimizer(chosen),
            loss=self._criterion(),
            metrics=metrics,
            jit_compile=self.asked.mode == "xla",
            run_eagerly=self.asked.mode == "eager",
        )
        network.optimizer.build(network.trainable_variables)

    def _count_traces(self, network: Any) -> None:
        """A graph calls Python only while it is traced, so its calls are its traces."""
        for name in ("train_step", "test_step", "predict_step"):
            setattr(network, name, self._counted(getattr(network, name)))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def counted(*arguments: Any) -> Any:
            self.traces += 1
            return function(*arguments)

        return counted

    def _as_keras_does(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.asked.mode == "eager":
            return function
        return self.tf.function(
            self._counted(function), jit_compile=self.asked.mode == "xla", autograph=False
        )

    def _criterion(self) -> Any:
        return self.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def _optimizer(self, chosen: Optimizer) -> Any:
        optimizers, rate = self.keras.optimizers, chosen.learning_rate
        if chosen.name == "adam":
            return optimizers.Adam(
                rate, beta_1=chosen.beta_1, beta_2=chosen.beta_2, epsilon=chosen.epsilon
            )
        return optimizers.SGD(rate, momentum=chosen.momentum)

    def _loader(self, x: Any, y: Any, data: Dataset, batch: int) -> Any:
        tf, dtype, scale = self.tf, self.asked.precision, data.scale
        options = tf.data.Options()
        options.threading.private_threadpool_size = self.asked.threads
        samples = tf.data.Dataset.from_tensor_slices((x, y)).with_options(options)
        if x.dtype == "uint8":
            samples = samples.map(
                lambda image, label: (tf.cast(image, dtype) / scale, label),
                num_parallel_calls=self.asked.threads,
            )
        return samples.batch(batch, drop_remainder=True).prefetch(PREFETCHED)


ADAPTER = TensorFlow
