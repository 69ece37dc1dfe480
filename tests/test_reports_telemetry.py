"""The panel and the picture of what each case took: right, complete, whole whatever it holds."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results.observed import Memory, Perturbation, Watched
from benchmarks.results.records import Matchup, MatchupResult
from benchmarks.results.stored.codec import from_json
from reports.charts import telemetry
from reports.charts.svg import png
from reports.pages import build, html
from tests import report_samples as samples

NO_RAPL = "no RAPL in /sys/class/powercap"
MATCHUP = Matchup(model="mlp", phase="train_step", batch=8)


def told(*, gpu: bool = False, **changes: Any) -> dict[str, Any]:
    """What the pipeline stores for a case."""
    steady: dict[str, Any] = {
        "seconds": 2.0,
        "cpu.cores_used": {"value": 1.83},
        "cpu.peak_rss_bytes": {"value": 400 * 2**20},
        "cpu.threads": {"mean": 3.5, "p50": 4, "min": 3, "max": 4},
        "cpu.voluntary_switches": {"value": 3000},
        "cpu.involuntary_switches": {"value": 7},
        "cpu.minor_faults": {"value": 0},
        "cpu.major_faults": {"value": 0},
        "env.cpu_energy_j": {"value": None, "reason": NO_RAPL},
    }
    series: dict[str, Any] = {
        "at_s": [0.0, 0.1, 0.2],
        "cpu.cores_used": [None, 1.8, 1.9],
        "cpu.rss_bytes": [4e8, 4e8, 4.1e8],
    }
    device: dict[str, Any] = {"value": None, "reason": "no GPU was watched"}
    if gpu:
        device = {"name": "NVIDIA Fake 100"}
        series |= {"gpu.kernel_resident_pct": [80, 90, 91]}
        steady |= {
            "gpu.kernel_resident_pct": {"mean": 87.4, "p50": 88, "min": 80, "max": 99},
            "gpu.energy_j": {"value": None, "reason": "window 2.0 s < 5 s"},
            "gpu.memory_used_bytes": {"mean": 2**30, "p50": 2**30, "min": 1, "max": 2**31},
            "gpu.clock_events": {"value": ["software power cap"]},
        }
    return {"schema": 1, "device": device, "phases": {"steady": steady}, "series": series} | changes


def result(*found: dict[str, Any] | None, **changes: Any) -> MatchupResult:
    rng = random.Random(1)  # noqa: S311 - plausible times
    cases = tuple(
        samples.case(MATCHUP, stack, rng, 0.01, telemetry=_record(each), **changes)
        for stack, each in zip(samples.STACKS, found, strict=False)
    )
    return samples.result(MATCHUP, cases)


def _record(found: dict[str, Any] | None) -> Watched | None:
    return None if found is None else from_json(Watched, found)


def words(table: Any) -> dict[str, list[str]]:
    """The column's label and its texts."""
    return {
        column.label: [row[i].text for row in table.rows] for i, column in enumerate(table.columns)
    }


def test_a_panel_has_a_row_per_case_with_rates_per_second() -> None:
    found = words(telemetry.table(result(told(), told())))
    assert found["Stack"] == list(samples.STACKS[:2])
    assert found["Window"][0] == "2.00 s"
    assert found["Cores used"][0] == "1.83"
    assert found["Peak RSS"][0] == "400 MiB"
    assert found["Threads"][0] == "4"
    assert found["Waits/s"][0].replace("\N{NARROW NO-BREAK SPACE}", "") == "1500"
    assert found["Preempted/s"][0] == "3.5"
    assert found["Minor faults/s"][0] == "0"  # counted, and none: no dash
    assert "CPU energy" not in found  # nobody has it: the reason stands below
    assert not any("NVML" in label for label in found)


def test_on_a_gpu_the_allocators_peak_stands_beside_nvmls_figure() -> None:
    memory = Memory(peak_rss_bytes=1, device_peak_bytes=3 * 2**29)
    found = words(telemetry.table(result(told(gpu=True), told(), memory=memory)))
    assert found["Kernel resident"] == ["87 %", "\N{EN DASH}"]
    assert found["Device memory (NVML)"][0] == "2.00 GiB"
    assert found["Allocator peak"][0] == "1.50 GiB"
    assert found["Clock events"] == ["software power cap", "\N{EN DASH}"]


def test_a_sum_over_a_shorter_window_says_so() -> None:
    short = told(gpu=True)
    steady = short["phases"]["steady"]
    steady["gpu.energy_j"] = {"value": 550, "seconds": 5.5}
    steady["cpu.minor_faults"] = {"value": 100, "seconds": 0.5}
    found = words(telemetry.table(result(short)))
    assert found["Energy"] == ["550 J in 5.50 s"]
    assert found["Minor faults/s"] == ["200 in 500 ms"]


def test_each_reason_is_given_once_with_what_it_is_about() -> None:
    failed = {"value": None, "reason": "the sampler ended with 1"}
    reasons = telemetry.missing(result(told(gpu=True), told(), failed))
    assert reasons == (
        f"env.cpu_energy_j: {NO_RAPL}",
        "gpu.energy_j: window 2.0 s < 5 s",
        "gpu: no GPU was watched",
        f"{samples.STACKS[2]}: the sampler ended with 1",
    )


def test_what_was_not_watched_has_no_panel_and_no_picture() -> None:
    unwatched = result(None, {"value": None, "reason": "broken"})
    assert telemetry.table(unwatched) is None
    assert telemetry.over_time(samples.run((unwatched,))) == []


def test_the_picture_has_a_panel_for_each_figure_and_a_lane_for_each_matchup() -> None:
    (figure,) = telemetry.over_time(samples.run((result(told(), told()),)))
    assert [ax.get_title("left") for ax in figure.axes] == ["cores used", "resident memory, MiB"]
    other = replace(result(told()), matchup=replace(MATCHUP, phase="forward"))
    (figure,) = telemetry.over_time(samples.run((result(told(gpu=True)), other)))
    assert len(figure.axes) == 3
    assert [t.get_text() for t in figure.axes[2].texts] == ["mlp  train_step", "mlp  forward"]
    assert [t.get_text() for t in figure.axes[2].get_yticklabels()] == ["0", "91.0"] * 2
    drawn = figure.axes[2].lines[0].get_ydata()
    assert drawn == pytest.approx([0.76 * x / 91 for x in (80, 90, 91)])
    assert png(figure).startswith(b"\x89PNG")


ODD: tuple[Any, ...] = (
    {},
    {"phases": {"steady": {"seconds": 0, "cpu.voluntary_switches": {"value": 5}}}},
    {"phases": {"steady": {"cpu.cores_used": 5, "gpu.clock_events": {"value": 3}}}},
    {"phases": {"steady": {"gpu.clock_events": {"value": ["</script>", "<img src=x>"]}}}},
    {"series": {"at_s": [0, 1], "cpu.cores_used": [1]}},
    {"reason": "</script><img src=x onerror=alert(1)>"},
    {"phases": {"steady": {"</script>": {"reason": "<img src=x>"}}}},
)


@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_file_holds_the_page_is_whole(odd: dict[str, Any]) -> None:
    page = html.render(samples.run((result(odd, told()),)))
    assert "<img src=x" not in page
    assert page.rstrip().endswith("</html>")


def test_page_and_picture_are_built(tmp_path: Path) -> None:
    run = samples.run(
        (result(told(), told(gpu=True)),),
        telemetry=Perturbation(share=0.001, ci95=(0.0, 0.002), pairs=9, resolved=True),
    )
    folder = samples.write(tmp_path / "run", run)
    build.build(folder)
    assert (folder / "telemetry.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "What each took of the machine" in page
    assert "watching cost +0.10 % of the median step" in page
    assert NO_RAPL in page
    assert 'id="over-time"' in page


def test_an_older_run_has_none() -> None:
    run = samples.healthy_run(("mlp",), ("forward",))
    assert "What each took of the machine" not in html.render(run)
    assert all(case.telemetry is None for found in run.matchups for case in found.cases)
