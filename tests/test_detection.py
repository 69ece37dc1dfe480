"""What detectors share, on every engine, against references written as loops; and ties."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import frameworks
from benchmarks.machine.environment import framework_status
from benchmarks.models.detection import retinanet, ssd300, yolov3_tiny
from benchmarks.models.detection._shared import CLOSE, LARGEST, NEITHER
from benchmarks.proof import compare, group
from benchmarks.request import discovery
from benchmarks.results.records import Parity
from benchmarks.tasks.task import batch_size, draw
from tests import detected
from tests.detected import (
    CANDIDATES,
    FIRST,
    FLOOR,
    HIGH,
    LEVELS,
    LIMIT,
    LOW,
    MAPS,
    MOST,
    SIDE,
    TAKEN,
    TIED,
    WEIGHTS,
)
from tests.pipeline import ROOT

ENGINES = ("torch", "tensorflow", "jax", pytest.param("keras_torch", marks=pytest.mark.heavy))
LIMIT_S = 300.0
GIVEN = detected.given()
TOLERANCE = 1e-12
Found = dict[str, Any]


@cache
def _computed(engine: str, folder: Path) -> Found:
    facts = frameworks.facts(engine)
    if missing := framework_status(facts.packages):
        pytest.skip(missing)
    path = folder / f"{engine}.npz"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.detected", engine, str(path)],
        cwd=ROOT,
        env={**os.environ, **facts.env, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    with np.load(path) as held:
        return dict(held)


@pytest.fixture(scope="module", params=ENGINES)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return _computed(request.param, tmp_path_factory.getbasetemp())


def _share(a: Any, b: Any) -> float:
    """Intersection over union of two boxes."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return float(wide * high / (sum(areas) - wide * high))


def _kept(boxes: Any, scores: Any, limit: float, kinds: Any = None) -> list[int]:
    """The places that are kept, the best first: each is compared with those kept before it."""
    kept: list[int] = []
    for place in sorted(range(len(boxes)), key=lambda p: -scores[p]):
        rivals = (p for p in kept if kinds is None or kinds[p] == kinds[place])
        if scores[place] > 0 and all(_share(boxes[p], boxes[place]) <= limit for p in rivals):
            kept.append(place)
    return kept


def _objects(image: int) -> list[int]:
    return [index for index, one in enumerate(GIVEN["there"][image]) if one]


def _assigned(image: int, low: float, high: float) -> list[int]:
    made = []
    for anchor in GIVEN["anchors"]:
        shares = {o: _share(GIVEN["objects"][image][o], anchor) for o in _objects(image)}
        best = max(shares, key=lambda o: shares[o])
        share = shares[best]
        made.append(best if share >= high else -1 if share < low else NEITHER)
    return made


def _nearest(image: int, obj: int) -> list[int]:
    """The anchors that an object overlaps most."""
    shares = [_share(GIVEN["objects"][image][obj], anchor) for anchor in GIVEN["anchors"]]
    return [index for index, share in enumerate(shares) if share >= max(shares) - CLOSE]


@pytest.mark.slow
def test_overlaps_are_those_of_each_pair(found: Found) -> None:
    wanted = [
        [[_share(a, b) if any(b) else 0.0 for b in GIVEN["objects"][image]] for a in boxes]
        for image, boxes in enumerate(GIVEN["boxes"])
    ]
    np.testing.assert_allclose(found["overlap"], wanted, atol=TOLERANCE)
    assert (found["shares"][~GIVEN["there"]] == -1).all()


@pytest.mark.slow
def test_anchors_get_the_object_that_they_overlap_most(found: Found) -> None:
    for image in range(3):
        wanted = _assigned(image, LOW, HIGH)
        assert found["assigned"][image].tolist() == wanted
        for obj in _objects(image):
            for anchor in _nearest(image, obj):
                shares = [
                    _share(o, GIVEN["anchors"][anchor]) for o in GIVEN["objects"][image] if any(o)
                ]
                wanted[anchor] = int(np.argmax(shares))
        assert found["restored"][image].tolist() == wanted
    values = set(found["assigned"].ravel().tolist())
    assert {NEITHER, -1, 0} <= values
    assert not (found["assigned"] == found["restored"]).all()


@pytest.mark.slow
def test_the_first_of_the_anchors_that_an_object_overlaps_most_answers_for_it(
    found: Found,
) -> None:
    assert _nearest(0, 2) == [3, 7]
    for image in range(3):
        wanted = _assigned(image, ssd300.OVERLAP, ssd300.OVERLAP)
        for obj in _objects(image):
            wanted[_nearest(image, obj)[0]] = obj
        assert found["ssd"][image].tolist() == wanted


@pytest.mark.slow
def test_three_times_as_many_of_the_hardest_anchors_without_an_object_count(found: Found) -> None:
    for image in range(3):
        there = found["ssd"][image] >= 0
        others = [i for i in np.argsort(-GIVEN["losses"][image]) if not there[i]]
        wanted = sorted(others[: 3 * there.sum()])
        assert np.flatnonzero(found["hardest"][image] & ~there).tolist() == wanted


@pytest.mark.slow
def test_an_object_belongs_to_the_likest_shape_in_the_cell_of_its_centre(found: Found) -> None:
    sizes = [
        (w / 416, h / 416, cells)
        for shapes, cells in zip(yolov3_tiny.ANCHORS, (4, 8), strict=True)
        for w, h in shapes
    ]
    for image in range(3):
        wanted = np.full(240, -1)
        for obj in _objects(image):
            left, top, right, bottom = GIVEN["objects"][image][obj]
            wide, high = right - left, bottom - top
            alike = [_share((0, 0, w, h), (0, 0, wide, high)) for w, h, _ in sizes]
            best = int(np.argmax(alike))
            cells = sizes[best][2]
            column, row = int((left + right) / 2 * cells), int((top + bottom) / 2 * cells)
            first = 0 if cells == 4 else 3 * 16
            wanted[first + 3 * (row * cells + column) + best % 3] = obj
        assert found["cells"][image].tolist() == wanted.tolist()
        for slot, head in enumerate(GIVEN["heads"][image]):
            corner, cell, shape = np.split(yolov3_tiny.anchors(128)[slot], [2, 3])
            centre = corner + cell / (1 + np.exp(-head[:2]))
            half = np.exp(head[2:4]) * shape / 2
            box = [*(centre - half), *(centre + half)]
            most = max(_share(box, GIVEN["objects"][image][o]) for o in _objects(image))
            ignored = wanted[slot] < 0 and most > yolov3_tiny.IGNORED
            assert found["ignored"][image][slot] == ignored
    assert found["ignored"].any()


@pytest.mark.slow
def test_boxes_are_coded_by_their_anchors(found: Found) -> None:
    for image, boxes in enumerate(GIVEN["boxes"]):
        for place, (box, anchor) in enumerate(zip(boxes, GIVEN["anchors"], strict=True)):
            code = []
            for low, high in ((0, 2), (1, 3)):
                own = anchor[high] - anchor[low]
                middle = (box[high] + box[low] - anchor[high] - anchor[low]) / 2
                code.append(WEIGHTS[0] * middle / own)
            for low, high in ((0, 2), (1, 3)):
                ratio = (box[high] - box[low]) / (anchor[high] - anchor[low])
                code.append(WEIGHTS[1] * math.log(ratio))
            np.testing.assert_allclose(found["encoded"][image][place], code, atol=1e-11)
            x, y, w, h = GIVEN["codes"][image][place]
            back = []
            for at, size, (low, high) in ((x, w, (0, 2)), (y, h, (1, 3))):
                own = anchor[high] - anchor[low]
                middle = (anchor[high] + anchor[low]) / 2 + at / WEIGHTS[0] * own
                half = min(math.exp(size / WEIGHTS[1]), LARGEST) * own / 2
                back.append((middle - half, middle + half))
            wanted = [back[0][0], back[1][0], back[0][1], back[1][1]]
            np.testing.assert_allclose(found["decoded"][image][place], wanted, atol=1e-11)


@pytest.mark.slow
def test_of_boxes_that_overlap_the_best_is_kept(found: Found) -> None:
    for index in np.ndindex(2, 3):
        boxes, there = GIVEN["crowd"][index], GIVEN["crowded"][index]
        scores = there * np.linspace(1, 0.5, len(boxes))
        for name, kinds in (("greedy", None), ("greedy_kinds", GIVEN["kinds"][index])):
            kept = np.flatnonzero(found[name][index]).tolist()
            assert kept == _kept(boxes, scores, LIMIT, kinds)
            assert len(kept) < there.sum()


@pytest.mark.slow
def test_the_same_boxes_are_kept_in_the_same_order(found: Found) -> None:
    for image in range(2):
        boxes, scores = GIVEN["found"][image], GIVEN["scores"][image]
        pairs = [(a, c) for a in range(40) for c in range(3) if scores[a, c] > FLOOR]
        pairs.sort(key=lambda one: -scores[one])
        levels = ([p for p in pairs if p[0] < LEVELS[0]], [p for p in pairs if p[0] >= LEVELS[0]])
        assert max(map(len, levels)) > CANDIDATES
        looked_at = [p for level in levels for p in level[:CANDIDATES]]
        held = [scores[one] for one in looked_at]
        kinds = [c for _, c in looked_at]
        kept = _kept([boxes[a] for a, _ in looked_at], held, LIMIT, kinds)[:MOST]
        wanted = [looked_at[place] for place in kept]
        assert len(wanted) == MOST
        assert found["detected_kept"][image].tolist() == [a for a, _ in wanted]
        assert found["detected_classes"][image].tolist() == [c for _, c in wanted]
        assert found["detected_boxes"][image].tolist() == [boxes[a].tolist() for a, _ in wanted]
        assert found["detected_scores"][image].tolist() == [scores[one] for one in wanted]


@pytest.mark.slow
def test_samples_are_those_of_the_lowest_keys(found: Found) -> None:
    for image, keys in enumerate(GIVEN["keys"]):
        order = np.argsort(keys)
        first = [i for i in order if GIVEN["positive"][image][i]][:FIRST]
        others = [i for i in order if GIVEN["negative"][image][i]][: TAKEN - len(first)]
        assert np.flatnonzero(found["positive"][image]).tolist() == sorted(first)
        assert np.flatnonzero(found["negative"][image]).tolist() == sorted(others)
    assert set(found["positive"].sum(1)) > {FIRST}
    assert found["negative"].sum(1).min() < TAKEN - FIRST


def _pixel(one: Any, y: float, x: float) -> Any:
    """A map (side, side, channels) between its pixels; nothing beyond one pixel outside."""
    side = len(one)
    if not (-1 <= y <= side and -1 <= x <= side):
        return np.zeros(one.shape[-1])
    y, x = (min(max(at, 0.0), side - 1) for at in (y, x))
    top, left = int(y), int(x)
    below, right = min(top + 1, side - 1), min(left + 1, side - 1)
    upper = one[top, left] * (1 - x + left) + one[top, right] * (x - left)
    lower = one[below, left] * (1 - x + left) + one[below, right] * (x - left)
    return upper * (1 - y + top) + lower * (y - top)


@pytest.mark.slow
def test_features_of_regions_are_the_means_of_four_points_a_bin(found: Found) -> None:
    levels = set()
    for image, regions in enumerate(GIVEN["regions"]):
        for place, (left, top, right, bottom) in enumerate(regions):
            pixels = math.sqrt((right - left) * (bottom - top)) * SIDE
            level = min(max(math.floor(4 + math.log2(pixels / 224) + 1e-6), 2), 5) - 2
            levels.add(level)
            side = MAPS[level]
            one = GIVEN[f"map{side}"][image]
            wide, high = (max(extent * side, 1.0) for extent in (right - left, bottom - top))
            wanted = [
                np.mean(
                    [
                        _pixel(
                            one,
                            top * side + (row + (y + 0.5) / 2) * high / 7,
                            left * side + (column + (x + 0.5) / 2) * wide / 7,
                        )
                        for y in range(2)
                        for x in range(2)
                    ],
                    axis=0,
                )
                for row in range(7)
                for column in range(7)
            ]
            np.testing.assert_allclose(found["aligned"][image][place], np.ravel(wanted), atol=1e-11)
    assert levels == {0, 1, 2, 3}


@pytest.mark.slow
def test_of_equal_scores_every_stack_keeps_its_own_first(
    found: Found, request: pytest.FixtureRequest
) -> None:
    engine = request.node.callspec.params["found"]
    for kept in found["ties"].tolist():
        assert len(set(kept)) == TIED
        assert set(kept) <= set(range(20))
        if engine in {"tensorflow", "jax"}:
            assert kept == list(range(TIED))


def test_a_single_index_that_differs_is_more_than_any_tolerance() -> None:
    right = {"choice/objects": np.full(100_000, 99_999.0)}
    wrong = {"choice/objects": right["choice/objects"].copy()}
    wrong["choice/objects"][7] += 1
    assert compare.compare(right, right, {}).equal
    assert not compare.compare(right, wrong, {}).equal


MATCHED = {
    "ssd300": (ssd300.anchors, (ssd300.OVERLAP,)),
    "retinanet": (
        lambda: np.concatenate(retinanet.anchors(128)),
        (retinanet.LOW, retinanet.HIGH),
    ),
}


@pytest.mark.parametrize("name", MATCHED)
def test_no_overlap_of_a_proof_lies_at_a_threshold(name: str) -> None:
    anchors, limits = MATCHED[name]
    task = discovery.task(name).sized("quick")
    targets = draw(task, task.proof_batch or batch_size(task), 0).targets
    for boxes, there in zip(targets["objects.boxes"], targets["objects.mask"], strict=True):
        shares = np.array([[_share(box, anchor) for anchor in anchors()] for box in boxes[there]])
        for limit in limits:
            assert abs(shares - limit).min() > CLOSE
        best = shares.max(1, keepdims=True)
        apart = best - shares
        assert not ((apart > CLOSE / 10) & (apart < 10 * CLOSE)).any()


def test_anchors_are_as_many_as_published_and_where_they_are_published() -> None:
    assert yolov3_tiny.anchors(416).shape == (2535, 5)
    assert ssd300.anchors().shape == (8732, 4)
    np.testing.assert_allclose(ssd300.anchors()[0] * 300, [4 - 10.5, 4 - 10.5, 4 + 10.5, 4 + 10.5])
    levels = retinanet.anchors(800)
    assert [len(one) // 9 for one in levels] == [10_000, 2_500, 625, 169, 49]
    np.testing.assert_allclose(levels[0][0] * 800, [-23, -11, 23, 11])
    np.testing.assert_allclose(levels[3][9][:2] * 800 + [181, 91], [61, 0])


class Apart:
    """Two sides whose first output differs and whose last one does not."""

    names = ("torch", "keras")

    def arrays(self, verb: str, each: Any, *, seed: int) -> tuple[dict[str, Found], list[Any]]:
        """What either side infers."""
        del each
        assert (verb, seed) == ("infer", 3)
        last = {"output/anchors": np.ones(3)}
        return {
            n: {"output/heads": np.full(3, i + 1.0)} | last for i, n in enumerate(self.names)
        }, []


def test_at_the_timed_size_every_output_is_compared() -> None:
    sides: Any = Apart()
    parity = Parity(status="proven", max_rel_error={})
    found = group._at_timed_size(sides, dict.fromkeys(Apart.names, ()), {}, 3, parity)
    assert found.status == "failed"
    assert found.max_rel_error == {"output_as_timed": 0.5}
