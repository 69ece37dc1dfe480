"""What Keras does alike on every engine: build, compile, fit, reset and export.

An adapter adds what is its engine's: how a step is called, gradients taken and the device waited
for.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.adapters._protocol import Array, Epoch, Settings
from benchmarks.models._spec import ModelSpec, Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import ModuleType

    from benchmarks.inputs import Dataset
    from benchmarks.weights import Weights
    from profilers.ops.rows import Recording


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


class Keras:
    """The part of an adapter that is Keras' own; ``adopt`` gives it the imported package."""

    late: ClassVar[tuple[str, ...]] = ()
    dialect: ClassVar[str] = "keras"
    layout: ClassVar[str] = "channels_last"
    cache_env: ClassVar[tuple[str, ...]] = ()
    compiling: ClassVar[tuple[str, ...]] = ("xla", "compile")
    """Modes in which Keras is told ``jit_compile=True``."""

    def adopt(self, keras: Any, settings: Settings) -> None:
        """Set what is Keras' own; the engine has been set up before."""
        from benchmarks.dialects import keras as dialect

        self.keras, self.dialect_rules, self.asked = keras, dialect, settings
        self.traces = 0
        # Whatever the user's keras.json says.
        keras.config.set_image_data_format(settings.layout or self.layout)
        keras.config.set_floatx(settings.storage)
        keras.config.set_dtype_policy(
            f"mixed_{settings.compute}" if settings.mixed else settings.storage
        )
        if settings.storage == "float64":
            dialect.compute_in_float64()
        keras.utils.set_random_seed(settings.seed)

    def build(self, twin: ModuleType, spec: ModelSpec, weights: Weights) -> Model:
        network = twin.build(self.dialect_rules.laid_out(spec))
        self.dialect_rules.load(network, spec.layers, weights)
        self.compile(network, spec.optimizer)
        self.count_traces(network)
        network.make_train_function()
        network.make_predict_function()
        return self.model(spec, network)

    @abstractmethod
    def model(self, spec: ModelSpec, network: Any) -> Model:
        """The compiled network with its functions."""

    @abstractmethod
    def stepper(self, network: Any) -> Callable[[Any], Any]:
        """What trains a compiled network on a batch and returns its logs."""

    @abstractmethod
    def batches(self, x: Array, y: Array, data: Dataset, batch: int) -> Any:
        """What ``fit`` and ``evaluate`` are fed with."""

    def reset(self, model: Model, weights: Weights) -> None:
        self.dialect_rules.load(model.network, model.spec.layers, weights)
        for network in filter(None, (model.network, model.fitted)):
            network.reset_metrics()
            optimizer = network.optimizer
            # A loss scale that fits the gradients stays, or the first steps would be skipped again.
            kept = (optimizer.learning_rate, getattr(optimizer, "dynamic_scale", None))
            for variable in optimizer.variables:
                if not any(variable is other for other in kept):
                    variable.assign(self.keras.ops.zeros_like(variable.value))

    def set_training(self, model: Model, *, training: bool) -> None:
        """Nothing: Keras passes the mode with each call."""

    def forward(self, model: Model, batch: Any) -> Any:
        return model.infer(batch)

    def loss(self, model: Model, batch: Any) -> Any:
        return model.loss(*batch)

    def backward(self, model: Model, batch: Any) -> Any:
        return model.backward(*batch)

    def train_step(self, model: Model, batch: Any) -> Any:
        """As the protocol says; after the first step since a reset, Keras gives the mean loss."""
        return model.step(batch)["loss"]

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        x = self.dialect_rules.images(data.x_train)
        made: Iterable[Any] = self.batches(x, data.y_train, data, batch)
        return made

    def epoch(self, model: Model, data: Dataset, batch: int) -> Epoch:
        images = self.dialect_rules.images
        train = self.batches(images(data.x_train), data.y_train, data, batch)
        test = self.batches(images(data.x_test), data.y_test, data, batch)
        if model.fitted is None:
            model.fitted = self.keras.Model(model.network.inputs, model.network.outputs)
            self.compile(model.fitted, model.spec.optimizer, metrics=["accuracy"])
            self.count_traces(model.fitted)

        def run() -> tuple[float, float, float, float]:
            history = model.fitted.fit(train, epochs=1, shuffle=False, verbose=0).history
            loss, accuracy = model.fitted.evaluate(test, verbose=0)
            return history["loss"][0], history["accuracy"][0], loss, accuracy

        return Epoch(run=run)

    def traced(self) -> int | None:
        return None if self.asked.mode == "eager" else self.traces

    def export(self, model: Model) -> Weights:
        kept: Weights = self.dialect_rules.export(model.network, model.spec.layers)
        return kept

    def numpy(self, value: Any) -> Array:
        copied: Array = self.dialect_rules.array(value)
        return copied

    def trained(self, model: Model, batch: Any, optimizer: str, steps: int) -> Weights:
        chosen = dataclasses.replace(Optimizer(), name=optimizer)  # type: ignore[arg-type]
        network = self.keras.Model(model.network.inputs, model.network.outputs)
        self.compile(network, chosen)
        network.make_train_function()
        step = self.stepper(network)
        for _ in range(steps):
            step(batch)
        return self.export(model)

    def parameter_count(self, model: Model) -> int:
        return int(self.dialect_rules.parameter_count(model.network, model.spec.layers))

    def keras_settings(self) -> Mapping[str, Any]:
        """The settings that are Keras' own, read back."""
        policy = self.keras.config.dtype_policy()
        mixed = {"mixed": "dtype policy: every layer"} if self.asked.mixed else {}
        return {
            "precision": policy.compute_dtype,
            "policy": self.asked.policy,
            "layout": self.keras.config.image_data_format(),
            "engine": self.asked.mode,
            **mixed,
        }

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has done everything asked of it."""

    def recorded(
        self,
        record: Callable[..., Recording],
        model: Model,
        step: Callable[[], object],
        steps: int,
        dumped: Path,
    ) -> Recording:
        """What an engine's own recorder makes of some steps, the layers named as PyTorch's are."""
        layers, name_of = model.network.layers, self.dialect_rules.spec_name
        classes = {layer.name: type(layer).__name__ for layer in layers}
        made = record(step, self.synchronize, steps=steps, layers=classes, dumped=dumped)
        names = {layer.name: name_of(layer) for layer in layers}
        events = (dataclasses.replace(e, layer=names.get(e.layer)) for e in made.events)
        return dataclasses.replace(made, events=tuple(events))

    def compile(self, network: Any, chosen: Optimizer, metrics: list[str] | None = None) -> None:
        """Compile a network as its user would, its optimizer's variables made now."""
        network.compile(
            optimizer=self._optimizer(chosen),
            loss=self.criterion(),
            metrics=metrics,
            jit_compile=self.asked.mode in self.compiling,
            run_eagerly=self.asked.mode == "eager",
        )
        network.optimizer.build(network.trainable_variables)

    def criterion(self) -> Any:
        """The mean cross-entropy of logits."""
        return self.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def count_traces(self, network: Any) -> None:
        """A graph calls Python only while it is traced, so its calls are its traces."""
        for name in ("train_step", "test_step", "predict_step"):
            setattr(network, name, self.counted(getattr(network, name)))

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its calls counted."""

        @functools.wraps(function)
        def counted(*arguments: Any) -> Any:
            self.traces += 1
            return function(*arguments)

        return counted

    def _optimizer(self, chosen: Optimizer) -> Any:
        optimizers, rate = self.keras.optimizers, chosen.learning_rate
        if chosen.name == "adam":
            return optimizers.Adam(
                rate, beta_1=chosen.beta_1, beta_2=chosen.beta_2, epsilon=chosen.epsilon
            )
        return optimizers.SGD(rate, momentum=chosen.momentum)
