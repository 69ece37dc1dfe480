"""A task as plain data, so that a process that imports a user's model can tell it to another.

A dataclass is ``{"is": its name, field: value}``, a mapping ``{"is": "map", "of": {…}}``, a tuple a
list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.tasks.metrics import Metric
from benchmarks.tasks.optimizers import SGD, Adam, Optimizer, Own, RMSprop
from benchmarks.tasks.schedules import Cosine, Exponential, Piecewise
from benchmarks.tasks.task import (
    Input,
    LossPart,
    Objective,
    Published,
    Size,
    Target,
    Task,
    TaskError,
    check,
)

UNREADABLE = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError),
)
"""What data that tell no task may end in."""
KINDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Task, Input, Target, LossPart, Objective, Size, Published, Metric),
        *(SGD, Adam, RMSprop, Own, Cosine, Exponential, Piecewise),
    )
}


def of(value: Any) -> Any:
    """A task, or a part of one, as plain data.

    Raises:
        TaskError: it holds something that no task does.
    """
    if type(value) in KINDS.values():
        fields = {f.name: of(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {"is": "map", "of": {str(key): of(one) for key, one in value.items()}}
    if isinstance(value, tuple | list):
        return [of(one) for one in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TaskError(f"TASK holds a {type(value).__name__}, which is no part of a task")


def task(data: Any) -> Task:
    """The task that plain data tell.

    Raises:
        ValueError: they tell none.
    """
    try:
        made = _read(data)
        if isinstance(made, Task) and all(isinstance(o.optimizer, Optimizer) for o in made.steps):
            check(made)
            return made
    except UNREADABLE as error:
        raise ValueError(f"not a task: {' '.join(str(error).split())}") from error
    raise ValueError(f"not a task: {type(made).__name__}")


def _read(data: Any) -> Any:
    if isinstance(data, list):
        return tuple(map(_read, data))
    if not isinstance(data, dict):
        return data
    if data["is"] == "map":
        return {key: _read(one) for key, one in data["of"].items()}
    return KINDS[data["is"]](**{key: _read(one) for key, one in data.items() if key != "is"})
