"""Roofs, traffic and where a case stands: by hand for a model small enough to count."""

from dataclasses import replace

import pytest

from benchmarks.measure import plausibility
from benchmarks.proof import costs
from benchmarks.request import discovery
from benchmarks.results.machine import Ceiling
from benchmarks.results.records import Case, Launch, LayerWork
from benchmarks.tasks.optimizers import Adam
from profilers import roofline

PEAK, BANDWIDTH = 1e12, 1e11


def test_much_work_per_byte_is_bound_by_arithmetic() -> None:
    place = roofline.place(8e9, 1e6, 0.01, PEAK, BANDWIDTH)
    assert place.of_compute == pytest.approx(0.8)
    assert place.of_memory == pytest.approx(0.001)
    assert (place.bound, place.of_roof, place.intensity) == ("compute", place.of_compute, 8000)


def test_little_work_per_byte_is_bound_by_memory() -> None:
    place = roofline.place(1e6, 5e8, 0.01, PEAK, BANDWIDTH)
    assert place.bound == "memory"
    assert place.of_roof == pytest.approx(0.5)


def test_far_below_both_roofs_something_else_holds_it_up() -> None:
    assert roofline.place(1e8, 1e6, 0.01, PEAK, BANDWIDTH).bound == "neither"


@pytest.mark.parametrize("figures", [(0, 1, 1, 1, 1), (1, 1, -1, 1, 1), (1, 1, 1, 1, 0)])
def test_a_figure_that_cannot_be(figures: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        roofline.place(*figures)


def _layer(name: str, parameters: int, output: int, *, kind: str = "Conv") -> LayerWork:
    return LayerWork(
        name=name,
        kind=kind,
        parameters=parameters,
        trainable=True,
        macs=1,
        output=output,
        terms=1,
        looked_up=kind == "Embedding",
    )


SMALL = (
    _layer("conv1", 3 * 3 * 3 * 32 + 32, 30 * 30 * 32),
    _layer("conv2", 3 * 3 * 32 * 16 + 16, 13 * 13 * 16),
    _layer("dense", 576 * 10 + 10, 10, kind="Dense"),
)
"""conv1 3->32 at 30x30, conv2 32->16 at 13x13, dense 576->10."""
WEIGHTS, MAPS = sum(one.parameters for one in SMALL), sum(one.output for one in SMALL)


def test_bytes_of_the_small_network_by_hand() -> None:
    """Batch 2, four bytes a number."""
    task = discovery.task("simple_cnn")

    def counted(phase: str, precision: str = "float32") -> float | None:
        return costs.bytes_of(SMALL, task, phase, 2, precision)

    forward = 4 * (WEIGHTS + 2 * (2 * MAPS + 32 * 32 * 3))
    backward = 4 * (2 * WEIGHTS + 2 * 3 * MAPS)
    assert counted("forward") == forward
    assert counted("backward") == backward
    assert counted("train_step") == forward + backward + 4 * 5 * WEIGHTS
    assert counted("epoch") is None
    assert costs.bytes_of((), task, "forward", 2, "float32") is None
    halved = counted("forward", "bfloat16")
    assert halved == 4 * WEIGHTS + 2 * 2 * (2 * MAPS + 32 * 32 * 3)  # weights stay in float32


def test_an_optimizer_of_two_moments_moves_more() -> None:
    task = discovery.task("simple_cnn")
    adam = replace(task, optimizer=Adam())
    steps = [costs.bytes_of(SMALL, t, "train_step", 2, "float32") or 0 for t in (task, adam)]
    assert steps[1] - steps[0] == 4 * (7 - 5) * WEIGHTS


def test_of_a_table_the_rows_looked_up_are_counted() -> None:
    task = discovery.task("lstm")
    table = (_layer("embedding", 20_000 * 128, 80 * 128, kind="Embedding"),)
    ids, maps = 2 * 80, 2 * 80 * 128
    assert costs.bytes_of(table, task, "forward", 2, "float32") == 4 * (ids + maps + 2 * maps)
    whole = costs.bytes_of(table, task, "forward", 1000, "float32")
    assert whole == 4 * (1000 * 80 + 20_000 * 128 + 2 * 1000 * 80 * 128)


def case(seconds: float) -> Case:
    """A case of 8 GFLOP and 1 MB."""
    return Case(
        id="m.forward.b1.float32.cpu.torch-eager",
        stack="torch-eager",
        status="ok",
        launches=(Launch(index=0, samples_s=(seconds,)),),
        flops_per_iteration=8e9,
        bytes_per_iteration=1e6,
    )


def test_a_case_gets_its_place_and_a_missing_figure_leaves_it_out() -> None:
    ceiling = Ceiling(flops_per_s=PEAK, bytes_per_s=BANDWIDTH)
    found = plausibility.checked(case(0.01), ceiling).roofline
    assert found is not None
    assert found.bound == "compute"
    assert plausibility.checked(case(0.01), Ceiling(flops_per_s=PEAK)).roofline is None
    assert plausibility.checked(case(0.01), None).roofline is None
    beyond = plausibility.checked(case(0.001), ceiling)
    assert (beyond.status, beyond.roofline) == ("error", None)
