"""What a dialect computes of what detectors share, for ``tests/test_detection.py``.

``python -m tests.detected FRAMEWORK FILE`` computes it in float64 and writes it to FILE (npz).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import frameworks
from benchmarks.request import discovery

Array = NDArray[Any]
LOW, HIGH, LIMIT, FLOOR, WEIGHTS = 0.2, 0.4, 0.3, 0.15, (10.0, 5.0)
LEVELS, CANDIDATES, MOST = (25, 15), 30, 12
TAKEN, FIRST = 12, 4
MAPS, SIDE = (16, 8, 4, 2), 800
TIED = 10
"""Of twenty boxes with the same score, so many are kept."""


def corners(rng: np.random.Generator, *shape: int, largest: float = 0.5) -> Array:
    """Boxes (*shape, 4) within the image."""
    size = rng.uniform(0.05, largest, (*shape, 2))
    start = rng.uniform(0, 1, (*shape, 2)) * (1 - size)
    return np.concatenate([start, start + size], -1)


def given() -> dict[str, Array]:
    """What every dialect and the references are given, by name."""
    rng = np.random.default_rng(5)
    there = np.arange(6) < np.array([[6], [1], [4]])
    nested = corners(rng, 3, 6) * there[..., None]
    anchors = corners(rng, 60)
    anchors[7] = anchors[3]  # two that every object overlaps alike
    nested[0, 2] = anchors[3] + [0.002, 0.003, -0.002, 0.004]
    regions = np.concatenate([corners(rng, 2, 9, largest=0.9), corners(rng, 2, 3, largest=0.06)], 1)
    regions[0, 0], regions[0, 1] = [0.995, 0.99, 1, 1], [0, 0, 1, 1]
    drawn = rng.random((3, 60))
    apart = np.linspace(0, 0.9, 20)[:, None] + [0, 0, 0.03, 0.03]
    return {
        "anchors": anchors,
        "objects": nested,
        "there": there,
        "classes": rng.integers(0, 5, (3, 6)) * there,
        "boxes": corners(rng, 2, 60),
        "codes": rng.normal(size=(2, 60, 4)) * [3, 3, 9, 9],
        "crowd": corners(rng, 2, 3, 30),
        "crowded": rng.random((2, 3, 30)) < 0.8,
        "kinds": rng.integers(0, 2, (2, 3, 30)),
        "found": corners(rng, 2, 40),
        "scores": rng.random((2, 40, 3)),
        "losses": rng.random((3, 60)),
        "heads": rng.normal(size=(3, 240, 7)),
        "positive": drawn < [[0.5], [0.05], [0.3]],
        "negative": drawn > [[0.6], [0.1], [0.9]],
        "keys": rng.permuted(np.tile(np.arange(60), (3, 1)), axis=1),
        "regions": regions,
        **{f"map{side}": rng.normal(size=(2, side, side, 3)) for side in MAPS},
        "apart": np.stack([apart, apart]),
        "equal": np.full((2, 20, 1), 0.5),
    }


def computed(
    shared: Any,
    twin: Callable[[str], Any],
    tensor: Callable[[Array], Any],
    image: Callable[[Array], Any],
) -> Any:
    """By name, what a dialect makes of ``given``; ``image`` lays a map out as the dialect does."""
    from benchmarks.models.detection import yolov3_tiny

    held = {name: tensor(array) for name, array in given().items()}
    found = shared.shares(held["objects"], held["there"], held["anchors"])
    targets = {
        "objects.boxes": held["objects"],
        "objects.classes": held["classes"],
        "objects.mask": held["there"],
    }
    objects = twin("ssd300").matching(held["anchors"], targets)
    heads = {"heads": held["heads"], "anchors": tensor(yolov3_tiny.anchors(128))}
    cells = twin("yolov3_tiny").matching(heads, targets)
    settings = {"floor": FLOOR, "candidates": CANDIDATES, "limit": LIMIT, "most": MOST}
    detected = shared.detected(held["found"], held["scores"], LEVELS, **settings)
    tied = shared.detected(
        held["apart"], held["equal"], (20,), **settings | {"candidates": 20, "most": TIED}
    )
    assigned = shared.assigned(found, LOW, HIGH)
    sides = (held["positive"], held["negative"])
    taken = shared.sampled(*sides, held["keys"], TAKEN, FIRST)
    maps = [image(given()[f"map{side}"]) for side in MAPS]
    return {
        "overlap": shared.overlap(held["boxes"], held["objects"][:2]),
        "shares": found,
        "assigned": assigned,
        "restored": shared.restored(found, assigned),
        "ssd": objects,
        "hardest": twin("ssd300").hardest(held["losses"], objects),
        "cells": cells.objects,
        "ignored": cells.ignored,
        "encoded": shared.encoded(held["boxes"], held["anchors"], WEIGHTS),
        "decoded": shared.decoded(held["codes"], held["anchors"], WEIGHTS),
        "greedy": shared.greedy(held["crowd"], held["crowded"], LIMIT),
        "greedy_kinds": shared.greedy(held["crowd"], held["crowded"], LIMIT, held["kinds"]),
        **{f"detected_{name}": one for name, one in detected.items()},
        "ties": tied["kept"],
        "positive": taken[0],
        "negative": taken[1],
        "aligned": shared.aligned(maps, held["regions"], SIDE),
    }


def main(framework: str, path: str) -> None:
    """Compute in a framework and write to a file."""
    frameworks.part(framework, "inspection").set_up(0)
    dialect = frameworks.facts(framework).dialect
    shared = importlib.import_module(f"benchmarks.models.detection._shared.{dialect}")
    if dialect == "torch":
        import torch

        made = computed(
            shared,
            lambda name: discovery.twin(name, "torch"),
            torch.from_numpy,
            lambda array: torch.from_numpy(array).permute(0, 3, 1, 2),
        )
        arrays = {name: one.numpy() for name, one in made.items()}
    else:
        from keras import ops

        def tensor(array: Array) -> Any:
            return ops.convert_to_tensor(array, dtype=str(array.dtype))

        made = computed(shared, lambda name: discovery.twin(name, "keras"), tensor, tensor)
        arrays = {name: ops.convert_to_numpy(one) for name, one in made.items()}
    np.savez(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
