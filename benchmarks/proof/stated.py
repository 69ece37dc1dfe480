"""What two twins state of themselves and differ in: causes that need no numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.frameworks.description import Description, Drop, Node
from benchmarks.proof.match import Match
from benchmarks.records import Cause

FLOAT32 = 1e-7
"""Relative difference of a constant from itself in float32, in which Keras keeps them."""
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


def constants(match: Match) -> Iterator[Cause]:
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
        yield from constants(Match(pairs=tuple(alike), how=""))
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


def optimizers(torch: Mapping[str, Any], keras: Mapping[str, Any]) -> Iterator[Cause]:
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
        if not math.isclose(stated, other, rel_tol=FLOAT32):
            yield Cause(
                where="optimizer",
                cause=f"the optimizers' {name} differ: {stated:g} against {other:g}",
                torch=f"{torch['class']}: {name} {stated:g}",
                keras=f"{keras['class']}: {name} {other:g}",
            )


def _differ(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return not math.isclose(a, b, rel_tol=1e-6)
    return bool(a != b)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


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
