"""What is faster than the device can be is an error, and so is a clock that does not wait."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from benchmarks.machine import locks, peaks
from benchmarks.machine.peaks import ImplausibleError, measure, obstacle
from benchmarks.measure import plausibility
from benchmarks.measure.calibration import ceilings
from benchmarks.measure.session import Session
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results.machine import Ceiling
from benchmarks.results.records import Case, Exit, Launch
from tests.conftest import FakeClock
from tests.pipeline import MODELS, REAL, Pipeline

PEAK = 1e11
CEILING = Ceiling(flops_per_s=PEAK, bytes_per_s=1e10)
CHOSEN = Selection(models=("tiny",), models_dir=MODELS, stacks=("null-a", "null-b"))


def settle(out: Path) -> Ceiling:
    """The ceiling of ``CHOSEN``, kept in a folder."""
    asking = SimpleNamespace(plan=plan.make(CHOSEN), out=out, threads=1, means=REAL)
    return ceilings.obtain(cast("Session", asking))


class Device:
    """Products of 2 s and copies of 1 s, which end when somebody waits for them."""

    def __init__(self, clock: FakeClock, *, waits: bool = True) -> None:
        self.clock, self.waits, self.queued_s = clock, waits, 0.0

    def product(self) -> None:
        self.queued_s += 2.0
        self.clock.advance(0.001)

    def copy(self) -> None:
        self.queued_s += 1.0

    def synchronize(self) -> None:
        if self.waits:
            self.clock.advance(self.queued_s)
        self.queued_s = 0.0


def test_the_ceiling_is_the_best_of_a_product_and_of_a_copy(clock: FakeClock) -> None:
    device = Device(clock)
    found = measure(
        device.product, device.copy, device.synchronize, clock, size=100, copied_bytes=40_000
    )
    assert found.flops_per_s == pytest.approx(2e6 / 2.001, rel=1e-3)
    assert found.bytes_per_s == pytest.approx(8e4)


def test_a_clock_that_does_not_wait_for_the_device_is_found_out(clock: FakeClock) -> None:
    device = Device(clock, waits=False)

    def product() -> None:  # the first call waits for a queue, the next ones only join it
        device.product()
        if device.queued_s <= 2.0:
            clock.advance(1.0)

    with pytest.raises(ImplausibleError, match="does not wait"):
        measure(product, device.copy, device.synchronize, clock, size=100, copied_bytes=40_000)


@pytest.mark.parametrize(
    ("flops", "seconds", "most", "found"),
    [
        (1e9, 0.01, PEAK, False),
        (1e9, 1e9 / 2.6e11, PEAK, False),  # a convolution may save multiplications
        (1e9, 1e9 / 2.8e11, PEAK, True),
        (1e9, 1e-9, None, False),
        (None, 1e-9, PEAK, False),
    ],
)
def test_a_time_is_held_against_the_ceiling(
    flops: float | None, seconds: float, most: float | None, *, found: bool
) -> None:
    assert bool(obstacle(flops, seconds, most)) == found


def test_a_case_beyond_the_ceiling_is_an_error_with_its_figures() -> None:
    case = Case(
        id="m.a",
        stack="a",
        status="ok",
        launches=(Launch(index=0, samples_s=(1.0, 1e-9)),),
        flops_per_iteration=1e9,
    )
    judged = plausibility.checked(case, CEILING)
    assert judged.status == "error"
    assert judged.reason == (
        "implausible: 1e+09 GFLOP/s, but this device was never seen to reach more than 100"
        " in a matrix product"
    )
    assert plausibility.checked(replace(case, status="crash"), CEILING).status == "crash"
    assert plausibility.checked(case, None).status == "ok"


def test_the_ceiling_is_measured_once_per_machine_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Pipeline(monkeypatch, tmp_path)
    first = settle(tmp_path)
    assert (first.flops_per_s or 0) > 1e6
    assert (first.bytes_per_s or 0) > 1e6
    assert settle(tmp_path) == first
    (file,) = (tmp_path / ceilings.STORE).iterdir()
    file.write_text("{")
    assert settle(tmp_path).flops_per_s != first.flops_per_s


def test_a_batch_that_costs_less_than_a_smaller_one_is_doubted() -> None:
    assert peaks.falling([(8, 0.010), (32, 0.010), (16, 0.009)]) == []
    (doubt,) = peaks.falling([(64, 0.001), (32, 0.010), (16, 0.009)])
    assert doubt == "implausible: a batch of 64 takes 0.001 s, one of 32 took 0.01 s"


def test_a_ceiling_is_not_measured_beside_another_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline(monkeypatch, tmp_path)
    pipeline.wanting(ceiling=REAL.ceiling)
    with locks.DeviceLock("cpu"):
        assert pipeline.run("--phases", "forward").code == Exit.LOCKED
    assert not (pipeline.out / ceilings.STORE).exists()
    assert pipeline.run("--phases", "forward").code == Exit.OK
    assert (pipeline.out / ceilings.STORE).exists()


def test_a_framework_that_cannot_be_measured_has_no_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Pipeline(monkeypatch, tmp_path)
    monkeypatch.setattr(ceilings, "SIZES", {"cpu": -1})
    told = settle(tmp_path)
    assert told.flops_per_s is None
    assert str(told.reason).startswith("null-a: ValueError")
    assert not (tmp_path / ceilings.STORE).exists()


def test_a_run_keeps_its_ceiling_and_withholds_what_is_beyond_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pipeline = Pipeline(monkeypatch, tmp_path)
    low = Ceiling(flops_per_s=1e-3, bytes_per_s=1.0)
    done = pipeline.wanting(ceiling=lambda _session: low).run("--phases", "forward")
    assert done.run.environment.ceiling == low
    assert done.code == 3
    assert str(done.case("forward", "null-a").reason).startswith("implausible: ")
