"""The workers of one launch: started, asked, and replaced where they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure.launches.rounds import Gate
from benchmarks.measure.means import Means
from benchmarks.measure.session import Event
from benchmarks.request import discovery
from benchmarks.request.plan import Group
from benchmarks.request.selection import Effort, Selection
from benchmarks.results.records import COLD, Failure, Matchup, Stack
from benchmarks.results.stored.codec import to_json
from benchmarks.worker import briefing
from benchmarks.worker.process import WorkerError, WorkerProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every launch of a run shares.

    ``cache`` holds the compilers' caches of the run; ``gate`` judges which rounds count.
    """

    means: Means
    selection: Selection
    effort: Effort
    threads: int
    cache: Path
    gate: Gate


@dataclass
class Workers:
    """A worker per stack; ``failed`` collects stacks to leave out, by matchup.

    ``wanted`` maps each matchup of launch ``index`` still to be measured to its stacks;
    ``handoffs`` are what the proof found of each engine.
    """

    context: Context
    group: Group
    index: int
    wanted: dict[Matchup, tuple[Stack, ...]]
    handoffs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failed: set[tuple[str, Stack]] = field(default_factory=set)
    alive: dict[Stack, WorkerProcess] = field(default_factory=dict)
    closing: bool = False
    _events: list[Event] = field(default_factory=list)

    @property
    def _cold(self) -> bool:
        """Whether this launch measures cold starts."""
        asked = any(m.phase == COLD for m in self.wanted)
        return asked and self.index < self.context.effort.cold_launches

    def _cache(self, stack: Stack) -> Path:
        """Where a stack's compiler caches: a new folder for a cold launch, else the first one."""
        launch = self.index if self._cold else 0
        return self.context.cache / self.group.name / str(launch) / str(stack)

    def happened(self) -> Iterator[Event]:
        """What is to be recorded since it was last asked for."""
        while self._events:
            yield self._events.pop(0)

    def _note(self, kind: str, **data: Any) -> None:
        self._events.append(Event(kind, data))

    def start_all(self, stacks: list[Stack]) -> Iterator[Event]:
        """One after the other where the start itself is measured, else two at a time."""
        if self._cold:
            for stack in stacks:
                self._start(stack)
                yield from self.happened()
            return
        # The kernel ends a worker with the thread that spawned it, so this thread spawns them all.
        for stack in stacks:
            self._spawn(stack)
        with ThreadPoolExecutor(max_workers=2) as pool:
            try:
                for started in [pool.submit(self._build, stack, None) for stack in stacks]:
                    started.result()
            except BaseException:
                self.closing = True
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in list(self.alive.values()):
                    worker.kill()
                raise
        yield from self.happened()

    def _start(self, stack: Stack, cache: str | None = "empty") -> None:
        self._spawn(stack)
        self._build(stack, cache)

    def _spawn(self, stack: Stack) -> None:
        chosen = self.context.selection
        python = chosen.variant(stack).python
        cache = self._cache(stack)
        self.alive[stack] = self.context.means.start(stack, cache, python, passed=chosen.env)

    def _build(self, stack: Stack, cache: str | None) -> None:
        """Let a worker import and build; a failure costs all its cases here.

        ``cache`` says in what state the start finds the compiler's cache; ``None``: do not time it.
        """
        needs_data = any(discovery.load("phases", m.phase).NEEDS_DATA for m in self.wanted)
        stamps = self.ask(
            list(self.wanted),
            stack,
            "start",
            restart=False,
            spawned=self.alive[stack].spawned,
            job=briefing.job(
                self.group,
                self.context.selection,
                stack,
                self.context.threads,
                self.handoffs[self.context.selection.engine(stack)],
                needs_data=needs_data,
            ),
        )
        if stamps is None:
            return
        colds = [m for m, of in self.wanted.items() if m.phase == COLD and stack in of]
        if colds and self._cold and cache:
            step = self.ask(colds, stack, "first_step")
            if step is None:
                return
            self._append_cold(colds[0], stack, stamps | step, cache)
        # Not before the first step: to read a setting back may start a compiler.
        told = self.ask(list(self.wanted), stack, "settings", restart=False)
        if told:
            self._note(
                "settings", model=self.group.name, stack=str(stack), settings=told["settings"]
            )

    def _append_cold(
        self, matchup: Matchup, stack: Stack, stamps: dict[str, Any], cache: str
    ) -> None:
        self._note(
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

    def warm_starts(self) -> Iterator[Event]:
        """Start each stack that filled its compiler's cache once more, now that it is full."""
        for matchup, of in self.wanted.items():
            for stack in of if matchup.phase == COLD and self._cold else ():
                filled = any(path.is_file() for path in self._cache(stack).rglob("*"))
                if filled and stack in self.alive:
                    self.dismiss(stack)
                    self._start(stack, cache="warm")
                    yield from self.happened()

    def dismiss(self, stack: Stack) -> None:
        """Let a worker go that has done its work; how it ended is noted, where not in order."""
        if how := self.alive.pop(stack).quit():
            self._note(
                "disorder",
                model=self.group.name,
                launch=self.index,
                stack=str(stack),
                how=how,
            )

    def dismissed(self) -> Iterator[Event]:
        """Let all workers go that are left."""
        for stack in list(self.alive):
            self.dismiss(stack)
            yield from self.happened()

    def end(self) -> None:
        """Let every worker go; what fails from here on is no failure."""
        self.closing = True
        for worker in list(self.alive.values()):
            worker.quit()

    def ask(
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
        worker = self.alive.get(stack)
        if worker is None or all((m.id, stack) in self.failed for m in matchups):
            return None
        try:
            return _finite(
                worker.ask(verb, deadline_s=self.context.selection.timeout_s, **arguments), verb
            )
        except WorkerError as error:
            for matchup in matchups:
                if stack in self.wanted[matchup]:
                    self._fail(matchup, stack, error)
            self.alive.pop(stack).kill()
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
        self._note(
            "failure",
            matchup=matchup.id,
            stack=str(stack),
            launch=self.index,
            status=error.status,
            reason=error.reason,
            failure=to_json(error.failure) | {"launch": self.index},
        )


def _finite(answer: dict[str, Any], verb: str) -> dict[str, Any]:
    """An answer without what is no number.

    Raises:
        WorkerError: it has a NaN or an infinity, which no journal takes.
    """
    try:
        json.dumps(answer, allow_nan=False)
    except ValueError:
        reason = f"the answer to {verb!r} holds a number that is none (NaN or infinite)"
        raise WorkerError("invalid", reason, Failure()) from None
    return answer
