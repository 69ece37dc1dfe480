"""What a worker is told when it starts: the model, its data, and how to run it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.adapters._protocol import Settings
from benchmarks.plan import Group, Selection
from benchmarks.records import Stack


def job(group: Group, selection: Selection, *, needs_data: bool) -> dict[str, Any]:
    """What a worker must know to build the group's model and feed it."""
    return {
        "model": group.model,
        "models_dir": str(selection.models_dir.resolve()) if selection.models_dir else None,
        "input_shape": group.spec.input_shape,
        "batch": group.size.batch,
        "deterministic": False,
        "data": group.data if needs_data else None,
        "data_dir": str(selection.data_dir.resolve()) if selection.data_dir else None,
        "train_samples": group.size.train_samples,
        "test_samples": group.size.test_samples,
    }


def settings(
    stack: Stack, selection: Selection, threads: int, model: str | None = None, **changed: Any
) -> dict[str, Any]:
    """The settings of a worker that times a model; ``changed`` overrides some of them."""
    variant = selection.variant(stack)
    tuned = selection.tuning(stack, model) if model else None
    base: dict[str, Any] = {
        "mode": stack.mode,
        "device": selection.device,
        "precision": selection.precision,
        "policy": selection.policy,
        "threads": variant.threads or (tuned and tuned.threads) or threads,
        "layout": variant.layout or (tuned and tuned.layout),
        "seed": selection.seed,
    }
    return asdict(Settings(**(base | changed)))
