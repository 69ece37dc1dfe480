"""One launch of one group: a fresh worker per stack, all alive together, one running at a time."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import briefing, clock, gate, registry, rounding, watching
from benchmarks.gate import Gate
from benchmarks.nursery import Nursery
from benchmarks.plan import COLD, Effort, Group, Selection
from benchmarks.process import WorkerError, WorkerProcess
from benchmarks.records import Matchup, Stack, to_json
from profilers import neighbours

Append = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every launch of a run shares.

    ``append`` writes one entry to the journal; ``cache`` holds the compilers' caches of the run;
    ``gate`` judges which rounds count; ``nursery`` forks the workers of launches that are not cold.
    """

    selection: Selection
    effort: Effort
    threads: int
    append: Append
    cache: Path
    gate: Gate
    nursery: Nursery


@dataclass
class Launch:
    """Runs what is still wanted of one launch; ``failed`` collects stacks to leave out, by matchup.

    ``wanted`` maps each matchup still to be measured to its stacks.
    """

    context: Context
    group: Group
    index: int
    wanted: dict[Matchup, tuple[Stack, ...]]
    failed: set[tuple[str, Stack]] = field(default_factory=set)
    workers: dict[Stack, WorkerProcess] = field(default_factory=dict)
    closing: bool = False

    def run(
        self,
        check: Callable[[Stack, str, Path], None],
        progress: Callable[[str], None],
        *,
        checked: Callable[[Stack, str], bool],
        refused: Callable[[Stack], bool],
    ) -> None:
        """Start everyone, check each part not yet ``checked``, then measure phase by phase.

        ``check`` compares what a worker wrote of a part with the reference; whom ``refused`` then
        names goes. The order of stacks and of phases is drawn anew for every launch.
        """
        rng = random.Random()  # noqa: S311 - an order, not a secret
        stacks = [s for s in self.group.stacks if any(s in of for of in self.wanted.values())]
        try:
            progress("start")
            self._start_all(rng.sample(stacks, len(stacks)))
            for stack in list(self.workers):
                self._check(stack, check, checked)
                if refused(stack) and stack in self.workers:
                    self.workers.pop(stack).quit()
            matchups = [m for m in self.wanted if m.phase != COLD]
            for matchup in rng.sample(matchups, len(matchups)):
                progress(matchup.phase)
                self._measure(matchup, rng)
            self._warm_starts()
        finally:
            self.closing = True
            for worker in list(self.workers.values()):
                worker.quit()

    def _check(
        self,
        stack: Stack,
        check: Callable[[Stack, str, Path], None],
        checked: Callable[[Stack, str], bool],
    ) -> None:
        for part in rounding.PARTS:
            on = [m for m in self.wanted if _part(m.phase) == part]
            if not on or checked(stack, part):
                continue
            with tempfile.TemporaryDirectory(prefix="twinbench-check-") as folder:
                path = Path(folder) / f"{part}.npz"
                if self._ask(on, stack, "check", part=part, path=str(path)) is not None:
                    check(stack, part, path)

    @property
    def _cold(self) -> bool:
        """Whether this launch measures cold starts."""
        asked = any(m.phase == COLD for m in self.wanted)
        return asked and self.index < self.context.effort.cold_launches

    def _cache(self, stack: Stack) -> Path:
        """Where a stack's compiler caches: a new folder for a cold launch, else the first one."""
        launch = self.index if self._cold else 0
        return self.context.cache / self.group.model / str(launch) / str(stack)

    def _start_all(self, stacks: list[Stack]) -> None:
        """One after the other where the start itself is measured, else two at a time."""
        if self._cold:
            for stack in stacks:
                self._start(stack)
            return
        # The kernel ends a worker with the thread that spawned it, so this thread spawns them all.
        for stack in stacks:
            self._spawn(stack)
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                for started in [pool.submit(self._settle, stack, None) for stack in stacks]:
                    started.result()
            except BaseException:
                self.closing = True
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in list(self.workers.values()):
                    worker.kill()
                raise

    def _start(self, stack: Stack, cache: str | None = "empty") -> None:
        self._spawn(stack)
        self._settle(stack, cache)

    def _spawn(self, stack: Stack) -> None:
        python = self.context.selection.variant(stack).python
        fork = None if self._cold else self.context.nursery.fork(stack)
        self.workers[stack] = WorkerProcess(stack, self._cache(stack), python, fork)

    def _settle(self, stack: Stack, cache: str | None) -> None:
        """Let a worker import and build; a failure costs all its cases here.

        ``cache`` says in what state the start finds the compiler's cache; ``None``: do not time it.
        """
        needs_data = any(registry.load("phases", m.phase).NEEDS_DATA for m in self.wanted)
        stamps = self._ask(
            list(self.wanted),
            stack,
            "start",
            restart=False,
            spawned=self.workers[stack].spawned,
            adapter=stack.adapter,
            settings=briefing.settings(stack, self.context.selection, self.context.threads),
            job=briefing.job(self.group, self.context.selection, needs_data=needs_data),
        )
        if stamps is None:
            return
        self.context.append("settings", stack=str(stack), settings=stamps["settings"])
        colds = [m for m, of in self.wanted.items() if m.phase == COLD and stack in of]
        if colds and self._cold and cache:
            step = self._ask(colds, stack, "first_step")
            if step:
                self._append_cold(colds[0], stack, stamps | step, cache)

    def _append_cold(
        self, matchup: Matchup, stack: Stack, stamps: dict[str, Any], cache: str
    ) -> None:
        self.context.append(
            "cold",
            matchup=matchup.id,
            launch=self.index,
            stack=str(stack),
            cold={
                "launch": self.index,
                "cache": cache,
                **{key: stamps[key] for key in ("import_s", "build_s", "first_step_s")},
            },
        )

    def _warm_starts(self) -> None:
        """Start each stack that filled its compiler's cache once more, now that it is full."""
        for matchup, of in self.wanted.items():
            for stack in of if matchup.phase == COLD and self._cold else ():
                filled = any(path.is_file() for path in self._cache(stack).rglob("*"))
                if filled and stack in self.workers:
                    self.workers.pop(stack).quit()
                    self._start(stack, cache="warm")

    def _measure(self, matchup: Matchup, rng: random.Random) -> None:
        """Warm up, then take turns: round by round, in balanced random order."""
        effort = self.context.effort
        stacks = [s for s in self.wanted[matchup] if (matchup.id, s) not in self.failed]
        prepared = {
            s: self._ask(
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
        wanted = effort.epoch_rounds if matchup.phase == "epoch" else effort.rounds
        alive = [s for s in stacks if prepared[s]]
        orders = clock.orders([str(s) for s in alive], gate.limit(wanted), rng)
        since = neighbours.Snapshot.take()
        taken = self.context.gate.take(
            matchup, wanted, lambda index: self._round(matchup, map(Stack.parse, orders[index]))
        )
        if watching.due(self.context.selection, effort, self.index):
            for stack in rng.sample(alive, len(alive)):
                self._watch(matchup, stack, taken, rng)
        cases = {}
        for stack in alive:
            forked = stack in self.workers and self.workers[stack].forked
            done, ready = self._ask([matchup], stack, "finish"), prepared[stack]
            if not done or not ready or (matchup.id, stack) in self.failed:
                continue
            samples = _samples(taken.counted_turns(stack))
            if min(samples) > 0:
                told = {
                    "samples_s": samples,
                    "process": "forked" if forked else "fresh",
                    "interference": gate.evidence(taken, stack, since),
                }
                cases[str(stack)] = ready | done | told | {"turns": taken.turns(stack)}
            else:
                # The noise of this launch is larger than what is sought; the turns stay on record.
                key = {"matchup": matchup.id, "launch": self.index, "stack": str(stack)}
                self.context.append("unresolved", **key, turns=taken.turns(stack))
        self.context.append("launch", matchup=matchup.id, launch=self.index, cases=cases)

    def _watch(self, matchup: Matchup, stack: Stack, taken: gate.Taken, rng: random.Random) -> None:
        """Read what a worker takes while it repeats its work; nothing of it is a sample."""
        worker, turns = self.workers.get(stack), taken.counted_turns(stack)
        if worker is None or not turns or (matchup.id, stack) in self.failed:
            return
        told = watching.watch(
            lambda seconds: self._ask([matchup], stack, "sustain", seconds=seconds),
            worker.pid,
            watch_s=watching.WATCH_S[self.context.selection.effort],
            step_s=median(turn["run_s"] for turn in turns),
            device=self.context.selection.device,
            rng=rng,
        )
        self.context.append("telemetry", matchup=matchup.id, stack=str(stack), telemetry=told)

    def _round(self, matchup: Matchup, order: Iterable[Stack]) -> dict[Stack, Any] | None:
        """A turn of every stack that has not failed; ``None`` where none is left."""
        turns = {}
        for stack in order:
            if (matchup.id, stack) in self.failed:
                continue
            turn = self._ask([matchup], stack, "turn")
            if turn:
                pids = [worker.pid for worker in self.workers.values()]
                turn["record"]["gpu"] = self.context.gate.gpu_reasons(pids)
                turns[stack] = turn
        return turns or None

    def _ask(
        self,
        matchups: list[Matchup],
        stack: Stack,
        verb: str,
        *,
        restart: bool = True,
        **arguments: Any,
    ) -> dict[str, Any] | None:
        """Ask a worker on behalf of some matchups.

        If it fails, they have failed for this stack, and a new worker serves the others.
        """
        worker = self.workers.get(stack)
        if worker is None or all((m.id, stack) in self.failed for m in matchups):
            return None
        try:
            return worker.ask(verb, deadline_s=self.context.selection.timeout_s, **arguments)
        except WorkerError as error:
            for matchup in matchups:
                if stack in self.wanted[matchup]:
                    self._fail(matchup, stack, error)
            self.workers.pop(stack).kill()
            if restart and not self.closing and self._left(stack):
                self._start(stack, cache=None)
            return None

    def _left(self, stack: Stack) -> bool:
        """Whether a stack still has something to measure."""
        return any(
            stack in of and matchup.phase != COLD and (matchup.id, stack) not in self.failed
            for matchup, of in self.wanted.items()
        )

    def _fail(self, matchup: Matchup, stack: Stack, error: WorkerError) -> None:
        if self.closing or (matchup.id, stack) in self.failed:
            return
        self.failed.add((matchup.id, stack))
        self.context.append(
            "failure",
            matchup=matchup.id,
            stack=str(stack),
            launch=self.index,
            status=error.status,
            reason=error.reason,
            failure=to_json(error.failure) | {"launch": self.index},
        )


def _samples(turns: Sequence[Mapping[str, Any]]) -> list[float]:
    """What each turn took beyond the baseline; the launch's median steadies the baseline."""
    baseline_s = median(turn["baseline_s"] for turn in turns)
    return [turn["run_s"] - baseline_s for turn in turns]


def _part(phase: str) -> str | None:
    """The part of the check that a phase rests on; loading data rests on none."""
    return {"forward": "inference", "dataload": None}.get(phase, "training")
