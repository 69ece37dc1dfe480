"""The line to write for a cause: from the constants of both sides, and checked on their numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.frameworks.description import Arrays, Node, Step
from benchmarks.proof.compare import relative_error
from benchmarks.proof.diagnosis.functions import CLOSE
from benchmarks.tasks.layers.conv import reach

VARIANTS = {
    "reads axis 0 as time": ("nn.{torch}(…, batch_first=True)", ""),
    "LSTM reads its gates": (
        "input, forget, cell, output = gates.chunk(4, -1), the order of nn.LSTM and layers.LSTM",
        "input, forget, cell, output = ops.split(gates, 4, -1), the order of both libraries",
    ),
    "GRU reads its gates": (
        "reset, update, new = gates.chunk(3, -1), the order of nn.GRU",
        "update, reset, new = ops.split(gates, 3, -1), the order of layers.GRU",
    ),
    "(the recurrent one is left out)": ("F.linear(hidden, weight_hh, bias_hh)", ""),
    "(the input's is left out)": ("F.linear(x, weight_ih, bias_ih)", ""),
    "takes its update gate for what is new": ("(1 - update) * new + update * hidden",) * 2,
    "hides later steps": (
        "{b}(…, use_causal_mask=True) on the Keras side",
        "attn_mask=nn.Transformer.generate_square_subsequent_mask(steps) in {a} of PyTorch",
    ),
    "normalizes by its stored mean": (
        "{b}(…, training=False) on the Keras side, or {a}.train() on the PyTorch side",
        "{a}.eval() on the PyTorch side, after each train() of the model",
    ),
    "takes axis=1": ("", "layers.{keras}(…, axis=-1)"),
}
"""By words in the sentence of a kind's variant: what to write where PyTorch, or Keras, does so."""
FEEDS: dict[str, Callable[[Any, Any], Any]] = {
    "what {} gives": lambda _, made: made,
    "what {} takes": lambda given, _: given,
    "what {} takes, added to what it gives": lambda given, made: (
        given + made if np.shape(given) == np.shape(made) else None
    ),
    "the last step of what {} gives": lambda _, made: made[:, -1],
    "the mean over the steps of what {} gives": lambda _, made: made.mean(axis=1),
}
"""What a layer may be fed, of the input and the output of another one."""


def variant(a: Node, b: Node, told: Sequence[str], defined: str) -> str:
    """Where one side computes a variant of the layer and the other what is ``defined``."""
    if (told[0] == defined) == (told[1] == defined):
        return ""
    side = int(told[0] == defined)
    lines = (line[side] for words, line in VARIANTS.items() if words in f"{a.kind} {told[side]}")
    return next(lines, "").format(a=a.path, b=b.path, torch=a.cls, keras=b.cls)


def padding(a: Node, b: Node, inputs: Sequence[Any]) -> str:
    """How both convolutions pad alike; empty where PyTorch pads before its layer, too."""
    mine, theirs = a.constants["padding"], b.constants["padding"]
    sizes, zeros = [np.size(one) for one in inputs], f"ZeroPadding{len(mine)}D"
    if "padding_mode" in a.constants or sizes[0] > sizes[1]:
        return ""
    line = f'layers.{zeros}({_amounts(mine)}) before {b.path}, and padding="valid" in it'
    if not np.any(mine):
        line = f'padding="valid" in {b.path}' + f", and no {zeros}" * (sizes[0] < sizes[1])
    if theirs == "same" or sizes[0] < sizes[1] or any(first != last for first, last in theirs):
        return line
    return f"{line}, or nn.{a.cls}(…, padding={_amounts([[n for n, _ in theirs]])})"


def crop(a: Node, b: Node) -> str:
    """How a transposed convolution of Keras' crops as PyTorch's; empty where it must add."""
    cuts = a.constants["padding"]
    spans = reach(a.constants["kernel_size"], a.constants["dilation"])
    longer = [max(s - span, 0) for s, span in zip(a.constants["strides"], spans, strict=True)]
    cuts = [[first, last + more] for (first, last), more in zip(cuts, longer, strict=True)]
    line = f'layers.{b.cls}(…, padding="valid")'
    if np.any(cuts):
        line += f", and layers.Cropping{len(cuts)}D({_amounts(cuts)}) behind it"
    return line if np.min(cuts) >= 0 else ""


def pooling(step: Step, trace: Arrays) -> str:
    """The layer of Keras' that gives what a pooling step of PyTorch's gave."""
    given, made = (trace.get(f"step/{step.key}/{end}") for end in ("in", "out"))
    name, reduce = ("Max", np.max) if "max" in step.name else ("Average", np.mean)
    if given is None or (rank := given.ndim - 2) < 1:
        return ""
    size = step.constants.get("kernel_size", 0)
    axes = tuple(range(1, rank + 1))
    if _equal(reduce(given, axis=axes), made):
        return f"layers.Global{name}Pooling{rank}D()"
    if not 0 < size <= min(given.shape[1:-1]):
        return ""
    stride = step.constants.get("stride", size)
    windows = sliding_window_view(given, (size,) * rank, axes)
    kept = windows[(slice(None), *[slice(None, None, stride)] * rank)]
    line = f"layers.{name}Pooling{rank}D({size}, strides={stride})"
    return line if _equal(reduce(kept, axis=tuple(range(-rank, 0))), made) else ""


def permuted(steps: Sequence[Step], trace: Arrays, wanted: Any) -> str:
    """The order of axes in which what a step of Keras' flattens is what is ``wanted``."""
    for step in steps:
        given = trace.get(f"step/{step.key}/in")
        if given is None or np.size(given) != np.size(wanted):
            continue
        for dims in list(permutations(range(1, np.ndim(given))))[1:]:
            if _equal(given.transpose(0, *dims).reshape(wanted.shape), wanted):
                return f"layers.Permute({dims}) before the {step.name} of the Keras side"
    return ""


def joined(ends: Sequence[Any]) -> str:
    """Where both sides join the same two tensors along the last axis, in another order."""
    same = np.shape(ends[0]) == np.shape(ends[1])
    for count in range(1, np.shape(ends[1])[-1] if same and np.ndim(ends[1]) > 1 else 0):
        if _equal(np.roll(ends[1], count, axis=-1), ends[0]):
            return f"layers.Concatenate()([…]) with what gives the last {count} channels first"
    return ""


def fed(where: Sequence[str], ends: Sequence[Any], traces: Sequence[Arrays]) -> str:
    """What to feed the layer of one side, so that it takes what that of the other takes.

    ``where`` is its path on either side. Keras is given what PyTorch has, if that is known.
    """
    for side, name in ((1, "Keras"), (0, "PyTorch")):
        wanted, trace = ends[1 - side], traces[side]
        if side == 0 and (line := _last_states(trace, wanted)):
            return line
        for words, of in FEEDS.items():
            for path in _nodes(trace):
                given, made = (trace.get(f"node/{path}/{end}") for end in ("in", "out"))
                if path != where[side] and _equal(of(given, made), wanted):
                    what = "return" if where[side] == "output" else f"feed {where[side]}"
                    return f"on the {name} side, {what} {words.format(path)}"
    return ""


def _last_states(trace: Arrays, wanted: Any) -> str:
    """Where the last states of both directions of a PyTorch layer are ``wanted``."""
    for key, back in trace.items():
        found = re.fullmatch(r"(node/.*\.)?(\d+)\.reverse/out", key)
        there = trace.get(key.replace(".reverse/", "/"))
        if found is None or there is None:
            continue
        if _equal(np.concatenate([there[:, -1], back[:, -1]], axis=-1), wanted):
            at = 2 * int(found[2])
            return (
                f"torch.cat([hidden[{at}], hidden[{at + 1}]], -1), the last state of each direction"
            )
    return ""


def placed(line: str, trace: Arrays, given: Any) -> str:
    """A line with the layer of Keras' that gives what is ``given``, behind which it belongs."""
    maker = next((path for path in _nodes(trace) if _equal(trace[f"node/{path}/out"], given)), "")
    if not (line and maker):
        return line
    return f"{line} {'in' if line.startswith('activation') else 'behind'} {maker}"


def _nodes(trace: Arrays) -> list[str]:
    """Paths of the layers whose output was kept."""
    return [
        key.removeprefix("node/").removesuffix("/out")
        for key, held in trace.items()
        if key.startswith("node/") and key.endswith("/out") and np.ndim(held) > 1
    ]


def _amounts(pairs: Sequence[Sequence[int]]) -> str:
    """Numbers by axis and side as both libraries take them: one where all are alike."""
    told = tuple(tuple(pair) for pair in pairs)
    alike = len({n for pair in told for n in pair}) == 1
    return str(told[0][0] if alike else told[0] if len(told) == 1 else told)


def _equal(a: Any, b: Any) -> bool:
    return relative_error(a, b) <= CLOSE
