"""Which implementation ran: golden names, real rows of the stored run, and what is not known."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import frameworks
from benchmarks.frameworks.torch import recorder as kineto
from benchmarks.machine.environment import framework_status
from benchmarks.request.selection import Selection
from benchmarks.results import wording
from benchmarks.results.profiles import StackRow
from benchmarks.results.records import LayerWork, Stack
from benchmarks.results.stored import codec
from benchmarks.why._shared import profiling
from benchmarks.why._shared.subjects import subject
from docs.generated import PUBLIC_RUN
from profilers.ops import account, kernels, xplane
from profilers.ops.kernels import ALONE, ATTENTION, CONV, MANY, RECURRENT, TOGETHER
from profilers.ops.rows import Event, Implementation
from profilers.ops.xplane import Model, Raw
from tests.test_frameworks_recorders import EPOCH, Kineto

EXAMPLES = [
    (ATTENTION, "aten::_scaled_dot_product_flash_attention_for_cpu", "fused: flash attention"),
    (ATTENTION, "aten::_flash_attention_backward", "fused: flash attention"),
    (ATTENTION, "aten::_scaled_dot_product_efficient_attention_backward",
     "fused: memory-efficient attention"),
    (ATTENTION, "aten::_cudnn_attention_forward", "fused: cuDNN's attention"),
    (ATTENTION, "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<64>>",
     "fused: flash attention"),
    (ATTENTION, "fmha_cutlassF_f32_aligned_64x64_rf_sm80", "fused: memory-efficient attention"),
    (ATTENTION, "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16",
     "fused: cuDNN's attention"),
    (RECURRENT, "aten::mkldnn_rnn_layer_backward", "fused: oneDNN's layer"),
    (RECURRENT, "aten::_cudnn_rnn", "fused: cuDNN's layer"),
    (RECURRENT, "CudnnRNNV3", "fused: cuDNN's layer"),
    (RECURRENT, "void RNN_blockPersist_fp_LSTM<float, float, float, 128>", "fused: cuDNN's layer"),
    (RECURRENT, "void elemWiseRNNcell<float>", "fused: cuDNN's layer"),
    (RECURRENT, "aten::_thnn_fused_gru_cell", "a loop over the steps, each a fused cell"),
    (CONV, "aten::mkldnn_convolution", "oneDNN"),
    (CONV, "mkldnn::_convolution_pointwise", "oneDNN"),
    (CONV, "_MklNativeFusedConv2D", "oneDNN"),
    (CONV, "_MklNativeConv2DBackpropFilterWithBias", "oneDNN"),
    (CONV, "_MklNativeDepthwiseConv2dNative", "oneDNN"),
    (CONV, "aten::cudnn_convolution_transpose", "cuDNN"),
    (CONV, "sm80_xmma_fprop_implicit_gemm_tf32f32_nhwc", "cuDNN"),
    (CONV, "void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688dgrad>", "cuDNN"),
    (CONV, "aten::_slow_conv2d_forward", "PyTorch's own: a product of copied patches"),
    (CONV, "aten::slow_conv_transpose2d", "PyTorch's own: a product of copied patches"),
    (CONV, "aten::_conv_depthwise2d", "PyTorch's own: depthwise"),
    (CONV, "Conv2DBackpropInput", "Eigen"),
    (CONV, "DepthwiseConv2dNativeBackpropFilter", "Eigen"),
    (CONV, "convolution", "XLA"),
]  # fmt: skip
"""Names as profilers record them: every rule of ``ALONE`` knows one of them, and no other does."""


def events(
    family: str, *names: str, layer: str | None = "one", times: int = 1, **more: Any
) -> list[Event]:
    """Operations of one layer in the forward pass of step 0, each that many times."""
    return [
        Event(name, family, "forward", layer, 10 * i, 5 + i, "0", more.get("device", False), 0)
        for _ in range(times)
        for i, name in enumerate(names)
    ]


def words(found: Iterable[Implementation]) -> list[tuple[str | None, tuple[str, ...]]]:
    """What is said, and by what it was told."""
    return [(one.name, one.ops) for one in found]


@pytest.mark.parametrize(("family", "name", "expected"), EXAMPLES)
def test_a_name_of_one_implementation_tells_it(family: str, name: str, expected: str) -> None:
    assert words(kernels.recognised(events(family, name), 1)) == [(expected, (name,))]


def test_every_rule_of_one_name_has_an_example() -> None:
    known = {
        rule
        for rule in ALONE
        for family, name, _ in EXAMPLES
        if family == rule.family and kernels.known(rule, {name: 1}, 1)
    }
    assert known == set(ALONE)
    assert all(rule.source for rule in (*ALONE, *TOGETHER))


@pytest.mark.parametrize(
    ("family", "names", "times", "expected"),
    [
        (ATTENTION, ("_MklBatchMatMulV2", "Softmax"), 1, "not fused: two products and a softmax"),
        (ATTENTION, ("aten::bmm", "aten::_softmax"), 1, "not fused: two products and a softmax"),
        (ATTENTION, ("dot_general", "exponential_reduce_fusion"), 1,
         "not fused: two products and a softmax"),
        (ATTENTION, ("aten::_native_multi_head_attention", "aten::bmm", "aten::_masked_softmax"), 1,
         "not fused: PyTorch's fast path of inference, two products and a softmax"),
        (ATTENTION, ("aten::_scaled_dot_product_attention_math", "aten::matmul", "aten::_softmax"),
         1, "not fused: PyTorch's reference, two products and a softmax"),
        (ATTENTION, ("aten::bmm", "aten::add"), 1, None),  # a projection alone is no attention
        (RECURRENT, ("aten::gru", "aten::addmm"), MANY,
         "a loop over the steps, inside PyTorch's layer"),
        (RECURRENT, ("_MklMatMul", "TensorListStack"), MANY,
         "a loop over the steps, in the graph"),
        (RECURRENT, ("MatMul_1", "dynamic-slice_bitcast_fusion"), MANY,
         "a loop over the steps, compiled by XLA"),
        (RECURRENT, ("aten::mm", "aten::tanh"), MANY,
         "a loop over the steps, operation by operation"),
        (RECURRENT, ("aten::gru", "aten::addmm"), MANY - 1, None),
    ],
)  # fmt: skip
def test_several_names_tell_an_implementation_together(
    family: str, names: tuple[str, ...], times: int, expected: str | None
) -> None:
    ((found, _),) = words(kernels.recognised(events(family, *names, times=times), 1))
    assert found == expected


def test_a_fused_operation_is_not_called_a_loop_for_the_products_beside_it() -> None:
    names = ("aten::lstm", "aten::mkldnn_rnn_layer", "aten::mm")
    found = kernels.recognised(events(RECURRENT, *names, times=MANY), 1)
    assert words(found) == [("fused: oneDNN's layer", ("aten::mkldnn_rnn_layer",))]


def test_products_are_counted_per_step() -> None:
    """Two steps of half as many products each are no loop."""
    half = events(RECURRENT, "aten::mm", times=MANY // 2)
    both = [*half, *(replace(e, step=1) for e in half)]
    assert words(kernels.recognised(both, 1))[0][0] is not None
    assert words(kernels.recognised(both, 2))[0][0] is None


def test_each_layer_is_judged_by_itself_and_what_is_unknown_is_named() -> None:
    told = kernels.recognised(
        [
            *events(CONV, "aten::mkldnn_convolution", layer="a"),
            *events(CONV, "short", "aten::new_convolution", layer="b"),
            *events("pool", "aten::max_pool2d", layer="c"),
        ],
        1,
    )
    assert words(told) == [
        ("oneDNN", ("aten::mkldnn_convolution",)),
        (None, ("aten::new_convolution", "short")),  # the longest first
    ]
    assert [wording.implementation(one) for one in told] == [
        "conv, forward: oneDNN (aten::mkldnn_convolution)",
        "conv, forward: not recognised (aten::new_convolution, short)",
    ]


def test_a_cell_and_the_loop_around_it_are_told_by_one_another() -> None:
    """Keras has a GRU's cell as a layer beside the GRU."""
    told = kernels.recognised(
        [
            *events(RECURRENT, "_MklNativeFusedMatMul", layer="gru_cell", times=MANY),
            *events(RECURRENT, "TensorListStack", layer="gru"),
        ],
        1,
    )
    names = ("_MklNativeFusedMatMul", "TensorListStack")
    assert words(told) == [("a loop over the steps, in the graph", names)]


def test_a_product_that_a_compiler_made_of_a_layer_counts_as_its_own() -> None:
    softmax = events(ATTENTION, "subtract_exponential_fusion", layer="heads")
    unfused = "not fused: two products and a softmax"
    for layer, expected in (("heads", unfused), ("dense", None), (None, None)):
        product = events("matmul", "dot", layer=layer)
        ((found, _),) = words(kernels.recognised([*softmax, *product], 1))
        assert found == expected


def test_one_name_of_each_kind_is_told_first() -> None:
    names = ("aten::mm", "aten::addmm", "aten::matmul", "aten::bmm", "aten::gru")
    ((_, ops),) = words(kernels.recognised(events(RECURRENT, *names, times=MANY), 1))
    assert ops[:2] == ("aten::mm", "aten::gru")


def test_a_plain_operation_tells_nothing_where_a_device_runs() -> None:
    """On a GPU the host's Conv2D only launches: Eigen computes nothing."""
    host = events(CONV, "Conv2D")
    kernel = events(CONV, "volta_something", device=True)
    assert words(kernels.recognised(host, 1))[0][0] == "Eigen"
    assert words(kernels.recognised([*host, *kernel], 1))[0][0] is None


def test_a_family_of_the_model_of_which_nothing_was_recorded_is_said_to_be_unknown() -> None:
    work = {"parameters": 1, "trainable": True, "macs": 1, "output": 1, "terms": 1}
    kinds = ("Conv", "LSTM", "Dense", "MultiHeadAttention")
    layers = [LayerWork(name=kind.lower(), kind=kind, **work) for kind in kinds]  # type: ignore[arg-type]
    told = kernels.recognised(events(CONV, "convolution"), 1)
    full = kernels.complete(told, profiling.families(layers))
    assert [(one.family, one.name) for one in full] == [
        (CONV, "XLA"),
        (ATTENTION, None),
        (RECURRENT, None),
    ]
    assert wording.implementation(full[-1]) == (
        "recurrent, forward: not recognised (no operation was recorded as of such a layer)"
    )


def test_names_of_a_worker_steer_no_terminal_and_no_order() -> None:
    odd = Implementation(family="\x1b[2J", phase="sideways", name=None, ops=("[red]\x1b",))
    (one,) = kernels.union([odd, odd])
    assert one == odd
    assert "\x1b" not in wording.implementation(one)


def test_a_kernel_of_tensorflow_is_known_by_its_own_name() -> None:
    """The operation that launched it stands in its row; its kernel tells the library."""
    raw = [
        Raw(xplane.STEP, "python", False, 1000, 500, {}),
        Raw("conv1/convolution:Conv2D", "worker", False, 1050, 40, {}),
        Raw("sm80_xmma_wgrad_implicit_gemm_f32", "Stream #7", True, 1100, 50,
            {"tf_op": "conv1/convolution:Conv2D"}),
    ]  # fmt: skip
    found = account.attribute(xplane.normalise(raw, Model(layers={"conv1": "Conv2D"})))
    assert {row.op for row in found.rows} == {"Conv2D"}
    assert words(found.implementations) == [("cuDNN", ("sm80_xmma_wgrad_implicit_gemm_f32",))]


def test_an_eager_operation_of_tensorflow_tells_no_library() -> None:
    """It is named before a kernel is chosen, which may be oneDNN's."""
    raw = [
        Raw(xplane.STEP, "python", False, 1000, 500, {}),
        Raw("EagerLocalExecute: Conv2D", "worker", False, 1050, 40, {}),
    ]
    found = account.attribute(xplane.normalise(raw, Model(layers={})))
    assert [row.op for row in found.rows] == ["Conv2D"]
    assert words(found.implementations) == [(None, ("EagerLocalExecute: Conv2D",))]


def test_recordings_of_kineto_tell_their_implementations_and_merge_to_each_once() -> None:
    def recorded(kernel: str) -> account.Account:
        made = [
            Kineto(kineto.STEP, EPOCH, 1000),
            Kineto(kineto.LAYER + "lstm", EPOCH + 10, 100),
            Kineto("aten::lstm", EPOCH + 20, 80, correlation=11),
            Kineto(kernel, EPOCH + 200, 50, device="DeviceType.CUDA", launched_by=11),
        ]
        return account.attribute(kineto.normalise(made, {"lstm": "LSTM"}))

    known = recorded("void RNN_blockPersist_fp_LSTM<float>")
    merged = account.merge([known, known, recorded("void new_kernel<float>")])
    assert [(i.family, i.phase, i.name) for i in merged.implementations] == [
        (RECURRENT, "forward", "fused: cuDNN's layer"),
        (RECURRENT, "forward", None),
    ]


def _again(rows: Iterable[StackRow], stack: str) -> tuple[Implementation, ...]:
    """What the stored rows of a stack tell, each as often as it was called."""
    made = [
        Event(row.op, row.category, row.phase, row.layer, 0, 1, "0", False, 0)
        for row in rows
        if row.stack == stack
        for _ in range(max(1, round(row.calls)))
    ]
    return kernels.recognised(made, 1)


@pytest.mark.parametrize(
    ("matchup", "stack", "family", "phase", "expected"),
    [
        ("lstm.train_step", "torch-eager", RECURRENT, "backward", "fused: oneDNN's layer"),
        ("lstm.train_step", "torch-compile", RECURRENT, "forward", "fused: oneDNN's layer"),
        ("lstm.train_step", "tensorflow-graph", RECURRENT, "forward",
         "a loop over the steps, in the graph"),
        ("lstm.backward", "tensorflow-xla", RECURRENT, "backward",
         "a loop over the steps, compiled by XLA"),
        ("simple_cnn.forward", "torch-eager", CONV, "forward", "oneDNN"),
        ("simple_cnn.backward", "torch-eager", CONV, "backward", None),
        ("simple_cnn.backward", "tensorflow-graph", CONV, "backward", "oneDNN"),
        ("simple_cnn.backward", "tensorflow-xla", CONV, "backward", "XLA"),
    ],
)  # fmt: skip
def test_real_rows_of_the_stored_run_are_told(
    matchup: str, stack: str, family: str, phase: str, expected: str | None
) -> None:
    run = codec.decode_run(gzip.decompress(PUBLIC_RUN.read_bytes()))
    (result,) = [r for r in run.matchups if r.matchup.id.startswith(f"{matchup}.")]
    assert result.profile is not None
    told = _again(result.profile.rows, stack)
    assert [i.name for i in told if (i.family, i.phase) == (family, phase)] == [expected]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "family", "expected"),
    [
        ("layer_lstm", RECURRENT,
         ("fused: oneDNN's layer", "a loop over the steps, in the graph")),
        pytest.param("layer_gru", RECURRENT,
                     ("a loop over the steps, inside PyTorch's layer",
                      "a loop over the steps, in the graph"), marks=pytest.mark.heavy),
        pytest.param("layer_conv2d_3x3", CONV, ("oneDNN", "oneDNN"), marks=pytest.mark.heavy),
        pytest.param("layer_attention", ATTENTION,
                     ("not fused: PyTorch's fast path of inference, two products and a softmax",
                      "not fused: two products and a softmax"), marks=pytest.mark.heavy),
    ],
)  # fmt: skip
def test_real_steps_tell_what_ran(model: str, family: str, expected: tuple[str, str]) -> None:
    stacks = [Stack.parse(name) for name in ("torch-eager", "tensorflow-graph")]
    for stack in stacks:
        if missing := framework_status(frameworks.facts(stack.framework).packages):
            pytest.skip(missing)
    asked = Selection(models=(model,), phases=("forward",), stacks=tuple(map(str, stacks)))
    profiles, failed = profiling.take_all(subject(asked), stacks, steps=2, recordings=1)
    assert failed == {}
    told = [[i.name for i in p.account.implementations if i.family == family] for p in profiles]
    assert told == [[name] for name in expected]
