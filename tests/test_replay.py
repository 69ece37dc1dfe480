"""The pytest front door: what goes into pytest-benchmark's store, and what its gates make of it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine.environment import ROOT
from benchmarks.results.records import Exit
from benchmarks.results.stored.codec import read_run
from tests.pipeline import WITH, until

REGRESSED = 1
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
"""The environment of a pytest that no other one started: pytest-xdist would switch it off."""


def own(folder: Path) -> dict[str, str]:
    """That environment, with locks of its own."""
    return OUTSIDE | {"TWINBENCH_LOCKS": str(folder)}


def command(folder: Path, *arguments: str) -> list[str]:
    """`pytest benchmarks`, shortened, on the null framework, with its files below ``folder``."""
    return [
        *(sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"),
        *("-p", "tests.pipeline"),
        *("--models-dir", "tests/models", "--models", "tiny", "--phases", "forward"),
        *("--stacks", "null-a,null-b", "--out", str(folder / "results")),
        *(f"--benchmark-storage=file://{folder / 'store'}", *arguments),
    ]


def bench(
    folder: Path, *arguments: str, control: dict[str, Any] | None = None, report: bool = False
) -> subprocess.CompletedProcess[str]:
    """What became of that command; ``control`` is for null-b."""
    more = {"TWINBENCH_NULL": json.dumps(control or {})} | ({WITH: "1"} if report else {})
    return subprocess.run(
        command(folder, *arguments),
        cwd=ROOT,
        env=own(folder) | more,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def stored(folder: Path) -> list[dict[str, Any]]:
    """What pytest-benchmark saved, oldest first."""
    return [json.loads(p.read_text()) for p in sorted((folder / "store").rglob("*.json"))]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front")
    done = bench(folder, "--benchmark-autosave", "--benchmark-save-data", report=True)
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_the_store_holds_exactly_what_was_measured(saved: Path) -> None:
    run = read_run(json.loads((saved / "results" / "latest" / "run.json").read_text()))
    (result,) = run.matchups
    (session,) = stored(saved)
    by_case = {b["extra_info"]["case"]: b for b in session["benchmarks"]}
    assert set(by_case) == {case.id for case in result.cases}
    for case in result.cases:
        found = by_case[case.id]
        assert found["stats"]["data"] == list(case.samples_s)
        assert found["group"] == "tiny.forward.b4.float32.cpu"
        info = found["extra_info"]
        assert info["fingerprint"] == run.environment.fingerprint
        assert info["memory"]["peak_rss_bytes"] > 0
        assert info["verdicts"][0]["ratio"] == pytest.approx(result.verdicts[0].ratio)
        assert info["parity"] == "partial"


@pytest.mark.slow
def test_no_host_name_is_stored(saved: Path) -> None:
    (session,) = stored(saved)
    assert "node" not in session["machine_info"]
    assert platform.node() not in session["machine_info"].values()
    assert session["machine_info"]["fingerprint"]


@pytest.mark.slow
def test_the_report_lies_beside_the_run(saved: Path) -> None:
    assert "Content-Security-Policy" in (saved / "results/latest/report.html").read_text()


@pytest.mark.slow
def test_the_gate_passes_an_unchanged_stack_and_stops_a_slowed_one(saved: Path) -> None:
    gate = ("--benchmark-compare", "--benchmark-compare-fail=median:60%")
    unchanged = bench(saved, *gate)
    assert unchanged.returncode == Exit.OK, unchanged.stdout
    slowed = bench(saved, *gate, control={"slow": 3.0})
    assert slowed.returncode == REGRESSED
    assert "null-b" in slowed.stderr + slowed.stdout
    assert "Performance has regressed" in slowed.stderr + slowed.stdout


@pytest.mark.slow
def test_k_selects_cases_and_a_failed_case_is_not_stored(tmp_path: Path) -> None:
    done = bench(tmp_path, "--benchmark-autosave", control={"fault": "segv"})
    assert done.returncode == Exit.INCOMPLETE
    assert "crash: the worker died of SIGSEGV" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    (session,) = stored(tmp_path)
    assert [b["extra_info"]["case"] for b in session["benchmarks"]] == [
        "tiny.forward.b4.float32.cpu.null-a"
    ]
    alone = bench(tmp_path, "-k", "null-a", control={"fault": "segv"})
    assert alone.returncode == Exit.OK, alone.stdout
    assert "1 passed" in alone.stdout


@pytest.mark.slow
def test_an_interrupt_ends_it_with_the_code_for_that(tmp_path: Path) -> None:
    hanging = own(tmp_path) | {"TWINBENCH_NULL": json.dumps({"fault": "hang", "at": "forward"})}
    asked = [*command(tmp_path), "--timeout", "60"]
    # A job in the background ignores interrupts, and so would its child.
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        asked,
        cwd=ROOT,
        env=hanging,
        stdout=subprocess.DEVNULL,
        preexec_fn=heard,  # noqa: PLW1509 - it calls nothing that takes a lock
    ) as running:
        until(lambda: any((tmp_path / "results").glob("2*/journal.ndjson")))
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == Exit.INTERRUPTED


def test_a_name_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    done = bench(tmp_path, "--effort", "heroic")
    assert done.returncode == Exit.USAGE
    assert (
        "unknown effort 'heroic'; there are: quick, standard, release" in done.stdout + done.stderr
    )


def test_a_resumed_run_cannot_be_selected_anew(tmp_path: Path) -> None:
    done = bench(tmp_path, "--resume")
    assert done.returncode == Exit.USAGE
    assert "leave out --models, --phases, --stacks" in done.stdout + done.stderr
