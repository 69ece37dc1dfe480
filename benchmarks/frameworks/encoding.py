"""A twin's description and assignment as plain data, for the pipe between parent and worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.frameworks.description import (
    Assigned,
    Description,
    Drop,
    Node,
    Output,
    Step,
    Weight,
)


def plain(assigned: tuple[Assigned, ...]) -> list[list[Any]]:
    """An assignment as it is sent to a worker."""
    return [[one.path, one.weights, one.grid_in, one.grid_out] for one in assigned]


def assignment(sent: list[list[Any]]) -> tuple[Assigned, ...]:
    """An assignment as a worker got it."""
    return tuple(Assigned(p, w, _shape(i), _shape(o)) for p, w, i, o in sent)


def description(told: Mapping[str, Any]) -> Description:
    """A description as it came over the pipe."""
    nodes = tuple(
        Node(
            **{
                **node,
                "weights": {
                    name: Weight(**{**w, "shape": tuple(w["shape"]), "start": tuple(w["start"])})
                    for name, w in node["weights"].items()
                },
                **{k: _shape(node[k]) for k in ("input", "output", "grid_in", "grid_out")},
            }
        )
        for node in told["nodes"]
    )
    return Description(
        nodes=nodes,
        steps=tuple(Step(**one) for one in told["steps"]),
        drops=tuple(Drop(**one) for one in told["drops"]),
        outputs={name: output(one) for name, one in told["outputs"].items()},
        parameters=told["parameters"],
        regularisers=tuple(told["regularisers"]),
        random=tuple(told["random"]),
        optimizer=dict(told["optimizer"]),
    )


def output(told: Mapping[str, Any]) -> Output:
    """An output as it came over the pipe."""
    grid = _shape(told["grid"])
    return Output(shape=tuple(told["shape"]), first=told["first"], grid=grid)


def _shape(value: Any) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)
