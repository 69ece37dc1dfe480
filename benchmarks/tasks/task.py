"""A task: inputs, targets, loss and optimizer of a model, and the seeded batches it is fed."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.metrics import FUNCTIONS, Metric
from benchmarks.tasks.optimizers import SGD, Optimizer, Own

Arrays = dict[str, NDArray[Any]]
InputKind = Literal["image", "features", "tokens", "mask", "noise", "known"]
TargetKind = Literal[
    "classes", "values", "labels", "like", "constant", "boxes", "box_classes", "box_mask"
]


class TaskError(ValueError):
    """What was asked is no task; the text says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Input:
    """One named input of a model, without the batch axis.

    ``image``: (height, width, channels) standard normal values. ``features`` and ``noise``: values
    of any rank, the same. ``tokens``: int32 ids below ``vocabulary``. ``mask``: booleans, true
    where a position counts, the first one always. ``known``: a copy of the target that ``source``
    names.
    """

    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One named target, without the batch axis.

    ``classes``: int64 ids below ``count``, of ``shape`` () for one label, (steps,) for one per step
    or (height, width) for one per pixel. ``values``: standard normal values. ``labels``: ``count``
    independent zeros and ones, float. ``like``: a copy of the input that ``source`` names.
    ``constant``: ``value`` everywhere. ``boxes``, ``box_classes``, ``box_mask``: see ``boxes``.
    """

    kind: TargetKind
    shape: tuple[int, ...] = ()
    count: int = 0
    source: str = ""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class LossPart:
    """One named loss of an output against a target, times ``weight``.

    ``name`` is a file of ``benchmarks/tasks/losses``; ``options`` are keywords of its functions.
    """

    name: str
    output: str
    target: str
    weight: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A loss that moves some of the weights, once the objectives before it have moved theirs.

    ``trains``: paths of layers in the PyTorch twin, all of whose weights are moved; none given: the
    whole model. ``loss`` is as in ``Task``; ``None`` says that each twin's file
    defines ``<name>_loss(outputs, targets) -> {part: scalar}``. ``inputs`` names those that the
    model is called with for it, in the order of the task; none given: all.
    """

    name: str
    trains: tuple[str, ...] = ()
    loss: tuple[LossPart, ...] | None = ()
    optimizer: Optimizer = field(default_factory=lambda: SGD(0.01, momentum=0.9))
    inputs: tuple[str, ...] = ()

    def moves(self, key: str) -> bool:
        """Whether it moves a weight, by its canonical key, which begins with a layer's path."""
        below = tuple(f"{path}{mark}" for path in self.trains for mark in "./")
        return not self.trains or key.startswith(below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What is run: batch, shapes and settings that differ, samples per epoch.

    ``shapes`` are by input or target, ``settings`` by name; those not named keep the task's.
    """

    batch: int
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settings: Mapping[str, int] = field(default_factory=dict)
    train_samples: int | None = None
    test_samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Figures that a paper gives, as a check.

    ``parameters``, at the task's own settings, and ``macs``: multiply-accumulates of one sample's
    forward pass at the task's own shapes, too.
    """

    parameters: int | None = None
    macs: float | None = None


SIZES: Mapping[str, Size] = {"quick": Size(batch=32), "standard": Size(batch=32)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a model computes.

    ``loss`` is a weighted sum of named parts; ``None`` says that each twin's file defines
    ``loss(outputs, targets) -> {part: scalar}``, whose parts are added. A model that is trained by
    several losses in turn (a generator and its discriminator) has ``objectives`` instead, and
    ``loss`` and ``optimizer`` stay unset. ``settings`` are numbers that the twins are built from,
    such as a width. ``metrics`` are what an epoch's model is judged by, on the samples to test
    on. ``sizes`` has ``quick`` and ``standard``, and may have others. ``proof_batch`` is the number
    of samples of the proof; 0 takes one that no axis of the inputs can be mistaken for. ``heavy``
    leaves the model out of a quick run that names none. ``family`` is what it is listed under.
    """

    inputs: Mapping[str, Input]
    targets: Mapping[str, Target] = field(default_factory=dict)
    loss: tuple[LossPart, ...] | None = ()
    optimizer: Optimizer = field(default_factory=lambda: SGD(0.01, momentum=0.9))
    objectives: tuple[Objective, ...] = ()
    metrics: tuple[Metric, ...] = ()
    title: str = ""
    reference: str = ""
    published: Published = field(default_factory=Published)
    settings: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, Size] = field(default_factory=lambda: dict(SIZES))
    proof_batch: int = 0
    heavy: bool = False
    family: str = ""

    @property
    def images(self) -> bool:
        """Whether it takes images, so that their layout may matter."""
        return any(one.kind == "image" for one in self.inputs.values())

    @property
    def steps(self) -> tuple[Objective, ...]:
        """What one training step does in turn: the objectives, or the only one without a name."""
        return self.objectives or (Objective(name="", loss=self.loss, optimizer=self.optimizer),)

    def size(self, name: str) -> Size:
        """A size by its name, or that of an effort: ``release`` runs the one of ``standard``."""
        return self.sizes["standard" if name == "release" else name]

    def sized(self, name: str) -> Task:
        """The same task at a size, or as an effort runs it.

        Raises:
            TaskError: its size names what the task has not.
        """
        size = self.size(name)
        return self.at(size.shapes, size.settings)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every input and target, by name."""
        inputs = {name: one.shape for name, one in self.inputs.items()}
        return inputs | {name: one.shape for name, one in self.targets.items()}

    def at(
        self, shapes: Mapping[str, Sequence[int]], settings: Mapping[str, int] | None = None
    ) -> Task:
        """The same task with other shapes of some inputs and targets, and other settings.

        Raises:
            TaskError: it has no such input, target or setting.
        """
        settings = settings or {}
        unknown = set(shapes) - set(self.shapes)
        if unknown:
            known = ", ".join(self.inputs)
            raise TaskError(f"there is no input {min(unknown)!r}; there are: {known}")
        if unknown := set(settings) - set(self.settings):
            known = ", ".join(self.settings) or "none"
            raise TaskError(f"there is no setting {min(unknown)!r}; there are: {known}")
        at = {name: tuple(shapes.get(name, shape)) for name, shape in self.shapes.items()}
        made = replace(
            self,
            inputs={n: replace(one, shape=at[n]) for n, one in self.inputs.items()},
            targets={n: replace(one, shape=at[n]) for n, one in self.targets.items()},
            settings={**self.settings, **settings},
        )
        if made == self:
            return self
        same = made.settings == self.settings
        parameters = self.published.parameters if same else None
        return replace(made, published=Published(parameters=parameters))

    def labelled(self) -> tuple[Input, Target]:
        """The input and the target of a task that reads labelled samples.

        Raises:
            TaskError: it has more than one input, or its target is no single class.
        """
        inputs, targets = tuple(self.inputs.values()), tuple(self.targets.values())
        if (
            len(inputs) != 1
            or len(targets) != 1
            or targets[0] != Target("classes", (), targets[0].count)
        ):
            raise TaskError(
                "data sets hold labelled samples: only a task of one input and one class label"
                " reads them"
            )
        return inputs[0], targets[0]


@dataclass(frozen=True, slots=True)
class Batch:
    """Named arrays with the batch axis in front; images channels last."""

    inputs: Arrays
    targets: Arrays


def image(height: int, width: int, channels: int) -> Input:
    """An image of so many rows, columns and channels."""
    return Input("image", (height, width, channels))


def features(*shape: int) -> Input:
    """Values of any shape: ``features(20)``, or a time series ``features(50, 4)``."""
    return Input("features", shape)


def tokens(length: int, vocabulary: int) -> Input:
    """Token ids below ``vocabulary``."""
    return Input("tokens", (length,), vocabulary)


def mask(length: int) -> Input:
    """True where a position counts."""
    return Input("mask", (length,))


def noise(*shape: int) -> Input:
    """Standard normal values, drawn by us from the seed."""
    return Input("noise", shape)


def known(source: str, *shape: int) -> Input:
    """The same as a target, of its shape, for a model that trains on what it shall find."""
    return Input("known", shape, source=source)


def classes(count: int, *shape: int) -> Target:
    """One of ``count`` classes, for each position of ``shape`` (steps, or height and width)."""
    return Target("classes", shape, count)


def values(*shape: int) -> Target:
    """Standard normal values of a shape."""
    return Target("values", shape)


def labels(count: int) -> Target:
    """``count`` labels, each there or not."""
    return Target("labels", count=count)


def like(source: str) -> Target:
    """The same as an input."""
    return Target("like", source=source)


def constant(value: float, *shape: int) -> Target:
    """The same value everywhere: what a discriminator should say of real samples."""
    return Target("constant", shape, value=value)


def boxes(name: str, most: int, count: int) -> dict[str, Target]:
    """Up to ``most`` objects of ``count`` classes in each sample, at least one; padded to ``most``.

    Three targets: ``<name>.boxes`` (most, 4), left, top, right and bottom as shares of the image;
    ``<name>.classes`` (most,), int64; ``<name>.mask`` (most,), true for an object. Boxes and
    classes of the padding are zero. Small objects are as frequent as large ones: widths and heights
    are between 0.05 and 0.95 of the image, and their logarithms uniform.
    """
    return {
        f"{name}.boxes": Target("boxes", (most, 4), source=name),
        f"{name}.classes": Target("box_classes", (most,), count, source=name),
        f"{name}.mask": Target("box_mask", (most,), source=name),
    }


def check(task: Task) -> None:
    """Refuse a task whose loss could not fail, or that names what is not there.

    Raises:
        TaskError: the text says what is allowed.
    """
    _check_inputs(task)
    _check_targets(task)
    _check_objectives(task)
    for name in SIZES:
        if name not in task.sizes:
            raise TaskError(f"sizes: {name!r} is missing; there must be {', '.join(SIZES)}")
    for name in task.sizes:
        task.sized(name)
    for metric in task.metrics:
        if metric.name not in FUNCTIONS or metric.target not in task.targets:
            known = ", ".join(FUNCTIONS)
            raise TaskError(
                f"metric {metric.name} of target {metric.target!r}: there must be such a target,"
                f" and the metric one of {known}"
            )
    for part in (part for one in task.steps for part in one.loss or ()):
        if part.target not in task.targets:
            known = ", ".join(task.targets) or "none"
            raise TaskError(
                f"loss {part.name}: there is no target {part.target!r} (there: {known})"
            )


def _check_objectives(task: Task) -> None:
    if not task.objectives and task.loss == ():
        raise TaskError(
            "a task needs a loss: a tuple of parts, or None where the twins define loss()"
        )
    if task.objectives and task.loss != ():
        raise TaskError("a task has a loss or objectives, not both")
    names = [one.name for one in task.objectives]
    for one in task.objectives:
        if not one.name.isidentifier() or names.count(one.name) > 1:
            raise TaskError(f"objective {one.name!r}: each needs a name of its own, an identifier")
        if one.loss == ():
            raise TaskError(
                f"objective {one.name}: it needs a loss: a tuple of parts, or None where the twins"
                f" define {one.name}_loss()"
            )
        if isinstance(one.optimizer, Own):
            raise TaskError(f"objective {one.name}: its optimizer must be one of the task's")
        if unknown := set(one.inputs) - set(task.inputs):
            known = ", ".join(task.inputs)
            raise TaskError(
                f"objective {one.name}: there is no input {min(unknown)!r}; there are: {known}"
            )


def _check_inputs(task: Task) -> None:
    if not task.inputs:
        raise TaskError("a task needs at least one input")
    for name, array in task.inputs.items():
        if array.kind == "tokens" and array.vocabulary < 2:  # noqa: PLR2004 - one token is no choice
            raise TaskError(f"input {name}: tokens need a vocabulary of at least 2")
        if array.kind == "image" and len(array.shape) != 3:  # noqa: PLR2004 - height, width, channels
            raise TaskError(f"input {name}: an image is HEIGHTxWIDTHxCHANNELS")
        told = task.targets.get(array.source)
        if array.kind == "known" and (told is None or told.shape != array.shape):
            raise TaskError(f"input {name}: there is no target {array.source!r} of its shape")


def _check_targets(task: Task) -> None:
    for name, target in task.targets.items():
        if target.kind == "classes" and target.count < 2:  # noqa: PLR2004 - one class is no choice
            raise TaskError(
                f"target {name}: {target.count} class: every loss and gradient would be zero;"
                " classes must be at least 2 (values:1 is a regression)"
            )
        if target.kind.startswith("box") and min(target.shape) < 1:
            raise TaskError(f"target {name}: there must be room for one object at least")
        if target.kind == "box_classes" and target.count < 1:
            raise TaskError(f"target {name}: objects must be of one class at least")
        if target.kind == "like" and target.source not in task.inputs:
            raise TaskError(f"target {name}: there is no input {target.source!r}")


def batch_size(task: Task) -> int:
    """A batch size that differs from the length of every axis of the inputs."""
    axes = {axis for one in task.inputs.values() for axis in one.shape}
    return next(size for size in itertools.count(6) if size not in axes)


def draw(task: Task, size: int, seed: int) -> Batch:
    """A seeded batch of ``size`` samples; each array depends on the seed and its own name alone.

    Values are float64 but representable in float32, so that the proof and the timed precision see
    the same numbers.
    """
    inputs = {
        name: _input(one, size, _generator(name, seed))
        for name, one in task.inputs.items()
        if one.kind != "known"
    }
    targets = {
        name: inputs[one.source].copy()
        if one.kind == "like"
        else _of_objects(one, size, name, seed)
        if one.kind.startswith("box")
        else _target(one, size, _generator(name, seed))
        for name, one in task.targets.items()
    }
    every = inputs | {
        name: targets[one.source].copy() for name, one in task.inputs.items() if one.kind == "known"
    }
    return Batch({name: every[name] for name in task.inputs}, targets)


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _input(one: Input, size: int, rng: np.random.Generator) -> NDArray[Any]:
    shape = (size, *one.shape)
    if one.kind == "tokens":
        return rng.integers(0, one.vocabulary, shape, dtype=np.int32)
    if one.kind == "mask":
        drawn = rng.random(shape) < 0.7  # noqa: PLR2004 - most positions count, and some do not
        drawn[:, ..., :1] = True
        return drawn
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)


def _of_objects(one: Target, size: int, name: str, seed: int) -> NDArray[Any]:
    """Boxes, classes or mask of objects, whose number is that of the other two."""
    most, rng = one.shape[0], _generator(name, seed)
    there = _generator(one.source, seed).integers(1, most + 1, (size, 1)) > np.arange(most)
    if one.kind == "box_mask":
        return there
    if one.kind == "box_classes":
        return np.where(there, rng.integers(0, one.count, (size, most), dtype=np.int64), 0)
    extent = np.exp(rng.uniform(np.log(0.05), np.log(0.95), (size, most, 2)))
    corner = rng.uniform(0.0, 1.0, (size, most, 2)) * (1 - extent)
    drawn = np.concatenate([corner, corner + extent], -1) * there[..., None]
    return drawn.astype(np.float32).astype(np.float64)


def _target(one: Target, size: int, rng: np.random.Generator) -> NDArray[Any]:
    if one.kind == "classes":
        return rng.integers(0, one.count, (size, *one.shape), dtype=np.int64)
    if one.kind == "labels":
        return rng.integers(0, 2, (size, one.count)).astype(np.float64)
    if one.kind == "constant":
        return np.full((size, *one.shape), one.value)
    return rng.standard_normal((size, *one.shape)).astype(np.float32).astype(np.float64)
