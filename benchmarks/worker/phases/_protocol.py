"""What a phase is: it turns a prepared built into the work that turns will time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.frameworks.contracts import Placed
from benchmarks.frameworks.description import Arrays
from benchmarks.results.records import Learned
from benchmarks.tasks.data.sets import Dataset
from benchmarks.tasks.task import Batch, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A built model in its framework, and what it can be fed.

    ``device``, ``program`` and ``trainer`` are as ``frameworks.contracts`` says; ``recorder`` names
    the framework. ``keys`` and ``weights`` are canonical. ``fed`` is the batch in NumPy, ``batch``
    the same on the device. ``data`` holds real data cut to whole batches, or ``None`` where no
    phase of the plan reads any.
    """

    device: Any
    program: Any
    trainer: Any
    recorder: str
    task: Task
    keys: Mapping[str, Mapping[str, Any]]
    weights: Arrays
    fed: Batch
    batch: Placed
    batch_size: int
    data: Dataset | None = None

    def real_data(self) -> Dataset:
        """The data set of the plan.

        Raises:
            ValueError: the plan named none.
        """
        if self.data is None:
            raise ValueError("this phase reads real data, and the plan names none")
        return self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What turns time.

    ``run`` is one iteration. Where ``baseline`` is given, a sample is the time of ``run`` beyond
    the time of ``baseline``, both taken in the same turn. ``before`` runs untimed ahead of each
    turn. ``discard`` iterations open each turn untimed, because other workers ran before.
    ``iterations`` fixes how many a turn has; else the length of a turn decides. ``warm_up`` is the
    number of whole runs that suffice to warm up, where single iterations are long. ``bursts`` says
    that iterations do not take their time each by itself: only all of a turn tell the pace.
    ``after`` runs untimed, once all turns are taken.
    """

    run: Callable[[], object]
    baseline: Callable[[], object] | None = None
    before: Callable[[], object] | None = None
    discard: int = 2
    iterations: int | None = None
    warm_up: int | None = None
    bursts: bool = False
    items: int = 0
    learned: list[Learned] = field(default_factory=list)
    after: Callable[[], object] | None = None


class Phase(Protocol):
    """A module in this folder."""

    NEEDS_DATA: bool
    """Whether it reads real data; such matchups carry the data set in their id."""

    NEEDS_TWIN: tuple[str, ...]
    """Functions that the twins must define for it; may be left out where there are none."""

    def prepare(self, built: Built) -> Work:
        """Build the work; the built's weights are as initialised."""
