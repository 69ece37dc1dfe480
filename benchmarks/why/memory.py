"""What a model holds in memory: built, and in each phase, with the timeline between."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.results.records import Exit, Stack
from benchmarks.why._shared.command import emit
from benchmarks.why._shared.subjects import TURN_S, Subject, ask, started
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers import host, rss

HELP = "peak memory after building and in each phase, and its timeline"
PHASES = ("forward", "backward", "train_step")
WARM_S = 0.5
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A stage of a worker's life: when it ended, in seconds, and the most that it held.

    ``allocator_peak_bytes`` is the device's, as the framework's allocator counts it.
    """

    stage: str
    ended_s: float
    peak_rss_bytes: int | None
    allocator_peak_bytes: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A stack's stages, and ``timeline``: seconds since its start, and bytes resident."""

    stack: str
    reason: str | None = None
    stages: tuple[Mark, ...] = ()
    timeline: tuple[tuple[float, int], ...] = ()


def arguments(parser: argparse.ArgumentParser) -> None:
    """This command has no flags of its own."""


def main(subject: Subject, asked: argparse.Namespace, console: Console) -> int:
    """Watch each stack in turn; one that fails keeps what was seen of it until then."""
    held = [Held(stack=str(s), reason=why) for s, why in subject.lacking.items()]
    phases = tuple(dict.fromkeys((*PHASES, subject.matchup.phase)))
    held += [_watched(subject, stack, phases) for stack in subject.stacks]
    if asked.json:
        document = {
            "model": subject.group.model,
            "batch": subject.matchup.batch,
            "precision": subject.matchup.precision,
            "device": subject.matchup.device,
            "stacks": [asdict(h) for h in held],
        }
        emit(document)
    else:
        console.print(_table(held))
    return Exit.OK if all(h.reason is None for h in held) else Exit.INCOMPLETE


def _watched(subject: Subject, stack: Stack, phases: tuple[str, ...]) -> Held:
    marks: list[Mark] = []
    watchers: list[rss.Watcher] = []
    reason = None

    def watch(worker: WorkerProcess) -> None:
        watchers.append(rss.Watcher(worker.pid).start())

    try:
        with started(subject, stack, spawned=watch) as worker:
            (watcher,) = watchers
            built = host.peak_rss_bytes(worker.pid)
            marks.append(
                Mark(
                    stage="build",
                    ended_s=watcher.seconds(),
                    peak_rss_bytes=built.value,
                    reason=built.reason,
                )
            )
            marks.extend(_phase(worker, subject, phase, watcher) for phase in phases)
    except WorkerError as error:
        reason = f"{error.status}: {error.reason}"
    finally:
        for watcher in watchers:
            watcher.stop()
    timeline = tuple(entry for watcher in watchers for entry in watcher.timeline)
    return Held(stack=str(stack), reason=reason, stages=tuple(marks), timeline=timeline)


def _phase(worker: WorkerProcess, subject: Subject, phase: str, watcher: rss.Watcher) -> Mark:
    """Prepared as for timing, which starts the peaks anew, and finished."""
    ask(worker, subject, "prepare", phase=phase, turn_s=TURN_S, warm_s=WARM_S)
    memory = ask(worker, subject, "finish")["memory"]
    return Mark(
        stage=phase,
        ended_s=watcher.seconds(),
        peak_rss_bytes=memory["peak_rss_bytes"],
        allocator_peak_bytes=memory["device_peak_bytes"],
        reason=memory["peak_rss_reason"],
    )


def _table(held: list[Held]) -> Table:
    table = Table(title="peak memory, MiB", title_justify="left")
    for column in ("stack", "stage", "resident", "allocator", ""):
        figures = column in {"resident", "allocator"}
        table.add_column(column, justify="right" if figures else "left", overflow="fold")
    for one in held:
        for mark in one.stages:
            peaks = (_mib(mark.peak_rss_bytes), _mib(mark.allocator_peak_bytes))
            table.add_row(one.stack, mark.stage, *peaks, mark.reason or "")
        if one.reason:
            table.add_row(one.stack, "-", "-", "-", one.reason)
    return table


def _mib(value: Any) -> str:
    return "-" if value is None else f"{value / MIB:,.1f}"
