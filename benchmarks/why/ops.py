"""Which operations a step is made of, stack beside stack, and what explains the difference."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import names
from benchmarks.request import options
from benchmarks.request.selection import SelectionError
from benchmarks.results import wording
from benchmarks.results.profiles import Explained, Part, StepProfile
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import encode, to_json
from benchmarks.why._shared import confirmations, documents, profiling
from benchmarks.why._shared.command import emit
from benchmarks.why._shared.files import folder_of
from benchmarks.why._shared.subjects import Subject
from profilers.ops import taxonomy
from profilers.ops.account import spent

HELP = "Which operations a step is made of, and which of them explain the difference."
TOP = 8
"""Operations shown of each stack,"""
SHOWN = 20
"""and lines of a comparison."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of this command."""
    parser.add_argument(
        "--steps", type=int, default=5, metavar="N", help="of each recording (default: %(default)s)"
    )
    parser.add_argument(
        "--recordings",
        type=int,
        default=5,
        metavar="N",
        help="of each stack, taken in turn (default: %(default)s)",
    )
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="time the experiment behind each explanation, interleaved as any matchup",
    )


def main(subject: Subject, asked: argparse.Namespace, console: Console) -> int:
    """Profile each stack, print the tables, keep them under ``<out>/profiles/<matchup>``.

    A stack that cannot be profiled costs itself alone.
    """
    for name in ("steps", "recordings"):
        if getattr(asked, name) < 1:
            raise SelectionError(f"--{name} is {getattr(asked, name)}; it must be at least 1")
    failed = {str(stack): f"unsupported: {why}" for stack, why in subject.lacking.items()}
    profiles, more = profiling.take_all(
        subject, subject.stacks, steps=asked.steps, recordings=asked.recordings
    )
    failed |= more
    for stack, why in failed.items():
        console.print(f"{stack}: {why}", soft_wrap=True)
    told = documents.of(subject, profiles, failed)
    if not asked.json:
        _show(console, profiles, told.explained)
    if profiles:
        _keep(subject, told, asked.out)  # an experiment takes minutes, and may be interrupted
    if profiles and asked.confirm:
        tried = confirmations.carry_out(subject, told.explained, asked.out, console)
        told = replace(told, confirmed=tried)
        _keep(subject, told, asked.out)
    if asked.json:
        emit(to_json(told))
    return Exit.INCOMPLETE if failed else Exit.OK


def _keep(subject: Subject, told: StepProfile, out: Path) -> None:
    kept = folder_of(subject, out) / "ops.json"
    written = names.hidden(to_json(told), options.words(subject.selection))
    journal.store(kept, encode(written))


def _show(console: Console, profiles: list[profiling.Profile], found: Iterable[Explained]) -> None:
    for profile in profiles:
        account = profile.account
        share = sum(spent(r) for r in account.rows if r.category == taxonomy.OTHER) / account.wall_s
        table = Table(title=f"{profile.stack}: {account.wall_s * 1e3:.3f} ms a step, profiled")
        for heading in ("operation", "category", "phase", "layer", "calls", "ms", "share"):
            figures = heading in {"calls", "ms", "share"}
            table.add_column(heading, justify="right" if figures else "left", overflow="fold")
        for row in account.rows[:TOP]:
            table.add_row(
                row.op,
                row.category,
                row.phase,
                row.layer or "",
                f"{row.calls:g}",
                f"{spent(row) * 1e3:.3f}",
                f"{spent(row) / account.wall_s:.1%}",
            )
        table.add_row(
            taxonomy.OVERHEAD, "", "", "", "",
            f"{account.overhead_s * 1e3:.3f}", f"{account.overhead_s / account.wall_s:.1%}",
        )  # fmt: skip
        console.print(table)
        console.print(f"not in any category: {share:.1%}; timed without the profiler: "
                      f"{profile.timed_s * 1e3:.3f} ms", soft_wrap=True)  # fmt: skip
        for line in (*map(wording.implementation, account.implementations), *profile.notes):
            console.print(f"  {line}", soft_wrap=True, markup=False)
    for pair in found:
        for heading, lines in (("category", pair.categories), ("layer", pair.layers)):
            if lines:
                console.print(_side_by_side(pair, f"phase · {heading}", lines))
        if pair.doubt:
            console.print(pair.doubt, soft_wrap=True)
        for one in pair.sentences:
            hint = f" Try: {one.experiment.text}." if one.experiment else ""
            console.print(f"{one.text}{hint}", soft_wrap=True)


def _side_by_side(pair: Explained, first: str, lines: Sequence[Part]) -> Table:
    table = Table(title=f"{pair.b} takes {pair.gap_s * 1e3:.3f} ms more than {pair.a}")
    table.add_column(first, overflow="fold")
    for heading in (
        f"{pair.a} ms",
        f"{pair.b} ms",
        "difference",
        "by recording",
        "share",
        "so far",
    ):
        table.add_column(heading, justify="right", overflow="fold")
    if len(lines) > SHOWN:
        largest = sorted(lines, key=lambda x: -abs(x.delta_s))[:SHOWN]
        table.caption = f"the {SHOWN} largest of {len(lines)}; the rest in ops.json"
        lines = [x for x in lines if x in largest]
    for line in lines:
        table.add_row(
            line.key,
            f"{line.a_s * 1e3:.3f}",
            f"{line.b_s * 1e3:.3f}",
            f"{line.delta_s * 1e3:+.3f}",
            " to ".join(f"{s * 1e3:+.3f}" for s in line.range_s or ()),
            "" if line.share is None else f"{line.share:.0%}",
            "" if line.cumulative is None else f"{line.cumulative:.0%}",
        )
    return table
