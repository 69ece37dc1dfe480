"""What a person reads during a run, and the table at its end: nothing hidden, nothing lost."""

import io
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.measure import progress
from benchmarks.measure.progress import Telling
from benchmarks.measure.schedule.pace import Pace, Part
from benchmarks.measure.session import Event, Session
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results import wording
from benchmarks.results.machine import Environment
from benchmarks.results.observed import Perturbation
from benchmarks.results.records import (
    Case,
    Finding,
    Launch,
    Matchup,
    MatchupResult,
    Parity,
    Run,
    Status,
    TimedCheck,
    Verdict,
    VerdictWord,
)
from benchmarks.results.stored.ledger import Ledger
from benchmarks.results.wording import verdict_phrase
from tests.pipeline import MODELS
from tests.test_reports_machine import TOLD

EAGER, GRAPH, COMPILE, XLA = "torch-eager", "tensorflow-graph", "torch-compile", "tensorflow-xla"
STACKS = (EAGER, COMPILE, GRAPH, XLA)
HOSTILE = "[red]x[/] :smile: [/nope] a\x1b[31mb\nc"
HOSTILE_SHOWN = r"[red]x[/] :smile: [/nope] a\x1b[31mb\nc"


def _verdict(word: VerdictWord, ratio: float | None, a: str = EAGER, b: str = GRAPH) -> Verdict:
    ci95 = (ratio * 0.9, ratio * 1.1) if ratio else None
    reason = None if word in {"faster", "slower"} else "why"
    return Verdict(
        a=a, b=b, ratio=ratio, ci95=ci95, launches=3, margin=0.02, verdict=word, reason=reason
    )


def _result(
    model: str,
    stacks: tuple[str, ...] = STACKS,
    verdicts: tuple[Verdict, ...] = (),
    status: Status = "ok",
    reason: str | None = None,
) -> MatchupResult:
    matchup = Matchup(model=model, phase="forward", batch=32)
    launches = (Launch(index=0, samples_s=(0.01234,)),)
    cases = tuple(
        Case(
            id=matchup.case_id(stack),
            stack=stack,
            status="ok" if i else status,
            reason=None if i else reason,
            launches=launches,
        )
        for i, stack in enumerate(stacks)
    )
    return MatchupResult(matchup=matchup, parity=None, cases=cases, verdicts=verdicts)


def _run(*results: MatchupResult, run_id: str = "20261121T081500Z-3f2a") -> Run:
    return Run(
        run_id=run_id,
        started="2026-11-21T08:15:00Z",
        seconds=1.0,
        exit=0,
        command=(),
        environment=Environment(),
        matchups=results,
    )


def _console(*, width: int = 80, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _cells(run: Run, width: int) -> list[tuple[str, ...]]:
    """The rows of the summary as shown, those of both tables side by side where there are two."""
    rows = [_rows(table, width) for table in progress.summary(run, _console(width=width))]
    return [
        (each[0][0], *(cell for row in each for cell in row[1:]))
        for each in zip(*rows, strict=True)
    ]


def _rows(table: Table, width: int) -> list[list[str]]:
    """The rows of a table as shown, each cell put together again from its folded lines."""
    console = _console(width=width)
    table.show_lines = True  # so that the end of a row shows
    console.print(table)
    lines = _text(console).splitlines()
    assert all(len(line) <= width for line in lines)
    rows: list[list[str]] = [[]]
    first = next(i for i, line in enumerate(lines) if "┃" in line or "│" in line)
    for line in lines[first:]:
        if "┼" in line or "╇" in line:
            rows.append([])
            continue
        parts = [part.strip() for part in line.replace("┃", "│").split("│")]
        rows[-1] = [a + b for a, b in zip(rows[-1] or [""] * len(parts), parts, strict=True)]
    return rows


@pytest.mark.parametrize(
    ("verdict", "phrase"),
    [
        (
            _verdict("faster", 1.5),
            "torch-eager 1.50× faster than tensorflow-graph [1.35–1.65]",
        ),
        # A slower first stack is said as a faster second one: the interval turns over with it.
        (
            _verdict("slower", 0.5),
            "tensorflow-graph 2.00× faster than torch-eager [1.82–2.22]",
        ),
        (
            _verdict("no call", 1.0),
            "torch-eager against tensorflow-graph: no call, 1.00× [0.90–1.10]: why",
        ),
        (
            _verdict("not comparable", None),
            "torch-eager against tensorflow-graph: not comparable: why",
        ),
        (
            replace(_verdict("no call", 1.0), ci95=None, reason=None),
            "torch-eager against tensorflow-graph: no call, 1.00× [no interval]",
        ),
        (
            replace(_verdict("not comparable", 1.3), reason=None),
            "torch-eager against tensorflow-graph: not comparable: no reason was recorded",
        ),
    ],
)
def test_a_verdict_is_said_with_the_faster_stack_first(verdict: Verdict, phrase: str) -> None:
    assert verdict_phrase(verdict) == phrase


def test_the_headline_is_as_written_and_compiled() -> None:
    written = _verdict("faster", 1.5)
    compiled = _verdict("slower", 0.5, COMPILE, XLA)
    mixed = _verdict("faster", 9.0, EAGER, XLA)
    assert wording.headline(_result("m", verdicts=(mixed, compiled, written))) == [
        written,
        compiled,
    ]
    assert wording.headline(_result("m", verdicts=(mixed,))) == [mixed]
    assert wording.headline(_result("m")) == []


def test_every_case_that_failed_is_named_with_its_reason() -> None:
    failed = _result("m", status="oom_device", reason="too big", verdicts=(_verdict("faster", 2),))
    assert wording.verdict_lines(failed) == [
        "  m.forward.b32.float32.cpu: torch-eager 2.00× faster than tensorflow-graph [1.80–2.20]",
        "  m.forward.b32.float32.cpu: torch-eager: oom_device: too big",
    ]
    absent = _result("m", status="unsupported", reason="no torch")
    assert wording.verdict_lines(absent) == []


def test_a_proof_is_said_in_one_line() -> None:
    proven = Parity(
        status="proven",
        adapters=("torch", "tensorflow"),
        max_rel_error={"output": 1e-15, "loss": 3e-14},
    )
    line = wording.proof_line("m", proven)
    assert line == (
        "m: proven identical in float64 (torch and tensorflow): largest error 3.0e-14 over output,"
        " loss, gradients and 3 steps of both optimizers"
    )
    failed = replace(proven, status="failed", reason="loss differs")
    assert wording.proof_line("m", failed) == "m: failed: loss differs"


@pytest.mark.parametrize("width", [60, 120])
@pytest.mark.parametrize("stacks", [(EAGER, GRAPH), (*STACKS, "jax-xla", "keras_torch-eager")])
def test_the_summary_loses_nothing_at_any_width(width: int, stacks: tuple[str, ...]) -> None:
    verdicts = (_verdict("faster", 1.5), _verdict("slower", 0.5, COMPILE, XLA))
    models = ("resnet50_transfer", "mlp", HOSTILE)
    results = [_result(model, stacks, verdicts, status="parity_failed") for model in models]
    header, *rows = _cells(_run(*results), width)
    pairs = [f"{a}vs{b}" for a, b in ((EAGER, GRAPH), (COMPILE, XLA))]
    assert [cell.replace(" ", "") for cell in header] == ["matchup", *stacks, *pairs]
    assert len(rows) == len(models)
    for row, model in zip(rows, models, strict=True):
        name = HOSTILE_SHOWN if model == HOSTILE else model
        assert row[0].replace(" ", "") == f"{name}.forward".replace(" ", "")
        cells = [cell.replace(" ", "") for cell in row[1:]]
        assert cells == [
            "parity_failed",
            *["12.3ms"] * (len(stacks) - 1),
            "faster1.50×",
            "slower2.00×",
        ]


def test_in_80_columns_medians_and_verdicts_are_tables_of_their_own_and_no_word_is_broken() -> None:
    verdicts = (_verdict("faster", 1.5), _verdict("no call", 1.0, COMPILE, XLA))
    run = _run(*(_result(model, STACKS, verdicts) for model in ("resnet50_transfer", "mlp")))
    console = _console(width=80)
    tables = progress.summary(run, console)
    assert len(tables) == 2
    console.print(*tables, sep="\n")
    lines = _text(console).splitlines()
    assert max(map(len, lines)) <= 80
    for words in ("resnet50_transfer.forward", "tensorflow-", "compile", "no call 1.00×"):
        assert any(words in line for line in lines), words
    assert len(progress.summary(run, _console(width=160))) == 1


def test_a_matchup_without_a_stack_leaves_its_cell_empty() -> None:
    rows = _cells(_run(_result("m", (EAGER,)), _result("n", (GRAPH,))), 120)[1:]
    assert rows == [
        ("m.forward", "12.3 ms", ""),
        ("n.forward", "", "12.3 ms"),
    ]


def _session(made: plan.Plan, *results: MatchupResult, **proofs: Parity) -> Session:
    """As much of a session as a console asks for; its only group has the matchups of results."""
    for result in results:
        (group,) = made.groups
        mine = replace(group, name=result.matchup.model, matchups=(result.matchup,))
        made = replace(made, groups=(mine,))
    told = SimpleNamespace(
        plan=made,
        ledger=Ledger(proofs=proofs),
        run=lambda: _run(*results),
        pace=Pace(1),
        seconds=0.0,
        log=SimpleNamespace(damaged=0),
    )
    return cast("Session", told)


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile_names_are_printed_as_they_are(terminal: bool) -> None:
    console = _console(width=300, terminal=terminal)
    made = plan.make(Selection(models_dir=MODELS, models=("tiny",), stacks=("null-a",)))
    made = replace(made, unsupported={HOSTILE: HOSTILE})
    failed = {HOSTILE: Parity(status="failed", reason=HOSTILE)}
    session = _session(made, _result(HOSTILE, status="crash", reason=HOSTILE), **failed)
    telling, about = Telling(console), {"model": HOSTILE}
    telling.begin(session)
    telling.told(Event("calibrating", {"of": "floor", "why": HOSTILE}), session)
    telling.told(Event("proving", about), session)
    telling.told(Event("proof", about), session)
    telling.told(Event("timing", about | {"launch": 0, "phase": HOSTILE}), session)
    telling.told(Event("concluded", about), session)
    telling.end()
    console.print(*progress.summary(_run(_result(HOSTILE), run_id=HOSTILE), console))
    shown = _text(console)
    # A bar is drawn over and over; plain lines are written once each.
    assert shown.count(HOSTILE_SHOWN) >= 12 if terminal else shown.count(HOSTILE_SHOWN) == 12
    assert "\x1b[31m" not in shown


def test_without_a_terminal_every_step_is_a_line_of_its_own() -> None:
    console = _console()
    made = plan.make(
        Selection(
            models_dir=MODELS, models=("tiny",), phases=("forward",), stacks=("null-a", "null-b")
        )
    )
    result = _result("tiny", verdicts=(_verdict("faster", 1.5),))
    session = _session(made, result, tiny=Parity(status="partial", reason="only null is here"))
    telling, about = Telling(console), {"model": "tiny", "launch": 0}
    telling.begin(session)
    telling.told(Event("proving", about), session)
    telling.told(Event("proof", about), session)
    telling.told(Event("starting", about), session)
    telling.told(Event("timing", about | {"phase": "forward"}), session)
    telling.told(Event("telemetry", about), session)  # nothing to read yet
    telling.told(Event("concluded", about), session)
    lines = _text(console).splitlines()
    assert lines[0] == "2 cases in 1 matchup of 1 model, 3 launches each"
    assert lines[1:3] == [
        "[0/7] tiny: proving the twins identical",
        "tiny: partial: only null is here",
    ]
    assert lines[3].startswith("[1/7] tiny: launch 1/3, starting workers")
    assert lines[4].startswith("[2/7] tiny: launch 1/3, forward")
    # Longer than the 80 columns of a log, and still one line.
    assert lines[5:] == [
        f"  tiny.forward.b32.float32.cpu: {verdict_phrase(_verdict('faster', 1.5))}",
    ]
    assert "\r" not in _text(console)


def test_the_time_left_is_told_with_what_follows() -> None:
    console = _console()
    asked = Selection(models_dir=MODELS, models=("tiny",), stacks=("null-a",), launches=3)
    made = plan.make(replace(asked, phases=("forward",), until_ci=0.01, profile=True))
    telling, session = Telling(console), _session(made)
    session.pace.took = {Part("start", "m", "later"): [60.0], Part("turns", "m", "forward"): [5.0]}
    telling.told(Event("starting", {"model": "tiny", "launch": 1}), session)
    (line,) = _text(console).splitlines()
    assert line.endswith("about 3:15 left, then until intervals are narrow, then profiles")


def test_what_a_budget_leaves_for_calls_is_told_as_the_most() -> None:
    console = _console()
    made = plan.make(
        Selection(models_dir=MODELS, models=("tiny",), phases=("forward",), stacks=("null-a",))
    )
    telling, session = Telling(console), _session(made)
    session.pace.took = {Part("start", "m", "later"): [1.0], Part("turns", "m", "forward"): [1.0]}
    telling.told(Event("starting", {"model": "tiny", "launch": 1}), session)
    (line,) = _text(console).splitlines()
    assert line.endswith("less than 15 s left, then up to 7:54 where a call is near")
    cases: dict[str, Any] = {"null-a": {}}
    for matchup in made.groups[0].matchups:
        session.ledger.launches[matchup.id] = dict.fromkeys(range(3), cases)
    telling.told(Event("starting", {"model": "tiny", "launch": 3}), session)
    assert _text(console).splitlines()[1].endswith("launch 4, a call is near, at most 8:00 left")


def test_at_a_terminal_a_bar_is_drawn_at_each_step_and_taken_away_at_the_end() -> None:
    console = _console(width=100, terminal=True)
    made = plan.make(Selection(models_dir=MODELS, models=("tiny",), stacks=("null-a",)))
    threads = threading.active_count()
    telling, session = Telling(console), _session(made)
    telling.begin(session)
    timing = Event("timing", {"model": "tiny", "launch": 2, "phase": "train_step"})
    telling.told(timing, session)
    assert "tiny: launch 3/3, train_step" in _text(console)
    assert threading.active_count() == threads  # nothing draws while a worker is being timed
    telling.end()
    assert _text(console).endswith("\x1b[2K")  # the line of the bar, erased


def _table(proofs: dict[str, Parity]) -> Table:
    made = progress.proof_table(proofs, dict.fromkeys(proofs, 9.0))
    assert made
    return made


def test_the_proofs_are_shown_one_column_per_model() -> None:
    checks = (TimedCheck(stack=EAGER, quantity="output", error=2e-7, bound=1e-6),)
    proven = Parity(
        status="proven",
        adapters=("torch", "tensorflow"),
        parameters=1234,
        forward_flops=2.5e9,
        max_rel_error={"output": 1e-15},
        timed=checks,
    )
    console = _console(width=200)
    console.print(_table({HOSTILE: proven, "n": Parity(status="failed")}))
    text = _text(console)
    for shown in (HOSTILE_SHOWN, "proven", "failed", "1,234", "2.5", "1.0e-15", "2e-07 of 1e-06"):
        assert shown in text


def test_what_no_proof_has_gets_no_row_and_a_proof_that_could_not_run_no_table() -> None:
    table = _table({"m": Parity(status="partial", parameters=7), "n": Parity(status="failed")})
    console = _console(width=80)
    console.print(table)
    assert [line.split()[0] for line in _text(console).splitlines()[2:]] == ["proof", "parameters"]
    none = {"n": Parity(status="failed", reason="the build failed")}
    assert progress.proof_table(none, {"n": 1.0}) is None
    assert progress.proof_table({}, {}) is None


def test_the_rows_of_the_proofs_keep_their_names_in_80_columns() -> None:
    stacks = (EAGER, "keras_torch-compile")
    checks = tuple(
        TimedCheck(stack=stack, quantity="output", error=2e-7, bound=1e-6) for stack in stacks
    )
    errors: dict[str, float | None] = dict.fromkeys(progress.PROVEN, 1e-15)
    proven = Parity(status="proven", timed=checks, max_rel_error=errors)
    console = _console(width=80)
    console.print(_table({f"resnet50_{n}": proven for n in range(progress.FEW)}))
    lines = _text(console).splitlines()
    assert max(map(len, lines)) <= 80
    for row in (*progress.PROVEN, *stacks):
        assert any(line.startswith(f"{row} ") for line in lines), row


def test_of_many_models_each_has_a_row_with_its_largest_error_and_the_nearest_bound() -> None:
    checks = (
        TimedCheck(stack=EAGER, quantity="output", error=2e-7, bound=1e-6),
        TimedCheck(stack=GRAPH, quantity="loss", error=5e-7, bound=1e-6),
    )
    proven = Parity(
        status="proven",
        timed=checks,
        parameters=1234,
        forward_flops=2.5e9,
        max_rel_error={"output": 1e-15, "loss": 3e-12},
        findings=(Finding(name="x", text="y"),),
    )
    names = ["resnet50_transfer", *(f"m{n}" for n in range(progress.FEW))]
    console = _console(width=80)
    made = dict.fromkeys(names, proven) | {"m0": Parity(status="failed")}
    console.print(_table(made))
    lines = _text(console).splitlines()
    assert max(map(len, lines)) <= 80
    cells = [line.split() for line in lines[-len(names) :]]
    assert cells[-1] == ["m3", "proven", "1,234", "2.5", "3.0e-12", "50.0%", "1", "9"]
    assert next(row for row in cells if row[0] == "m0")[1:] == ["failed", *["–"] * 4, "0", "9"]
    assert cells[0][0] == "resnet50_transfer"


def _caption(run: Run) -> str:
    return str(progress.summary(run, _console())[-1].caption)


def test_what_watching_cost_stands_below_the_table() -> None:
    told = Perturbation(share=0.0021, ci95=(-0.001, 0.004), pairs=24, resolved=True)
    words = "watching cost +0.21 % of the median step [-0.10 % to +0.40 %] over 24 pairs"
    assert wording.watching_cost(told) == words
    assert _caption(replace(_run(), telemetry=told)) == words
    few = Perturbation(share=0.0, pairs=2)
    assert wording.watching_cost(few).endswith("2 pairs, too few or too noisy to tell from nothing")
    assert _caption(_run()) == "None"


def test_what_was_taken_again_stands_below_the_table_and_why() -> None:
    words = (
        "interference: 4 of 20 rounds taken again; a slow core in 5 of 80 turns (1.23× as long as"
        " those left alone); others on the cores in 1 of 80 turns"
    )
    assert _caption(replace(_run(), interference=TOLD)) == words
    assert _caption(replace(_run(), interference=replace(TOLD, repeated=0))) == "None"
