"""Two layers with weights that take the same and give something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Node
from benchmarks.proof.diagnosis import functions, lines
from benchmarks.proof.match import Match
from benchmarks.results.records import Cause
from benchmarks.tasks.layers import kinds

Array = NDArray[Any]
DEFINED = "as the kind is defined"


@dataclass(frozen=True, slots=True)
class Layers:
    """Two layers that take the same and give something else.

    ``behind`` is what PyTorch's steps behind its layer give; ``values`` are canonical weights.
    """

    torch: Node
    keras: Node
    inputs: Sequence[Any]
    outputs: Sequence[Any]
    behind: Sequence[Any]
    values: Mapping[str, Array]


def explained(layers: Layers) -> Cause:
    """The layer itself is to blame."""
    causes = (one(layers) for one in (_other_fused, _fused_alone, _padding))
    return next((cause for cause in causes if cause), None) or _form(layers)


def _other_fused(layers: Layers) -> Cause | None:
    """The Keras layer applies another function than the one behind the PyTorch layer."""
    if layers.keras.constants.get("activation") in {None, "linear"}:
        return None
    before = layers.outputs[0]
    here = next((f for one in layers.behind if (f := functions.named(before, one))), None)
    there = functions.named(before, layers.outputs[1])
    if here and there and here not in {"no function at all", there}:
        return functions.differing(layers.torch.path, (here, there))
    return None


def _fused_alone(layers: Layers) -> Cause | None:
    """The Keras layer applies a function where the PyTorch side has none."""
    fused, at = layers.keras.constants.get("activation"), layers.torch.path
    if not functions.same(layers.outputs[1], functions.applied(str(fused), layers.outputs[0])):
        return None
    cause = f"{fused} behind {at} on the Keras side alone"
    fix = f"leave activation={fused!r} out of {layers.keras.path}"
    if fused == "softmax":
        cause = "softmax before the loss on the Keras side"
        fix = f"{fix}: the loss takes logits"
    written = f"{layers.keras.path}: activation={fused!r}"
    return Cause(where=at, cause=cause, torch=f"no {fused}", keras=written, fix=fix)


def _padding(layers: Layers) -> Cause | None:
    """A convolution pads, or a transposed one crops, other amounts."""
    a, b = layers.torch, layers.keras
    padding = [n.constants.get("padding") for n in (a, b)]
    if padding[0] == padding[1] or "padding" not in a.constants:
        return None
    what, fix = f"{a.kind}: the padding differs", ""
    if a.kind == "ConvTranspose":
        what = "ConvTranspose: the crop differs"
    elif "same" in padding:
        what = "Conv: padding='same' pads one more at the end where the stride is 2"
    if set(_forms(layers)) == {DEFINED}:  # else it is not the padding alone
        fix = lines.crop(a, b) if "crop" in what else lines.padding(a, b, layers.inputs)
    told = [f"padding {one}" for one in padding]
    return Cause(where=a.path, cause=what, torch=told[0], keras=told[1], fix=fix)


def _form(layers: Layers) -> Cause:
    """Which of the known forms of its kind each side computes."""
    a, told = layers.torch, _forms(layers)
    cause = f"the {a.kind} computes something else: " + " against ".join(told)
    fix = lines.variant(a, layers.keras, told, DEFINED)
    return Cause(where=a.path, cause=cause, torch=told[0], keras=told[1], fix=fix)


def _forms(layers: Layers) -> list[str]:
    a = layers.torch
    kind = next((k for k in kinds() if k.name == a.kind), None)
    named = {n: f"{a.path}.{n}" for n in a.weights}
    weights = {n: layers.values[key] for n, key in named.items() if key in layers.values}
    nodes = (a, layers.keras)
    return [
        _variant(kind, node, weights, given, made)
        for node, given, made in zip(nodes, layers.inputs, layers.outputs, strict=True)
    ]


def _variant(kind: Any, node: Node, weights: Any, given: Any, made: Any) -> str:
    if kind is None or kind.reference is None or given is None:
        return "no reference is known"
    tries = {DEFINED: kind.reference, **kind.variants}
    for name, function in tries.items():
        try:
            found = function(weights, given, node.constants)
        except Exception:  # noqa: S112 - a candidate that does not apply to these shapes
            continue
        if functions.same(found, made):
            return str(name)
    return "none of the known forms"


def masked(
    match: Match, traces: tuple[Arrays, Arrays], masks: Mapping[str, Array], values: Any
) -> Iterator[Cause]:
    """An attention that reads a mask of the task the other way round."""
    for a, b in match.pairs:
        if a.kind != "MultiHeadAttention":
            continue
        weights = {n: values[f"{a.path}.{n}"] for n in a.weights if f"{a.path}.{n}" in values}
        told = []
        for node, trace in ((a, traces[0]), (b, traces[1])):
            given, made = (trace.get(f"node/{node.path}/{end}") for end in ("in", "out"))
            found = None
            for name, mask in masks.items():
                for sense, allowed in (
                    (f"{name} true attends", mask),
                    (f"{name} true hides", ~mask),
                ):
                    if given is None or mask.shape != given.shape[:2]:
                        continue
                    if functions.same(_attended(weights, given, node.constants, allowed), made):
                        found = sense
            told.append(found)
        if all(told) and told[0] != told[1]:
            name, _, sense = str(told[1]).partition(" true ")
            hidden = f"{'~' * (sense == 'attends')}{name}"
            yield Cause(
                where=a.path,
                cause=f"attention mask: {told[0]} on the PyTorch side, {told[1]} on the Keras side",
                torch=str(told[0]),
                keras=str(told[1]),
                fix=f"key_padding_mask={hidden} in PyTorch, which hides where it is true; Keras"
                " attends where attention_mask is",
            )


def _attended(weights: Any, x: Array, constants: Any, allowed: Array) -> Array:
    """Self-attention of (n, q, d), the keys of each sample cut to those that are allowed."""
    from benchmarks.tasks.layers.attention import attend

    rows = []
    for sample, keep in zip(x, allowed, strict=True):
        query, keys = sample[None], sample[None, keep]
        rows.append(attend(weights, (query, keys, keys), constants))
    return np.concatenate(rows)
