"""What could be changed about a stack, for each thing that it may be slow at."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks import frameworks
from benchmarks.request.changes import ONE_THREAD, other_layout
from benchmarks.request.selection import Variant
from benchmarks.results.records import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One change to a stack; ``variant`` where it is no stack of its own."""

    stack: str
    text: str
    variant: Variant | None = None


_SPATIAL = {"conv", "pool", "norm", "elementwise", "data movement"}


def experiment(slow: Stack, key: str, *, images: bool, device: str) -> dict[str, Any] | None:
    """What would confirm that a line of the comparison is to blame; ``None``: nothing is known.

    Args:
        slow: the stack that the line speaks against.
        key: ``phase · category``.
        images: whether the model convolves images, so that their layout may matter.
        device: where it runs; threads of the host do not multiply on another.
    """
    found = _found(slow, key.rpartition(" · ")[2], images=images)
    idle = found and found.variant == ONE_THREAD and device != "cpu"
    return asdict(found) if found and not idle else None


def _found(slow: Stack, category: str, *, images: bool) -> Experiment | None:
    plain, facts = slow.plain, frameworks.facts(slow.framework)
    if facts.lays_out and images and category in _SPATIAL:
        turned = other_layout(slow)
        return Experiment(
            stack=f"{plain}@{turned.label}",
            text=f"{plain} with its images {turned.label.replace('_', '-')}",
            variant=turned,
        )
    for change in facts.changes:
        fits = not change.modes or slow.mode in change.modes
        if fits and (not change.categories or category in change.categories):
            stack = str(replace(plain, mode=change.becomes))
            return Experiment(stack=stack, text=change.text or stack)
    if category in {"recurrent", "matmul", "framework overhead"}:
        return Experiment(
            stack=f"{plain}@{ONE_THREAD.label}",
            text=f"{plain} on one thread",
            variant=ONE_THREAD,
        )
    return None
