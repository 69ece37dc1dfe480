"""What a person sees while a run goes on: bars at a terminal, plain lines elsewhere.

Nothing is redrawn while a worker is being timed: on two cores the drawing itself would be measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from benchmarks.measure.schedule import left
from benchmarks.measure.schedule.pace import Countdown
from benchmarks.measure.session import Event, Session
from benchmarks.results.records import COLD, Parity, Run, TimedCheck
from benchmarks.results.wording import (
    ABSENT,
    duration,
    error_words,
    headline,
    plain,
    plural,
    proof_lines,
    repeats,
    short,
    verdict_lines,
    watching_cost,
)

PROVEN = (
    "output",
    "postprocessed",
    "choices",
    "generated_tokens",
    "generated_logits",
    "cache",
    "loss",
    "gradients",
    "input_gradients",
    "after_steps_task",
    "after_steps_sgd",
)
"""The quantities of a proof, in the order of a training step."""
FEW = 4
"""Models of which every error is shown."""
SOON_S = 15
"""Below so many seconds the time left is not told more exactly."""


class Telling:
    """Tells a console: a bar with the time left at a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.launches = 0
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            auto_refresh=False,  # a thread that redraws would run beside what is being timed
            transient=True,
        )
        self.task = self.bar.add_task("", total=None, left="")
        self.countdown = Countdown()

    def beside(self) -> Telling:
        """Tells the same console of another run."""
        return Telling(self.console)

    def begin(self, session: Session) -> None:
        """Say what will be measured."""
        plan = session.plan
        self.launches = plan.effort.launches
        phases = [sum(m.phase != COLD for m in g.matchups) for g in plan.groups]
        self.bar.update(self.task, total=sum(1 + self.launches * (1 + n) for n in phases))
        cases = sum(len(g.matchups) * len(g.stacks) for g in plan.groups)
        matchups = sum(len(g.matchups) for g in plan.groups)
        models = len({g.model for g in plan.groups})
        self._say(
            f"{plural(cases, 'case')} in {plural(matchups, 'matchup')} of"
            f" {plural(models, 'model')}, {plural(self.launches, 'launch', 'es')} each"
        )
        if session.log.damaged:
            lines = plural(session.log.damaged, "damaged line")
            self._say(f"{lines} of the journal moved to {session.log.path.name}.bad, not used")
        for stack, reason in plan.unsupported.items():
            self._say(f"  {stack}: unsupported, {reason}")
        if self.console.is_terminal:
            self.bar.start()

    def told(self, event: Event, session: Session) -> None:
        """Show what is going on, and what came of it."""
        for line in _lines(event, session):
            self._say(line)
        data = event.data
        match event.kind:
            case "proof":
                self.bar.advance(self.task)
            case "proving":
                self._status(f"{data['model']}: proving the twins identical")
            case "starting":
                self._step(data["model"], data["launch"], "starting workers", session)
            case "timing":
                self._step(data["model"], data["launch"], data["phase"], session)
            case "profiling":
                self._status(f"{data['matchup']}: profile")

    def end(self) -> None:
        """Take the bar away."""
        self.bar.stop()

    def _step(self, model: str, launch: int, step: str, session: Session) -> None:
        if launch < self.launches:
            text = f"{model}: launch {launch + 1}/{self.launches}, {step}"
            self._status(text, self._time_left(session))
            self.bar.advance(self.task)
        elif step == "starting workers":
            narrow = session.plan.selection.until_ci
            why = "its intervals are the widest" if narrow else "a call is near"
            self._status(f"{model}: launch {launch + 1}, {why}", self._time_left(session))

    def _time_left(self, session: Session) -> str:
        """How long the launches of the effort will go on, and what follows them."""
        told, chosen = left.seconds(session), session.plan.selection
        if told is None:
            return ""
        shown_s, budget_s = self.countdown.next(told), left.remaining_s(session)
        soon = shown_s < SOON_S  # a few seconds are not foretold one by one
        parts = [f"less than {SOON_S} s left" if soon else f"about {_clock(shown_s)} left"]
        if chosen.until_ci:
            parts.append("then until intervals are narrow")
        elif budget_s < math.inf and not told:
            parts = [f"at most {_clock(max(0.0, budget_s))} left"]
        elif shown_s < budget_s < math.inf:
            parts.append(f"then up to {_clock(budget_s - shown_s)} where a call is near")
        return ", ".join([*parts, "then profiles"] if chosen.profile else parts)

    def _say(self, line: str) -> None:
        """One line, however long, of exactly these characters."""
        self.console.print(Text(plain(line)), soft_wrap=True)

    def _status(self, text: str, about: str = "") -> None:
        self.bar.update(self.task, description=plain(text), left=about)
        if self.console.is_terminal:
            self.bar.refresh()
            return
        shown = self.bar.tasks[self.task]
        until = f", {about}" if about else ""
        self._say(f"[{shown.completed:.0f}/{shown.total or 0:.0f}] {text}{until}")


def _clock(seconds: float) -> str:
    """Minutes and seconds, as on a clock."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def _lines(event: Event, session: Session) -> Iterator[str]:
    """What is to be read of an event once the run is over, too."""
    kind, data = event
    if kind == "calibrating":
        yield f"first, {data['why']}"
    elif kind == "proof":
        yield from proof_lines(data["model"], session.ledger.proofs[data["model"]])
    elif kind == "concluded":
        mine = next(g.matchups for g in session.plan.groups if g.name == data["model"])
        for result in session.run().matchups:
            if result.matchup in mine:
                yield from verdict_lines(result)


def proof_table(proofs: Mapping[str, Parity], seconds: Mapping[str, float]) -> Table | None:
    """What was counted, the relative L2 errors, and each stack as timed.

    A few models have a column each, with every error; more have a row each, with the largest.
    Figures that none has at all make no table: why stands in the lines above it.

    Args:
        proofs: by model.
        seconds: by model, how long its proof and its checks took.
    """
    return _columns(proofs) if len(proofs) <= FEW else _rows(proofs, seconds)


def _rows(proofs: Mapping[str, Parity], seconds: Mapping[str, float]) -> Table:
    """A row per model: its largest error, and the check as timed that comes nearest its bound."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("model", overflow="fold")
    heads = ("proof", "parameters", "GFLOP", "error", "of bound", "findings", "s")
    for head in heads:
        table.add_column(head, justify="right", overflow="fold")
    for model, found in proofs.items():
        shares = [_share(check) for check in found.timed]
        error = found.largest_error if found.max_rel_error else None
        cells = (
            found.status,
            f"{found.parameters:,}" if found.parameters else ABSENT,
            ABSENT if found.forward_flops is None else f"{found.forward_flops / 1e9:.3g}",
            ABSENT if error is None else f"{error:.1e}",
            f"{max(shares):.1%}" if shares else ABSENT,
            str(len(found.findings)),
            f"{seconds[model]:.0f}",
        )
        table.add_row(_cell(model), *cells)
    return table


def _columns(proofs: Mapping[str, Parity]) -> Table | None:
    """A column per model.

    A stack's figure is the error that uses up most of its bound, beside that bound. What no model
    has gets no row.
    """
    found = list(proofs.values())
    rows = [
        ("parameters", [f"{p.parameters:,}" if p.parameters else "" for p in found]),
        (
            "forward GFLOP",
            ["" if p.forward_flops is None else f"{p.forward_flops / 1e9:.4g}" for p in found],
        ),
    ]
    for quantity in PROVEN:
        errors = (p.max_rel_error.get(quantity) for p in found)
        rows.append((quantity, ["" if error is None else f"{error:.1e}" for error in errors]))
    for stack in dict.fromkeys(check.stack for p in found for check in p.timed):
        worst = (
            max((c for c in p.timed if c.stack == stack), key=_share, default=None) for p in found
        )
        rows.append((stack, [_of_bound(c) if c else "" for c in worst]))
    rows = [(name, cells) for name, cells in rows if any(cells)]
    if not rows:
        return None
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("", no_wrap=True)
    for model in proofs:
        table.add_column(_cell(model), justify="right", overflow="fold")
    table.add_row("proof", *(p.status for p in found))
    for name, cells in rows:
        table.add_row(name, *(cell or ABSENT for cell in cells))
    return table


def _share(check: TimedCheck) -> float:
    """How much of its bound an error uses up; infinity where it is no number."""
    return math.inf if check.error is None else check.error / check.bound


def _of_bound(check: TimedCheck) -> str:
    return f"{error_words(check.error, 0)} of {check.bound:.0e}"


Column = tuple[Text, Mapping[str, str]]
"""A heading, and by the id of a matchup what stands in its cell."""
UNBOUNDED = 1 << 16
"""A width in which every table fits."""


def summary(run: Run, console: Console) -> list[Table]:
    """Every matchup with the median of each stack and the headline verdicts.

    Two tables, medians and verdicts, where one would not fit into the width of the console.
    """
    medians, verdicts = list(_medians(run)), list(_verdicts(run))
    tables = [_table(run, [*medians, *verdicts])]
    wide = Measurement.get(console, console.options.update_width(UNBOUNDED), tables[0])
    if wide.maximum > console.width and medians and verdicts:
        tables = [_table(run, medians), _table(run, verdicts)]
    end = _shared_end(run)
    first, last = tables[0], tables[-1]
    first.title = _cell(f"run {run.run_id}", *([f"every matchup ends in {end}"] if end else []))
    below = [repeats(run.interference)] if run.interference.repeated else []
    below += [told] if (told := watching_cost(run.telemetry)) else []
    if below:
        last.caption_justify = "left"
        last.caption = _cell(*below)
    return tables


def _medians(run: Run) -> Iterator[Column]:
    """A column for each stack: its median, or why there is none."""
    for stack in dict.fromkeys(c.stack for r in run.matchups for c in r.cases):
        framework, _, mode = stack.partition("-")
        yield (
            _cell(f"{framework}-", mode),
            {
                r.matchup.id: duration(c.median_s) if c.status == "ok" else c.status
                for r in run.matchups
                for c in r.cases
                if c.stack == stack
            },
        )


def _verdicts(run: Run) -> Iterator[Column]:
    """A column for each pair of stacks: the verdict on it in a few words."""
    for a, b in dict.fromkeys((v.a, v.b) for r in run.matchups for v in headline(r)):
        words = {
            r.matchup.id: short(v) for r in run.matchups for v in r.verdicts if (v.a, v.b) == (a, b)
        }
        yield _cell(a, f"vs {b}"), words


def _table(run: Run, columns: Sequence[Column]) -> Table:
    """A row for each matchup."""
    table = Table(title_justify="left", show_edge=False, pad_edge=False)
    # Folded, however ugly: a narrow terminal, or a log of 80 columns, must not cost a figure.
    table.add_column("matchup", overflow="fold")
    for heading, _ in columns:
        table.add_column(heading, justify="right", overflow="fold")
    end = _shared_end(run)
    for result in run.matchups:
        name = result.matchup.id
        cells = (_cell(of.get(name, "")) for _, of in columns)
        table.add_row(_cell(name.removesuffix(end)), *cells)
    return table


def _shared_end(run: Run) -> str:
    """What all ids end in, in whole parts and at most three: precision, device, policy."""
    ids = [result.matchup.id for result in run.matchups]
    parts = [each.split(".")[-3:] for each in ids]
    shared = list[str]()
    for last in zip(*map(reversed, parts), strict=False):
        if len(ids) == 1 or len(set(last)) > 1:
            break
        shared.insert(0, f".{last[0]}")
    return "".join(shared)


def _cell(*lines: str) -> Text:
    return Text("\n".join(map(plain, lines)))
