"""Anchors in NumPy, which both dialects take as constants; row by row, then by shape."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
"""Boxes (anchors, 4)."""


def centres(rows: int, columns: int, each: int) -> Boxes:
    """The centres (rows * columns * each, 2), x and y, of the cells of a grid, in cells."""
    y, x = np.mgrid[:rows, :columns]
    return np.repeat(np.stack([x, y], -1).reshape(-1, 2) + 0.5, each, axis=0)


def of_level(
    rows: int, columns: int, shapes: Boxes, step: tuple[float, float], start: float = 0.5
) -> Boxes:
    """Boxes of each of the shapes (n, 2), widths and heights, at each cell of a grid.

    The first centre lies ``start`` cells from the corner; ``step`` is the width and height of a
    cell, in what the shapes are in.
    """
    middle = (centres(rows, columns, len(shapes)) - 0.5 + start) * np.asarray(step)
    half = np.tile(shapes, (rows * columns, 1)) / 2
    return np.concatenate([middle - half, middle + half], -1)


def scaled(sizes: Sequence[float], ratios: Sequence[float]) -> Boxes:
    """Widths and heights (ratios * sizes, 2) of areas size^2; a ratio is height over width."""
    roots = np.sqrt(np.asarray(ratios, dtype=np.float64))[:, None]
    wide, high = np.asarray(sizes) / roots, np.asarray(sizes) * roots
    return np.stack([wide.ravel(), high.ravel()], -1)


def of_pyramid(
    side: int, cells: Sequence[int], sizes: Sequence[Sequence[float]], ratios: Sequence[float]
) -> list[Boxes]:
    """The anchors of each level for a square image, as shares of it, as torchvision makes them.

    Their corners are whole pixels, the first centre is the corner of the image, and a cell is the
    whole number of pixels that the level's cells allow.
    """
    made = []
    for many, of_size in zip(cells, sizes, strict=True):
        shapes, step = 2 * np.round(scaled(of_size, ratios) / 2), side // many
        made.append(of_level(many, many, shapes, (step, step), 0.0) / side)
    return made


def starts(levels: Sequence[int]) -> list[int]:
    """Where each level begins in a list of all, from how many there are in each."""
    return [sum(levels[:index]) for index in range(len(levels))]
