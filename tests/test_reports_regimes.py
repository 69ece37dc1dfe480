"""Ratios over batches and sizes: where the winner changes, in words, as a map and as curves."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.results.records import Matchup, MatchupResult, Verdict, VerdictWord
from reports.charts import maps
from reports.contents import regimes, verdicts
from reports.pages import build, html, markdown
from reports.runs.load import load_run
from tests import report_samples as samples

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.lines import Line2D

    from benchmarks.results.records import Run
    from reports.contents.regimes import Curve

PAIR = verdicts.HEADLINE
COUNTED = {"28x28x16": (0.5, 0.8, 1.01, 2.0), "": (0.25, 0.4, 0.5, 0.8)}
"""By size the ratios at ``BATCHES``; at one of them there is no call."""
BATCHES = (1, 8, 32, 128)


def swept(phases: tuple[str, ...] = ("forward",)) -> Run:
    """A layer at two sizes and four batches, and a model at one."""
    rng = random.Random(3)  # noqa: S311  plausible times, no secrets
    results = []
    for phase in phases:
        for variant, ratios in COUNTED.items():
            for batch, ratio in zip(reversed(BATCHES), reversed(ratios), strict=True):
                matchup = Matchup(model="layer", phase=phase, batch=batch, variant=variant)
                results.append(_result(matchup, ratio, rng))
        results.append(_result(Matchup(model="mlp", phase=phase, batch=64), 1.5, rng))
    results.append(samples.cold_start("layer", rng))
    return samples.run(tuple(results))


def _result(matchup: Matchup, ratio: float, rng: random.Random) -> MatchupResult:
    cases = tuple(samples.case(matchup, stack, rng, 0.01) for stack in PAIR)
    word: VerdictWord = (
        "no call" if abs(math.log(ratio)) < 0.03 else "faster" if ratio > 1 else "slower"
    )
    verdict = Verdict(
        a=PAIR.a,
        b=PAIR.b,
        ratio=ratio,
        ci95=(0.97 * ratio, 1.03 * ratio),
        launches=3,
        margin=0.02,
        verdict=word,
    )
    return MatchupResult(matchup=matchup, parity=samples.parity(), cases=cases, verdicts=(verdict,))


def _points(line: Line2D) -> list[tuple[float, float]]:
    xs, ys = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def _curve(run: Run, detail: str) -> Curve:
    (found,) = (c for c in regimes.curves(run, PAIR) if c.detail == detail)
    return found


def test_a_curve_is_a_model_at_several_batches_all_else_equal() -> None:
    found = regimes.curves(swept(("train_step", "forward")), PAIR)
    assert [(c.model, c.phase, c.detail) for c in found] == [
        ("layer", phase, detail)
        for phase in ("forward", "train_step")
        for detail in ("28x28x16", "full size")
    ]
    for curve in found:
        assert [o.matchup.batch for o in curve.points] == list(BATCHES)


def test_the_winner_changes_where_the_ratio_would_be_one() -> None:
    run = swept()
    (change,) = _curve(run, "28x28x16").changes
    assert (change.low.matchup.batch, change.high.matchup.batch) == (8, 128)  # 32 has no call
    # log 0.8 = -0.223 at 8 and log 2 = 0.693 at 128: zero after 0.2435 of the way.
    assert change.at == pytest.approx(8 * 16**0.24353, rel=1e-3)
    assert change.words == (
        "tensorflow-graph up to batch 8, torch-eager from 128 on (equal near 15.7)"
    )
    assert _curve(run, "full size").changes == ()


def test_a_run_of_one_batch_has_no_map() -> None:
    run = samples.healthy_run(("mlp",))
    assert (maps.heat(run), maps.curves(run), tuple(regimes.tables(run))) == ([], [], ())
    assert 'id="regimes"' not in html.render(run)


def test_the_map_has_a_field_for_each_batch_and_a_line_where_the_winner_changes() -> None:
    (figure,) = maps.heat(swept())
    (ax,) = figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "layer · 28x28x16  forward",
        "layer · full size  forward",
    ]
    assert [t.get_text() for t in ax.get_xticklabels()] == [str(b) for b in BATCHES]
    words = [t.get_text() for t in ax.texts]
    assert words[:4] == ["■ 2.00×", "■ 1.25×", "= 1.01×", "● 2.00×"]
    assert len(ax.patches) == 8
    # Along the batches a no call lies between the winners; of the sizes, the last column differs.
    (line,) = ax.lines
    assert _points(line) == [(3, 0.5), (4, 0.5)]


def test_neighbouring_winners_are_parted_along_the_batches() -> None:
    run = swept()
    kept = tuple(r for r in run.matchups if r.matchup.batch != 32)
    (ax,) = maps.heat(samples.run(kept))[0].axes
    assert list(map(_points, ax.lines)) == [[(2, -0.5), (2, 0.5)], [(2, 0.5), (3, 0.5)]]


def test_the_curves_draw_each_ratio_at_its_batch() -> None:
    (figure,) = maps.curves(swept(("forward", "train_step")))
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.get_visible()] == [
        "layer · 28x28x16",
        "layer · full size",
    ]
    drawn = next(points for points in map(_points, figure.axes[0].lines) if len(points) == 4)
    pairs = zip(BATCHES, COUNTED["28x28x16"], strict=True)
    expected = [(math.log2(batch), math.log2(ratio)) for batch, ratio in pairs]
    np.testing.assert_allclose(np.asarray(drawn), np.asarray(expected))


def test_page_summary_and_folder_hold_the_map(tmp_path: Path) -> None:
    folder = samples.write(tmp_path, swept())
    page = build.build(folder).read_text()
    for name in ("regimes", "regime_curves"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert 'href="#regimes"' in page
    assert "tensorflow-graph up to batch 8, torch-eager from 128 on" in page
    assert "| layer · 28x28x16 | forward |" in markdown.render(load_run(folder)).replace("\\", "")


def test_each_proof_of_a_model_is_told_apart_by_its_batch() -> None:
    run = swept()
    first, *rest = run.matchups
    other = MatchupResult(
        matchup=first.matchup,
        parity=samples.parity(parameters=7),
        cases=first.cases,
        verdicts=first.verdicts,
    )
    page = html.render(samples.run((other, *rest)))
    assert "layer · batch 128 · 28x28x16 · float32 · cpu: proven" in page
