"""What a worker is told when it starts: the framework, its settings, the model and its data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.frameworks.contracts import Settings
from benchmarks.request.plan import Group
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.worker import sources


def job(
    group: Group,
    selection: Selection,
    stack: Stack,
    threads: int,
    handoff: Mapping[str, Any],
    *,
    needs_data: bool = False,
) -> dict[str, Any]:
    """What a worker of a stack must know to build the group's model and feed it.

    ``handoff`` is what the proof found of its engine.
    """
    return {
        "framework": stack.framework,
        "trainer": stack.trainer,
        "settings": settings(stack, selection, threads, group.name),
        "source": sources.of_model(group.model, selection.models_dir, group.weights),
        "shapes": {name: list(shape) for name, shape in group.task.shapes.items()},
        "task_settings": dict(group.task.settings),
        "batch": group.size.batch,
        "handoff": dict(handoff),
        "data": group.data if needs_data else None,
        "data_dir": str(selection.data_dir.resolve()) if selection.data_dir else None,
        "train_samples": group.size.train_samples,
        "test_samples": group.size.test_samples,
    }


def settings(
    stack: Stack, selection: Selection, threads: int, group: str | None = None
) -> dict[str, Any]:
    """The settings of a worker that times a group, by its name."""
    variant = selection.variant(stack)
    tuned = selection.tuning(stack, group) if group else None
    return asdict(
        Settings(
            mode=stack.mode,
            device=selection.device,
            precision=selection.precision,
            policy=selection.policy,
            threads=variant.threads or (tuned.threads if tuned else None) or threads,
            layout=variant.layout or (tuned.layout if tuned else None),
            seed=selection.seed,
        )
    )
