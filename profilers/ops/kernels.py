"""Which implementation computed attention, recurrence and convolutions, told by recorded names.

Some names of operations and kernels belong to one implementation alone: ``ALONE``. Where none of
these was recorded, several names may tell it together: ``TOGETHER``. What neither table knows is
said to be unrecognised, with its names; nothing is inferred from the framework or the device.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from profilers.ops.rows import Event, Implementation
from profilers.ops.taxonomy import FORWARD, PHASES

ATTENTION, RECURRENT, CONV = FAMILIES = ("attention", "recurrent", "conv")
"""Categories of operations that frameworks compute in different ways."""
NAMED = 3
"""Names that are kept of each implementation."""
MANY = 8
"""Products of matrices of one layer in one step: more than it has weights, so it repeats them."""
PRODUCT = r"(addmm|bmm|matmul|einsum|\bdot)(v2|_general|_\d+)*$|(^|::)mm$"
"""A product of matrices, in any framework's spelling."""


class Rule(NamedTuple):
    """How an implementation is known.

    Each of ``names``, regular expressions for any spelling of case, must be found in the name of an
    operation of one layer and phase, the first of them ``calls`` times a step. ``host``: the rule
    holds only where no device was recorded. ``source`` says where the names stand.
    """

    family: str
    words: str
    names: tuple[str, ...]
    source: str
    calls: int = 1
    host: bool = False


_ATEN = "PyTorch, aten/src/ATen/native/native_functions.yaml"
_SDPA = "PyTorch, aten/src/ATen/native/transformers/attention.cpp"
_KERNELS = "the names of kernels as CUPTI records them"
_MKL = "TensorFlow, tensorflow/core/ops/mkl_nn_ops.cc and nn_ops.cc"

ALONE = (
    Rule(
        ATTENTION, "fused: flash attention",
        (r"^aten::_(scaled_dot_product_)?flash_attention",), _SDPA,
    ),
    Rule(
        ATTENTION, "fused: memory-efficient attention",
        (r"^aten::_(scaled_dot_product_)?efficient_attention",), _SDPA,
    ),
    Rule(
        ATTENTION, "fused: cuDNN's attention",
        (r"^aten::_(scaled_dot_product_)?cudnn_attention",), _SDPA,
    ),
    Rule(ATTENTION, "fused: flash attention", (r"\bflash_(fwd|bwd)",), _KERNELS),
    Rule(ATTENTION, "fused: memory-efficient attention", (r"\bfmha_cutlass",), _KERNELS),
    Rule(ATTENTION, "fused: cuDNN's attention", (r"\bcudnn\w*(sdpa|fmha)",), _KERNELS),
    Rule(RECURRENT, "fused: oneDNN's layer", (r"^aten::mkldnn_rnn_layer",), _ATEN),
    Rule(RECURRENT, "fused: cuDNN's layer", (r"^aten::_cudnn_rnn(_backward)?$",), _ATEN),
    Rule(
        RECURRENT, "fused: cuDNN's layer", (r"\bCudnnRNN",),
        "TensorFlow, tensorflow/core/ops/cudnn_rnn_ops.cc",
    ),
    Rule(
        RECURRENT, "fused: cuDNN's layer",
        (r"\b(RNN_blockPersist|persistRNN|elemWiseRNNcell|(LSTM|GRU)_elementWise)",), _KERNELS,
    ),
    Rule(
        RECURRENT, "a loop over the steps, each a fused cell",
        (r"^aten::_thnn_fused_(lstm|gru)_cell",), _ATEN,
    ),
    Rule(CONV, "oneDNN", (r"^aten::mkldnn_convolution|^mkldnn::_convolution",), _ATEN),
    Rule(CONV, "oneDNN", (r"\b_Mkl\w*(Conv[23]D|DepthwiseConv2d)",), _MKL),
    Rule(CONV, "cuDNN", (r"^aten::cudnn_convolution",), _ATEN),
    Rule(
        CONV, "cuDNN", (r"cudnn|xmma_(fprop|dgrad|wgrad)|implicit_convolve_sgemm",), _KERNELS
    ),
    Rule(
        CONV, "PyTorch's own: a product of copied patches",
        (r"^aten::(_?slow_conv|thnn_conv2d)",), _ATEN,
    ),
    Rule(
        CONV, "PyTorch's own: depthwise",
        (r"^aten::(_conv_depthwise2d|conv_depthwise3d)|\bconv_depthwise[23]d_",), _ATEN,
    ),
    Rule(
        CONV, "Eigen", (r"^(_Fused)?(Conv[23]D|DepthwiseConv2dNative)(Backprop\w*)?$",),
        "TensorFlow, tensorflow/core/kernels/conv_ops_impl.h: the plain operation on a CPU",
        host=True,
    ),
    Rule(
        CONV, "XLA", (r"^convolution$",),
        "XLA, xla/hlo/ir/hlo_opcode.h: the instruction, replaced by no library's",
    ),
)  # fmt: skip
"""Each of these names is one implementation's; all that are found are told."""

TOGETHER = (
    Rule(
        ATTENTION, "not fused: PyTorch's fast path of inference, two products and a softmax",
        (r"^aten::(bmm|baddbmm)", r"^aten::_native_multi_head_attention$", "softmax"), _SDPA,
    ),
    Rule(
        ATTENTION, "not fused: PyTorch's reference, two products and a softmax",
        (r"^aten::_scaled_dot_product_attention_math",), _SDPA,
    ),
    Rule(
        ATTENTION, "not fused: two products and a softmax", (PRODUCT, r"softmax|exponential"),
        "the definition of attention",
    ),
    Rule(
        RECURRENT, "a loop over the steps, inside PyTorch's layer",
        (PRODUCT, r"^aten::(lstm|gru|rnn_tanh|rnn_relu)$"),
        "PyTorch, aten/src/ATen/native/RNN.cpp", MANY,
    ),
    Rule(
        RECURRENT, "a loop over the steps, in the graph", (PRODUCT, r"^TensorList"),
        "TensorFlow, tensorflow/core/ops/list_ops.cc: what tf.while_loop gathers", MANY,
    ),
    Rule(
        RECURRENT, "a loop over the steps, compiled by XLA",
        (PRODUCT, r"dynamic[-_](update[-_])?slice"), "XLA, xla/hlo/ir/hlo_opcode.h", MANY,
    ),
    Rule(
        RECURRENT, "a loop over the steps, operation by operation", (PRODUCT,),
        "the definition of a recurrent layer", MANY,
    ),
)  # fmt: skip
"""Where no name of ``ALONE`` was found: the first of these whose names are all there."""


class _Spent(NamedTuple):
    """How often each name was recorded of a layer, and for how long of the family."""

    calls: Counter[str]
    nanoseconds: Counter[str]


def recognised(events: Iterable[Event], steps: int) -> tuple[Implementation, ...]:
    """What computed each family in each phase, from the events of some steps.

    Each layer is judged by itself, but recurrent ones together: what a cell does, which Keras has
    as a layer of its own, and what its loop gathers are told by one another.
    """
    events = list(events)
    host = not any(event.device for event in events)
    groups: dict[tuple[str, str, str | None], _Spent] = {}
    beside: dict[tuple[str, str | None], Counter[str]] = {}
    for event in events:
        name = event.kernel or event.name
        place = event.phase, None if event.category == RECURRENT else event.layer
        if event.category in FAMILIES:
            key = (event.category, *place)
            found = groups.setdefault(key, _Spent(Counter(), Counter()))
            found.calls[name] += 1
            found.nanoseconds[name] += event.duration_ns
        elif place[1]:  # a compiler's product of a layer stands as a product
            beside.setdefault(place, Counter())[name] += 1
    for (_, phase, layer), found in groups.items():
        found.calls.update(beside.get((phase, layer), {}))
    return union(
        Implementation(family=family, phase=phase, name=words, ops=ops)
        for (family, phase, _), spent in groups.items()
        for words, ops in _told(family, spent, steps, host=host)
    )


def _told(
    family: str, spent: _Spent, steps: int, *, host: bool
) -> Iterator[tuple[str | None, tuple[str, ...]]]:
    """What is known of one layer in one phase: words and the names that told them."""

    def found(rules: Iterable[Rule]) -> list[tuple[str | None, tuple[str, ...]]]:
        fitting = (rule for rule in rules if rule.family == family and (host or not rule.host))
        return [(rule.words, ops) for rule in fitting if (ops := known(rule, spent.calls, steps))]

    longest = tuple(name for name, _ in spent.nanoseconds.most_common(NAMED))
    yield from found(ALONE) or found(TOGETHER)[:1] or [(None, longest)]


def known(rule: Rule, calls: Mapping[str, int], steps: int) -> tuple[str, ...]:
    """The names, of those called in so many steps, that tell a rule; none where it fails."""
    each = [
        [name for name in calls if re.search(asked, name, re.IGNORECASE)] for asked in rule.names
    ]
    enough = sum(calls[name] for name in each[0]) >= rule.calls * steps
    if not all(each) or not enough:
        return ()
    one_of_each = (names[at] for at in range(NAMED) for names in each if at < len(names))
    return tuple(dict.fromkeys(one_of_each))


def union(told: Iterable[Implementation]) -> tuple[Implementation, ...]:
    """Each of them once, in the order of families and phases, what is not recognised last."""
    found: dict[tuple[str, str, str | None], dict[str, None]] = {}
    for one in told:
        names = found.setdefault((one.family, one.phase, one.name), {})
        names |= dict.fromkeys(one.ops)
    return tuple(
        Implementation(family=family, phase=phase, name=words, ops=tuple(names)[:NAMED])
        for (family, phase, words), names in sorted(found.items(), key=_order)
    )


def _order(item: tuple[tuple[str, str, str | None], object]) -> tuple[int, int, bool, str]:
    family, phase, words = item[0]
    return _rank(FAMILIES, family), _rank(PHASES, phase), words is None, words or ""


def _rank(order: Sequence[str], name: str) -> int:
    """The place in an order; a name that a worker made up comes last."""
    return order.index(name) if name in order else len(order)


def complete(told: Sequence[Implementation], families: Iterable[str]) -> tuple[Implementation, ...]:
    """With those families of a model of which nothing was recorded, as unrecognised."""
    lacking = [f for f in FAMILIES if f in set(families) - {one.family for one in told}]
    return (*told, *(Implementation(family=f, phase=FORWARD, name=None) for f in lacking))
