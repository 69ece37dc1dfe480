"""Says why two twins differ: where they part, the likeliest cause, and the line to write."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Description, Node, Step
from benchmarks.proof import functions, lines
from benchmarks.proof.compare import Compared, relative_error
from benchmarks.proof.match import Match
from benchmarks.records import Cause
from benchmarks.tasks.layers import kinds

Array = NDArray[Any]
FLATTENED = "flatten order"
"""How the cause begins where a side flattens the axes in another order."""
DEFINED = "as the kind is defined"


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
            yield _inside(Layers(a, b, inputs, outputs, mine[1:], values))
        else:
            steps = _steps(descriptions, (position[a.path] - 1, place[b.path] - 1))
            yield _between(Gap((a.path, b.path), inputs, steps, traces))
        return
    ends = [next((v for k, v in side.items() if k.startswith("output/")), None) for side in traces]
    if not functions.same(ends[0], ends[1]):
        steps = _steps(descriptions, (len(position), len(place)))
        yield _between(Gap(("output", "output"), ends, steps, traces))


def _steps(
    descriptions: tuple[Description, Description], after: tuple[int, int]
) -> list[list[Step]]:
    """The steps of each side that come after so many of its layers, and before the next."""
    return [
        [step for step in told.steps if step.after == index]
        for told, index in zip(descriptions, after, strict=True)
    ]


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


def _inside(layers: Layers) -> Cause:
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
        return _functions(layers.torch.path, (here, there))
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


@dataclass(frozen=True, slots=True)
class Gap:
    """What lies between two layers, of the PyTorch and of the Keras side.

    ``where`` is the path of the layer behind it, and ``ends`` is what that takes.
    """

    where: tuple[str, str]
    ends: Sequence[Any]
    steps: Sequence[Sequence[Step]]
    traces: tuple[Arrays, Arrays]

    def made(self, side: int) -> list[Any]:
        """What the steps of a side give."""
        return [self.traces[side].get(f"step/{step.key}/out") for step in self.steps[side]]

    def others(self, side: int) -> list[Any]:
        """What the other side has here: what its steps give, and what its layer takes."""
        return [*self.made(1 - side), self.ends[1 - side]]

    def given(self, side: int, step: Step) -> Any:
        """What a step of a side takes."""
        return self.traces[side].get(f"step/{step.key}/in")

    def caused(self, cause: str, fix: str = "", nothing: str = "nothing") -> Cause:
        """A cause that tells the steps of both sides."""
        torch, keras = (", ".join(map(_step, side)) or nothing for side in self.steps)
        return Cause(where=self.where[0], cause=cause, torch=torch, keras=keras, fix=fix)


@dataclass(frozen=True, slots=True)
class Stray:
    """A step of ``side`` (0 PyTorch, 1 Keras) whose output the other side lacks.

    ``here`` names the function that it computes, ``there`` the one that the other side computes of
    the same; ``None`` where none is known.
    """

    gap: Gap
    side: int
    step: Step
    given: Any
    made: Any
    here: str | None
    there: str | None

    @property
    def name(self) -> str:
        """What its side is called."""
        return ("PyTorch", "Keras")[self.side]

    def ordered(self, mine: Any, other: Any) -> tuple[Any, Any]:
        """Something of this side and of the other, PyTorch's first."""
        return (mine, other) if self.side == 0 else (other, mine)


def _between(gap: Gap) -> Cause:
    """Something without weights is to blame: the first step whose output the other side lacks."""
    stray = next(_strays(gap), None)
    if stray is None:
        return _unseen(gap)
    causes = (one(stray) for one in (_softmax, _settings, _pools, _other_function, _flattened))
    return next((cause for cause in causes if cause), None) or _alone(stray)


def _strays(gap: Gap) -> Iterator[Stray]:
    for side in (0, 1):
        others = gap.others(side)
        known = [*others, *(v for k, v in gap.traces[1 - side].items() if k.startswith("node/"))]
        for step, made in zip(gap.steps[side], gap.made(side), strict=True):
            if made is None or any(functions.same(made, other) for other in known):
                continue
            given = gap.given(side, step)
            there = next((f for o in others if (f := functions.named(given, o))), None)
            yield Stray(gap, side, step, given, made, functions.named(given, made), there)


def _softmax(stray: Stray) -> Cause | None:
    """A softmax at the end, whose output a loss takes for logits."""
    bare = stray.there in {None, "no function at all"}
    if stray.here != "softmax" or not bare or stray.gap.where[0] != "output":
        return None
    fix = "leave the softmax out: the loss takes logits"
    return stray.gap.caused(f"softmax before the loss on the {stray.name} side", fix)


def _settings(stray: Stray) -> Cause | None:
    """The same step on both sides, and something else computed."""
    steps = stray.gap.steps[1 - stray.side]
    twin = next((s for s in steps if s.name == stray.step.name), None)
    if stray.step.name not in SETTINGS or twin is None:
        return None
    torch, keras = stray.ordered(stray.step, twin)
    cause = f"{torch.name}: its settings differ"
    fix = lines.pooling(torch, stray.gap.traces[0])
    if torch.name == "avgpool" and torch.constants.get("padding"):
        cause = "average pool: the padding differs"
        if torch.constants.get("count_include_pad", True):
            cause = "average pool: the padding counts on the PyTorch side alone"
            same = keras.constants.get("padding") == "same" and torch.constants.get("stride") == 1
            fix = (
                f"nn.AvgPool{np.ndim(stray.given) - 2}d(…, count_include_pad=False)" if same else ""
            )
    elif torch.name == "interpolate" and torch.constants.get("align_corners"):
        cause = "bilinear resize: align_corners=True on the PyTorch side, half pixels on the Keras"
        fix = "F.interpolate(…, align_corners=False)"
    told = (_step(torch), _step(keras))
    return Cause(where=stray.gap.where[0], cause=cause, torch=told[0], keras=told[1], fix=fix)


def _pools(stray: Stray) -> Cause | None:
    """A pool on one side, a pool of another kind on the other."""
    steps = stray.gap.steps[1 - stray.side]
    other = next((s for s in steps if s.name in POOLS and s.name != stray.step.name), None)
    if stray.step.name not in POOLS or other is None:
        return None
    torch, keras = stray.ordered(stray.step, other)
    return stray.gap.caused(
        f"{POOLS[torch.name]} on the PyTorch side, {POOLS[keras.name]} on the Keras side",
        lines.pooling(torch, stray.gap.traces[0]),
    )


def _other_function(stray: Stray) -> Cause | None:
    """A function on one side, another one on the other."""
    if not stray.here or not stray.there or stray.here == stray.there:
        return None
    cause = _functions(stray.gap.where[0], stray.ordered(stray.here, stray.there))
    return replace(cause, fix=lines.placed(cause.fix, stray.gap.traces[1], stray.given))


def _flattened(stray: Stray) -> Cause | None:
    """The same numbers on both sides, in another order."""
    if stray.given is None or not _turned(stray.made, stray.gap.others(stray.side)):
        return None
    gap, cause = stray.gap, f"{FLATTENED}: {stray.name} flattens the axes in another order"
    return gap.caused(cause, lines.permuted(gap.steps[1], gap.traces[1], gap.ends[0]))


def _alone(stray: Stray) -> Cause:
    """The other side has no such step; known to be so where it goes on with what this one takes."""
    gap, other, fix = stray.gap, 1 - stray.side, ""
    taken = [gap.ends[other], *(gap.given(other, step) for step in gap.steps[other])]
    if any(functions.same(stray.given, one) for one in taken):
        fix = f"leave {stray.step.name} out of the {stray.name} side"
        if stray.side == 0:
            line = functions.IN_KERAS.get(stray.here or "") or lines.pooling(
                stray.step, gap.traces[0]
            )
            fix = lines.placed(line, gap.traces[1], stray.given) or fix
    return gap.caused(f"{_step(stray.step)} on the {stray.name} side has no counterpart", fix)


def _unseen(gap: Gap) -> Cause:
    """No step differs: what does was not seen."""
    turned = _turned(gap.ends[0], [gap.ends[1]])
    return gap.caused(
        "what lies between the layers differs"
        + (": the same numbers in another order" if turned else ""),
        (lines.joined(gap.ends) if turned else "") or lines.fed(gap.where, gap.ends, gap.traces),
        nothing="nothing that we can see",
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


def _functions(where: str, told: tuple[str, str]) -> Cause:
    """One function on the PyTorch side, another one on the Keras side."""
    cause = f"{told[0]} on the PyTorch side, {told[1]} on the Keras side"
    if all(one.startswith("GELU") for one in told):
        forms = [one.partition("(")[2].rstrip(")") for one in told]
        cause = f"GELU: {forms[0]} against {forms[1]}"
    fix = functions.IN_KERAS.get(told[0], f"leave {told[1]} out of the Keras side")
    return Cause(where=where, cause=cause, torch=told[0], keras=told[1], fix=fix)


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
