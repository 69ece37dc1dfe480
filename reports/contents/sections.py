"""What the sections of a report hold, as plain tables, so that every format shows the same.

A cell is what is read and what is sorted by; a figure that was not had sorts last and is shown as
a dash, never as 0.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.results import wording
from benchmarks.results.wording import proof_line
from reports.contents import text, verdicts
from reports.contents.palette import look
from reports.runs.load import cases_frame, cold_parts, number, sound, thinned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.results.records import Case, Learned, Matchup, MatchupResult, Parity, Run

MAX_SAMPLES = 200
MAX_SAMPLES_IN_ALL = 40_000  # keeps the page of a large run below 5 MB


class Cell(NamedTuple):
    """What is read, what is sorted by (``None`` sorts last), and a class for its colour."""

    text: str
    sort: float | str | None = None
    css: str = ""


class Column(NamedTuple):
    """A heading; numbers stand right-aligned."""

    key: str
    label: str
    numeric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table any format can write."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A parity proof and the matchups it holds for.

    ``model`` has batch and size behind it where the model was proven at several.
    """

    model: str
    parity: Parity
    matchups: tuple[str, ...]

    @property
    def line(self) -> str:
        """The proof in one line."""
        return proof_line(self.model, self.parity)


def cases(run: Run) -> Table:
    """Every case, valid or not."""
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        Column("conditions", "Conditions"),
        Column("stack", "Stack"),
        Column("status", "Status"),
        Column("median", "Median", numeric=True),
        Column("iqr", "IQR", numeric=True),
        Column("min", "Minimum", numeric=True),
        Column("rate", "Items/s", numeric=True),
        Column("flops", "FLOP/s", numeric=True),
        Column("samples", "Samples", numeric=True),
    )
    frame = cases_frame(run)
    results = [result.matchup for result in run.matchups for _ in result.cases]
    rows = [_case_row(row, m) for row, m in zip(frame.to_dict("records"), results, strict=True)]
    return Table(caption="Every case", columns=columns, rows=tuple(rows))


def cold_starts(run: Run) -> Table | None:
    """Import, build and first step per stack and cache, and when a compiled stack has paid."""
    columns = (
        Column("model", "Model"),
        Column("stack", "Stack"),
        Column("cache", "Cache"),
        Column("import", "Import", numeric=True),
        Column("build", "Build", numeric=True),
        Column("first", "First step", numeric=True),
        Column("total", "Total", numeric=True),
        Column("payback", "Compile time paid back"),
    )
    rows = []
    for result in run.matchups:
        for case in result.cases:
            for cache in ("empty", "warm"):
                if parts := cold_parts(case, cache):
                    paid = payback(run, result, case) if cache == "empty" else ""
                    head = (_name(result.matchup.model), stack_cell(case.stack), Cell(cache, cache))
                    times = (_time(s) for s in (*parts, sum(parts)))
                    rows.append((*head, *times, Cell(paid, css="wrap")))
    return _table("Cold start", columns, rows)


def payback(run: Run, result: MatchupResult, case: Case) -> str:
    """After how many training steps a compiled stack overtakes the plain one of its framework.

    Steps = (extra cold start) / (seconds gained per step), both from medians; empty where the run
    lacks one of the four figures.
    """
    framework = case.stack.partition("-")[0]
    plain = next(
        (
            c
            for c in result.cases
            if c.stack.partition("-")[0] == framework and not look(c.stack).hollow
        ),
        None,
    )
    if not look(case.stack).hollow or plain is None:
        return ""
    costs = cold_parts(case, "empty"), cold_parts(plain, "empty")
    steps = _step_s(run, result.matchup, case.stack), _step_s(run, result.matchup, plain.stack)
    if not all(costs) or steps[0] is None or steps[1] is None:
        return ""
    extra = sum(costs[0] or ()) - sum(costs[1] or ())
    if extra <= 0:
        return f"at once, against {plain.stack}"
    gained = steps[1] - steps[0]
    if gained <= 0:
        return f"never: a step is no faster than with {plain.stack}"
    steps_ = math.ceil(extra / gained)
    return f"after about {text.whole(_two_digits(steps_))} training steps, against {plain.stack}"


def memory(run: Run, key: str, caption: str) -> Table | None:
    """Peak bytes per matchup and stack; where none was had, the reason."""
    stacks = dict.fromkeys(
        case.stack
        for result in run.matchups
        for case in result.cases
        if getattr(case.memory, key) is not None
    )
    columns = (
        Column("model", "Model"),
        Column("phase", "Phase"),
        Column("conditions", "Conditions"),
        *(Column(stack, stack, numeric=True) for stack in stacks),
    )
    rows = []
    for result in run.matchups:
        peaks = {case.stack: getattr(case.memory, key) for case in result.cases}
        if any(peak is not None for peak in peaks.values()):
            cells = (Cell(text.size(peaks.get(stack)), peaks.get(stack)) for stack in stacks)
            rows.append((*matchup_cells(result.matchup), *cells))
    return _table(caption, columns, rows)


def learned(run: Run) -> Table | None:
    """What an epoch taught, beside what it cost: medians over launches."""
    columns = (
        Column("model", "Model"),
        Column("conditions", "Conditions"),
        Column("stack", "Stack"),
        Column("time", "Epoch", numeric=True),
        Column("train_loss", "Training loss", numeric=True),
        Column("train_accuracy", "Training accuracy", numeric=True),
        Column("test_loss", "Test loss", numeric=True),
        Column("test_accuracy", "Test accuracy", numeric=True),
        Column("metrics", "Recomputed on the test samples"),
        Column("data", "Samples, training + test", numeric=True),
    )
    rows = []
    for result in run.matchups:
        for case in result.cases:
            if case.learned:
                model, _, where = matchup_cells(result.matchup)
                cost = _time(sound(case).median_s)
                rows.append((model, where, stack_cell(case.stack), cost, *_learned(case.learned)))
    return _table("What an epoch taught", columns, rows)


def failures(run: Run) -> tuple[Case, ...]:
    """The cases that gave no valid time."""
    return tuple(c for result in run.matchups for c in result.cases if c.status != "ok")


def proofs(run: Run) -> tuple[Proof, ...]:
    """The distinct proofs of each model."""
    found: list[tuple[str, Parity, list[Matchup]]] = []
    for result in run.matchups:
        if result.parity is None:
            continue
        key = (result.matchup.model, result.parity)
        same = next((entry for entry in found if entry[:2] == key), None)
        if same:
            same[2].append(result.matchup)
        else:
            found.append((*key, [result.matchup]))
    proofs = Counter(model for model, *_ in found)
    return tuple(
        Proof(
            model=model if proofs[model] == 1 else text.items([model, verdicts.conditions(of[0])]),
            parity=parity,
            matchups=tuple(m.id for m in of),
        )
        for model, parity, of in found
    )


def samples(run: Run) -> dict[str, list[list[float]]]:
    """Samples per case and launch in seconds, evenly thinned to what a page can carry."""
    limit = sample_limit(run)
    kept = {}
    for case in (sound(case) for result in run.matchups for case in result.cases):
        if case.samples_s:
            kept[case.id] = [[float(f"{s:.5g}") for s in part] for part in thinned(case, limit)]
    return kept


def sample_limit(run: Run) -> int:
    """How many samples of each case the page of this run can carry."""
    count = sum(len(result.cases) for result in run.matchups)
    return max(10, min(MAX_SAMPLES, MAX_SAMPLES_IN_ALL // max(1, count)))


def device_memory_reasons(run: Run) -> tuple[str, ...]:
    """Why the device's allocator has no peak, where it has none; each reason once."""
    memories = [case.memory for result in run.matchups for case in result.cases]
    reasons = [m.device_reason for m in memories if m.device_peak_bytes is None]
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def stack_cell(stack: str) -> Cell:
    """A stack with the colour of its framework."""
    return Cell(stack, stack, f"stack {look(stack).role}")


def _table(caption: str, columns: tuple[Column, ...], rows: list[tuple[Cell, ...]]) -> Table | None:
    return Table(caption=caption, columns=columns, rows=tuple(rows)) if rows else None


def _two_digits(count: int) -> int:
    """A count no sharper than the medians it comes from."""
    return round(count, 2 - len(str(count)))


def _name(value: str) -> Cell:
    return Cell(value, value)


def matchup_cells(matchup: Matchup) -> tuple[Cell, Cell, Cell]:
    """Model, phase and conditions, the first three cells of a row."""
    return _name(matchup.model), _name(matchup.phase), _name(verdicts.conditions(matchup))


def _time(seconds: float | None) -> Cell:
    return Cell(wording.duration(seconds), seconds)


def _case_row(row: Mapping[Any, Any], matchup: Matchup) -> tuple[Cell, ...]:
    get = {key: number(row[key]) for key in ("median_s", "iqr_s", "min_s")}
    rate, flops = number(row["throughput_per_s"]), number(row["flops_per_s"])
    count = row["samples"]
    return (
        *matchup_cells(matchup),
        stack_cell(row["stack"]),
        Cell(row["status"], row["status"], "" if row["status"] == "ok" else "bad"),
        *(_time(value) for value in get.values()),
        Cell(text.quantity(rate, ""), rate),
        Cell(text.quantity(flops, "FLOP/s"), flops),
        Cell(
            f"{row['launches']} {wording.TIMES} {count / row['launches']:.3g}"
            if count
            else wording.ABSENT,
            count or None,
        ),
    )


def _learned(epochs: Iterable[Learned]) -> tuple[Cell, ...]:
    rows = list(epochs)
    loss = [_middle(e.train_loss for e in rows), _middle(e.test_loss for e in rows)]
    rate = [_middle(e.train_accuracy for e in rows), _middle(e.test_accuracy for e in rows)]
    data = f"{text.whole(rows[0].train_samples)} + {text.whole(rows[0].test_samples)}"
    losses = [Cell(f"{x:.4f}" if x is not None else wording.ABSENT, x) for x in loss]
    rates = [Cell(text.share(x), x) for x in rate]
    judged = {name: _middle(e.metrics[name] for e in rows) for name in rows[0].metrics}
    told = (f"{n.replace('_', ' ')} {x:.4g}" for n, x in judged.items() if x is not None)
    recomputed = Cell(", ".join(told) or wording.ABSENT)
    samples = Cell(data, rows[0].train_samples)
    return losses[0], rates[0], losses[1], rates[1], recomputed, samples


def _middle(values: Iterable[float | None]) -> float | None:
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return median(finite) if finite else None


def _step_s(run: Run, like: Matchup, stack: str) -> float | None:
    """The median training step of a stack under the conditions of a matchup."""
    key = (like.model, like.batch, like.precision, like.device, like.policy)
    for result in run.matchups:
        m = result.matchup
        if m.phase == "train_step" and (m.model, m.batch, m.precision, m.device, m.policy) == key:
            for case in result.cases:
                if case.stack == stack and case.status == "ok":
                    return sound(case).median_s
    return None
