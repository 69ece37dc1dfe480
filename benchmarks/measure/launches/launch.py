"""One launch of one group: a fresh worker per stack, all alive together, one running at a time."""

from __future__ import annotations

import math
import random
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.machine import scratch
from benchmarks.measure.launches import rounds, watching
from benchmarks.measure.launches.rounds import Taken
from benchmarks.measure.launches.workers import Context, Workers
from benchmarks.measure.session import Event
from benchmarks.proof.group import Handoff, Proven, compare_stack
from benchmarks.request.plan import Group
from benchmarks.request.selection import Selection
from benchmarks.results.records import COLD, Matchup, Stack
from benchmarks.results.stored.codec import to_json
from benchmarks.worker import checks, clock
from profilers import neighbours


@dataclass
class Checks:
    """What the proof of a group found, and which parts of which stacks were held against it.

    ``proven`` is there as long as the references of the proof are. ``handoffs`` are by engine, and
    none where the proof failed.
    """

    proven: Proven | None = None
    handoffs: Mapping[str, Handoff] = field(default_factory=dict)
    done: set[tuple[Stack, str]] = field(default_factory=set)

    def suffice(self, chosen: Selection, wanted: Mapping[Matchup, tuple[Stack, ...]]) -> bool:
        """Whether all that a launch rests on was checked, or cannot be."""
        return not self.handoffs or all(
            (stack, part) in self.done
            for matchup, stacks in wanted.items()
            for part in _checked(chosen)
            if part in _parts(matchup.phase)
            for stack in stacks
        )


class Launcher:
    """Runs what is still wanted of one launch: each matchup still to be measured, by its stacks."""

    def __init__(
        self,
        context: Context,
        group: Group,
        index: int,
        wanted: dict[Matchup, tuple[Stack, ...]],
        checks: Checks,
    ) -> None:
        self.context, self.group, self.index, self.wanted = context, group, index, wanted
        self.checks = checks
        self.workers = Workers(context, group, index, wanted, checks.handoffs)

    def events(self) -> Generator[Event]:
        """Start everyone, check each part not yet checked, then measure phase by phase.

        A stack that does not compute what was proven goes. The order of stacks and of phases is
        drawn anew for every launch.
        """
        rng = random.Random()  # noqa: S311 - an order, not a secret
        stacks = [s for s in self.group.stacks if any(s in of for of in self.wanted.values())]
        about = {"model": self.group.name, "launch": self.index}
        try:
            yield Event("starting", about)
            yield from self.workers.start_all(rng.sample(stacks, len(stacks)))
            for stack in list(self.workers.alive):
                yield from self._check(stack)
            matchups = [m for m in self.wanted if m.phase != COLD]
            for matchup in rng.sample(matchups, len(matchups)):
                yield Event("timing", about | {"matchup": matchup.id, "phase": matchup.phase})
                yield from self._measure(matchup, rng)
            yield from self.workers.warm_starts()
            yield from self.workers.dismissed()
        except KeyboardInterrupt:
            yield from self.workers.happened()
            raise
        finally:
            self.workers.end()

    def _check(self, stack: Stack) -> Iterator[Event]:
        """Hold what a stack computes, as it is timed, against the float64 reference."""
        proven, sound = self.checks.proven, True
        if proven is None:
            return
        for part in _checked(self.context.selection):
            on = [m for m in self.wanted if part in _parts(m.phase)]
            if not on or (stack, part) in self.checks.done:
                continue
            with scratch.folder("check") as folder:
                written = folder / f"{part}.npz"
                told = self.workers.ask(on, stack, "check", part=part, path=str(written))
                yield from self.workers.happened()
                if told is None:
                    continue
                for check in compare_stack(
                    self.group,
                    self.context.selection,
                    proven.parity,
                    stack,
                    reference=proven.references[checks.SAME_AS.get(part, part)],
                    written=written,
                ):
                    sound = sound and check.ok
                    yield Event("check", {"model": self.group.name, "check": to_json(check)})
            self.checks.done.add((stack, part))
        if not sound and stack in self.workers.alive:
            self.workers.dismiss(stack)

    def _measure(self, matchup: Matchup, rng: random.Random) -> Iterator[Event]:
        """Warm up, then take turns: round by round, in balanced random order."""
        effort = self.context.effort
        stacks = [s for s in self.wanted[matchup] if (matchup.id, s) not in self.workers.failed]
        prepared = {
            s: self.workers.ask(
                [matchup],
                s,
                "prepare",
                phase=matchup.phase,
                turn_s=effort.turn_s,
                warm_s=effort.warm_s,
                slow=self.context.selection.variant(s).slow,
            )
            for s in stacks
        }
        yield from self.workers.happened()
        alive = [s for s in stacks if prepared[s]]
        longest_s = max((ready["turn_s"] for ready in prepared.values() if ready), default=math.inf)
        whole = matchup.phase == "epoch"
        wanted = effort.epoch_rounds if whole else effort.rounds_of(longest_s)
        most = rounds.limit(max(wanted, effort.rounds))
        orders = clock.orders([str(s) for s in alive], most, rng)
        since = neighbours.Snapshot.take()
        taking = self.context.gate.taking(matchup, wanted)
        while taking.unfinished:
            turns = self._round(matchup, map(Stack.parse, orders[len(taking.rounds)]))
            yield from self.workers.happened()
            if turns is None:
                break
            if whole and not taking.rounds:  # the epoch of the warm-up may have compiled
                taking.wanted = effort.epochs_of(max(turn["run_s"] for turn in turns.values()))
            taking.add(turns)
        taken = taking.taken()
        if watching.due(self.context.selection, effort, self.index):
            for stack in rng.sample(alive, len(alive)):
                yield from self._watch(matchup, stack, taken, rng)
        yield from self._finish(matchup, prepared, taken, since)

    def _finish(
        self,
        matchup: Matchup,
        prepared: Mapping[Stack, dict[str, Any] | None],
        taken: Taken,
        since: neighbours.Snapshot,
    ) -> Iterator[Event]:
        """End a phase in all workers; what each took and learned is the launch's."""
        cases = {}
        for stack, ready in prepared.items():
            if not ready:
                continue
            done = self.workers.ask([matchup], stack, "finish")
            yield from self.workers.happened()
            if not done or (matchup.id, stack) in self.workers.failed:
                yield from self._broken(matchup, stack, taken)
                continue
            samples = _samples(taken.counted_turns(stack))
            if min(samples) > 0:
                told = {
                    "samples_s": samples,
                    "interference": to_json(rounds.evidence(taken, stack, since)),
                }
                cases[str(stack)] = ready | done | told | {"turns": taken.turns(stack)}
            else:
                # The noise of this launch is larger than what is sought; the turns stay on record.
                key = {"matchup": matchup.id, "launch": self.index, "stack": str(stack)}
                yield Event("unresolved", key | {"turns": taken.turns(stack)})
        yield Event("launch", {"matchup": matchup.id, "launch": self.index, "cases": cases})

    def _broken(self, matchup: Matchup, stack: Stack, taken: Taken) -> Iterator[Event]:
        """The turns of a stack that failed before its launch was complete: none is a sample."""
        if turns := taken.turns(stack):
            key = {"matchup": matchup.id, "launch": self.index, "stack": str(stack)}
            yield Event("broken", key | {"turns": turns})

    def _watch(
        self, matchup: Matchup, stack: Stack, taken: Taken, rng: random.Random
    ) -> Iterator[Event]:
        """Read what a worker takes while it repeats its work; nothing of it is a sample."""
        worker, turns = self.workers.alive.get(stack), taken.counted_turns(stack)
        if worker is None or not turns or (matchup.id, stack) in self.workers.failed:
            return
        told = watching.watch(
            lambda seconds: self.workers.ask([matchup], stack, "sustain", seconds=seconds),
            worker.pid,
            watch_s=watching.WATCH_S[self.context.selection.effort],
            step_s=median(turn["run_s"] for turn in turns),
            device=self.context.selection.device,
            rng=rng,
        )
        yield from self.workers.happened()
        about = {"matchup": matchup.id, "stack": str(stack)}
        yield Event("telemetry", about | {"telemetry": told})

    def _round(self, matchup: Matchup, order: Iterable[Stack]) -> dict[Stack, Any] | None:
        """A turn of every stack that has not failed; ``None`` where none is left."""
        turns = {}
        for stack in order:
            if (matchup.id, stack) in self.workers.failed:
                continue
            turn = self.workers.ask([matchup], stack, "turn")
            if turn:
                pids = [worker.pid for worker in self.workers.alive.values()]
                turn["record"]["gpu"] = self.context.gate.gpu_reasons(pids)
                turns[stack] = turn
        return turns or None


def _samples(turns: Sequence[Mapping[str, Any]]) -> list[float]:
    """What each turn took beyond the baseline; the launch's median steadies the baseline."""
    baseline_s = median(turn["baseline_s"] for turn in turns)
    return [turn["run_s"] - baseline_s for turn in turns]


def _checked(chosen: Selection) -> tuple[str, ...]:
    """The parts of the check; of float16 not the fit, whose first steps are skipped."""
    return checks.PARTS if chosen.precision == "float16" else (*checks.PARTS, checks.FIT)


def _parts(phase: str) -> tuple[str, ...]:
    """The parts of the check that a phase rests on; loading data rests on none."""
    known = {"dataload": (), "epoch": ("training", checks.FIT)}
    inferring = ("forward", "postprocess", "first_token", "next_token")
    known |= dict.fromkeys(inferring, ("inference",))
    return known.get(phase, ("training",))
