"""Says why two twins differ: where they part, the likeliest cause, and the line to write."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Description, Node, Step
from benchmarks.proof import functions
from benchmarks.proof.compare import Compared, relative_error
from benchmarks.proof.match import Match
from benchmarks.records import Cause
from benchmarks.tasks.layers import kinds

Array = NDArray[Any]
FLATTENED = "flatten order"
"""How the cause begins where a side flattens the axes in another order."""


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
            yield from _inside(a, b, inputs, outputs, mine, values)
        else:
            at = (position[a.path] - 1, place[b.path] - 1)
            yield from _between(a.path, inputs, descriptions, traces, at)
        return
    at = (len(descriptions[0].nodes), len(descriptions[1].nodes))
    ends = [next((v for k, v in side.items() if k.startswith("output/")), None) for side in traces]
    if not functions.same(ends[0], ends[1]):
        yield from _between("output", ends, descriptions, traces, at)


def _inside(
    a: Node,
    b: Node,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    mine: Sequence[Any],
    values: Mapping[str, Array],
) -> Iterator[Cause]:
    """The layer itself is to blame: try its kind's variants, and a function fused into it."""
    fused = b.constants.get("activation")
    if fused not in {None, "linear"}:
        before = outputs[0]
        here = next((f for one in mine[1:] if (f := functions.named(before, one))), None)
        there = functions.named(before, outputs[1])
        if here and there and here not in {"no function at all", there}:
            yield _functions(a.path, (here, there))
            return
        if functions.same(outputs[1], functions.applied(str(fused), before)):
            yield Cause(
                where=a.path,
                cause=f"{fused} before the loss on the Keras side"
                if fused == "softmax"
                else f"{fused} behind {a.path} on the Keras side alone",
                torch=f"no {fused}",
                keras=f"{b.path}: activation={fused!r}",
                fix=f"leave activation={fused!r} out of {b.path}: the loss takes logits"
                if fused == "softmax"
                else "",
            )
            return
    kind = next((k for k in kinds() if k.name == a.kind), None)
    weights = {n: values[f"{a.path}.{n}"] for n in a.weights if f"{a.path}.{n}" in values}
    told = []
    for node, given, made in ((a, inputs[0], outputs[0]), (b, inputs[1], outputs[1])):
        told.append(_variant(kind, node, weights, given, made))
    padding = [n.constants.get("padding") for n in (a, b)]
    if padding[0] != padding[1] and "padding" in a.constants:
        told = [f"padding {padding[0]}", f"padding {padding[1]}"]
        what = f"{a.kind}: the padding differs"
        fix = ""
        if a.kind == "ConvTranspose":
            what = "ConvTranspose: the crop differs"
        elif "same" in padding:
            what = "Conv: padding='same' pads one more at the end where the stride is 2"
            fix = "layers.ZeroPadding2D(…) and padding='valid', as PyTorch pads alike on both sides"
        yield Cause(where=a.path, cause=what, torch=told[0], keras=told[1], fix=fix)
        return
    yield Cause(
        where=a.path,
        cause=f"the {a.kind} computes something else: " + " against ".join(told),
        torch=told[0],
        keras=told[1],
    )


def _variant(kind: Any, node: Node, weights: Any, given: Any, made: Any) -> str:
    if kind is None or kind.reference is None or given is None:
        return "no reference is known"
    tries = {"as the kind is defined": kind.reference, **kind.variants}
    for name, function in tries.items():
        try:
            found = function(weights, given, node.constants)
        except Exception:  # noqa: S112 - a candidate that does not apply to these shapes
            continue
        if functions.same(found, made) or (found.ndim == 3 and functions.same(found[:, -1], made)):  # noqa: PLR2004 - steps
            return str(name)
    return "none of the known forms"


def _between(
    where: str,
    ends: Sequence[Any],
    descriptions: tuple[Description, Description],
    traces: tuple[Arrays, Arrays],
    at: tuple[int, int],
) -> Iterator[Cause]:
    """Something without weights is to blame: find the first step whose output the other lacks."""
    steps = [
        [s for s in told.steps if s.after == index]
        for told, index in zip(descriptions, at, strict=True)
    ]
    made = [[traces[i].get(f"step/{s.key}/out") for s in steps[i]] for i in (0, 1)]
    nodes = [[v for k, v in t.items() if k.startswith("node/")] for t in traces]
    for i, name in ((0, "PyTorch"), (1, "Keras")):
        for step, out in zip(steps[i], made[i], strict=True):
            others = [*made[1 - i], ends[1 - i]]
            if out is None or any(functions.same(out, other) for other in (*others, *nodes[1 - i])):
                continue
            given = traces[i].get(f"step/{step.key}/in")
            mine = functions.named(given, out)
            theirs = next((f for o in others if (f := functions.named(given, o))), None)
            sides = [", ".join(map(_step, s)) or "nothing" for s in steps]
            bare = theirs in {None, "no function at all"}
            if mine == "softmax" and bare and where == "output":
                cause = f"softmax before the loss on the {name} side"
                fix = "leave the softmax out: the loss takes logits"
                yield Cause(where=where, cause=cause, torch=sides[0], keras=sides[1], fix=fix)
                return
            twin = next((s for s in steps[1 - i] if s.name == step.name), None)
            if step.name in SETTINGS and twin is not None:
                both = (step, twin) if i == 0 else (twin, step)
                yield _settings(where, both)
                return
            other = next((s for s in steps[1 - i] if s.name in POOLS and s.name != step.name), None)
            if step.name in POOLS and other is not None:
                names = (POOLS[step.name], POOLS[other.name])
                names = names if i == 0 else names[::-1]
                cause = f"{names[0]} on the PyTorch side, {names[1]} on the Keras side"
                yield Cause(where=where, cause=cause, torch=sides[0], keras=sides[1])
                return
            if mine and theirs and mine != theirs:
                yield _functions(where, (mine, theirs) if i == 0 else (theirs, mine))
                return
            cause = f"{_step(step)} on the {name} side has no counterpart"
            if given is not None and _turned(out, others):
                cause = f"{FLATTENED}: {name} flattens the axes in another order"
            yield Cause(where=where, cause=cause, torch=sides[0], keras=sides[1])
            return
    sides = [", ".join(map(_step, s)) or "nothing that we can see" for s in steps]
    yield Cause(
        where=where,
        cause="what lies between the layers differs"
        + (": the same numbers in another order" if _turned(ends[0], [ends[1]]) else ""),
        torch=sides[0],
        keras=sides[1],
    )


POOLS = {
    "avgpool": "average pool",
    "maxpool": "max pool",
    "mean": "global average",
    "adaptiveavgpool": "global average",
    "globalmaxpool": "global maximum",
}
"""Steps that may stand for one another by mistake, and what they are called."""
SETTINGS = {"avgpool", "maxpool", "interpolate"}
"""Steps whose settings are what differs where both sides have one."""


def _settings(where: str, both: tuple[Step, Step]) -> Cause:
    """The same step on both sides, and something else computed."""
    torch, keras = both
    cause, fix = f"{torch.name}: its settings differ", ""
    if torch.name == "avgpool" and torch.constants.get("padding"):
        counted = torch.constants.get("count_include_pad", True)
        cause = "average pool: the padding counts on the PyTorch side alone"
        fix = "nn.AvgPool2d(…, count_include_pad=False)"
        cause = cause if counted else "average pool: the padding differs"
    elif torch.name == "interpolate" and torch.constants.get("align_corners"):
        cause = "bilinear resize: align_corners=True on the PyTorch side, half pixels on the Keras"
        fix = "F.interpolate(…, align_corners=False)"
    told = (_step(torch), _step(keras))
    return Cause(where=where, cause=cause, torch=told[0], keras=told[1], fix=fix)


def losses(
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
        part = key.removeprefix("loss/")
        for size, words in sizes.items():
            for factor, side in ((a / b if b else 0.0, "PyTorch"), (b / a if a else 0.0, "Keras")):
                if size > 1 and math.isclose(factor, size, rel_tol=functions.CLOSE):
                    cause = f"the loss is summed instead of averaged on the {side} side ({words})"
                    yield Cause(where=part, cause=cause, torch=f"{a:.9g}", keras=f"{b:.9g}")
                    return
        told = [_smoothed(value, outputs, targets) for value in (a, b)]
        if all(told) and told[0] != told[1]:
            cause = f"label smoothing {told[0]} against {told[1]}"
            yield Cause(where=part, cause=cause, torch=f"{a:.9g}", keras=f"{b:.9g}")
            return
        ratio = a / b if b else math.inf
        cause = f"the loss {part} differs, by a factor of {ratio:.6g}, where the outputs agree"
        yield Cause(where=part, cause=cause, torch=f"{a:.9g}", keras=f"{b:.9g}")
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
            yield Cause(
                where=a.path,
                cause=f"attention mask: {told[0]} on the PyTorch side, {told[1]} on the Keras side",
                torch=str(told[0]),
                keras=str(told[1]),
                fix="nn.MultiheadAttention hides where key_padding_mask is true, Keras attends"
                " where attention_mask is",
            )


def _attended(weights: Any, x: Array, constants: Any, allowed: Array) -> Array:
    """Self-attention of (n, q, d), the keys of each sample cut to those that are allowed."""
    from benchmarks.tasks.layers.attention import attend

    rows = []
    for sample, keep in zip(x, allowed, strict=True):
        query, keys = sample[None], sample[None, keep]
        rows.append(attend(weights, (query, keys, keys), constants))
    return np.concatenate(rows)


def _functions(where: str, told: tuple[str, str]) -> Cause:
    """One function on the PyTorch side, another one on the Keras side."""
    cause = f"{told[0]} on the PyTorch side, {told[1]} on the Keras side"
    if all(one.startswith("GELU") for one in told):
        forms = [one.partition("(")[2].rstrip(")") for one in told]
        cause = f"GELU: {forms[0]} against {forms[1]}"
    fix = _gelu(told) or functions.IN_KERAS.get(told[0], "")
    return Cause(where=where, cause=cause, torch=told[0], keras=told[1], fix=fix)


def _gelu(told: Sequence[str]) -> str:
    if not all(t.startswith("GELU") for t in told):
        return ""
    exact = told[0] == "GELU (erf)"
    return f"keras.activations.gelu(x, approximate={not exact})"


def _turned(out: Any, others: Sequence[Any]) -> bool:
    """Whether some other tensor holds the same numbers in another order."""
    if out is None:
        return False
    ordered = np.sort(np.ravel(out))
    return any(
        o is not None
        and np.size(o) == np.size(out)
        and functions.same(ordered, np.sort(np.ravel(o)))
        for o in others
    )


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


def _step(step: Step) -> str:
    told = ", ".join(f"{k}={v}" for k, v in step.constants.items())
    return f"{step.name}({told})"
