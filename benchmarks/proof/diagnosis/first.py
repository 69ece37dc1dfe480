"""Where twins part: the first layer whose outputs differ, and where gradients stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Description, Step
from benchmarks.proof.compare import Compared
from benchmarks.proof.diagnosis import between, functions, layers
from benchmarks.proof.match import Match
from benchmarks.results.records import Cause

Array = NDArray[Any]


def gradients(match: Match, compared: Compared) -> Iterator[Cause]:
    """Where the gradient stops on one side."""
    order = [a.path for a, _ in match.pairs]
    for side, name in (("torch", "PyTorch"), ("keras", "Keras")):
        lacking = {key.rpartition(".")[0] for key in compared.missing.get(side, ())}
        if not lacking:
            continue
        last = max((i for i, path in enumerate(order) if path in lacking), default=-1)
        before = order[last + 1] if last + 1 < len(order) else "the loss"
        yield Cause(
            where=before,
            cause=f"gradients stop before {before} on the {name} side",
            torch="no gradient reaches " + ", ".join(sorted(lacking)) if side == "torch" else "",
            keras="no gradient reaches " + ", ".join(sorted(lacking)) if side == "keras" else "",
            fix="leave out what cuts the gradient (detach, stop_gradient, no_grad)",
        )


def first_difference(
    match: Match,
    descriptions: tuple[Description, Description],
    traces: tuple[Arrays, Arrays],
    values: Mapping[str, Array],
) -> Iterator[Cause]:
    """The first layer at which the outputs part, and which candidate reproduces each side.

    ``values`` are the canonical weights of both twins.
    """
    torch, keras = traces
    after = _following(descriptions[0].steps, torch), _following(descriptions[1].steps, keras)
    position = {n.path: i + 1 for i, n in enumerate(descriptions[0].nodes)}
    place = {n.path: i + 1 for i, n in enumerate(descriptions[1].nodes)}
    for a, b in match.pairs:
        outputs = [torch.get(f"node/{a.path}/out"), keras.get(f"node/{b.path}/out")]
        if any(output is None for output in outputs):
            continue
        mine = [outputs[0], *after[0].get(position[a.path], ())]
        theirs = [outputs[1], *after[1].get(place[b.path], ())]
        if any(functions.same(x, y) for x in mine for y in theirs):
            continue
        inputs = [torch.get(f"node/{a.path}/in"), keras.get(f"node/{b.path}/in")]
        if functions.same(inputs[0], inputs[1]) or _padded(inputs[0], inputs[1]):
            yield layers.explained(layers.Layers(a, b, inputs, outputs, mine[1:], values))
        else:
            steps = _steps(descriptions, (position[a.path] - 1, place[b.path] - 1))
            yield between.explained(between.Gap((a.path, b.path), inputs, steps, traces))
        return
    ends = [next((v for k, v in side.items() if k.startswith("output/")), None) for side in traces]
    if not functions.same(ends[0], ends[1]):
        steps = _steps(descriptions, (len(position), len(place)))
        yield between.explained(between.Gap(("output", "output"), ends, steps, traces))


def _steps(
    descriptions: tuple[Description, Description], after: tuple[int, int]
) -> list[list[Step]]:
    """The steps of each side that come after so many of its layers, and before the next."""
    return [
        [step for step in told.steps if step.after == index]
        for told, index in zip(descriptions, after, strict=True)
    ]


def _following(steps: Sequence[Step], trace: Arrays) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for step in steps:
        out = trace.get(f"step/{step.key}/out")
        if out is not None:
            found.setdefault(step.after, []).append(out)
    return found


def _padded(a: Any, b: Any) -> bool:
    """Whether one input is the other with zeros around it, so that the layer pads the rest."""
    if a is None or b is None or np.ndim(a) != np.ndim(b) or np.shape(a) == np.shape(b):
        return False
    apart = abs(float(np.sum(a)) - float(np.sum(b)))
    return apart <= functions.CLOSE * max(1.0, float(np.abs(a).sum()))
