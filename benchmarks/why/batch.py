"""The largest batch that fits into memory, by trying: each try in a process that is thrown away."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import peaks
from benchmarks.request.selection import SelectionError
from benchmarks.results.records import Exit, Stack
from benchmarks.why._shared.command import emit
from benchmarks.why._shared.largest import search
from benchmarks.why._shared.subjects import TURN_S, Subject, ask, started
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers import host, rss

HELP = "the largest batch that fits into memory, and what each batch takes"
WARM_S = 0.1
SHARE = 0.5
"""The part of the free memory that a worker may hold unless a limit is given."""
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One batch in one worker. ``peak_rss_bytes`` is its own peak; ``None`` where it left none.

    ``allocator_peak_bytes`` is the device's, as the framework's allocator counts it.
    """

    batch: int
    fits: bool
    reason: str | None = None
    status: str = "ok"
    peak_rss_bytes: int | None = None
    allocator_peak_bytes: int | None = None
    step_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer for a stack: ``None`` where nothing fits, or nothing could be tried."""

    stack: str
    largest: int | None
    reason: str | None
    tries: tuple[Try, ...] = ()

    @property
    def doubts(self) -> list[str]:
        """Times that cannot be, because a larger batch seems to cost less."""
        return peaks.falling((t.batch, t.step_s) for t in self.tries if t.step_s)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of this command."""
    parser.add_argument("--most", type=int, metavar="N", help="try no larger batch")
    parser.add_argument(
        "--limit-bytes",
        type=int,
        metavar="B",
        help="memory that a worker may hold on the CPU (default: half of what is free)",
    )


def main(subject: Subject, asked: argparse.Namespace, console: Console) -> int:
    """Search for each stack in turn; a stack that cannot be tried costs itself alone."""
    limit, guard = _limits(subject, asked)
    if limit:
        console.print(f"a worker may hold {limit / MIB:,.0f} MiB")
    found = [Found(stack=str(s), largest=None, reason=why) for s, why in subject.lacking.items()]
    for stack in subject.stacks:
        found.append(_searched(subject, stack, asked.most, limit, guard))
        console.print(_table(found[-1]))
        for doubt in found[-1].doubts:
            console.print(f"{stack}: {doubt}")
    if asked.json:
        document = {
            "model": subject.group.model,
            "phase": subject.matchup.phase,
            "precision": subject.matchup.precision,
            "device": subject.matchup.device,
            "limit_bytes": limit,
            "stacks": [asdict(f) | {"doubts": f.doubts} for f in found],
        }
        emit(document)
    else:
        sys.stdout.writelines(f"{f.stack}: {_answer(f)}\n" for f in found)
    return Exit.OK if all(f.largest for f in found) else Exit.INCOMPLETE


def _limits(subject: Subject, asked: argparse.Namespace) -> tuple[int | None, int | None]:
    """Resident bytes on the CPU, and the bytes of private memory beyond which a request fails.

    A device has a limit of its own, and says when it is reached.
    """
    for what, value in (("--most", asked.most), ("--limit-bytes", asked.limit_bytes)):
        if value is not None and value < 1:
            raise SelectionError(f"{what} is {value}; it must be at least 1")
    free = host.available_bytes()
    if asked.limit_bytes is not None:
        return asked.limit_bytes, free.value
    if subject.matchup.device != "cpu":
        return None, None
    if free.value is None:
        raise SelectionError(f"--limit-bytes is needed here: {free.reason}")
    return int(SHARE * free.value), free.value


def _searched(
    subject: Subject, stack: Stack, most: int | None, limit: int | None, guard: int | None
) -> Found:
    tries: list[Try] = []

    def fits(batch: int) -> bool:
        tries.append(attempt(at(subject, batch), stack, limit, guard))
        return tries[-1].fits

    largest = search(fits, subject.matchup.batch, most)
    first_bad = min((t for t in tries if not t.fits), key=lambda t: t.batch, default=None)
    if first_bad is None:
        reason = f"no larger one was tried (--most {most})"
    else:
        reason = f"{first_bad.batch}: {first_bad.reason}"
    return Found(
        stack=str(stack),
        largest=largest,
        reason=reason,
        tries=tuple(sorted(tries, key=lambda t: t.batch)),
    )


def at(subject: Subject, batch: int) -> Subject:
    """The same with another batch."""
    group = replace(subject.group, size=replace(subject.group.size, batch=batch))
    return replace(subject, group=group, matchup=replace(subject.matchup, batch=batch))


def attempt(subject: Subject, stack: Stack, limit: int | None, guard: int | None) -> Try:
    """A few iterations of a batch in a new worker; whatever ends it is an answer."""
    watchers: list[rss.Watcher] = []

    def watch(worker: WorkerProcess) -> None:
        if guard is not None:
            rss.forbid_more(worker.pid, guard)
        watchers.append(rss.Watcher(worker.pid, limit).start())

    phase = subject.matchup.phase
    try:
        with started(subject, stack, spawned=watch) as worker:
            ready = ask(worker, subject, "prepare", phase=phase, turn_s=TURN_S, warm_s=WARM_S)
            memory = ask(worker, subject, "finish")["memory"]
    except WorkerError as error:
        return _failed(subject.matchup.batch, error, watchers, limit)
    finally:
        for watcher in watchers:
            watcher.stop()
    peak = memory["peak_rss_bytes"]
    over = limit is not None and peak is not None and peak > limit  # between two looks
    return Try(
        batch=subject.matchup.batch,
        fits=not over,
        reason=_over(limit) if over else None,
        status="oom_host" if over else "ok",
        peak_rss_bytes=peak,
        allocator_peak_bytes=memory["device_peak_bytes"],
        step_s=median(ready["warmup_s"][-3:]),
    )


def _failed(batch: int, error: WorkerError, watchers: list[rss.Watcher], limit: int | None) -> Try:
    ended = any(watcher.over for watcher in watchers)
    return Try(
        batch=batch,
        fits=False,
        status="oom_host" if ended else error.status,
        reason=_over(limit) if ended else error.reason,
        peak_rss_bytes=watchers[0].peak_bytes if watchers else None,
    )


def _over(limit: int | None) -> str:
    return f"it held more than {(limit or 0) / MIB:,.0f} MiB"


def _answer(found: Found) -> str:
    return f"{found.largest or 'none'} ({found.reason})"


def _table(found: Found) -> Table:
    table = Table(title=f"{found.stack}: largest batch {_answer(found)}", title_justify="left")
    for column in ("batch", "peak RSS MiB", "allocator peak MiB", "iteration ms"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("fits, or why not", overflow="fold")
    for done in found.tries:
        table.add_row(
            str(done.batch),
            _shown(done.peak_rss_bytes, MIB),
            _shown(done.allocator_peak_bytes, MIB),
            _shown(done.step_s, 1e-3),
            done.reason or "fits",
        )
    return table


def _shown(value: Any, unit: float) -> str:
    return "-" if value is None else f"{value / unit:,.1f}"
