"""A Keras model as it is timed: the functions that ``fit`` and ``predict`` make of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.frameworks._keras import calls
from benchmarks.frameworks._keras.optimizers import make as optimizer_of
from benchmarks.frameworks._keras.weights import Inventory, array
from benchmarks.frameworks.contracts import Handoff, Placed, Source
from benchmarks.frameworks.description import Arrays
from benchmarks.tasks import losses


class KerasProgram(ABC):
    """The part of a program that is Keras' own; an engine adds how a step is called.

    Attributes:
        network: the compiled model; ``fit`` trains it.
    """

    def __init__(
        self, device: Any, source: Source, handoff: Handoff, values: Mapping[str, Any]
    ) -> None:
        self.device, self.source, self.keras = device, source, device.keras
        task = source.task
        self.names, self.aims = list(task.inputs), list(task.targets)
        model = source.make(device.laid_out(task))
        self._feed = self._found_feed(model)
        self.network = model if self._feed else self._wrapped(model, self._caller)
        feed = self._feed or dict
        self.feed = lambda given: feed(dict(zip(self.names, given, strict=True)))
        self.held = Inventory(model, source.extra)
        self.held.assign(handoff.assigned)
        self.held.load(values)
        self.criterion = self._criterion()
        self.compile(self.network)
        device.count_traces(self.network)
        self._start = [
            (v, np.array(self.keras.ops.convert_to_numpy(v)))
            for v in self.network.variables
            if "float" in str(v.dtype)
        ]
        self.fitted: Any = None
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the functions that are timed."""

    @property
    def layers(self) -> dict[str, Any]:
        """Every layer below the model, by its canonical name."""
        return self.held.named()

    def set_training(self, *, training: bool) -> None:
        """Nothing: Keras passes the mode with each call."""
        del training

    def reset(self) -> None:
        """As the contract says."""
        for variable, value in self._start:
            variable.assign(value)
        for network in filter(None, (self.network, self.fitted)):
            network.reset_metrics()
            optimizer = network.optimizer
            # A loss scale that fits the gradients stays, or the first steps would be skipped again.
            kept = (optimizer.learning_rate, getattr(optimizer, "dynamic_scale", None))
            for variable in optimizer.variables:
                if not any(variable is other for other in kept):
                    variable.assign(self.keras.ops.zeros_like(variable.value))

    def export(self) -> Arrays:
        """As the contract says."""
        return self.held.canonical()

    def outputs(self, value: Any) -> Arrays:
        """As the contract says."""
        made = {name: array(one) for name, one in calls.named(value).items()}
        if not self.device.channels_first:
            return made
        grids = {s.shape[:2] for s in self.source.task.inputs.values() if s.kind == "image"}
        return {n: np.moveaxis(a, 1, -1) if a.shape[2:] in grids else a for n, a in made.items()}

    def traced(self) -> int | None:
        """As the contract says."""
        traced: int | None = self.device.traced()
        return traced

    def compile(self, network: Any, metrics: list[str] | None = None) -> None:
        """Compile a network as its user would, its optimizer's variables made now."""
        mode = self.device.asked.mode
        network.compile(
            optimizer=optimizer_of(self.source.task.optimizer, self.source.optimizer),
            loss=self.criterion,
            metrics=metrics,
            jit_compile=mode in self.device.compiles,
            run_eagerly=mode == "eager",
        )
        if self.criterion is None:
            network.compute_loss = self._computed
        network.optimizer.build(network.trainable_variables)

    def to_fit(self) -> Any:
        """A model of the same layers that counts accuracy, as ``fit`` does in an epoch."""
        if self.fitted is None:
            functional = getattr(self.network, "inputs", None)
            self.fitted = (
                self.keras.Model(self.network.inputs, self.network.outputs)
                if functional
                else self._wrapped(self.network, self._fed)
            )
            self.compile(self.fitted, metrics=["accuracy"])
            self.device.count_traces(self.fitted)
        return self.fitted

    def data(self, batch: Placed) -> tuple[Any, ...]:
        """A batch as ``fit`` takes it: x, and y where there is one."""
        x = self.feed(batch.inputs)
        if not batch.targets:
            return (x,)
        single = len(batch.targets) == 1
        return x, batch.targets[0] if single else dict(zip(self.aims, batch.targets, strict=True))

    def loss_of(self, given: tuple[Any, ...], wanted: tuple[Any, ...]) -> Any:
        """Training-mode loss of inputs and targets in the order of the task."""
        outputs = self.network(self.feed(given), training=True)
        return self.total(outputs, dict(zip(self.aims, wanted, strict=True)))

    def total(self, outputs: Any, targets: Mapping[str, Any]) -> Any:
        """The loss of what the model gave, with all that it adds itself."""
        if self.criterion is not None:
            made = {"loss": self.criterion(next(iter(targets.values())), outputs)}
        else:
            floatx = self.keras.config.floatx()
            kept = {
                name: self.keras.ops.cast(one, floatx) if "float" in str(one.dtype) else one
                for name, one in calls.named(outputs).items()
            }
            made = calls.parts(self.source, kept, targets)
        return calls.total(self.network, made)

    def _computed(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """``compute_loss`` for what ``compile`` cannot be told."""
        del x, sample_weight, training
        targets = y if len(self.aims) > 1 else dict.fromkeys(self.aims, y)
        return self.total(y_pred, targets)

    def _criterion(self) -> Any:
        """Keras' own loss, where the task is one plain part of the only output."""
        task = self.source.task
        if task.loss is None or len(task.loss) != 1 or len(self.aims) != 1:
            return None
        (part,) = task.loss
        made = getattr(losses.load(part.name, self.source.extra), "keras_loss", None)
        if made is None or part.weight != 1 or part.output != "output":
            return None
        return made(**part.options)

    def _found_feed(self, model: Any) -> Any:
        """What ``fit`` must be given, or ``None`` where the model must be wrapped for it."""
        layer_of_layers = isinstance(model, self.keras.Model)
        graph = getattr(model, "inputs", None) if getattr(model, "built", False) else None
        if layer_of_layers and graph and len(graph) == 1 and len(self.names) == 1:
            if not isinstance(getattr(model, "input", None), dict):  # a Sequential may have none
                return lambda given: next(iter(given.values()))
            return dict
        task = self.device.laid_out(self.source.task)
        shaped = {n: one.shape for n, one in task.inputs.items()}
        caller = calls.Caller(model)
        whole = {
            n: self.device.tensor(np.zeros((1, *shape), _types(task.inputs[n].kind, self.device)))
            for n, shape in shaped.items()
        }
        caller(whole, training=False)
        self._caller = caller
        return caller.feed if layer_of_layers else None

    def _fed(self, x: Any, *, training: bool) -> Any:
        """The network's output for the only input of a task."""
        return self.network(self.feed((x,)), training=training)

    def _wrapped(self, model: Any, run: Callable[..., Any]) -> Any:
        """A model that holds another one, and gives what ``run`` makes of the input of ``fit``."""

        class Wrapped(self.keras.Model):  # type: ignore[name-defined]
            """Takes a single argument, whatever the model inside takes."""

            def __init__(self) -> None:
                super().__init__()
                self.inner = model

            def call(self, inputs: Any, training: bool = False) -> Any:
                return run(inputs, training=training)

        made = Wrapped()
        made.built = True
        return made


def _types(kind: str, device: Any) -> str:
    return {"tokens": "int32", "mask": "bool"}.get(kind, device.asked.storage)
