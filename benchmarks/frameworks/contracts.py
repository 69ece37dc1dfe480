"""What the modules of a framework's folder promise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Assigned, Description, Output
from benchmarks.tasks.task import Batch, Objective, Task
from profilers.ops.rows import Recording

Array = NDArray[Any]
Loss = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""A twin's own ``loss(outputs, targets) -> {part: scalar}``."""
Postprocess = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A twin's ``postprocess(outputs) -> {name: tensor}``, of what inference gives."""
Generates = Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
"""A twin's ``first_token(model, inputs)`` or ``next_token(model, held)``.

Both give what ``next_token`` takes: the ``token`` that follows (n,), its ``logits``
(n, vocabulary), the ``position`` at which it stands in the sequence, and a ``cache`` of as many
places as the inputs have.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker is told; a device sets each of them and reads it back.

    ``device`` is ``cpu`` or ``cuda``; ``precision`` a name of ``proof.precision.ROUNDOFF``. In
    ``bfloat16`` and ``float16`` layers compute in that precision on parameters kept in float32.
    ``layout`` is that of images (``channels_first``, ``channels_last``), ``None`` what the
    framework's users get.
    """

    mode: str
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    policy: str = "matched"
    layout: str | None = None
    seed: int = 0

    @property
    def storage(self) -> str:
        """The type of parameters and batches."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def compute(self) -> str:
        """The type in which layers compute."""
        return "float32" if self.precision == "tf32" else self.precision

    @property
    def mixed(self) -> bool:
        """Whether layers compute in less than their parameters are kept in."""
        return self.compute != self.storage

    @property
    def tf32(self) -> bool | None:
        """Whether NVIDIA's TF32 may stand in for float32; ``None``: as the framework has it."""
        if self.precision == "tf32" or self.policy == "best":
            return True
        return None if self.policy == "defaults" else False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One side of a model, loaded: its task, what builds it, its own losses and optimizer, if any.

    ``losses`` are by the name of the objective, which is empty where the task has but one.
    ``choices(outputs, targets) -> {name: integers}`` gives what a loss chooses among its outputs;
    it and ``postprocess`` are ``None`` where the twin defines none. ``generates`` holds
    ``first_token`` and ``next_token``, if the twin defines both.
    ``extra`` are folders in which a user's own layer kinds and losses lie.
    """

    task: Task
    make: Callable[[Task], Any]
    losses: Mapping[str, Loss] = field(default_factory=dict)
    optimizer: Callable[..., Any] | None = None
    postprocess: Postprocess | None = None
    choices: Loss | None = None
    generates: Mapping[str, Generates] = field(default_factory=dict)
    extra: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handoff:
    """What the proof found about one side, for a worker that times it.

    ``assigned`` names the canonical key of each weight of each layer, ``keys`` how each is drawn
    (see ``benchmarks.tasks.weights``). ``outputs`` are those of the twin by name. ``changes`` are
    constants of layers, by path, that were set to the other side's.
    """

    assigned: tuple[Assigned, ...] = ()
    keys: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """A batch on the device, in the timed precision and layout, in the order of the task."""

    inputs: tuple[Any, ...]
    targets: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Labelled samples (x, y) in the order in which they are read.

    They come in whole batches of ``size``. Bytes are divided by ``scale`` to reach [0, 1].
    """

    train: tuple[Array, Array]
    test: tuple[Array, Array]
    size: int
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over real data, ready to run: batches are equal and equally ordered for all stacks.

    ``run`` trains one epoch from where the weights stand, evaluates, and returns training loss and
    accuracy, test loss and accuracy, in this order.
    """

    run: Callable[[], tuple[float, float, float, float]]


class Device(Protocol):
    """``device.Device``: the framework, set up for one process.

    The constructor takes ``Settings``, imports the framework and sets all they say; it raises
    ``NotImplementedError`` where the framework cannot do that here.
    """

    asked: Settings

    def place(self, batch: Batch, task: Task) -> Placed:
        """The batch on the device."""

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """Device-ready batches of labelled samples in their order, once; restartable.

        ``size`` and ``scale`` as in ``Samples``.
        """

    def synchronize(self) -> None:
        """Return only when the device is idle."""

    def peak_memory(self) -> int | None:
        """The allocator's peak in bytes since the last call; ``None`` where it keeps none."""

    def settings(self) -> dict[str, Any]:
        """Everything that could make stacks unequal, read back from the framework."""

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A product of two ``size`` x ``size`` matrices, and so many numbers read and written once.

        Both return before the device is done, if that is its way.
        """


class Program(Protocol):
    """``program.Program(device, source, handoff, values)``: a twin that can be timed.

    ``values`` are canonical weights by key. Batches are ``Placed``. ``layers`` are the model's
    layers by canonical name, for a recorder that marks them.
    """

    layers: Mapping[str, Any]

    def set_training(self, *, training: bool) -> None:
        """Switch modes before ``infer`` (inference) or the other three (training)."""

    def infer(self, batch: Placed) -> Any:
        """Inference: the outputs."""

    def postprocess(self, outputs: Any) -> Any:
        """What the twin's ``postprocess`` makes of what ``infer`` gave."""

    def first_token(self, batch: Placed) -> Any:
        """What the twin's ``first_token`` gives of a batch: a token and a filled cache."""

    def next_token(self, held: Any) -> Any:
        """What the twin's ``next_token`` makes of what ``first_token`` or itself gave."""

    def loss(self, batch: Placed) -> Any:
        """Training-mode forward pass and loss, no gradient taken; of each objective, added up."""

    def gradients(self, batch: Placed) -> Any:
        """Training-mode forward pass, loss and every gradient; of each objective in turn."""

    def step(self, batch: Placed) -> Any:
        """Forward, loss, backward and update, of each objective in turn; returns the loss.

        It is the one before the update, and the sum where there are several objectives.
        """

    def reset(self) -> None:
        """Weights and optimizer as after the constructor; compiled code and loss scale are kept."""

    def export(self) -> Arrays:
        """Canonical weights and buffers as they stand."""

    def outputs(self, value: Any) -> Arrays:
        """What ``infer`` or ``step`` returned, by name, float64 and channels last."""

    def state(self) -> Arrays:
        """Every array that a call could change: weights, buffers, seeds and the optimizer's."""

    def evaluate(self, batch: Placed) -> None:
        """The loss of one batch in inference mode, as the framework's users evaluate.

        Raises:
            NotImplementedError: the model has several objectives.
        """

    def tune(self, batch: Placed, *, whole: bool) -> tuple[Arrays, Arrays]:
        """Train the last layer for one step, all layers before it frozen.

        The weights and statistics of those, before and after. ``whole`` freezes them as the
        framework's guide says; without it, by the flag that names what is trained alone. What is
        trained afterwards is as it was before.

        Raises:
            NotImplementedError: there is one layer with weights, or several objectives.
        """

    def save(self, folder: Path) -> None:
        """Write the weights in a format of the framework that runs no code when it is read."""

    def restore(self, folder: Path) -> None:
        """Set the weights to those that ``save`` wrote to a folder."""

    def traced(self) -> int | None:
        """How many graphs this process has traced or compiled; ``None`` where the mode does not."""


class Trainer(Protocol):
    """``trainers.<name>``: a module that drives training as users of that trainer write it."""

    def fit(self, device: Any, program: Any, samples: Samples) -> Epoch:
        """One epoch on the samples to train on, and an evaluation on those to test on."""


class Twin(Protocol):
    """``inspection.Twin(source, batch)``: a twin in float64 on the CPU, for the proof.

    Everything random in it is switched off. ``inspection.set_up(seed)`` comes before it.
    """

    findings: list[dict[str, Any]]

    def describe(self) -> Description:
        """Layers in forward order, from one pass that changes nothing."""

    def load(self, assigned: tuple[Assigned, ...], values: Mapping[str, Any]) -> None:
        """Set weights from canonical values."""

    def adopt(self, path: Path) -> Arrays:
        """Set the weights that a file holds under the twin's own names; all of them, canonical.

        Raises:
            TaskError: the file does not fit; one line says why.
        """

    def feed(self, batch: Batch) -> None:
        """Take another batch of the same task from here on."""

    def infer(self) -> Arrays:
        """Outputs of one inference pass, by name."""

    def trace(self) -> Arrays:
        """One training-mode forward and backward pass; keys as in ``description.Arrays``."""

    def train(self, objectives: Sequence[Objective], steps: int) -> Arrays:
        """Canonical weights and buffers after some steps on the batch, from where they stand.

        A step minimises each of the objectives in turn. ``loss`` is the sum of their last losses.
        """

    def equalize(self, changes: Mapping[str, Mapping[str, float]]) -> None:
        """Set constants of layers by path: ``epsilon``, and ``momentum`` in Keras' sense."""

    def count(self) -> tuple[float | None, str]:
        """FLOPs of one sample's inference by the framework's own counter, or why there are none."""


class Recorder(Protocol):
    """``recorder.record``: the framework's own profiler."""

    def record(
        self, device: Any, program: Any, step: Callable[[], object], steps: int, dumped: Path
    ) -> Recording:
        """So many steps of a program's work, as events in the common vocabulary.

        ``dumped`` is where ``profile_env`` had the compiler write what it made.
        """
