"""A Keras model as it is timed: the functions that ``fit`` and ``predict`` make of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.frameworks._keras import calls, patches
from benchmarks.frameworks._keras.optimizers import make as optimizer_of
from benchmarks.frameworks._keras.weights import Inventory, array
from benchmarks.frameworks.contracts import Generates, Handoff, Placed, Source
from benchmarks.frameworks.description import Arrays
from benchmarks.tasks import losses
from benchmarks.tasks.task import Objective

STRUCTURES = (dict, list, tuple)
"""What holds several outputs, or one by name."""
SAVED = "audit.weights.h5"
MAP = 3
"""Axes of the smallest map: batch, channels and one of space."""
Loss = Callable[[tuple[Any, ...], tuple[Any, ...]], Any]


class Training(NamedTuple):
    """An objective: its loss of inputs and targets, the variables it moves, and what moves them."""

    loss: Loss
    moved: list[Any]
    optimizer: Any


class Feed(NamedTuple):
    """How a model is fed: what ``fit`` must be given, of inputs by name.

    ``feed`` is ``None`` where the model must be wrapped for ``fit``, and ``call`` calls it then.
    ``single``: it gives one tensor, not several or one by name.
    """

    feed: Callable[[Mapping[str, Any]], Any] | None
    single: bool
    call: Any = None


class KerasProgram(ABC):
    """The part of a program that is Keras' own; an engine adds how a step is called.

    Attributes:
        network: the compiled model; ``fit`` trains it.
        trainings: what a training step does in turn.
    """

    def __init__(
        self, device: Any, source: Source, handoff: Handoff, values: Mapping[str, Any]
    ) -> None:
        self.device, self.source, self.keras = device, source, device.keras
        self.told = handoff.outputs
        task = source.task
        self.names, self.aims = list(task.inputs), list(task.targets)
        self.model = model = source.make(device.laid_out(task))
        found = self._fed_by(model)
        self.network = model if found.feed else self._wrapped(model, found.call)
        feed = found.feed or dict
        self.feed = lambda given: feed(dict(zip(self.names, given, strict=True)))
        self.held = Inventory(model, source.extra)
        self.held.assign(handoff.assigned)
        self.held.load(values)
        self.criterion = self._criterion() if found.single else None
        self.compile(self.network)
        self.trainings = self._trainings()
        device.count_traces(self.network)
        self._start = [
            (v, np.array(self.keras.ops.convert_to_numpy(v)))
            for v in self.network.variables
            if "float" in str(v.dtype)
        ]
        self.fitted: Any = None
        self._postprocess: Any = None
        self.prepare()
        self._generates = {name: self.generating(one) for name, one in source.generates.items()}
        patches.name_anew()  # weights are found by the names that layers had in the proof

    @abstractmethod
    def prepare(self) -> None:
        """Make the functions that are timed."""

    @abstractmethod
    def generating(self, function: Generates) -> Callable[[Any], Any]:
        """The function of what it is given beside the model, in the mode asked for."""

    def first_token(self, batch: Placed) -> Any:
        """As the contract says."""
        return self.generated("first_token", dict(zip(self.names, batch.inputs, strict=True)))

    def next_token(self, held: Any) -> Any:
        """As the contract says; ``held`` stays as it is."""
        return self.generated("next_token", held)

    def generated(self, name: str, given: Any) -> Any:
        """What the twin's function of that name gives."""
        if name not in self._generates:
            raise NotImplementedError(f"the Keras twin defines no {name}(model, ...)")
        return self._generates[name](given)

    def postprocess(self, outputs: Any) -> Any:
        """As the contract says, in the mode asked for."""
        if self._postprocess is None:
            raise NotImplementedError("the Keras twin defines no postprocess(outputs)")
        return self._postprocess(outputs)

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
        fitted = [self.fitted.optimizer] if self.fitted is not None else []
        for optimizer in (*(training.optimizer for training in self.trainings), *fitted):
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
        return {name: self._channels_last(name, one) for name, one in made.items()}

    def _channels_last(self, name: str, held: Any) -> Any:
        """An output of a twin that keeps channels first, turned if that gives it its shape."""
        told = self.told.get(name)
        if told is None or held.ndim < MAP:
            return held
        turned = np.moveaxis(held, 1, -1)
        return turned if turned.shape[1:] == told.shape else held

    @abstractmethod
    def step(self, batch: Placed) -> Any:
        """As the contract says."""

    def settle(self) -> None:
        """Give the variables what an engine has carried elsewhere; most carry nothing."""
        return

    def state(self) -> Arrays:
        """As the contract says."""
        self.settle()
        optimizers = [v for training in self.trainings for v in training.optimizer.variables]
        held = [*self.network.variables, *optimizers]
        return {f"{at} {v.path}": self._array(v) for at, v in enumerate(held)}

    def evaluate(self, batch: Placed) -> None:
        """As the contract says, by Keras' own function."""
        if self.source.task.objectives:
            raise NotImplementedError("a model of several objectives has no one loss to evaluate")
        self.settle()
        self.network.test_on_batch(*self.data(batch))

    def tune(self, batch: Placed, *, whole: bool) -> tuple[Arrays, Arrays]:
        """As the contract says; ``trainable = False`` freezes statistics, too: ``whole`` or not."""
        del whole
        owners = [self.held.layers[index][0] for index in self.held.kinds]
        owners = [layer for layer in owners if layer.weights]
        if len(owners) == 1 or self.source.task.objectives:
            raise NotImplementedError("there is no one head on a base")
        *base, _ = owners
        flags = [(layer, layer.trainable) for layer in base]
        self.settle()
        try:
            self._train_only([(layer, False) for layer in base])
            before = self._weights(base)
            self.step(batch)
            self.settle()
            return before, self._weights(base)
        finally:
            self._train_only(flags)

    def _train_only(self, flags: list[tuple[Any, bool]]) -> None:
        """Set what is trained, and make anew the functions that depend on it."""
        for layer, trainable in flags:
            layer.trainable = trainable
        self.compile(self.network)
        self.trainings = self._trainings()
        self.prepare()

    def _weights(self, layers: list[Any]) -> Arrays:
        held = [(layer.name, v) for layer in layers for v in layer.weights]
        return {f"{at} {name}/{v.name}": self._array(v) for at, (name, v) in enumerate(held)}

    def _array(self, variable: Any) -> Any:
        """A copy as it is kept: the state of a seed is no number to round."""
        return np.array(self.keras.ops.convert_to_numpy(variable))

    def save(self, folder: Path) -> None:
        """As the contract says: Keras' ``.weights.h5``."""
        self.settle()
        self.network.save_weights(folder / SAVED)

    def restore(self, folder: Path) -> None:
        """As the contract says."""
        self.settle()
        self.network.load_weights(folder / SAVED)

    def traced(self) -> int | None:
        """As the contract says."""
        traced: int | None = self.device.traced()
        return traced

    def compile(self, network: Any, metrics: list[str] | None = None) -> None:
        """Compile a network as its user would, its optimizer's variables made now."""
        mode = self.device.asked.mode
        first = self.source.task.steps[0]
        network.compile(
            optimizer=optimizer_of(first.optimizer, self.source.optimizer),
            loss=self.criterion,
            metrics=metrics,
            jit_compile=mode in self.device.compiles,
            run_eagerly=mode == "eager",
        )
        if self.source.task.objectives:  # which ``fit`` cannot be told: they have a step of ours
            return
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
        """Training-mode loss of inputs and targets in the order of the task; of all objectives."""
        losses = [training.loss(given, wanted) for training in self.trainings]
        return losses[0] if len(losses) == 1 else self.keras.ops.sum(self.keras.ops.stack(losses))

    def _only_loss(self, given: tuple[Any, ...], wanted: tuple[Any, ...]) -> Any:
        outputs = self.network(self.feed(given), training=True)
        targets = dict(zip(self.aims, wanted, strict=True))
        return self.total(outputs, targets, self.source.task.steps[0])

    def _trainings(self) -> list[Training]:
        """What a step does in turn: the network's own, or one for each objective.

        Raises:
            NotImplementedError: there are several, in a precision whose losses are scaled.
        """
        if not self.source.task.objectives:
            only = self.network
            return [Training(self._only_loss, only.trainable_variables, only.optimizer)]
        if self.device.asked.compute == "float16":
            raise NotImplementedError("Keras scales the loss of one objective alone in float16")
        trainings = []
        for objective in self.source.task.objectives:
            moved, optimizer = self.held.moved(objective), optimizer_of(objective.optimizer)
            optimizer.build(moved)
            trainings.append(Training(self._loss_for(objective), moved, optimizer))
        return trainings

    def _loss_for(self, objective: Objective) -> Loss:
        """The loss of an objective, of those inputs that it asks for."""
        asked, caller = objective.inputs or self.names, calls.Caller(self.model)

        def loss(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> Any:
            every = dict(zip(self.names, given, strict=True))
            outputs = caller({n: t for n, t in every.items() if n in asked}, training=True)
            return self.total(outputs, dict(zip(self.aims, wanted, strict=True)), objective)

        return loss

    def total(self, outputs: Any, targets: Mapping[str, Any], objective: Objective) -> Any:
        """The loss of what the model gave, with all that it adds itself."""
        if self.criterion is not None:
            made = {"loss": self.criterion(next(iter(targets.values())), outputs)}
        else:
            floatx = self.keras.config.floatx()
            kept = {
                name: self.keras.ops.cast(one, floatx) if "float" in str(one.dtype) else one
                for name, one in calls.named(outputs).items()
            }
            made = calls.parts(self.source, objective, kept, targets)
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
        return self.total(y_pred, targets, self.source.task.steps[0])

    def _criterion(self) -> Any:
        """Keras' own loss of the only output, where the task is one plain part of it."""
        task = self.source.task
        if not task.loss or len(task.loss) != 1 or len(self.aims) != 1:
            return None
        (part,) = task.loss
        made = getattr(losses.load(part.name, self.source.extra), "keras_loss", None)
        if made is None or part.weight != 1 or part.output != "output":
            return None
        return made(**part.options)

    def _fed_by(self, model: Any) -> Feed:
        """How the model is fed; this builds one that is not built yet."""
        layer_of_layers = isinstance(model, self.keras.Model)
        graph = getattr(model, "inputs", None) if getattr(model, "built", False) else None
        if layer_of_layers and graph and len(graph) == 1 and len(self.names) == 1:
            single = not isinstance(getattr(model, "output", None), STRUCTURES)
            if not isinstance(getattr(model, "input", None), dict):  # a Sequential may have none
                return Feed(lambda given: next(iter(given.values())), single)
            return Feed(dict, single)
        task = self.device.laid_out(self.source.task)
        shaped = {n: one.shape for n, one in task.inputs.items()}
        caller = calls.Caller(model)
        whole = {
            n: self.device.tensor(np.zeros((1, *shape), _types(task.inputs[n].kind, self.device)))
            for n, shape in shaped.items()
        }
        single = not isinstance(caller(whole, training=False), STRUCTURES)
        return Feed(caller.feed if layer_of_layers else None, single, caller)

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
