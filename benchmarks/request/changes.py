"""What can be changed about a stack that leaves it the same function: one setting at a time."""

from __future__ import annotations

from dataclasses import replace

from benchmarks import frameworks
from benchmarks.request.selection import Selection, Variant
from benchmarks.results.records import Stack
from benchmarks.tasks.task import Task

LAYOUTS = {name: Variant(label=name, layout=name) for name in ("channels_first", "channels_last")}
ONE_THREAD = Variant(label="one_thread", threads=1)


def other_layout(stack: Stack) -> Variant:
    """The layout of images that is not the one that users of this framework get."""
    usual = frameworks.facts(stack.framework).layout
    return next(variant for name, variant in LAYOUTS.items() if name != usual)


def possible(stack: Stack, task: Task, chosen: Selection, cores: int) -> list[Variant]:
    """What may make this stack faster for this model; each keeps what its label stands for."""
    found = [other_layout(stack)] if task.images else []
    if chosen.device == "cpu" and cores > 1:
        found.append(ONE_THREAD)
    if not stack.label:
        return found
    base = chosen.variant(stack)
    return [replace(v, label=f"{base.label}_{v.label}", python=base.python) for v in found]
