"""Which layer of the PyTorch twin is which of the Keras twin: by path, by order, by what feeds it.

The result names, for both sides, the canonical key of every weight. A match need not be right to be
used: the proof shows whether it was.
"""

from __future__ import annotations

import difflib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.frameworks.description import Assigned, Description, Node

CLOSE = 1e-6
"""Relative difference up to which two layers are taken to be fed the same."""
Prints = Mapping[str, tuple[float, ...]]
"""Of each node, by path: numbers that do not depend on the order of axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Pairs of nodes (PyTorch, Keras), how they were found, and what is left on each side."""

    pairs: tuple[tuple[Node, Node], ...]
    how: str
    unmatched_torch: tuple[str, ...] = ()
    unmatched_keras: tuple[str, ...] = ()
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    torch: tuple[Assigned, ...] = ()
    keras: tuple[Assigned, ...] = ()
    loose: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every weight of either side has its counterpart."""
        return not (self.unmatched_torch or self.unmatched_keras)


def signature(node: Node) -> tuple[Any, ...]:
    """What must be equal for two nodes to be one: kind and shapes of its weights."""
    kind = "?" if node.kind.startswith("?") else node.kind
    shapes = {n: w.shape for n, w in node.weights.items()}
    return (kind, *sorted(shapes.values())) if kind == "?" else (kind, *sorted(shapes.items()))


def match(
    torch: Description, keras: Description, prints: tuple[Prints, Prints] | None = None
) -> Match:
    """Match the nodes of two twins.

    Args:
        torch: the PyTorch twin.
        keras: the Keras twin.
        prints: of either side, from a pass in which weights that could be mistaken for one another
            were equal; with them, order is given up where another one fits what feeds the layers.
    """
    left, right = list(torch.nodes), list(keras.nodes)
    pairs: list[tuple[Node, Node]] = []
    by_path = _by_path(left, right)
    pairs += by_path
    taken = {id(n) for pair in by_path for n in pair}
    left = [n for n in left if id(n) not in taken]
    right = [n for n in right if id(n) not in taken]
    by_order, refined = _by_order(left, right, prints)
    pairs += by_order
    taken = {id(n) for pair in by_order for n in pair}
    left = [n for n in left if id(n) not in taken]
    right = [n for n in right if id(n) not in taken]
    loose, left_over, right_over = _by_weight(left, right)
    place = {n.path: i for i, n in enumerate(torch.nodes)}
    pairs.sort(key=lambda pair: place[pair[0].path])
    total = len(torch.nodes)
    ways = [(len(by_path), "by path"), (len(by_order) - refined, "by order")]
    ways += [(refined, "by what feeds them"), (len(loose), "weights by shape")]
    how = ", ".join(
        f"{count} {way}" if "weights" in way else f"{count} of {total} layers {way}"
        for count, way in ways
        if count
    )
    return _assigned(pairs, loose, how or "nothing to match", left_over, right_over)


def ambiguous(made: Match) -> bool:
    """Whether a layer could be another one of its kind and shape, and no path says which."""
    seen: dict[tuple[Any, ...], int] = defaultdict(int)
    for one, _ in made.pairs:
        seen[signature(one)] += 1
    return any(count > 1 for count in seen.values())


def _plain(path: str) -> str:
    return path.replace("/", ".").replace("-", ".")


def _by_path(left: Sequence[Node], right: Sequence[Node]) -> list[tuple[Node, Node]]:
    there = {_plain(n.path): n for n in right}
    found = [(n, there[_plain(n.path)]) for n in left if _plain(n.path) in there]
    return [(a, b) for a, b in found if signature(a) == signature(b)]


def _by_order(
    left: Sequence[Node], right: Sequence[Node], prints: tuple[Prints, Prints] | None
) -> tuple[list[tuple[Node, Node]], int]:
    """Pairs within kind and shape, in forward order, and how many the prints put elsewhere."""
    groups: dict[tuple[Any, ...], list[Node]] = defaultdict(list)
    for node in right:
        groups[signature(node)].append(node)
    mine: dict[tuple[Any, ...], list[Node]] = defaultdict(list)
    for node in left:
        mine[signature(node)].append(node)
    pairs, refined = [], 0
    for key, ones in mine.items():
        others = groups.get(key, [])
        order = _refined(ones, others, prints) if prints else None
        if order is not None:
            refined += len(order)
            pairs += [(ones[i], others[j]) for i, j in order]
        else:
            pairs += list(zip(ones, others, strict=False))
    return pairs, refined


def _refined(
    ones: Sequence[Node], others: Sequence[Node], prints: tuple[Prints, Prints]
) -> list[tuple[int, int]] | None:
    """An assignment other than the order that fits what feeds the layers clearly better."""
    if len(ones) < 2 or len(ones) != len(others):  # noqa: PLR2004 - one cannot be mistaken
        return None
    cost = _apart(ones, others, prints)
    if np.diag(cost).max() <= CLOSE:
        return None
    from scipy.optimize import linear_sum_assignment  # a second of import, and seldom needed

    rows, columns = linear_sum_assignment(cost)
    if cost[rows, columns].sum() < 0.5 * np.diag(cost).sum() and (rows != columns).any():
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    return None


def _apart(ones: Sequence[Node], others: Sequence[Node], prints: tuple[Prints, Prints]) -> Any:
    """How far apart what feeds each two is: the largest relative difference of their prints."""
    known = [
        [side.get(n.path) for n in nodes]
        for side, nodes in zip(prints, (ones, others), strict=True)
    ]
    width = min((len(p) for side in known for p in side if p is not None), default=1)
    unknown = (math.nan,) * width
    a, b = (np.array([(p or unknown)[:width] for p in side]) for side in known)
    a, b = a[:, None], b[None, :]
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)
    cost = np.minimum(np.where(a == b, 0.0, apart), 1.0).max(axis=-1)
    return np.nan_to_num(cost, nan=1.0)


def _by_weight(
    left: Sequence[Node], right: Sequence[Node]
) -> tuple[list[tuple[tuple[Node, str], tuple[Node, str]]], tuple[str, ...], tuple[str, ...]]:
    """What no kind pairs up, weight by weight: equal name and shape first, then shape and order."""
    there = [(n, w) for n in right for w in n.weights]
    found, missing = [], []
    for node in left:
        for name, weight in node.weights.items():
            fits = [
                (n, w)
                for n, w in there
                if _long(n.weights[w].shape) == _long(weight.shape)
                and n.weights[w].buffer == weight.buffer
            ]
            exact = [(n, w) for n, w in fits if n.weights[w].shape == weight.shape]
            fits = exact or fits
            if not fits:
                missing.append(f"{node.path} ({node.cls}) {name} {_shape(weight.shape)}")
                continue
            best = next((f for f in fits if f[1] == name), fits[0])
            there.remove(best)
            found.append(((node, name), best))
    rest = tuple(f"{n.path} ({n.cls}) {w} {_shape(n.weights[w].shape)}" for n, w in there)
    return found, tuple(missing), rest


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without its axes of length 1, which no number depends on."""
    return tuple(size for size in shape if size != 1)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _assigned(
    pairs: Sequence[tuple[Node, Node]],
    loose: Sequence[tuple[tuple[Node, str], tuple[Node, str]]],
    how: str,
    left: tuple[str, ...],
    right: tuple[str, ...],
) -> Match:
    keys: dict[str, dict[str, Any]] = {}
    mine: dict[str, dict[str, str]] = defaultdict(dict)
    theirs: dict[str, dict[str, str]] = defaultdict(dict)

    def give(a: Node, name: str, b: Node, other: str) -> None:
        key, weight = f"{a.path}.{name}", a.weights[name]
        keys[key] = {
            "shape": weight.shape,
            "name": name,
            "kind": a.kind,
            "start": weight.start,
            "trainable": weight.trainable,
            "buffer": weight.buffer,
        }
        mine[a.path][name], theirs[b.path][other] = key, key

    for a, b in pairs:
        for name, other in _names(a, b):
            give(a, name, b, other)
    for (a, name), (b, other) in loose:
        give(a, name, b, other)
    every = [*pairs, *((a, b) for (a, _), (b, _) in loose)]
    grids = [
        {node.path: (node.grid_in, node.grid_out) for node in side}
        for side in zip(*every, strict=True)
    ]
    left_grids, right_grids = grids or ({}, {})
    return Match(
        pairs=tuple(pairs),
        how=how,
        unmatched_torch=left,
        unmatched_keras=right,
        keys=keys,
        torch=tuple(Assigned(p, names, *left_grids[p]) for p, names in mine.items()),
        keras=tuple(Assigned(p, names, *right_grids[p]) for p, names in theirs.items()),
        loose=tuple((f"{a.path}.{x}", f"{b.path}.{y}") for (a, x), (b, y) in loose),
    )


def _names(a: Node, b: Node) -> list[tuple[str, str]]:
    """The names of the weights of two nodes of one signature, paired up."""
    if set(a.weights) == set(b.weights):
        return [(name, name) for name in a.weights]
    left = list(b.weights)
    paired = []
    for name, weight in a.weights.items():
        fits = [n for n in left if b.weights[n].shape == weight.shape]
        near = difflib.get_close_matches(name, fits, n=1, cutoff=0.0)
        chosen = name if name in fits else near[0]
        left.remove(chosen)
        paired.append((name, chosen))
    return paired


def prints_of(arrays: Mapping[str, Any], nodes: Sequence[Node], kept: Mapping[str, Any]) -> Prints:
    """Numbers of each node that an order of axes does not change: its input, and its gradients.

    Args:
        arrays: a trace (``description.Arrays``).
        nodes: of the same twin.
        kept: the twin's assignment, ``{path: {name: key}}``.
    """
    found = {}
    for node in nodes:
        given = arrays.get(f"node/{node.path}/in")
        numbers = [0.0, 0.0] if given is None else [float(given.sum()), float((given**2).sum())]
        for name in sorted(kept.get(node.path, {})):
            slope = arrays.get(f"gradient/{kept[node.path][name]}")
            numbers.append(0.0 if slope is None else math.sqrt(float((slope**2).sum())))
        found[node.path] = tuple(numbers)
    return found
