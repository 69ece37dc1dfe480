"""A task: inputs, targets, loss and optimizer of a model, and the seeded batches it is fed."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.optimizers import SGD, Optimizer

Arrays = dict[str, NDArray[Any]]
InputKind = Literal["image", "features", "tokens", "mask", "noise"]
TargetKind = Literal["classes", "values", "labels", "like"]


class TaskError(ValueError):
    """What was asked is no task; the text says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Input:
    """One named input of a model, without the batch axis.

    ``image``: (height, width, channels) standard normal values. ``features`` and ``noise``: values
    of any rank, the same. ``tokens``: int32 ids below ``vocabulary``. ``mask``: booleans, true
    where a position counts, the first one always.
    """

    kind: InputKind
    shape: tuple[int, ...]
    vocabulary: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """One named target, without the batch axis.

    ``classes``: int64 ids below ``count``, of ``shape`` () for one label, (steps,) for one per step
    or (height, width) for one per pixel. ``values``: standard normal values. ``labels``: ``count``
    independent zeros and ones, float. ``like``: a copy of the input that ``source`` names.
    """

    kind: TargetKind
    shape: tuple[int, ...] = ()
    count: int = 0
    source: str = ""


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
class Task:
    """What a model computes.

    ``loss`` is a weighted sum of named parts; ``None`` says that each twin's file defines
    ``loss(outputs, targets) -> {part: scalar}``, whose parts are added.
    """

    inputs: Mapping[str, Input]
    targets: Mapping[str, Target] = field(default_factory=dict)
    loss: tuple[LossPart, ...] | None = ()
    optimizer: Optimizer = field(default_factory=lambda: SGD(0.01, momentum=0.9))
    title: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Named arrays with the batch axis in front; images channels last."""

    inputs: Arrays
    targets: Arrays


def check(task: Task) -> None:
    """Refuse a task whose loss could not fail, or that names what is not there.

    Raises:
        TaskError: the text says what is allowed.
    """
    if not task.inputs:
        raise TaskError("a task needs at least one input")
    for name, array in task.inputs.items():
        if array.kind == "tokens" and array.vocabulary < 2:  # noqa: PLR2004 - one token is no choice
            raise TaskError(f"input {name}: tokens need a vocabulary of at least 2")
        if array.kind == "image" and len(array.shape) != 3:  # noqa: PLR2004 - height, width, channels
            raise TaskError(f"input {name}: an image is HEIGHTxWIDTHxCHANNELS")
    for name, target in task.targets.items():
        if target.kind == "classes" and target.count < 2:  # noqa: PLR2004 - one class is no choice
            raise TaskError(
                f"target {name}: {target.count} class: every loss and gradient would be zero;"
                " classes must be at least 2 (values:1 is a regression)"
            )
        if target.kind == "like" and target.source not in task.inputs:
            raise TaskError(f"target {name}: there is no input {target.source!r}")
    for part in task.loss or ():
        if part.target not in task.targets:
            known = ", ".join(task.targets) or "none"
            raise TaskError(
                f"loss {part.name}: there is no target {part.target!r} (there: {known})"
            )


def batch_size(task: Task) -> int:
    """A batch size that differs from the length of every axis of the inputs."""
    axes = {axis for one in task.inputs.values() for axis in one.shape}
    return next(size for size in itertools.count(6) if size not in axes)


def draw(task: Task, size: int, seed: int) -> Batch:
    """A seeded batch of ``size`` samples; each array depends on the seed and its own name alone.

    Values are float64 but representable in float32, so that the proof and the timed precision see
    the same numbers.
    """
    inputs = {name: _input(one, size, _generator(name, seed)) for name, one in task.inputs.items()}
    targets = {
        name: inputs[one.source].copy()
        if one.kind == "like"
        else _target(one, size, _generator(name, seed))
        for name, one in task.targets.items()
    }
    return Batch(inputs, targets)


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


def _target(one: Target, size: int, rng: np.random.Generator) -> NDArray[Any]:
    if one.kind == "classes":
        return rng.integers(0, one.count, (size, *one.shape), dtype=np.int64)
    if one.kind == "labels":
        return rng.integers(0, 2, (size, one.count)).astype(np.float64)
    return rng.standard_normal((size, *one.shape)).astype(np.float32).astype(np.float64)
