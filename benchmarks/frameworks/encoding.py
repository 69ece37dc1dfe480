"""A twin's assignment and outputs as plain data, for the pipe between parent and worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.frameworks.description import Assigned, Output


def plain(assigned: tuple[Assigned, ...]) -> list[list[Any]]:
    """An assignment as it is sent to a worker."""
    return [[one.path, one.weights, one.grid_in, one.grid_out] for one in assigned]


def assignment(sent: list[list[Any]]) -> tuple[Assigned, ...]:
    """An assignment as a worker got it."""
    return tuple(Assigned(p, w, _shape(i), _shape(o)) for p, w, i, o in sent)


def output(told: Mapping[str, Any]) -> Output:
    """An output as it came over the pipe."""
    grid = _shape(told["grid"])
    return Output(shape=tuple(told["shape"]), first=told["first"], grid=grid)


def _shape(value: Any) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)
