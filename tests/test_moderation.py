"""Intervals that lean on like matchups cover what they promise, and say more with few launches."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import variance

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from benchmarks.measure.summary import assemble
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results import moderation
from benchmarks.results.machine import Environment
from benchmarks.results.moderation import Prior, Spread, prior
from benchmarks.results.records import Parity, Run
from benchmarks.results.statistics import Comparison, compared, estimate, verdict
from benchmarks.results.stored.codec import read_run, to_json
from benchmarks.results.stored.ledger import Ledger
from benchmarks.results.wording import PAIRS
from tests.pipeline import MODELS

Rng = np.random.Generator
PUBLIC = Path(__file__).parent.parent / "results-public" / "cpu-2-cores" / "run.json.gz"


def alike(_rng: Rng, count: int) -> np.ndarray:
    return np.ones(count)


def unequal(rng: Rng, count: int) -> np.ndarray:
    """Variances whose logarithm has a standard deviation of 1."""
    return np.exp(rng.normal(0, 1, count))


def inverse_chi_squared(rng: Rng, count: int) -> np.ndarray:
    """What the prior takes variances to be, with 4 degrees of freedom."""
    return 4 / rng.chisquare(4, count)


def heavy_tailed(rng: Rng, count: int) -> np.ndarray:
    """Unequal variances, of which one in five is 50 times as large."""
    return np.exp(rng.normal(0, 0.7, count)) * np.where(rng.random(count) < 0.2, 50, 1)


def simulated(
    variances: Callable[[Rng, int], np.ndarray], matchups: int, launches: int, runs: int
) -> tuple[float, float]:
    """Coverage of the truth over all matchups, and the width beside the plain interval's."""
    rng, covered, shares = np.random.default_rng(20261127), list[bool](), list[float]()
    for _ in range(runs):
        scale = np.sqrt(variances(rng, matchups))[:, None]
        logs = (0.01 * scale * rng.normal(0, 1, (matchups, launches))).tolist()
        found = prior([Spread.of(one) for one in logs])
        for one in logs:
            ci95, plain = estimate(one, found).ci95, estimate(one).ci95
            assert ci95
            assert plain
            covered.append(ci95[0] <= 1 <= ci95[1])
            shares.append(math.log(ci95[1] / ci95[0]) / math.log(plain[1] / plain[0]))
    return float(np.mean(covered)), float(np.median(shares))


@pytest.mark.parametrize("launches", [3, 7])
@pytest.mark.parametrize("variances", [unequal, inverse_chi_squared, heavy_tailed])
def test_the_interval_covers_94_to_96_of_100(
    variances: Callable[[Rng, int], np.ndarray], launches: int
) -> None:
    coverage, share = simulated(variances, 12, launches, 400)
    assert 0.94 <= coverage <= 0.96
    assert launches > 3 or share < 0.9


@pytest.mark.parametrize("matchups", [moderation.FEWEST, 8])
def test_it_covers_as_much_with_few_and_with_many_matchups(matchups: int) -> None:
    for variances in (alike, unequal, heavy_tailed):
        coverage, _ = simulated(variances, matchups, 3, 3600 // matchups)
        assert 0.94 <= coverage <= 0.965, variances


def test_without_limits_it_would_cover_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "OUTLYING", 0.0)
    monkeypatch.setattr(moderation, "FEWEST", 2)
    assert simulated(unequal, 4, 3, 500)[0] < 0.94
    assert simulated(unequal, 8, 3, 400)[0] < 0.94


def test_the_prior_is_that_of_the_variances_it_is_estimated_from() -> None:
    rng = np.random.default_rng(1)
    scales = np.sqrt(0.5 * 6 / rng.chisquare(6, 3000))[:, None]
    logs = (scales * rng.normal(0, 1, (3000, 5))).tolist()
    found = prior([Spread.of(one) for one in logs])
    assert found
    assert found.variance == pytest.approx(0.5, rel=0.05)
    assert found.freedom == pytest.approx(6, rel=0.15)


def test_the_equations_of_the_prior_are_solved() -> None:
    spreads = [Spread(v, 4.0) for v in (0.02, 5.0, 1.0, 0.3, 40.0, 0.001)]
    found = prior(spreads)
    assert found
    assert found.freedom < len(spreads) / 2
    shifted = [math.log(s.variance) - digamma(2) + math.log(2) for s in spreads]
    assert polygamma(1, found.freedom / 2) == pytest.approx(variance(shifted) - polygamma(1, 2))
    half = found.freedom / 2
    assert math.log(found.variance) == pytest.approx(
        np.mean(shifted) + digamma(half) - math.log(half)
    )


def test_the_posterior_stands_between_the_two() -> None:
    made = Prior(variance=4.0, freedom=6.0, total=30.0).moderated(Spread(1.0, 2.0), 3)
    assert made.variance == pytest.approx((6 * 4 + 2 * 1) / 8)
    assert made.freedom == 8.0
    assert Prior(4.0, 6.0, 5.0).moderated(Spread(1.0, 2.0), 3).freedom == 5.0


def test_an_outlying_variance_keeps_its_own_interval() -> None:
    own = Spread(100.0, 2.0)
    assert Prior(1.0, 6.0, 30.0).moderated(own, 3) == own
    assert Prior(1.0, 6.0, 30.0).moderated(Spread(1.5, 2.0), 3) != Spread(1.5, 2.0)


def test_few_variances_make_no_prior_and_none_of_0_counts() -> None:
    spreads = [Spread(float(v), 2.0) for v in range(1, moderation.FEWEST)]
    assert prior(spreads) is None
    assert prior([*spreads, Spread(0.0, 2.0)]) is None
    assert prior([*spreads, Spread(1.0, 2.0)]) is not None
    alike = prior([Spread(1.0, 2.0)] * 9)
    assert alike
    assert alike.freedom == 4.5  # half of 9, though all are alike


def test_both_intervals_stand_in_the_verdict() -> None:
    of = Comparison(a="a", b="b", log_ratios=(0.1, 0.11, 0.13))
    plain = verdict(of, 0.02)
    assert plain.ci95 == plain.plain_ci95
    assert plain.freedom == 2.0
    leaning = verdict(of, 0.02, Prior(2e-4, 6.0, 30.0))
    assert leaning.plain_ci95 == plain.ci95
    assert leaning.ci95 != plain.ci95
    assert leaning.freedom == 8.0
    assert Comparison(a="a", b="b", log_ratios=(0.1, 0.2), busy="busy").spread is None


def run_of(phases: tuple[str, ...], rows: dict[str, list[float]]) -> Run:
    """A run of the tiny model whose launches gave these seconds to mode a, and 1 s to mode b."""
    made = plan.make(
        Selection(models_dir=MODELS, models=("tiny",), phases=phases, stacks=("null-a", "null-b"))
    )
    ledger = Ledger(proofs={"tiny": Parity(status="partial")})
    for matchup in made.groups[0].matchups:
        for index, seconds in enumerate(rows[matchup.phase]):
            told = {"warmup_s": [], "steady": True, "iterations": 1, "items": 1, "memory": {}}
            told |= {"learned": []}
            cases = {
                "null-a": told | {"samples_s": [seconds]},
                "null-b": told | {"samples_s": [1.0]},
            }
            ledger.launches.setdefault(matchup.id, {})[index] = cases
    header = Run(
        run_id="r",
        started="",
        seconds=1.0,
        exit=0,
        command=(),
        environment=Environment(),
        matchups=(),
    )
    return assemble(made, ledger, header)


def test_matchups_lean_on_those_of_their_kind_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moderation, "FEWEST", 3)
    rows = {
        "forward": [1.0, 1.02, 1.03],
        "backward": [1.0, 1.01, 1.03],
        "train_step": [1.0, 1.02, 1.01],
        "epoch": [1.0, 1.3, 1.2],
    }
    done = run_of(("forward", "backward", "train_step", "epoch"), rows)
    found = {result.matchup.phase: result.verdicts[0] for result in done.matchups}
    steps = ("forward", "backward", "train_step")
    assert [found[step].freedom for step in steps] == pytest.approx([3.5] * 3)
    assert found["epoch"].freedom == 2.0
    assert to_json(found["forward"])["plain_ci95"] != to_json(found["forward"])["ci95"]


def test_a_stored_run_has_more_calls_and_none_turned_round() -> None:
    run = json.loads(gzip.decompress(PUBLIC.read_bytes()))
    stored = read_run(run)
    spreads: dict[tuple[bool, str], list[Spread]] = {}
    rows = []
    for result in stored.matchups:
        cases = {case.stack: case for case in result.cases}
        for a, b in PAIRS:
            one = compared(cases[a], cases[b])
            if one.spread:
                rows.append(((result.matchup.phase in {"dataload", "epoch"}, a), one))
                spreads.setdefault(rows[-1][0], []).append(one.spread)
    plain = [verdict(one, 0.02).verdict for _, one in rows]
    leaning = [verdict(one, 0.02, prior(spreads[key])).verdict for key, one in rows]
    assert leaning.count("no call") < plain.count("no call")
    assert {(p, m) for p, m in zip(plain, leaning, strict=True)} <= {
        ("faster", "faster"), ("slower", "slower"), ("no call", "no call"),
        ("no call", "faster"), ("no call", "slower"),
    }  # fmt: skip
