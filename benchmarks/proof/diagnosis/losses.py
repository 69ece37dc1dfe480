"""Losses that differ where the outputs agree: summed, smoothed, or scaled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays
from benchmarks.proof.compare import relative_error
from benchmarks.proof.diagnosis import functions
from benchmarks.results.records import Cause

Array = NDArray[Any]


def explained(
    outputs: Mapping[str, Array], targets: Mapping[str, Array], traces: tuple[Arrays, Arrays]
) -> Iterator[Cause]:
    """Loss parts that differ though the outputs agree: summed, smoothed, or scaled.

    ``outputs`` and ``targets`` are what both sides were given.
    """
    sizes = {len(o): "summed over the batch" for o in outputs.values()}
    sizes |= {o.size: "summed over every value" for o in outputs.values()}
    for key in traces[0]:
        if not key.startswith("loss/") or key not in traces[1]:
            continue
        a, b = (float(side[key]) for side in traces)
        if relative_error(np.array(a), np.array(b)) <= functions.CLOSE:
            continue
        part, values = key.removeprefix("loss/"), {"torch": f"{a:.9g}", "keras": f"{b:.9g}"}
        for size, words in sizes.items():
            for factor, side in ((a / b if b else 0.0, "PyTorch"), (b / a if a else 0.0, "Keras")):
                if size > 1 and math.isclose(factor, size, rel_tol=functions.CLOSE):
                    cause = f"the loss is summed instead of averaged on the {side} side ({words})"
                    mean = "mean" if side == "PyTorch" else "sum_over_batch_size"
                    fix = f'reduction="{mean}" on the {side} side'
                    yield Cause(where=part, cause=cause, **values, fix=fix)
                    return
        told = [_smoothed(value, outputs, targets) for value in (a, b)]
        if all(told) and told[0] != told[1]:
            cause = f"label smoothing {told[0]} against {told[1]}"
            fix = (
                f"F.cross_entropy(…, label_smoothing={told[1]}), or, of one-hot targets,"
                f" keras.losses.CategoricalCrossentropy(…, label_smoothing={told[0]})"
            )
            yield Cause(where=part, cause=cause, **values, fix=fix)
            return
        ratio = a / b if b else math.inf
        cause = f"the loss {part} differs, by a factor of {ratio:.6g}, where the outputs agree"
        yield Cause(where=part, cause=cause, **values)
        return


def _smoothed(
    value: float, outputs: Mapping[str, Array], targets: Mapping[str, Array]
) -> str | None:
    """The label smoothing at which a cross-entropy has this value."""
    for output in outputs.values():
        for target in targets.values():
            if target.dtype.kind != "i" or target.shape != output.shape[:-1]:
                continue
            logs = np.log(functions.softmax(output))
            hit = -np.take_along_axis(logs, target[..., None], -1).mean()
            even = -logs.mean()
            for amount in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3):
                if math.isclose(value, (1 - amount) * hit + amount * even, rel_tol=functions.CLOSE):
                    return f"{amount:g}"
    return None
