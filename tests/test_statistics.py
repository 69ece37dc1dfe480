"""The interval covers what it promises under noise like a machine's, and verdicts follow it."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
import pytest
from scipy import stats as reference

from benchmarks.results.records import Case, Launch, Status
from benchmarks.results.statistics import (
    Estimate,
    compare,
    estimate,
    judge,
    launch_log_ratio,
    margin,
)

BAD_SAMPLES = pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf, -math.inf])


def case(stack: str, *launches: Sequence[float], status: Status = "ok") -> Case:
    """A case whose launches gave these samples."""
    made = tuple(Launch(index=i, samples_s=tuple(s)) for i, s in enumerate(launches))
    return Case(id=f"m.{stack}", stack=stack, status=status, launches=made)


def simulate(trials: int, launches: int, ratio: float, rounds: int = 20) -> np.ndarray:
    """Log-ratio of every launch of every trial, the samples measured alternately.

    The machine drifts by 2 % (AR(1), shared by both stacks), each launch favours one stack by 1 %,
    each turn has 1 % noise, and 3 % of the turns are 30 % slow.
    """
    rng = np.random.default_rng(20261121)
    shape = (trials * launches, 2 * rounds)
    drift = np.empty(shape)
    drift[:, 0] = rng.normal(0, 0.02, shape[0])
    for turn in range(1, shape[1]):
        drift[:, turn] = 0.95 * drift[:, turn - 1]
        drift[:, turn] += rng.normal(0, 0.02 * math.sqrt(1 - 0.95**2), shape[0])
    noise = rng.normal(0, 0.01, shape) + 0.3 * (rng.random(shape) < 0.03)
    turns = np.exp(drift + noise)
    swap = rng.random((shape[0], rounds)) < 0.5
    a = np.where(swap, turns[:, 1::2], turns[:, ::2])
    b = np.where(swap, turns[:, ::2], turns[:, 1::2])
    b *= ratio * np.exp(rng.normal(0, 0.01, (shape[0], 1)))
    logs = [launch_log_ratio(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    return np.array(logs).reshape(trials, launches)


@pytest.mark.parametrize("launches", [3, 7])
def test_the_interval_covers_the_truth_in_95_of_100_runs(launches: int) -> None:
    found = [estimate(logs) for logs in simulate(1500, launches, 1.1).tolist()]
    covered = [e.ci95 is not None and e.ci95[0] <= 1.1 <= e.ci95[1] for e in found]
    assert 0.93 <= sum(covered) / len(covered) <= 0.97
    assert median(e.ratio for e in found) == pytest.approx(1.1, rel=0.002)


def test_equal_stacks_are_told_apart_without_the_margin_only() -> None:
    found = [estimate(logs) for logs in simulate(1500, 7, 1.0).tolist()]
    calls = {m: sum(judge(e, m)[0] != "no call" for e in found) for m in (0.0, 0.02)}
    assert 0.002 < calls[0.0] / len(found) < 0.02  # why there is a margin
    assert calls[0.02] <= 1


def test_a_real_difference_is_called() -> None:
    words = [judge(estimate(logs), 0.02)[0] for logs in simulate(200, 7, 1.1).tolist()]
    assert words.count("faster") >= 190
    assert words.count("slower") == 0


def test_a_launch_says_the_median_of_its_paired_rounds() -> None:
    assert launch_log_ratio([1, 2, 4], [2, 4, 4]) == pytest.approx(math.log(2))
    # paired, a drift that triples both cancels; medians of each side alone would say 1.5
    assert launch_log_ratio([1, 2, 3], [3, 1, 9]) == pytest.approx(math.log(3))
    assert launch_log_ratio([1, 2], [2, 8]) == pytest.approx(math.log(2 * 4) / 2)


@pytest.mark.parametrize(
    ("a", "b", "said"), [([], [], "no rounds"), ([1.0], [1.0, 2.0], "1 against 2")]
)
def test_rounds_must_pair_up(a: list[float], b: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        launch_log_ratio(a, b)


@BAD_SAMPLES
def test_what_is_no_time_is_refused(bad: float) -> None:
    for a, b in (([1.0, bad], [1.0, 1.0]), ([1.0, 1.0], [bad, 1.0])):
        with pytest.raises(ValueError, match=f"{bad} s is no time"):
            launch_log_ratio(a, b)


def test_the_interval_is_the_t_interval() -> None:
    logs = [0.10, 0.12, 0.07, 0.11, 0.16]
    expected = reference.t.interval(0.95, 4, loc=np.mean(logs), scale=reference.sem(logs))
    found = estimate(logs)
    assert found.launches == 5
    assert found.ratio == pytest.approx(math.exp(0.112))
    assert found.ci95 == pytest.approx(tuple(map(math.exp, expected)))


def test_exchanged_sides_give_the_inverse() -> None:
    forth, back = estimate([0.1, 0.2, 0.15]), estimate([-0.1, -0.2, -0.15])
    assert forth.ci95 is not None
    assert back.ratio == pytest.approx(1 / forth.ratio)
    assert back.ci95 == pytest.approx((1 / forth.ci95[1], 1 / forth.ci95[0]))


def test_one_launch_has_no_interval() -> None:
    found = estimate([math.log(2)])
    assert found.ratio == pytest.approx(2.0)
    assert (found.ci95, found.launches) == (None, 1)


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ([], "no launches"),
        ([0.1, math.nan], "not finite"),
        ([0.1, math.inf], "not finite"),
        ([-700.0, -690.0], "more than a number can hold"),
        ([700.0, -700.0], "more than a number can hold"),
    ],
)
def test_no_estimate_without_numbers(logs: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate(logs)


@pytest.mark.parametrize(
    ("floor", "expected"), [(None, 0.02), (0.0, 0.02), (0.01, 0.02), (0.034, 0.034)]
)
def test_the_margin_is_2_percent_or_the_floor(floor: float | None, expected: float) -> None:
    assert margin(floor) == expected


@pytest.mark.parametrize("floor", [-0.01, math.nan, math.inf])
def test_a_floor_that_cannot_be_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match=f"floor of {floor}"):
        margin(floor)


@pytest.mark.parametrize(
    ("ci95", "word"),
    [
        ((1.021, 1.05), "faster"),
        ((1.02, 1.05), "no call"),
        ((0.95, 0.98), "slower"),
        ((0.95, 0.981), "no call"),  # 1 / 1.02 is 0.98039
        ((0.99, 1.3), "no call"),
    ],
)
def test_a_verdict_needs_the_whole_interval_beyond_the_margin(
    ci95: tuple[float, float], word: str
) -> None:
    assert judge(Estimate(math.sqrt(ci95[0] * ci95[1]), ci95, 7), 0.02)[0] == word


def test_a_call_needs_a_wider_interval_without_1_as_well() -> None:
    noisy = Estimate(1.2, (1.2 / math.exp(0.13), 1.2 * math.exp(0.13)), 7)
    word, reason = judge(noisy, 0.02)
    assert word == "no call"
    assert (reason or "").startswith(
        "interval half as wide again, [0.987, 1.458], still holds 1; about "
    )
    assert int((reason or "").split("about ")[1].split(" launches")[0]) == 8
    surer = Estimate(1.2, (1.2 / math.exp(0.12), 1.2 * math.exp(0.12)), 7)
    assert judge(surer, 0.02) == ("faster", None)


def test_equal_stacks_are_seldom_called_however_noisy() -> None:
    """Where noise is far above the margin, 95 % intervals alone would call 5 of 100."""
    rng = np.random.default_rng(11)
    for launches, most in ((3, 0.03), (7, 0.015)):
        logs = 0.3 * rng.standard_normal((3000, launches))
        words = [judge(estimate(each), 0.02)[0] for each in logs.tolist()]
        assert sum(word != "no call" for word in words) / len(words) < most


def test_a_call_needs_no_reason() -> None:
    assert judge(Estimate(1.2, (1.15, 1.25), 7), 0.02) == ("faster", None)
    assert judge(Estimate(0.8, (0.75, 0.85), 7), 0.02) == ("slower", None)


def test_no_difference_and_no_knowledge_are_two_things() -> None:
    inside = Estimate(1.0, (0.99, 1.01), 7)
    assert judge(inside, 0.02) == ("no call", "no difference beyond ±2 %")
    assert judge(inside, 0.035) == ("no call", "no difference beyond ±3.5 %")
    assert judge(Estimate(1.5, None, 1), 0.02) == ("no call", "one launch gives no interval")
    word, reason = judge(Estimate(1.0, (0.5, 2.0), 3), 1e-6)
    assert (word, reason) == ("no call", "interval [0.500, 2.000] still crosses the margin")


@pytest.mark.parametrize("mean", [0.05, 0.0, -0.05])
def test_the_launches_said_to_settle_it_do(mean: float) -> None:
    def spread(count: int) -> list[float]:
        around = np.linspace(-1, 1, count)
        return [float(x) for x in mean + 0.06 * around / around.std(ddof=1)]

    word, reason = judge(estimate(spread(4)), 0.02)
    assert word == "no call"
    assert reason is not None
    count = int(reason.split("about ")[1].split(" launches")[0])
    settled = {0.05: "faster", 0.0: "no call", -0.05: "slower"}[mean]
    word, reason = judge(estimate(spread(count)), 0.02)
    assert (word, "crosses" in (reason or "")) == (settled, False)
    _, reason = judge(estimate(spread(count - 1)), 0.02)
    assert (reason or "").endswith(f"crosses the margin; about {count} launches would settle it")


def test_compare_speaks_of_both_sides_over_common_launches() -> None:
    a = case("torch-eager", [1.0, 2.0], [1.0, 1.0], [4.0, 4.0])
    b = case("tensorflow-graph", [1.2, 2.4], [1.21, 1.21], [4.84, 4.84])
    found = compare(a, b, 0.02)
    logs = [math.log(1.2), math.log(1.21), math.log(1.21)]
    assert (found.a, found.b) == ("torch-eager", "tensorflow-graph")
    assert found.ratio == pytest.approx(math.exp(sum(logs) / 3))
    assert found.ci95 == pytest.approx(estimate(logs).ci95)
    assert (found.launches, found.margin) == (3, 0.02)
    assert (found.verdict, found.reason) == ("faster", None)
    assert compare(b, a, 0.02).verdict == "slower"


def test_launches_pair_by_index_and_what_is_left_out_is_said() -> None:
    a = case("a", [1.0], [1.0], [1.0], [1.0, 1.0], [])
    b = Case(
        id="m.b",
        stack="b",
        status="ok",
        launches=(
            Launch(index=3, samples_s=(9.0,)),
            Launch(index=2, samples_s=(1.501,)),
            Launch(index=0, samples_s=(1.5,)),
            Launch(index=4, samples_s=()),
        ),
    )
    found = compare(a, b, 0.02)
    assert found.launches == 2
    assert found.ratio == pytest.approx(math.sqrt(1.501 * 1.5))
    assert found.verdict == "faster"
    assert found.reason == (
        "launch 1 left out: 1 rounds against 0; launch 3 left out: 2 rounds against 1; "
        "launch 4 left out: 0 rounds against 0"
    )


def test_one_common_launch_is_no_call() -> None:
    found = compare(case("a", [1.0, 1.0]), case("b", [2.0, 2.0]), 0.02)
    assert (found.verdict, found.reason) == ("no call", "one launch gives no interval")
    assert found.ratio == pytest.approx(2.0)
    assert (found.ci95, found.launches) == (None, 1)


def test_what_failed_is_not_comparable_and_says_why() -> None:
    good = case("a", [1.0], [1.0])
    bad = Case(id="m.b", stack="b", status="oom_host", reason="killed at 7 GiB")
    found = compare(good, bad, 0.02)
    assert (found.verdict, found.reason) == ("not comparable", "b: oom_host: killed at 7 GiB")
    assert (found.ratio, found.ci95, found.launches) == (None, None, 0)
    late = case("b", [1.0], [1.0], status="interrupted")
    assert compare(late, good, 0.02).reason == "b: interrupted: no reason was recorded"
    assert compare(bad, bad, 0.02).reason == "; ".join(["b: oom_host: killed at 7 GiB"] * 2)


def test_missing_samples_are_not_comparable() -> None:
    assert compare(case("a", [1.0]), case("b"), 0.02).reason == "b has no samples"
    assert compare(case("a", [1.0]), case("b", []), 0.02).reason == "b has no samples"
    found = compare(case("a", [1.0]), case("b", [], [1.0]), 0.02)
    assert (found.verdict, found.ratio) == ("not comparable", None)
    assert found.reason == (
        "no launch in common; launch 0 left out: 1 rounds against 0; "
        "launch 1 left out: 0 rounds against 1"
    )


@BAD_SAMPLES
def test_a_sample_that_is_no_time_withholds_the_ratio(bad: float) -> None:
    found = compare(case("a", [1.0], [1.0]), case("b", [1.0], [bad]), 0.02)
    assert (found.verdict, found.ratio) == ("not comparable", None)
    assert found.reason == f"a sample of {bad} s is no time"
