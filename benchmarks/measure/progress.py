"""What a person sees while a run goes on: bars at a terminal, plain lines elsewhere.

Nothing is redrawn while a worker is being timed: on two cores the drawing itself would be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from benchmarks.request.plan import Group, Plan
from benchmarks.results.records import COLD, MatchupResult, Parity, Run, TimedCheck
from benchmarks.results.wording import (
    duration,
    headline,
    plain,
    proof_lines,
    repeats,
    short,
    verdict_lines,
    watching_cost,
)

PROVEN = (
    "output",
    "loss",
    "gradients",
    "input_gradients",
    "after_steps_task",
    "after_steps_sgd",
)
"""The quantities of a proof, in the order of a training step."""


class Listener(Protocol):
    """What the runner tells while it works."""

    def first(self, what: str) -> None:
        """A run that the one asked for needs is about to begin."""

    def begin(self, plan: Plan) -> None:
        """The plan is made."""

    def proving(self, group: Group) -> None:
        """The proof of a model starts."""

    def proved(self, group: Group, parity: Parity) -> None:
        """The proof of a model has ended."""

    def step(self, group: Group, launch: int, step: str) -> None:
        """A launch starts its workers (``start``) or a phase."""

    def finished(self, result: MatchupResult) -> None:
        """A matchup has all its launches."""

    def end(self) -> None:
        """The run is over, however it ended."""


class Telling:
    """Tells a console: a bar with the time left at a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.launches = 0
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,  # a thread that redraws would run beside what is being timed
            transient=True,
        )
        self.task = self.bar.add_task("", total=None)

    def first(self, what: str) -> None:
        """Say why something else is measured before what was asked for."""
        self._say(f"first, {what}")

    def begin(self, plan: Plan) -> None:
        """Say what will be measured."""
        self.launches = plan.effort.launches
        phases = [sum(m.phase != COLD for m in g.matchups) for g in plan.groups]
        self.bar.update(self.task, total=sum(1 + self.launches * (1 + n) for n in phases))
        cases = sum(len(g.matchups) * len(g.stacks) for g in plan.groups)
        matchups = sum(len(g.matchups) for g in plan.groups)
        self._say(
            f"{_many(cases, 'case')} in {_many(matchups, 'matchup')} of"
            f" {_many(len(plan.groups), 'model')}, {_many(self.launches, 'launch', 'es')} each"
        )
        for stack, reason in plan.unsupported.items():
            self._say(f"  {stack}: unsupported, {reason}")
        if self.console.is_terminal:
            self.bar.start()

    def proving(self, group: Group) -> None:
        """Show that the proof runs."""
        self._status(f"{group.model}: proving the twins identical")

    def proved(self, group: Group, parity: Parity) -> None:
        """One line: proven or not."""
        self.bar.advance(self.task)
        for line in proof_lines(group.model, parity):
            self._say(line)

    def step(self, group: Group, launch: int, step: str) -> None:
        """Show which launch and phase runs."""
        what = "starting workers" if step == "start" else step
        if launch < self.launches:
            self._status(f"{group.model}: launch {launch + 1}/{self.launches}, {what}")
            self.bar.advance(self.task)
        elif step == "start":
            self._status(f"{group.model}: launch {launch + 1}, its intervals are the widest")

    def finished(self, result: MatchupResult) -> None:
        """One line per headline pair, or the reasons where there is none."""
        for line in verdict_lines(result):
            self._say(line)

    def end(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _say(self, line: str) -> None:
        """One line, however long, of exactly these characters."""
        self.console.print(Text(plain(line)), soft_wrap=True)

    def _status(self, text: str) -> None:
        self.bar.update(self.task, description=plain(text))
        if self.console.is_terminal:
            self.bar.refresh()
            return
        shown = self.bar.tasks[self.task]
        left = shown.time_remaining
        eta = f", about {left // 60:.0f}:{left % 60:02.0f} left" if left else ""
        self._say(f"[{shown.completed:.0f}/{shown.total or 0:.0f}] {text}{eta}")


def _many(count: int, noun: str, ending: str = "s") -> str:
    return f"{count} {noun}{ending if count != 1 else ''}"


def proof_table(proofs: Mapping[str, Parity]) -> Table:
    """A column per model: what was counted, the relative L2 errors, and each stack as timed.

    A stack's figure is the error that uses up most of its bound, beside that bound.
    """
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    for model in proofs:
        table.add_column(_cell(model), justify="right", overflow="fold")
    found = list(proofs.values())
    table.add_row("proof", *(p.status for p in found))
    table.add_row("parameters", *(f"{p.parameters:,}" if p.parameters else "-" for p in found))
    table.add_row(
        "forward GFLOP",
        *("-" if p.forward_flops is None else f"{p.forward_flops / 1e9:.4g}" for p in found),
    )
    for quantity in PROVEN:
        errors = (p.max_rel_error.get(quantity) for p in found)
        table.add_row(quantity, *("-" if error is None else f"{error:.1e}" for error in errors))
    for stack in dict.fromkeys(check.stack for p in found for check in p.timed):
        worst = (
            max((c for c in p.timed if c.stack == stack), key=_share, default=None) for p in found
        )
        table.add_row(stack, *(f"{c.error:.0e} of {c.bound:.0e}" if c else "-" for c in worst))
    return table


def _share(check: TimedCheck) -> float:
    """How much of its bound an error uses up."""
    return check.error / check.bound


def summary(run: Run) -> Table:
    """Every matchup with the median of each stack and the headline verdicts."""
    stacks = list(dict.fromkeys(c.stack for r in run.matchups for c in r.cases))
    table = Table(title_justify="left", show_edge=False, pad_edge=False)
    table.title = _cell(f"run {run.run_id}")
    # Folded, however ugly: a narrow terminal, or a log of 80 columns, must not cost a figure.
    table.add_column("matchup", overflow="fold")
    for stack in stacks:
        framework, _, mode = stack.partition("-")
        table.add_column(_cell(f"{framework}-", mode), justify="right", overflow="fold")
    for a, b in _pairs(run):
        table.add_column(_cell(a, f"vs {b}"), justify="right", overflow="fold")
    for result in run.matchups:
        shown = {
            c.stack: duration(c.summary()["median_s"]) if c.status == "ok" else c.status
            for c in result.cases
        }
        words = {(v.a, v.b): short(v) for v in result.verdicts}
        table.add_row(
            _cell(result.matchup.id),
            *(_cell(shown.get(s, "")) for s in stacks),
            *(_cell(words.get(pair, "")) for pair in _pairs(run)),
        )
    below = [repeats(run.interference)] if run.interference.get("repeated") else []
    below += [watching_cost(run.telemetry)] if run.telemetry.get("share") is not None else []
    if below:
        table.caption_justify = "left"
        table.caption = _cell(*below)
    return table


def _cell(*lines: str) -> Text:
    return Text("\n".join(map(plain, lines)))


def _pairs(run: Run) -> list[tuple[str, str]]:
    return list(dict.fromkeys((v.a, v.b) for r in run.matchups for v in headline(r)))
