"""Categories and phases that hold for every framework: data, matched by name.

An operation's category is that of its layer where the layer decides (what a normalisation is made
of differs between frameworks, what it is for does not), of the optimizer where it updates weights,
else of its type. A fused kernel has the category of its most expensive part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FORWARD, BACKWARD, OPTIMIZER = "forward", "backward", "optimizer"
PHASES = (FORWARD, BACKWARD, OPTIMIZER)
OTHER = "other"
OVERHEAD = "framework overhead"
CATEGORIES = (
    "conv",
    "matmul",
    "attention",
    "recurrent",
    "norm",
    "pool",
    "softmax/loss",
    "embedding/gather",
    "reduction",
    "elementwise",
    "random",
    "data loading",
    "data movement",
    "collective",
    "optimizer",
    "fused",
    OVERHEAD,
    OTHER,
)
"""Also the order of expense by which a fused kernel is named."""

_LAYERS = {
    "norm": "batchnorm layernorm groupnorm instancenorm rmsnorm normalization",
    "recurrent": "lstm gru rnn bidirectional",
    "attention": "attention",
    "random": "dropout gaussiannoise",
    "pool": "pool",
}
"""Parts of the names of layers' classes."""

_WORDS = {
    "recurrent": "gru",
    "matmul": "mm addmm bmm baddbmm addbmm addmv mv dot dot_general linear einsum contract",
    "softmax/loss": "one_hot onehot sparsetodense l2loss logsumexp",
    "random": "rand randn randint randperm rand_like randn_like randint_like",
    "embedding/gather": "index take index_put unsortedsegmentsum",
    "reduction": """sum mean max min prod var std norm any all amax amin argmax argmin topk sort
        cumsum bincount arg_max arg_min reduce biasadd_grad std_mean var_mean euclidean_norm
        linalg_vector_norm intopkv2 in_top_k reduce_sum reduce_max reduce_min reduce_mean
        reduce_and reduce_or reduce_prod biasaddgrad""",
    "elementwise": """relu relu6 relugrad threshold leaky_relu gelu silu swish sigmoid tanh erf exp
        exp2 expm1 log log1p sqrt rsqrt square pow reciprocal abs sign neg negative floor ceil round
        add addv2 addn sub rsub subtract mul multiply div divide divnonan div_no_nan realdiv
        floordiv floormod mod remainder maximum minimum clamp clamp_min clamp_max clipbyvalue clip
        eq equal ne notequal not_equal lt less le lessequal gt greater ge greaterequal compare
        logicaland logicalor logicalnot logical_and logical_or logical_not and or not xor where
        select_n selectv2 cast addcmul addcdiv lerp biasadd biasaddv1 bias_add squareddifference
        squared_difference isfinite isnan isinf elu selu softplus hardtanh hardswish integer_pow
        logistic stop_gradient cbrt sin cos sinh cosh copysign select sigmoidgrad tanhgrad sqrtgrad
        rsqrtgrad divnonangrad ge_scalar le_scalar atan2 exponential power convert
        convert_element_type""",
    "data movement": """copy to clone contiguous cat concat concatv2 concatenate stack pack unpack
        split splitv chunk slice stridedslice strided_slice narrow transpose t permute view
        unsafe_view reshape reshape_alias flatten squeeze unsqueeze expand expanddims expand_dims
        as_strided detach alias identity identityn pad padv2 mirrorpad tile repeat empty empty_like
        empty_strided zeros zeros_like zero zeroslike ones ones_like full full_like fill item
        local_scalar_dense lift_fresh shape shapen size rank const constant readvariableop
        varhandleop assignvariableop dynamic_slice dynamic_update_slice dynamic_update_slice_fusion
        iota range flip get_tuple_element tuple parameter movedim unbind roll rev infeed
        outfeed arg retval invertpermutation destroyresourceop
        layouttransform deepcopy ensureshape broadcastgradientargs broadcastargs concatoffset
        to_mkldnn to_dense native_channel_shuffle noop no_op select_backward slice_backward
        strided_slice_grad stridedslicegrad accumulategrad result_type to_copy device_put
        squeeze_dim resolve_conj resolve_neg mul_no_nan reversev2 reversesequence pjit""",
}
"""Whole names, without what of_op() takes off them."""

_STEMS = {
    "data loading": "enumerate(dataloader) iterator prefetch",
    "collective": "all_reduce allreduce all_gather allgather reduce_scatter nccl coalesced",
    "conv": "conv depthwise",
    "attention": "attention sdpa flash",
    "recurrent": "lstm gru_ rnn",
    "pool": "pool reduce_window reduce_scatter_window select_and_scatter",
    "norm": "batch_norm layer_norm group_norm instance_norm rms_norm normalization batchnorm",
    "softmax/loss": "softmax nll_loss crossentropy cross_entropy _loss",
    "matmul": "matmul gemm mkl_linear",
    "embedding/gather": "embedding gather scatter index_",
    "random": "random bernoulli dropout rng uniform normal threefry stateless",
    "optimizer": "fused_adam fused_sgd applyadam applymomentum applygradientdescent",
    "reduction": "reduce",
    "data movement": """copy broadcast bitcast transfer memcpy memset tensorlist tensorarray
        empty_ new_ resize set_ reorder unfold reverse transpose reshape pad""",
    "elementwise": "eltwise assignadd assignsub resourceapply bitwise shift foreach relu gelu",
}
"""Parts of names, tried in this order where no whole name fits."""

_PREFIX = re.compile(r"^(aten|prims|mkldnn|mkldnn_prepacked|inductor|torch::autograd|onednn)::")
_NUMBER = re.compile(r"[._]\d+$")
_SUFFIX = re.compile(r"(_out|_backward|_)$")
_OF_WORD = {word: name for name, words in _WORDS.items() for word in words.split()}
_OF_WORD["aten::select"] = "data movement"  # an index; what others call so chooses by a mask
_OF_STEM = tuple((stem, name) for name, stems in _STEMS.items() for stem in stems.split())
_OF_LAYER = tuple((part, name) for name, parts in _LAYERS.items() for part in parts.split())


def of_layer(kind: str) -> str | None:
    """The category that a layer's class decides, or ``None`` where its operations do."""
    return next((name for part, name in _OF_LAYER if part in kind.lower()), None)


def of_op(name: str) -> str:
    """The category of an operation's type, in any framework's spelling; ``other`` if unknown."""
    plain = _NUMBER.sub("", _PREFIX.sub("", name)).lower().replace("-", "_").lstrip("_")
    for word in (name, plain, _SUFFIX.sub("", plain)):
        if word in _OF_WORD:
            return _OF_WORD[word]
    return next((found for stem, found in _OF_STEM if stem in plain), OTHER)


def of_fused(names: Iterable[str]) -> str:
    """The category of a kernel made of several operations: that of its most expensive part."""
    found = {of_op(name) for name in names}
    return min(found, key=CATEGORIES.index, default="fused")


def category(op: str, phase: str, layer_kind: str | None) -> str:
    """The category of an operation where it stands."""
    if phase == OPTIMIZER:
        return OPTIMIZER
    return (of_layer(layer_kind) if layer_kind else None) or of_op(op)
