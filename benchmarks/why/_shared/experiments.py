"""What could be changed about a stack, for each thing that it may be slow at."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import frameworks
from benchmarks.request.changes import ONE_THREAD, other_layout
from benchmarks.request.selection import Variant
from benchmarks.results.profiles import Change, Experiment
from benchmarks.results.records import Stack

_SPATIAL = {"conv", "pool", "norm", "elementwise", "data movement"}


def experiment(slow: Stack, key: str, *, images: bool, device: str) -> Experiment | None:
    """What would confirm that a line of the comparison is to blame; ``None``: nothing is known.

    Args:
        slow: the stack that the line speaks against.
        key: ``phase · category``.
        images: whether the model convolves images, so that their layout may matter.
        device: where it runs; threads of the host do not multiply on another.
    """
    found = _found(slow, key.rpartition(" · ")[2], images=images)
    idle = found and found.variant and found.variant.threads and device != "cpu"
    return None if idle else found


def _found(slow: Stack, category: str, *, images: bool) -> Experiment | None:
    plain, facts = slow.plain, frameworks.facts(slow.framework)
    if facts.lays_out and images and category in _SPATIAL:
        turned = other_layout(slow)
        return Experiment(
            stack=f"{plain}@{turned.label}",
            text=f"{plain} with its images {turned.label.replace('_', '-')}",
            variant=_change(turned),
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
            variant=_change(ONE_THREAD),
        )
    return None


def _change(variant: Variant) -> Change:
    return Change(label=variant.label, layout=variant.layout, threads=variant.threads)
