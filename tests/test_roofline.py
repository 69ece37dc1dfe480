"""Roofs, traffic and where a case stands: by hand for a model small enough to count."""

import pytest

from benchmarks import judging, registry, traffic
from benchmarks.records import Case, Launch
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


def test_bytes_of_the_small_network_by_hand() -> None:
    """conv1 3->32 at 30x30, conv2 32->16 at 13x13, dense 576->10; batch 2, four bytes a number."""
    spec = registry.spec("simple_cnn")
    weights = (3 * 3 * 3 * 32 + 32) + (3 * 3 * 32 * 16 + 16) + (576 * 10 + 10)
    maps = 30 * 30 * 32 + 13 * 13 * 16 + 10
    forward = 4 * (weights + 2 * (2 * maps + 32 * 32 * 3))
    backward = 4 * (2 * weights + 2 * 3 * maps)
    assert traffic.bytes_of(spec, "forward", 2, "float32") == forward
    assert traffic.bytes_of(spec, "backward", 2, "float32") == backward
    assert (
        traffic.bytes_of(spec, "train_step", 2, "float32") == forward + backward + 4 * 5 * weights
    )
    assert traffic.bytes_of(spec, "epoch", 2, "float32") is None
    halved = traffic.bytes_of(spec, "forward", 2, "bfloat16")
    assert halved == 4 * weights + 2 * 2 * (2 * maps + 32 * 32 * 3)  # weights stay in float32


def test_a_frozen_network_is_not_passed_backward() -> None:
    frozen, whole = registry.spec("resnet50_transfer"), registry.spec("resnet50")
    assert (traffic.bytes_of(frozen, "backward", 1, "float32") or 0) < 0.02 * (
        traffic.bytes_of(whole, "backward", 1, "float32") or 0
    )


def test_every_shipped_model_is_counted() -> None:
    for name in registry.names("models"):
        assert (traffic.bytes_of(registry.spec(name), "train_step", 1, "float32") or 0) > 0


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
    ceiling = {"flops_per_s": PEAK, "bytes_per_s": BANDWIDTH}
    assert (judging.judged(case(0.01), ceiling).roofline or {})["bound"] == "compute"
    assert judging.judged(case(0.01), {"flops_per_s": PEAK}).roofline is None
    assert judging.judged(case(0.01), None).roofline is None
    beyond = judging.judged(case(0.001), ceiling)
    assert (beyond.status, beyond.roofline) == ("error", None)
