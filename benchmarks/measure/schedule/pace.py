"""How long the parts of a run took, and so how long those to come will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

from benchmarks.measure.schedule.todo import Step
from benchmarks.request.plan import Plan
from benchmarks.results.records import COLD

FIRST, EMPTY, LATER = "first", "empty", "later"
"""Starts of a launch: with checks, too; with empty compiler caches; and all others."""
LAST = 3
"""How many times back it matters how long a part took."""
JUMP = 1 / 3
"""By how much of it the time left may change from one line to the next."""
LEAST_S = 5.0
"""A change that is never too large."""


class Part(NamedTuple):
    """Something that takes time.

    ``what`` is ``start`` (of a launch's workers), ``turns`` or ``end`` (of a launch). ``how`` is
    the kind of start, or the phase.
    """

    what: str
    model: str
    how: str = ""


@dataclass
class Pace:
    """Times the parts of a run by its events.

    ``cold_launches`` launches of each model find empty compiler caches. ``took`` has the seconds
    that a part took each time; ``running`` is the part that goes on, and its beginning;
    ``launch`` the model and the index of the launch that was last started.
    """

    cold_launches: int = 0
    now: Callable[[], float] = time.monotonic
    took: dict[Part, list[float]] = field(default_factory=dict)
    running: tuple[Part, float] | None = None
    launch: tuple[str, int] = ("", 0)

    def told(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take in an event at the moment when it happens."""
        part: Part | None = None
        match kind:
            case "starting":
                self.launch = data["model"], data["launch"]
                part = Part("start", data["model"], self._start(data["launch"]))
            case "timing":
                part = Part("turns", data["model"], data["phase"])
            case "launch":
                model, index = self.launch
                part = Part("end", model, self._start(index))
            case "proving" | "concluded":
                pass
            case _:
                return
        at = self.now()
        if self.running:
            before, since = self.running
            if (before.what, kind) != ("end", "timing"):  # that was not yet the end of the launch
                self.took.setdefault(before, []).append(at - since)
        self.running = (part, at) if part else None

    @property
    def known(self) -> bool:
        """Whether a second launch has started: before, what is to come can only be guessed."""
        return any(p.what == "start" and p.how != FIRST for p in self.took)

    def step_s(self, step: Step) -> float:
        """What is left of a launch, in seconds; all of it where it is not the one that goes on."""
        model, start = step.group.name, self._start(step.index)
        parts = [Part("start", model, start)]
        parts += [Part("turns", model, matchup.phase) for matchup in step.wanted]
        parts += [Part("end", model, start)]
        if self.running and self.launch == (model, step.index):
            going, since = self.running
            if going in parts:
                parts = parts[parts.index(going) :] if going.what != "turns" else parts[1:]
            spent = min(self.now() - since, self._expected(going))
            return sum(map(self._expected, parts)) - (spent if going in parts else 0.0)
        return sum(map(self._expected, parts))

    def _start(self, index: int) -> str:
        return FIRST if index == 0 else EMPTY if index < self.cold_launches else LATER

    def _expected(self, part: Part) -> float:
        """What a part took the last times, else what those took that are most like it."""
        if part in self.took:
            return fmean(self.took[part][-LAST:])
        same = {p: s[-1] for p, s in self.took.items() if p.what == part.what}
        alike = [s for p, s in same.items() if p.how == part.how]
        if not alike and part.what != "end":  # a launch of another kind ends in another way
            alike = [s for p, s in same.items() if p.model == part.model] or [*same.values()]
        return fmean(alike) if alike else 0.0


@dataclass
class Countdown:
    """The time left as it is told from line to line.

    Of a new estimate no more is told at once than a change by ``JUMP`` of what was told before.
    """

    now: Callable[[], float] = time.monotonic
    told: tuple[float, float] | None = None

    def next(self, estimate_s: float) -> float:
        """The seconds to tell now."""
        at = self.now()
        if self.told:
            since, before_s = self.told
            due_s, most_s = max(0.0, before_s - (at - since)), max(JUMP * before_s, LEAST_S)
            estimate_s = min(max(estimate_s, due_s - most_s), due_s + most_s)
        self.told = at, max(0.0, estimate_s)
        return self.told[1]


def of(plan: Plan, now: Callable[[], float]) -> Pace:
    """Of a run that has not begun, by a clock of monotonic seconds."""
    cold = any(m.phase == COLD for group in plan.groups for m in group.matchups)
    return Pace(plan.effort.cold_launches if cold else 0, now)
