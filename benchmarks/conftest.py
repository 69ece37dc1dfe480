"""pytest's front door: our options, one run for all selected cases, and our exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from benchmarks.machine import environment, locks, variables
from benchmarks.measure import progress
from benchmarks.measure import run as runs
from benchmarks.measure import session as sessions
from benchmarks.replay import Measured
from benchmarks.request import options, plan
from benchmarks.results.records import Exit
from benchmarks.why._shared.of_runs import PROFILER
from benchmarks.worker import interrupts

MEASURED = pytest.StashKey[Measured]()
PLANNED = pytest.StashKey[plan.Plan]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the flags of `python -m benchmarks run`."""
    group = parser.getgroup("twinbench")
    options.add(options.SELECTION | options.PLACE, group.addoption)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per case of the plan; its id is the id of the case."""
    if "case_id" in metafunc.fixturenames:
        ids = _planned(metafunc.config).case_ids()
        metafunc.parametrize("case_id", ids, ids=ids)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[Any]:
    """Measure everything that was selected before the first test replays its share."""
    wanted = {
        str(item.callspec.params["case_id"])
        for item in session.items
        if isinstance(item, pytest.Function) and "case_id" in item.fixturenames
    }
    if wanted and not session.config.option.collectonly:
        try:
            with interrupts.taken():
                session.config.stash[MEASURED] = _measure(session.config, wanted)
        except KeyboardInterrupt:
            pytest.exit("twinbench: interrupted", returncode=Exit.INTERRUPTED)
        except locks.Locked as error:
            pytest.exit(f"twinbench: {error}", returncode=Exit.LOCKED)
        except sessions.usage_errors() as error:
            pytest.exit(f"twinbench: {error}", returncode=Exit.USAGE)
    return (yield)


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Measured:
    """What the run made of the selected cases."""
    return request.config.stash[MEASURED]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say what the run says: pytest's "tests failed" hides whether a case or a proof did."""
    found = session.config.stash.get(MEASURED, None)
    if (
        found
        and found.run.exit
        and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    ):
        session.exitstatus = found.run.exit


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """End with the table of verdicts and the report."""
    found = config.stash.get(MEASURED, None)
    if found:
        terminalreporter.section("twinbench")
        console = Console(file=sys.stdout)
        console.print(*progress.summary(found.run, console), sep="\n")
        terminalreporter.write_line(f"report: {found.folder / 'report.html'}")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """Keep what makes runs comparable; the host's name is nobody's business."""
    machine_info.pop("node", None)
    for reading in ("hz_actual", "hz_actual_friendly"):
        # A clock reading is not a property of the machine, and would make every run differ.
        machine_info.get("cpu", {}).pop(reading, None)
    machine_info["fingerprint"] = environment.describe().fingerprint
    machine_info["variables"] = variables.recorded()


def _planned(config: pytest.Config) -> plan.Plan:
    if PLANNED not in config.stash:
        try:
            options.check_resume(config.getoption)
            run, given = config.getoption("--resume"), options.selection(config.getoption)
            config.stash[PLANNED] = (
                sessions.stored_plan(config.getoption("--out"), run, given)
                if run
                else plan.make(given)
            )
        except sessions.usage_errors() as error:
            pytest.exit(f"twinbench: {error}", returncode=Exit.USAGE)
    return config.stash[PLANNED]


def _measure(config: pytest.Config, wanted: set[str]) -> Measured:
    made, out = _planned(config), config.getoption("--out")
    run = config.getoption("--resume")
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        console = Console(stderr=True)
        new = None if run else sessions.prepare(sessions.check(made), out)
        given = options.selection(config.getoption)
        prepared = new or sessions.reopen(out, run, given)
        # `-k` may have left out single stacks of a matchup, which no flag can say.
        prepared = replace(prepared, plan=prepared.plan.only(wanted))
        done = runs.carry_out(prepared, progress.Telling(console), PROFILER, runs.MEANS)
        runs.MEANS.report(prepared.folder)
        if done.exit == Exit.INTERRUPTED:
            console.print(f"interrupted; go on with: {prepared.resume_command}", highlight=False)
    return Measured(done, prepared.folder)
