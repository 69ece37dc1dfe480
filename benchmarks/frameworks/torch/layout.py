"""Which tensors of a PyTorch model are channels first, and what that means for layers behind.

A Keras twin keeps channels last. Where a PyTorch model flattens a channels-first map, the rows of
the next dense kernel stand in another order; where it makes a map of a vector, its columns do.
Both are found by following tensors through a forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Grid = tuple[int, ...]
"""(channels, *space) of a map that was flattened channels first."""

SPATIAL = (
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d max_pool1d max_pool2d"
    " max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d"
    " adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d group_norm"
    " interpolate instance_norm batch_norm boolean_dispatch"
)
"""Functions that take axis 1 for the channels."""
_SPATIAL = frozenset(SPATIAL.split())
_TURNS = frozenset(
    ["permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "t", "T", "mT"]
)
_FLATTENS = frozenset(["flatten", "reshape", "view", "unflatten"])
FLAT = 2
"""Rank of a flattened batch."""


@dataclass
class Tag:
    """What is known of a tensor.

    ``first``: its axis 1 holds channels. ``grid``: it is a flattened channels-first map.
    ``makers``: the layers whose features are its features, unchanged in order. ``pending``: makers
    and grid of a vector that was made a map; they count once something takes it channels first.
    """

    first: bool = False
    grid: Grid | None = None
    makers: tuple[str, ...] = ()
    pending: tuple[tuple[str, ...], Grid] | None = None


@dataclass
class Layouts:
    """Tags of the tensors of one forward pass; ``grid_out`` collects what was found of layers."""

    grid_out: dict[str, Grid] = field(default_factory=dict)
    _tags: dict[int, Tag] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def of(self, tensor: Any) -> Tag:
        """The tag of a tensor; an empty one where nothing is known."""
        return self._tags.get(id(tensor), Tag())

    def put(self, tensor: Any, tag: Tag) -> None:
        """Tag a tensor, which is kept so that no other takes its identity."""
        self._tags[id(tensor)] = tag
        self._kept.append(tensor)

    def spatial(self, tensor: Any) -> None:
        """Something takes this tensor channels first: a pending map is one."""
        pending = self.of(tensor).pending
        if pending:
            for maker in pending[0]:
                self.grid_out[maker] = pending[1]

    def follow(self, name: str, given: Iterable[Any], made: Any) -> None:
        """Tag what a function made of the tensors it was given."""
        tensors = [t for t in given if hasattr(t, "ndim")]
        tags = [self.of(t) for t in tensors]
        if name in _SPATIAL and tensors:
            self.spatial(tensors[0])
            if made.ndim > FLAT:
                self.put(made, Tag(first=True))
            return
        if not tensors or name in _TURNS:
            return
        source, tag = tensors[0], next((t for t in tags if t != Tag()), Tag())
        if made.shape == source.shape:
            if tag != Tag():
                self.put(made, tag)
        elif name in _FLATTENS:
            self._reshaped(source, self.of(source), made)
        elif tag.first and made.ndim == source.ndim:
            self.put(made, Tag(first=True))

    def _reshaped(self, source: Any, tag: Tag, made: Any) -> None:
        if made.ndim == FLAT and source.ndim > FLAT and made.shape[0] == source.shape[0]:
            if tag.first:
                self.put(made, Tag(grid=tuple(source.shape[1:])))
            elif tag.pending and tag.pending[1] == tuple(source.shape[1:]):
                self.put(made, Tag(makers=tag.pending[0]))
        elif tag.first and made.ndim > FLAT and made.shape[:FLAT] == source.shape[:FLAT]:
            self.put(made, Tag(first=True))
        elif source.ndim == FLAT and made.ndim > FLAT and made.shape[0] == source.shape[0]:
            grid = tuple(made.shape[1:])
            if tag.makers:
                self.put(made, Tag(pending=(tag.makers, grid)))


def canonical(array: Array, tag: Tag) -> Array:
    """Channels last, in a flattened map too."""
    if tag.first:
        return np.moveaxis(array, 1, -1)
    if tag.grid and array.shape[-1] == math.prod(tag.grid):
        return reordered(array, -1, tag.grid)
    return array


def reordered(array: Array, axis: int, grid: Grid) -> Array:
    """The array with an axis of channels-first features brought into channels-last order."""
    return np.take(array, _order(grid), axis=axis)


def restored(array: Array, axis: int, grid: Grid) -> Array:
    """The reverse of ``reordered``."""
    return np.take(array, np.argsort(_order(grid)), axis=axis)


def _order(grid: Grid) -> NDArray[np.int64]:
    return np.moveaxis(np.arange(math.prod(grid)).reshape(grid), 0, -1).ravel()
