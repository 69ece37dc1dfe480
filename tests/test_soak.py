"""A handful of launches of the soak, and that it would notice what it looks for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measure import session
from tests.soak import audit, faults
from tests.soak.__main__ import main
from tests.soak.parent import VICTIM

SEED, RUNS, LAUNCHES = 1, 2, 3
SHORT = ("--launches", str(RUNS * LAUNCHES), "--each", str(LAUNCHES), "--seed", str(SEED))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a soak of two runs left, whose parent was killed now and then."""
    place = tmp_path_factory.mktemp("soak") / "kept"
    assert main([*SHORT, "--killed-after", "1,6", "--kills", "1", "--keep", str(place)]) == 0
    yield place
    shutil.rmtree(place)


@pytest.fixture
def out(kept: Path, tmp_path: Path) -> Path:
    """A copy of its first run with a fault."""
    shutil.copytree(kept / "stage-1" / "0", tmp_path / "0", symlinks=True)
    return tmp_path / "0"


def _launch_lines(out: Path) -> tuple[Path, list[bytes]]:
    (path,) = out.glob(f"*-*/{session.JOURNAL}")
    return path, [line for line in path.read_bytes().split(b"\n") if b'{"kind":"launch"' in line]


@pytest.mark.slow
def test_a_short_soak_keeps_every_launch(out: Path) -> None:
    found = audit.of_run(out, faults.drawn(SEED, 0, LAUNCHES), LAUNCHES)
    assert found == (LAUNCHES, 0, 0, ())


@pytest.mark.slow
def test_a_launch_that_is_lost_or_doubled_is_found(out: Path) -> None:
    fault = faults.drawn(SEED, 0, LAUNCHES)
    path, lines = _launch_lines(out)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(lines[0] + b"\n", b""))
    found = audit.of_run(out, fault, LAUNCHES)
    assert (found.lost, found.doubled, found.launches) == (1, 0, LAUNCHES - 1)
    assert found.breaches
    path.write_bytes(whole + lines[0] + b"\n")
    found = audit.of_run(out, fault, LAUNCHES)
    assert (found.lost, found.doubled) == (0, 1)
    assert found.breaches


@pytest.mark.slow
def test_a_fault_that_costs_something_else_is_found(out: Path) -> None:
    struck = faults.Fault(kind="crash", launch=0, of_worker="segv", at="forward")
    fault = faults.drawn(SEED, 0, LAUNCHES)
    other = None if fault.status else struck
    assert audit.of_run(out, other, LAUNCHES).breaches


def test_what_is_left_or_written_elsewhere_is_found(tmp_path: Path) -> None:
    scratch = tmp_path / "tmp"
    (scratch / "twinbench-run-check").mkdir(parents=True)
    (tmp_path / VICTIM).write_text("overwritten\n")
    assert audit.of_place(tmp_path, scratch) == [
        "a link was followed",
        "left in the temporary folder: twinbench-run-check",
    ]


def test_every_kind_of_fault_is_drawn_and_the_same_again() -> None:
    drawn = [faults.drawn(SEED, number, 10) for number in range(200)]
    assert {fault.kind for fault in drawn} == set(faults.KINDS)
    assert {fault.of_worker for fault in drawn} >= faults.STATUS.keys()
    assert {fault.launch for fault in drawn} == set(range(10))
    assert drawn == [faults.drawn(SEED, number, 10) for number in range(200)]


def test_memory_is_compared_between_the_first_and_the_last_tenth() -> None:
    readings = [(0, launch, 10**8 + 10**6 * launch) for launch in range(20)]
    assert audit.within(readings).grown_mb == 18
    assert audit.at_equal_points(readings) is None
    several = [(run, launch, 10**8 + 10**6 * run) for run in range(4) for launch in range(3)]
    grown = audit.at_equal_points(several)
    assert grown is not None
    assert grown.grown_mb == 2
