"""Which rounds count: those beside which nothing was recorded against any stack.

A disturbed round is taken again for all its stacks, within a budget, and stays on record. Where the
machine does not fall quiet the launch says so, and the verdict names who kept it busy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.results.observed import Interference
from benchmarks.results.records import Matchup, Stack
from benchmarks.worker import disturbances
from benchmarks.worker.disturbances import Normal, TurnRecord
from profilers import neighbours
from profilers.gpu import gpu_state

Turns = Mapping[Stack, Mapping[str, Any]]
"""What each stack answered in one round."""

EXTRA = 1.0
"""Rounds that may be taken again, as a share of those wanted."""
PAUSE_S = 0.25
"""A rest after a disturbed round, in which a short disturbance may end; doubled from each to the
next."""
LONGEST_S = 1.0
HOPELESS = 3
"""Disturbed rounds, with none left alone before, after which no more are tried: what stays that
long stays, and beside it a turn may take ten times its time."""
ENOUGH = 0.5
"""Share of the wanted rounds that must have been left alone for a launch to count as quiet."""
SAGGING = 0.9
"""Share of the usual SM clock below which a turn counts as disturbed."""
NAMED = 3
NAMED_CORES = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """All rounds of a matchup in one launch, with the causes recorded against each turn."""

    rounds: Sequence[Turns]
    causes: Sequence[Mapping[Stack, Mapping[str, float]]]
    wanted: int

    @property
    def clean(self) -> list[int]:
        """The rounds in which every stack was left alone."""
        return [i for i, causes in enumerate(self.causes) if not any(causes.values())]

    @property
    def busy(self) -> bool:
        """Whether too few rounds were left alone."""
        return len(self.clean) < math.ceil(ENOUGH * self.wanted)

    def counted(self) -> list[int]:
        """The rounds whose samples count: all of them where the machine stayed busy."""
        return list(range(len(self.rounds))) if self.busy else self.clean[: self.wanted]

    def counted_turns(self, stack: Stack) -> list[Mapping[str, Any]]:
        """A stack's turns in the rounds that count."""
        return [self.rounds[i][stack] for i in self.counted() if stack in self.rounds[i]]

    def turns(self, stack: Stack) -> list[dict[str, Any]]:
        """All turns of a stack, with what was recorded against each."""
        return [
            {**turns[stack], "causes": causes[stack]}
            for turns, causes in zip(self.rounds, self.causes, strict=True)
            if stack in turns
        ]

    def worst(self) -> dict[str, float]:
        """Each cause at its largest."""
        found: dict[str, float] = {}
        for causes in self.causes:
            for of_turn in causes.values():
                for cause, size in of_turn.items():
                    found[cause] = max(size, found.get(cause, 0.0))
        return found


@dataclass
class Gate:
    """Remembers over a run what is normal for each stack, and judges every round by it."""

    normals: dict[tuple[str, Stack], Normal] = field(default_factory=dict)
    canaries_s: dict[Stack, list[float]] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep
    causes: Callable[[TurnRecord, Normal], dict[str, float]] = disturbances.causes
    gpu: gpu_state.Reader | None = None
    clocks_mhz: list[int] = field(default_factory=list)

    def gpu_reasons(self, ours: Iterable[int]) -> list[str]:
        """What disturbs the device right behind a turn; nothing where no device is used."""
        state = self.gpu.state() if self.gpu else None
        if state is None:
            return []
        reasons = list(state.reasons)
        if foreign := state.foreign(ours):
            reasons.append(f"{foreign} foreign processes on the GPU")
        if state.sm_clock_mhz is not None:
            self.clocks_mhz.append(state.sm_clock_mhz)
            usual = median(self.clocks_mhz)
            if state.sm_clock_mhz < SAGGING * usual:
                reasons.append(f"SM clock {state.sm_clock_mhz} MHz, usually {usual:.0f}")
        return reasons

    def taking(self, matchup: Matchup, wanted: int) -> Taking:
        """The rounds of a matchup in one launch, of which so many are to count."""
        return Taking(self, matchup, wanted)

    def normal(self, matchup: Matchup, stack: Stack) -> Normal:
        """What is normal for the turns of a stack in a matchup, as learned so far."""
        canaries_s = self.canaries_s.setdefault(stack, [])
        return self.normals.setdefault((matchup.id, stack), Normal(canaries_s=canaries_s))


@dataclass
class Taking:
    """Rounds as they are taken, until enough were left alone or the budget is spent."""

    gate: Gate
    matchup: Matchup
    wanted: int
    rounds: list[Turns] = field(default_factory=list)

    @property
    def unfinished(self) -> bool:
        """Whether one more round is to be taken."""
        clean = len(self.taken().clean)
        if clean >= self.wanted or len(self.rounds) >= limit(self.wanted):
            return False
        return clean > 0 or len(self.rounds) < HOPELESS

    def add(self, turns: Turns) -> None:
        """Learn from a round, and rest where it was disturbed and another will follow."""
        self.rounds.append(turns)
        for stack, turn in turns.items():
            self.gate.normal(self.matchup, stack).learn(turn["record"])
        taken = self.taken()
        if self.unfinished and any(taken.causes[-1].values()):
            disturbed = len(self.rounds) - len(taken.clean)
            self.gate.pause(min(2 ** (disturbed - 1) * PAUSE_S, LONGEST_S))

    def taken(self) -> Taken:
        """All rounds so far, each judged anew, because more is known of what is normal."""
        causes = [
            {
                stack: self.gate.causes(turn["record"], self.gate.normal(self.matchup, stack))
                for stack, turn in turns.items()
            }
            for turns in self.rounds
        ]
        return Taken(rounds=self.rounds, causes=causes, wanted=self.wanted)


def limit(wanted: int) -> int:
    """How many rounds may be taken for so many that count."""
    return wanted + math.ceil(EXTRA * wanted)


def evidence(taken: Taken, stack: Stack, since: neighbours.Snapshot) -> Interference:
    """What is told of a stack's turns in a launch."""
    turns = taken.turns(stack)
    return Interference(
        **disturbances.summary(t["record"] for t in taken.counted_turns(stack)),
        rounds=len(taken.rounds),
        repeated=max(0, len(taken.rounds) - taken.wanted),
        busy=taken.busy,
        causes=taken.worst(),
        turns=len(turns),
        disturbed=_times_as_long(turns),
        who=_busiest(since) if taken.busy else {},
    )


def _times_as_long(turns: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float | None, ...]]:
    """By cause, how the time of each disturbed turn stands to the median of those left alone.

    Told so that one can see what the gate is worth; no turn was judged by it.
    """
    alone = [turn["run_s"] for turn in turns if not turn["causes"]]
    usual_s = median(alone) if alone else None
    found: dict[str, list[float | None]] = {}
    for turn in turns:
        for cause in turn["causes"]:
            found.setdefault(cause, []).append(turn["run_s"] / usual_s if usual_s else None)
    return {cause: tuple(times) for cause, times in found.items()}


def _busiest(since: neighbours.Snapshot) -> dict[str, float]:
    shares = neighbours.cores_since(since).value or {}
    top = sorted(shares, key=lambda name: -shares[name])[:NAMED]
    return {name: round(shares[name], 2) for name in top if shares[name] >= NAMED_CORES}
