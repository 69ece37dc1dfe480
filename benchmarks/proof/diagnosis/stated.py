"""What two twins state of themselves and differ in: causes that need no numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.frameworks.description import Arrays, Description, Drop, Node, Weight
from benchmarks.proof.compare import relative_error
from benchmarks.proof.diagnosis.functions import CLOSE
from benchmarks.proof.match import Match
from benchmarks.results.records import Cause

FLOAT32 = 1e-7
"""Relative difference of a constant from itself in float32, in which Keras keeps them."""
STATED = (
    "epsilon",
    "momentum",
    "reset_after",
    "groups",
    "dilation",
    "strides",
    "recurrent_activation",
    "heads",
    "head_dim",
)
"""Constants that both dialects state in one sense."""
RECURRENT = ("RNN", "LSTM", "GRU")
KEYWORDS = {
    "epsilon": ("eps", "epsilon"),
    "momentum": ("momentum", "momentum"),
    "groups": ("groups", "groups"),
    "dilation": ("dilation", "dilation_rate"),
    "strides": ("stride", "strides"),
    "heads": ("num_heads", "num_heads"),
    "head_dim": ("", "key_dim"),
}
"""What each dialect calls a constant: PyTorch, Keras; empty where the others decide it."""
COMPLETE = ("BatchNorm", "LayerNorm", "RMSNorm", "MultiHeadAttention")
"""Kinds that Keras needs no other argument for."""
KERAS_ALONE = ("reset_after", "recurrent_activation", "activation", "go_backwards")
"""Constants that PyTorch's layers have no argument for."""
DROPPED = {
    "dropout": "layers.Dropout({:g}) behind {}",
    "alpha dropout": "layers.AlphaDropout({:g}) behind {}",
    "gaussian dropout": "layers.GaussianDropout({:g}) behind {}",
    "gaussian noise": "layers.GaussianNoise({:g}) behind {}",
    "input dropout": "dropout={:g} in {}",
    "recurrent dropout": "recurrent_dropout={:g} in {}",
    "attention dropout": "dropout={:g} in {}",
}
"""How Keras writes what drops, at a rate and a layer."""


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
            fix=_lines(a, b, differing),
        )


def structure(match: Match, torch: Description, keras: Description) -> Iterator[Cause]:
    """What needs no numbers: layers without a counterpart, regularisers, frozen layers.

    Dropout, too, where the match is not complete: there will be no numbers.
    """
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
            fix=_spare(match, left, right),
        )
    for side, told in (("PyTorch", torch), ("Keras", keras)):
        if told.regularisers:
            named, count = ", ".join(told.regularisers), len(told.regularisers)
            many = "loss" if count == 1 else "losses"
            yield Cause(
                where=told.regularisers[0].partition(":")[0],
                cause=f"the {side} twin adds {count} regulariser {many} that the task does not"
                " state",
                torch=named if side == "PyTorch" else "",
                keras=named if side == "Keras" else "",
                fix=f"leave out {named}; weight decay is stated by the optimizer",
            )
        if told.random:
            yield Cause(
                where="model",
                cause=f"the {side} twin draws random numbers ({', '.join(told.random)}) that cannot"
                " be switched off: make them an input",
                fix="noise(…) among the inputs of the task (--input NAME=noise:SHAPE of pair)",
            )
    yield from _frozen(match)
    if not match.complete:
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


def dropped(
    match: Match,
    torch: Sequence[Drop],
    keras: Sequence[Drop],
    traces: tuple[Arrays, Arrays] | None = None,
) -> Iterator[Cause]:
    """Dropout that differs in what drops, at what rate, or where.

    What drops the same values is at the same place, whatever layer was called last before it: two
    frameworks may call the layers of branches in another order.
    """
    theirs = {b.path: a.path for a, b in match.pairs}
    mine, other = traces or ({}, {})
    left = [(d.what, round(d.rate, 6), d.where) for d in torch]
    unused = dict(enumerate(left))

    def place(at: int, what: str, rate: float, where: str) -> tuple[str, float, str]:
        for index, one in unused.items():
            values = mine.get(f"drop/{index}"), other.get(f"drop/{at}")
            if one[:2] == (what, rate) and relative_error(*values) <= CLOSE:
                return unused.pop(index)
        return what, rate, theirs.get(where, where)

    right = [place(at, d.what, round(d.rate, 6), d.where) for at, d in enumerate(keras)]
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
    fix = _dropping(match, ones, others)
    yield Cause(where=(ones or others)[0][2], cause=what, torch=told[0], keras=told[1], fix=fix)


def _dropping(
    match: Match, ones: Sequence[tuple[str, float, str]], others: Sequence[tuple[str, float, str]]
) -> str:
    """How Keras drops what ``ones`` are, and no ``others``; empty where it is not known."""
    paths = {a.path: b.path for a, b in match.pairs} | {"": "the input"}
    if any(what not in DROPPED or where not in paths for what, _, where in (*ones, *others)):
        return ""
    kept = [DROPPED[what].format(rate, paths[where]) for what, rate, where in ones]
    places = {(what, where) for what, _, where in ones}
    out = [
        "no " + DROPPED[what].format(rate, paths[where])
        for what, rate, where in others
        if (what, where) not in places
    ]
    return ", and ".join([*kept, *out])


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
            fix = f"{a.path}.requires_grad_(False) on the PyTorch side"
            if side == "PyTorch":
                fix = f"{b.path}.trainable = False on the Keras side"
            if a.kind == "BatchNorm":
                fix += f", and {a.path}.eval() in PyTorch: Keras keeps its statistics then"
            yield Cause(
                where=a.path,
                cause=f"{a.path} is frozen on the {side} side alone",
                torch="trained" if sides[0] else "frozen",
                keras="trained" if sides[1] else "frozen",
                fix=fix,
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
            fix=f"torch.optim.AdamW(…, weight_decay={decays[1]:g})"
            if torch["class"] == "Adam"
            else "weight_decay=0 on both sides",
        )
        return
    for name, stated in torch.items():
        other = keras.get(name)
        if name in {"class", "decoupled", "epsilon"} or stated is None or other is None:
            continue
        if not math.isclose(stated, other, rel_tol=FLOAT32):
            fix = f"keras.optimizers.{keras['class']}(…, {name}={stated:g})"
            given = f"{'lr' if name == 'learning_rate' else name}={other:g}"
            if name.startswith("beta"):
                given = f"betas=({keras['beta_1']:g}, {keras['beta_2']:g})"
            if name != "weight_decay" or torch["decoupled"]:  # else it would not be the same decay
                fix = f"torch.optim.{torch['class']}(…, {given}), or {fix}"
            yield Cause(
                where="optimizer",
                cause=f"the optimizers' {name} differ: {stated:g} against {other:g}",
                torch=f"{torch['class']}: {name} {stated:g}",
                keras=f"{keras['class']}: {name} {other:g}",
                fix=fix,
            )


def _differ(a: Any, b: Any) -> bool:
    if isinstance(a, float | int) and isinstance(b, float | int):
        return not math.isclose(a, b, rel_tol=1e-6)
    return bool(a != b)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _both(match: Match) -> bool:
    return bool(match.unmatched_torch and match.unmatched_keras)


def _lines(a: Node, b: Node, differing: Sequence[str]) -> str:
    """The line to write on either side, so that it agrees with the other."""
    names = [n for n in KEYWORDS if a.kind == "BatchNorm" and n in a.constants] or differing
    torch = {KEYWORDS[n][0]: b.constants[n] for n in names if n in KEYWORDS}
    if a.kind == "BatchNorm" and torch["momentum"] is not None:
        torch["momentum"] = 1 - torch["momentum"]
    if a.kind == "GroupNorm" and "groups" in torch:
        torch["num_groups"] = torch.pop("groups")
    keras = {KEYWORDS.get(n, ("", n))[1]: a.constants[n] for n in names}
    lines = [f"nn.{a.cls}(…, {_given(torch)})"] if not set(names) & set(KERAS_ALONE) else []
    start = "" if a.kind in COMPLETE else "…, "
    lines += [f"layers.{b.cls}({start}{_given(keras)})"] if None not in keras.values() else []
    return ", or ".join(lines)


def _given(arguments: Mapping[str, Any]) -> str:
    """Arguments as a call has them; those without a name are left out."""

    def shown(value: Any) -> str:
        if isinstance(value, list):
            value = value[0] if len(set(value)) == 1 else tuple(value)
        return f"{value:g}" if isinstance(value, float) else repr(value).replace("'", '"')

    return ", ".join(f"{name}={shown(value)}" for name, value in arguments.items() if name)


def _spare(match: Match, left: Sequence[Node], right: Sequence[Node]) -> str:
    """Which whole layers to leave out, or how many units to give where these alone differ."""
    spare = [*match.unmatched_torch, *match.unmatched_keras]
    names = {f"{n.path} ({n.cls})": len(n.weights) for n in (*left, *right)}
    whole = [n for n, count in names.items() if sum(s.startswith(f"{n} ") for s in spare) == count]
    if not _both(match) and whole:
        side = "PyTorch" if match.unmatched_torch else "Keras"
        return f"leave {', '.join(whole)} out of the {side} side"
    for a, b in zip(left, right, strict=False):
        mine, theirs = (n.weights.get("kernel", Weight(shape=())).shape for n in (a, b))
        if a.kind == b.kind == "Dense" and mine[:1] == theirs[:1] and mine != theirs:
            return (
                f"layers.Dense({mine[1]}) for {b.path}, or nn.Linear(…, {theirs[1]}) for {a.path}"
            )
    return ""
