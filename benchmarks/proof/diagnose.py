"""Says why two twins differ: where they part, the likeliest cause, and the line to write."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frameworks.description import Arrays, Description, Drop, Node, Step
from benchmarks.proof.compare import Compared, relative_error
from benchmarks.proof.match import Match
from benchmarks.records import Cause
from benchmarks.tasks.layers import kinds

Array = NDArray[Any]
CLOSE = 1e-7
"""Relative L2 error up to which recorded tensors count as equal."""
STATED = (
    "epsilon",
    "momentum",
    "reset_after",
    "groups",
    "dilation",
    "recurrent_activation",
    "heads",
    "head_dim",
)
"""Constants that both dialects state in one sense."""
FLATTENED = "flatten order"
"""How the cause begins where a side flattens the axes in another order."""
RECURRENT = ("RNN", "LSTM", "GRU")
LINES = {
    "BatchNorm": (
        "nn.BatchNorm{rank}d(…, eps={epsilon:g}, momentum={turned:g})",
        "layers.BatchNormalization(epsilon={epsilon:g}, momentum={momentum:g})",
    ),
    "LayerNorm": (
        "nn.LayerNorm(…, eps={epsilon:g})",
        "layers.LayerNormalization(epsilon={epsilon:g})",
    ),
    "GroupNorm": (
        "nn.GroupNorm(…, eps={epsilon:g})",
        "layers.GroupNormalization(…, epsilon={epsilon:g})",
    ),
    "GRU": ("nn.GRU has reset_after=True alone", "layers.GRU(…, reset_after=True)"),
    "MultiHeadAttention": (
        "nn.MultiheadAttention(…, num_heads={heads})",
        "layers.MultiHeadAttention(num_heads={heads}, key_dim={head_dim})",
    ),
    "RMSNorm": ("nn.RMSNorm(…, eps={epsilon:g})", "layers.RMSNormalization(epsilon={epsilon:g})"),
}


def gelu_erf(x: Array) -> Array:
    """``x * Phi(x)``."""
    from scipy.special import erf

    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))))


def gelu_tanh(x: Array) -> Array:
    """GELU's approximation by a hyperbolic tangent (Hendrycks & Gimpel 2016)."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def softmax(x: Array) -> Array:
    """Over the last axis."""
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "GELU (erf)": gelu_erf,
    "GELU (tanh)": gelu_tanh,
    "ReLU": lambda x: np.maximum(x, 0),
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "SiLU": lambda x: np.asarray(x / (1 + np.exp(-x))),
    "sigmoid": lambda x: np.asarray(1 / (1 + np.exp(-x))),
    "tanh": np.tanh,
    "softmax": softmax,
    "log-softmax": lambda x: np.log(softmax(x)),
    "ELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "leaky ReLU (0.01)": lambda x: np.where(x > 0, x, 0.01 * x),
    "leaky ReLU (0.2)": lambda x: np.where(x > 0, x, 0.2 * x),
    "leaky ReLU (0.3)": lambda x: np.where(x > 0, x, 0.3 * x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "SELU": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "Mish": lambda x: np.asarray(x * np.tanh(np.logaddexp(x, 0))),
    "Hardswish": lambda x: np.asarray(x * np.clip(x + 3, 0, 6) / 6),
    "hard sigmoid": lambda x: np.asarray(np.clip(x + 3, 0, 6) / 6),
    "hard tanh": lambda x: np.clip(x, -1, 1),
    "softsign": lambda x: np.asarray(x / (1 + np.abs(x))),
    "no function at all": lambda x: x,
}
IN_KERAS = {
    "ReLU": 'activation="relu"',
    "ReLU6": "layers.ReLU(max_value=6)",
    "SiLU": 'activation="silu"',
    "ELU": 'activation="elu"',
    "SELU": 'activation="selu"',
    "Mish": 'activation="mish"',
    "Hardswish": 'activation="hard_silu"',
    "leaky ReLU (0.01)": "layers.LeakyReLU(negative_slope=0.01)",
    "leaky ReLU (0.2)": "layers.LeakyReLU(negative_slope=0.2)",
    "leaky ReLU (0.3)": "layers.LeakyReLU(negative_slope=0.3)",
}
"""How Keras writes what PyTorch computes, by the names of ``FUNCTIONS``."""


def stated(match: Match) -> Iterator[Cause]:
    """Constants that both sides state and that differ, layer by layer."""
    for a, b in match.pairs:
        if b.constants.get("mask_zero"):
            yield Cause(
                where=a.path,
                cause="Embedding masks token 0 on the Keras side alone: the layers behind skip it",
                torch="nn.Embedding masks nothing",
                keras="mask_zero=True",
                fix="layers.Embedding(…, mask_zero=False)",
            )
        differing = [
            name
            for name in (*STATED, *(("activation", "go_backwards") if a.kind in RECURRENT else ()))
            if name in a.constants
            and name in b.constants
            and _differ(a.constants[name], b.constants[name])
        ]
        if not differing:
            continue
        told = [", ".join(f"{n} {_shown(x.constants[n])}" for n in differing) for x in (a, b)]
        yield Cause(
            where=a.path,
            cause=f"{a.kind} {' and '.join(differing)} differ",
            torch=told[0],
            keras=told[1],
            fix=_lines(a, b),
        )


def structure(match: Match, torch: Description, keras: Description) -> Iterator[Cause]:
    """What needs no numbers: layers without a counterpart, regularisers, dropout, frozen layers."""
    if not match.complete:
        paired = {n.path for pair in match.pairs for n in pair}
        left, right = ([n for n in d.nodes if n.path not in paired] for d in (torch, keras))
        alike = [(a, b) for a, b in zip(left, right, strict=False) if a.kind == b.kind]
        yield from stated(Match(pairs=tuple(alike), how=""))
        biased = list(_one_bias(left, right))
        yield from biased
        if biased and len(biased) == len(match.unmatched_torch + match.unmatched_keras):
            return
        yield Cause(
            where=(match.unmatched_torch or match.unmatched_keras)[0],
            cause="weights without a counterpart"
            + (": one side has a layer too many" if not _both(match) else ""),
            torch=", ".join(match.unmatched_torch) or "nothing is left over",
            keras=", ".join(match.unmatched_keras) or "nothing is left over",
        )
    for side, told in (("PyTorch", torch), ("Keras", keras)):
        if told.regularisers:
            many = "loss" if told.regularisers == 1 else "losses"
            yield Cause(
                where="loss",
                cause=f"the {side} twin adds {told.regularisers} regulariser {many} that the task"
                " does not state",
                fix="leave kernel_regularizer and its like out of the layers",
            )
        if told.random:
            yield Cause(
                where="model",
                cause=f"the {side} twin draws random numbers ({', '.join(told.random)}) that cannot"
                " be switched off: make them an input",
            )
    yield from _frozen(match)
    yield from dropped(match, torch.drops, keras.drops)


def _one_bias(left: Sequence[Node], right: Sequence[Node]) -> Iterator[Cause]:
    """Layers that are alike but for a bias, which one side has."""

    def rest(node: Node) -> tuple[Any, ...]:
        return (node.kind, {n: w.shape for n, w in node.weights.items() if n != "bias"})

    others = list(right)
    for a in left:
        fits = [
            b
            for b in others
            if rest(a) == rest(b) and ("bias" in a.weights) != ("bias" in b.weights)
        ]
        if not fits:
            continue
        b = fits[0]
        others.remove(b)
        here = "bias" in a.weights
        yield Cause(
            where=a.path,
            cause=f"{a.path} has a bias on the {'PyTorch' if here else 'Keras'} side alone",
            torch=f"bias={here}",
            keras=f"{b.path}: use_bias={not here}",
            fix=f"nn.{a.cls}(…, bias={not here}), or layers.{b.cls}(…, use_bias={here})",
        )


def dropped(match: Match, torch: Sequence[Drop], keras: Sequence[Drop]) -> Iterator[Cause]:
    """Dropout that differs in what drops, at what rate, or where."""
    theirs = {b.path: a.path for a, b in match.pairs}

    def place(drop: Drop) -> str:
        return theirs.get(drop.where, drop.where)

    left = [(d.what, round(d.rate, 6), d.where) for d in torch]
    right = [(d.what, round(d.rate, 6), place(d)) for d in keras]
    more, less = Counter(left) - Counter(right), Counter(right) - Counter(left)
    if not more and not less:
        return
    ones, others = sorted(more.elements()), sorted(less.elements())
    rates = [o[1] for o in ones] != [o[1] for o in others]
    same_place = [(o[0], o[2]) for o in ones] == [(o[0], o[2]) for o in others]
    kinds_of = {n.path: n.kind for pair in match.pairs for n in pair}
    told = ["; ".join(_drop(d, kinds_of) for d in side) or "none" for side in (ones, others)]
    if same_place and rates:
        what = "dropout rate " + " against ".join(
            ", ".join(f"{d[1]:g}" for d in side) for side in (ones, others)
        )
    else:
        what = "dropout: " + " against ".join(told)
    yield Cause(where=(ones or others)[0][2], cause=what, torch=told[0], keras=told[1])


def _drop(drop: tuple[str, float, str], kinds_of: Mapping[str, str]) -> str:
    what, rate, where = drop
    layer = f"the {kinds_of.get(where, 'layer')} {where}" if where else "the input"
    if what == "recurrent dropout":
        return f"{rate:g} inside the recurrence of {layer}"
    if what == "input dropout":
        return f"{rate:g} on the input of {layer}"
    if what == "attention dropout":
        return f"{rate:g} on the attention of {layer}"
    return f"{rate:g} behind {layer}" + ("" if what == "dropout" else f" ({what})")


def _frozen(match: Match) -> Iterator[Cause]:
    for a, b in match.pairs:
        sides = [any(w.trainable for w in n.weights.values()) for n in (a, b)]
        if sides[0] != sides[1]:
            side = "Keras" if sides[0] else "PyTorch"
            yield Cause(
                where=a.path,
                cause=f"{a.path} is frozen on the {side} side alone",
                torch="trained" if sides[0] else "frozen",
                keras="trained" if sides[1] else "frozen",
            )


def trained(torch: Mapping[str, Any], keras: Mapping[str, Any]) -> Iterator[Cause]:
    """How the optimizers that the twins define themselves differ."""
    if not torch or not keras:
        return
    decays = [side["weight_decay"] for side in (torch, keras)]
    if decays[0] and torch["decoupled"] != keras["decoupled"]:
        yield Cause(
            where="optimizer",
            cause="weight decay is coupled on the PyTorch side (added to the gradient) and"
            " decoupled in Keras (taken off the weight)",
            torch=f"{torch['class']}(weight_decay={decays[0]:g})",
            keras=f"{keras['class']}(weight_decay={decays[1]:g})",
            fix=f"torch.optim.AdamW(…, weight_decay={decays[1]:g})",
        )
        return
    for name, stated in torch.items():
        other = keras.get(name)
        if name in {"class", "decoupled", "epsilon"} or stated is None or other is None:
            continue
        if abs(stated - other) > CLOSE * max(abs(stated), abs(other)):
            yield Cause(
                where="optimizer",
                cause=f"the optimizers' {name} differ: {stated:g} against {other:g}",
                torch=f"{torch['class']}: {name} {stated:g}",
                keras=f"{keras['class']}: {name} {other:g}",
            )


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
        if any(_same(x, y) for x in mine for y in theirs):
            continue
        inputs = [torch.get(f"node/{a.path}/in"), keras.get(f"node/{b.path}/in")]
        if _same(inputs[0], inputs[1]) or _padded(inputs[0], inputs[1]):
            yield from _inside(a, b, inputs, outputs, mine, values)
        else:
            at = (position[a.path] - 1, place[b.path] - 1)
            yield from _between(a.path, inputs, descriptions, traces, at)
        return
    at = (len(descriptions[0].nodes), len(descriptions[1].nodes))
    ends = [next((v for k, v in side.items() if k.startswith("output/")), None) for side in traces]
    if not _same(ends[0], ends[1]):
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
        here = next((f for one in mine[1:] if (f := _function(before, one))), None)
        there = _function(before, outputs[1])
        if here and there and here not in {"no function at all", there}:
            yield _functions(a.path, (here, there))
            return
        if _same(outputs[1], _applied(str(fused), before)):
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
        if _same(found, made) or (found.ndim == 3 and _same(found[:, -1], made)):  # noqa: PLR2004 - steps
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
            if out is None or any(_same(out, other) for other in (*others, *nodes[1 - i])):
                continue
            given = traces[i].get(f"step/{step.key}/in")
            mine = _function(given, out)
            theirs = next((f for o in others if (f := _function(given, o))), None)
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
        if relative_error(np.array(a), np.array(b)) <= CLOSE:
            continue
        part = key.removeprefix("loss/")
        for size, words in sizes.items():
            for factor, side in ((a / b if b else 0.0, "PyTorch"), (b / a if a else 0.0, "Keras")):
                if size > 1 and math.isclose(factor, size, rel_tol=CLOSE):
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
            logs = np.log(softmax(output))
            hit = -np.take_along_axis(logs, target[..., None], -1).mean()
            even = -logs.mean()
            for amount in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3):
                if math.isclose(value, (1 - amount) * hit + amount * even, rel_tol=CLOSE):
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
                    if _same(_attended(weights, given, node.constants, allowed), made):
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
    fix = _gelu(told) or IN_KERAS.get(told[0], "")
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
        o is not None and np.size(o) == np.size(out) and _same(ordered, np.sort(np.ravel(o)))
        for o in others
    )


def _function(given: Any, made: Any) -> str | None:
    if given is None or made is None or np.shape(given) != np.shape(made):
        return None
    with np.errstate(all="ignore"):
        return next((n for n, f in FUNCTIONS.items() if _same(f(given), made)), None)


def _applied(name: str, x: Any) -> Any:
    known = {
        "softmax": "softmax",
        "relu": "ReLU",
        "tanh": "tanh",
        "sigmoid": "sigmoid",
        "silu": "SiLU",
    }
    function = FUNCTIONS.get(known.get(name, ""))
    return None if function is None else function(x)


def _following(steps: Sequence[Step], trace: Arrays) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for step in steps:
        out = trace.get(f"step/{step.key}/out")
        if out is not None:
            found.setdefault(step.after, []).append(out)
    return found


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    if np.ndim(a) == 3 and np.ndim(b) == 2:  # noqa: PLR2004 - all states against the last one
        a = a[:, -1]
    elif np.ndim(b) == 3 and np.ndim(a) == 2:  # noqa: PLR2004
        b = b[:, -1]
    return relative_error(a, b) <= CLOSE


def _padded(a: Any, b: Any) -> bool:
    """Whether one input is the other with zeros around it, so that the layer pads the rest."""
    if a is None or b is None or np.ndim(a) != np.ndim(b) or np.shape(a) == np.shape(b):
        return False
    apart = abs(float(np.sum(a)) - float(np.sum(b)))
    return apart <= CLOSE * max(1.0, float(np.abs(a).sum()))


def _differ(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return not math.isclose(a, b, rel_tol=1e-6)
    return bool(a != b)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _step(step: Step) -> str:
    told = ", ".join(f"{k}={v}" for k, v in step.constants.items())
    return f"{step.name}({told})"


def _both(match: Match) -> bool:
    return bool(match.unmatched_torch and match.unmatched_keras)


def _lines(a: Node, b: Node) -> str:
    """The line to write on either side, so that it agrees with the other."""
    if a.kind not in LINES:
        return ""
    rank = max(1, len(a.input or (0,)) - 1) if a.kind == "BatchNorm" else 1
    torch, keras = LINES[a.kind]

    def filled(line: str, of: Node) -> str:
        momentum = of.constants.get("momentum") or 0.0
        known = {"epsilon": of.constants.get("epsilon", 0.0), "momentum": momentum}
        known |= {name: of.constants.get(name, "…") for name in ("heads", "head_dim")}
        return line.format(**known, turned=1 - momentum, rank=rank)

    return f"{filled(torch, b)}, or {filled(keras, a)}"
