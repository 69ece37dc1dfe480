"""The page's sections on what steps are made of and on roofs."""

from dataclasses import replace
from typing import Any

from benchmarks.results import wording
from benchmarks.results.machine import Ceiling
from benchmarks.results.profiles import (
    Experiment,
    Explained,
    Part,
    ProfiledStack,
    Reason,
    StackRow,
    StepProfile,
)
from benchmarks.results.records import Run
from benchmarks.results.stored.codec import from_json, to_json
from profilers.ops.rows import Implementation
from profilers.roofline import Place
from reports.charts import roofline, why
from reports.contents import kernels
from reports.pages import html, markdown
from tests import report_samples

PLACE = Place(
    flops_per_s=2e11,
    bytes_per_s=1e10,
    intensity=20.0,
    of_compute=0.5,
    of_memory=0.25,
    of_roof=0.5,
    bound="compute",
)


def part(key: str, a_s: float, b_s: float, share: float) -> Part:
    """A line of a comparison."""
    return Part(key=key, a_s=a_s, b_s=b_s, delta_s=b_s - a_s, share=share, cumulative=share)


def stack(**changes: Any) -> ProfiledStack:
    """An eager step of 4 ms."""
    fields: dict[str, Any] = {
        "stack": "torch-eager",
        "timed_s": 0.0035,
        "steps": 9,
        "wall_s": 0.004,
        "median_s": 0.004,
        "busy_s": 0.003,
        "overhead_s": 0.001,
        "on_device": False,
        "launches": 12.0,
        "recordings": 3,
        "implementations": (
            Implementation(family="conv", phase="forward", name="oneDNN", ops=("a::<conv>",)),
            Implementation(family="recurrent", phase="forward", name=None),
        ),
    }
    return ProfiledStack(**(fields | changes))


def row(category: str, self_s: float) -> StackRow:
    """Operations of an eager step."""
    return StackRow(
        stack="torch-eager",
        op=f"aten::{category}",
        category=category,
        phase="forward",
        layer=None,
        calls=1.0,
        self_s=self_s,
        device_s=None,
    )


PROFILE = StepProfile(
    model="mlp",
    phase="forward",
    explained=(
        Explained(
            a="tensorflow-graph",
            b="torch-eager",
            gap_s=0.002,
            categories=(
                part("forward · pool", 0.0001, 0.0019, 0.9),
                part("framework overhead", 0.0001, 0.0003, 0.1),
            ),
            sentences=(
                Reason(
                    text="90 % of the gap is pool in the forward pass (<pool1>).",
                    key="forward · pool",
                    experiment=Experiment(stack="x", text="torch-eager channels-last"),
                ),
            ),
        ),
    ),
    failed={"torch-compile": "crash: the worker died"},
    stacks=(stack(),),
    rows=(row("data loading", 0.001), row("conv", 0.002)),
)


def profiled() -> Run:
    """The sample run with a profile, a failure and a roofline at its first matchup."""
    run = report_samples.healthy_run()
    first = run.matchups[0]
    cases = (replace(first.cases[0], roofline=PLACE), *first.cases[1:])
    environment = replace(run.environment, ceiling=Ceiling(flops_per_s=4e11, bytes_per_s=4e10))
    matchups = (replace(first, cases=cases, profile=PROFILE), *run.matchups[1:])
    return replace(run, matchups=matchups, environment=environment)


def test_a_profile_survives_storage() -> None:
    run = profiled()
    again = from_json(Run, to_json(run))
    assert again.matchups[0].profile == PROFILE
    assert again.matchups[0].cases[0].roofline == PLACE


def test_the_page_explains_names_what_failed_and_escapes() -> None:
    page = html.render(profiled())
    assert 'id="why"' in page
    assert "(&lt;pool1&gt;). Try: torch-eager channels-last." in page
    assert "crash: the worker died" in page
    assert "of the fastest product" in page
    assert 'id="roofline"' in page


def test_a_doubt_and_the_notes_of_a_profile_are_shown() -> None:
    run = profiled()
    first = run.matchups[0]
    pair = replace(PROFILE.explained[0], doubt="It is the other way round.", sentences=())
    noted = stack(notes=("tasks waited for a CPU",))
    profile = StepProfile(explained=(pair,), stacks=(noted,))
    run = replace(run, matchups=(replace(first, profile=profile), *run.matchups[1:]))
    page = html.render(run)
    assert "It is the other way round." in page
    assert f"{first.matchup.id}, torch-eager: tasks waited for a CPU" in page


def test_a_run_without_either_has_neither_section() -> None:
    page = html.render(report_samples.healthy_run())
    assert 'id="why"' not in page
    assert 'id="roofline"' not in page
    assert why.chart(report_samples.healthy_run()) == []
    assert roofline.chart(report_samples.healthy_run()) == []


def test_the_lines_of_a_pair_read_as_they_are() -> None:
    (told,) = why.explanations(profiled())
    assert told.title.endswith("torch-eager takes 2.00 ms more than tensorflow-graph, as profiled")
    first = [cell.text for cell in told.categories.rows[0]]
    assert first[:4] == ["forward · pool", "100 µs", "1.90 ms", "+1.80 ms"]
    assert told.layers is None


def test_what_kernel_ran_is_a_row_with_all_its_phases() -> None:
    run = profiled()
    first, second, *rest = run.matchups
    other = replace(first, matchup=replace(first.matchup, phase="backward"))
    told = kernels.ran(replace(run, matchups=(first, other, second, *rest)))
    assert told is not None
    assert [[cell.text for cell in row[2:]] for row in told.rows] == [
        ["torch-eager", "conv", "forward", "oneDNN", "a::<conv>",
         f"{first.matchup.phase}, backward"],
        ["torch-eager", "recurrent", "forward", "not recognised",
         "no operation was recorded as of such a layer", f"{first.matchup.phase}, backward"],
    ]  # fmt: skip
    assert "a::&lt;conv&gt;" in html.render(run)
    summary = markdown.render(run)
    assert "## What kernel ran" in summary
    assert r"| oneDNN | a::\<conv\> |" in summary
    assert kernels.ran(report_samples.healthy_run()) is None


def test_a_profiled_step_tells_how_it_was_fed() -> None:
    told = why.stacks(profiled())
    assert told is not None
    (row,) = told.rows
    assert [cell.text for cell in row[2:]] == [
        "torch-eager", "4.00 ms", "3.50 ms", "75.0 %", "25.0 %", "25.0 %", "12", wording.ABSENT,
    ]  # fmt: skip
    assert why.stacks(report_samples.healthy_run()) is None


def test_charts_show_every_stack_once() -> None:
    (figure,) = why.chart(profiled())
    words = [t.get_text().strip() for t in figure.axes[0].texts]
    assert sorted(set(words)) == ["tensorflow-graph", "torch-eager"]
    (roofs,) = roofline.chart(profiled())
    assert "fastest product, 400 GFLOP/s" in [t.get_text() for t in roofs.axes[0].texts]
