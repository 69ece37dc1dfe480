"""Each framework in the common vocabulary: golden names of graph, eager, XLA, and Kineto."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.frameworks.torch import recorder as kineto
from profilers.ops import hlo, taxonomy, xplane
from profilers.ops.rows import Recording
from profilers.ops.xplane import Model, Raw

LAYERS = {
    "conv1": "Conv2D",
    "bn1": "BatchNormalization",
    "relu1": "ReLU",
    "pool1": "MaxPooling2D",
    "lstm": "LSTM",
    "dense": "Dense",
    "heads": "MultiHeadAttention",
    "softmax": "Softmax",
    "layer1.0.conv2": "Conv2D",
    "layer1.0.conv2_pad": "ZeroPadding2D",
}


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("aten::mkldnn_convolution", "conv"),
        ("Conv2DBackpropFilter", "conv"),
        ("_MklNativeFusedConv2D", "conv"),
        ("aten::addmm", "matmul"),
        ("_FusedMatMul", "matmul"),
        ("dot_general", "matmul"),
        ("aten::_scaled_dot_product_flash_attention", "attention"),
        ("aten::mkldnn_rnn_layer", "recurrent"),
        ("aten::gru", "recurrent"),
        ("FusedBatchNormV3", "norm"),
        ("aten::native_layer_norm", "norm"),
        ("aten::max_pool2d_with_indices_backward", "pool"),
        ("reduce-window", "pool"),
        ("aten::_log_softmax_backward_data", "softmax/loss"),
        ("SparseSoftmaxCrossEntropyWithLogits", "softmax/loss"),
        ("aten::embedding_dense_backward", "embedding/gather"),
        ("ResourceGather", "embedding/gather"),
        ("BiasAddGrad", "reduction"),
        ("aten::sum", "reduction"),
        ("aten::threshold_backward", "elementwise"),
        ("AddV2", "elementwise"),
        ("convert", "elementwise"),
        ("select", "elementwise"),
        ("aten::select", "data movement"),
        ("aten::copy_", "data movement"),
        ("TensorListSetItem", "data movement"),
        ("aten::bernoulli_", "random"),
        ("aten::randint", "random"),
        ("ncclDevKernel_AllReduce", "collective"),
        ("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", "data loading"),
        ("IteratorGetNext", "data loading"),
        ("MakeIterator", "data loading"),
        ("SomethingNobodyKnows", "other"),
    ],
)
def test_an_operation_has_its_category(name: str, category: str) -> None:
    assert taxonomy.of_op(name) == category
    assert category in taxonomy.CATEGORIES


def test_a_fused_kernel_is_named_by_its_most_expensive_part() -> None:
    assert taxonomy.of_fused(["relu", "max_pool2d_with_indices", "add"]) == "pool"
    assert taxonomy.of_fused(["add", "convolution"]) == "conv"
    assert taxonomy.of_fused([]) == "fused"


def placed(name: str, **more: Any) -> tuple[str, str, str, str | None]:
    """Operation, category, phase and layer of one event beside a step."""
    made = more.pop("made", {})
    raw = [
        Raw(xplane.STEP, "python", False, 1000, 500, {}),
        Raw(name, "worker", more.pop("device", False), 1100, 50, more),
    ]
    found = xplane.normalise(raw, Model(layers=LAYERS, made=made)).events
    assert len(found) <= 1
    return (
        (found[0].name, found[0].category, found[0].phase, found[0].layer) if found else ("",) * 4
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("functional_1/conv1_1/convolution:Conv2D", ("Conv2D", "conv", "forward", "conv1")),
        (
            "gradient_tape/functional_1/conv1_1/convolution/Conv2DBackpropFilter:Conv2DBackpropFilter",
            ("Conv2DBackpropFilter", "conv", "backward", "conv1"),
        ),
        # Keras' normalisation is made of other operations on a CPU: its layer decides.
        ("functional_1/bn1_1/moments/Mean:Mean", ("Mean", "norm", "forward", "bn1")),
        ("functional_1/lstm_1/while/lstm_cell/MatMul:MatMul",
         ("MatMul", "recurrent", "forward", "lstm")),
        ("adam/AssignSubVariableOp:AssignSubVariableOp",
         ("AssignSubVariableOp", "optimizer", "optimizer", None)),
        ("compile_loss/sparse_categorical_crossentropy/Cast:Cast",
         ("Cast", "softmax/loss", "forward", None)),
        # Keras' attention has a softmax of its own.
        ("functional_1/heads_1/softmax_1/Softmax:Softmax",
         ("Softmax", "attention", "forward", "heads")),
        ("functional_1/softmax_1/Softmax:Softmax",
         ("Softmax", "softmax/loss", "forward", "softmax")),
        # A graph calls a fused convolution after the activation that it took in.
        ("functional_1/relu1_1/Relu:_FusedConv2D", ("_FusedConv2D", "conv", "forward", "conv1")),
        ("EagerLocalExecute: Conv2DBackpropFilter",
         ("Conv2DBackpropFilter", "conv", "backward", None)),
        ("EagerLocalExecute: MaxPoolGrad", ("MaxPoolGrad", "pool", "backward", None)),
        ("EagerLocalExecute: AssignSubVariableOp",
         ("AssignSubVariableOp", "optimizer", "optimizer", None)),
        ("functional_1/layer1.0.conv2_pad_1/Pad:Pad",
         ("Pad", "data movement", "forward", "layer1.0.conv2")),
        ("EagerLocalExecute: MaxPool", ("MaxPool", "pool", "forward", None)),
        ("StatefulPartitionedCall:StatefulPartitionedCall", ("", "", "", "")),
        ("x:__inference_one_step_on_data_362", ("", "", "", "")),
        ("while:While", ("", "", "", "")),
        ("ThunkExecutor::Execute", ("", "", "", "")),
    ],
)  # fmt: skip
def test_an_event_of_tensorflow_is_placed(name: str, expected: tuple[str, ...]) -> None:
    assert placed(name) == expected


def test_a_kernel_on_a_device_is_placed_by_the_operation_that_launched_it() -> None:
    found = placed("sm90_xmma_fprop", device=True, tf_op="functional_1/conv1_1/convolution:Conv2D")
    assert found == ("Conv2D", "conv", "forward", "conv1")


def test_a_kernel_of_nobody_keeps_its_name() -> None:
    """A name of C++ is full of colons, and is no path."""
    name = "void cutlass::Kernel2<cutlass_80_simt_sgemm_128x64>(Params)"
    assert placed(name, device=True)[:2] == (name, "matmul")


def test_what_a_plane_derives_from_its_streams_is_not_counted_again() -> None:
    step = Raw(xplane.STEP, "python", False, 1000, 500, {})
    ran = Raw("sgemm", "Stream #7(Compute) 0", True, 1100, 50, {})
    derived = Raw("MatMul", "TensorFlow Ops 1", True, 1100, 50, {})
    both = xplane.normalise([step, ran, derived], Model(layers=LAYERS)).events
    assert [e.name for e in both] == ["sgemm"]
    alone = xplane.normalise([step, derived], Model(layers=LAYERS)).events
    assert [e.name for e in alone] == ["MatMul"]


def test_no_marked_step_is_an_empty_recording() -> None:
    raw = [Raw("a/b:Conv2D", "t", False, 0, 5, {})]
    assert xplane.normalise(raw, Model(layers=LAYERS)) == Recording(
        events=(), starts_ns=(), ends_ns=()
    )


def test_nanoseconds_stay_whole() -> None:
    now = 1_795_270_000_123_456_789
    assert xplane.nanoseconds(now, 2_999) == now + 2  # as a float it would be rounded to 256


DUMP = """HloModule jit_step, is_scheduled=true

%fused_computation (param_0: f32[8,8]) -> f32[8] {
  %param_0 = f32[8,8]{1,0} parameter(0)
  ROOT %reduce.1 = f32[8]{0} reduce(%param_0), dimensions={0}, to_apply=%sum, metadata={op_type="BiasAddGrad" op_name="gradient_tape/functional_1/conv1_1/BiasAdd/BiasAddGrad"}
}

%wrapped_computation (param_0.1: f32[8,8]) -> (f32[4,4], s32[4,4]) {
  %param_0.1 = f32[8,8]{1,0} parameter(0)
  ROOT %reduce-window.3 = (f32[4,4]{1,0}, s32[4,4]{1,0}) reduce-window(%param_0.1), window={size=2x2}
}

ENTRY %main (arg0: f32[8,8]) -> f32[8,8] {
  %arg0 = f32[8,8]{1,0} parameter(0)
  %convolution.2 = f32[8,8]{1,0} convolution(%arg0, %arg0), window={size=3x3}, metadata={op_type="Conv2D" op_name="functional_1/conv1_1/convolution"}
  %wrapped_iota = s32[8,8]{1,0} fusion(), kind=kLoop, calls=%iota_computation
  %wrapped_reduce-window.2 = (f32[4,4]{1,0}, s32[4,4]{1,0}) fusion(%convolution.2, %wrapped_iota), kind=kLoop, calls=%wrapped_computation
  %get-tuple-element.4 = s32[4,4]{1,0} get-tuple-element(%wrapped_reduce-window.2), index=1
  %reduce_fusion = f32[8]{0} fusion(%convolution.2), kind=kLoop, calls=%fused_computation
  ROOT %scatter = f32[8,8]{1,0} scatter(%get-tuple-element.4, %arg0), metadata={op_type="MaxPoolGrad" op_name="gradient_tape/functional_1/pool1_1/MaxPool2d/MaxPoolGrad"}
}
""".splitlines()  # noqa: E501 - as XLA writes it


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convolution.2", ("convolution", "conv", "forward", "conv1")),
        ("reduce_fusion", ("reduce_fusion", "reduction", "backward", "conv1")),
        # What the compiler added for a gradient belongs to that gradient.
        ("wrapped_reduce-window.2", ("wrapped_reduce-window", "pool", "backward", "pool1")),
        ("wrapped_iota", ("wrapped_iota", "pool", "backward", "pool1")),
        ("not_in_the_dump", ("", "", "", "")),
    ],
)
def test_a_compiled_instruction_is_placed_by_what_it_was_made_from(
    name: str, expected: tuple[str, ...]
) -> None:
    assert placed(name, made=hlo.parse(DUMP)) == expected


SMALL = """HloModule jit_normal, is_scheduled=true

ENTRY %main (arg0: f32[8]) -> f32[8] {
  %arg0 = f32[8]{0} parameter(0)
  ROOT %convolution.2 = f32[8]{0} negate(%arg0), metadata={op_name="jit(normal)/neg"}
}
"""


def test_modules_name_their_instructions_alike_and_are_kept_apart(tmp_path: Path) -> None:
    after = f"cpu_{hlo.AFTER}"
    (tmp_path / f"module_0001.jit_step.{after}").write_text("\n".join(DUMP))
    (tmp_path / f"module_0002.jit_normal.{after}").write_text(SMALL)
    made = hlo.read(tmp_path)
    name = "convolution.2"
    assert placed(name, made=made, hlo_op=name, hlo_module="jit_normal")[1] == "elementwise"
    assert placed(name, made=made, hlo_op=name, hlo_module="jit_step")[1] == "conv"
    assert placed(name, made=made)[1] == "conv"  # what is larger is the step
    # Within a CUDA graph a kernel says no more than its name.
    assert placed("convolution_2", made=made, device=True)[1] == "conv"
    assert placed(name, made=made, hlo_op=name, hlo_module="not_dumped")[1] == "conv"


def test_jax_tells_the_phase_by_its_transformations() -> None:
    assert xplane.phase_of("jit(step)/transpose(jvp(conv1))/conv_general_dilated") == "backward"
    assert xplane.layer_of("jit(step)/transpose(jvp(conv1))/conv", LAYERS) == "conv1"
    assert xplane.phase_of("jit(step)/jvp(conv1)/conv_general_dilated") == "forward"


@dataclass
class Kineto:
    """An event with the methods of Kineto's."""

    text: str
    start: int
    length: int
    sequence: int = -1
    device: str = "DeviceType.CPU"
    correlation: int = 0
    launched_by: int = 0
    thread: int = 1

    def name(self) -> str:
        return self.text

    def start_ns(self) -> int:
        return self.start

    def duration_ns(self) -> int:
        return self.length

    def sequence_nr(self) -> int:
        return self.sequence

    def device_type(self) -> str:
        return self.device

    def start_thread_id(self) -> int:
        return self.thread

    def correlation_id(self) -> int:
        return self.correlation

    def linked_correlation_id(self) -> int:
        return self.launched_by

    def device_resource_id(self) -> int:
        return 7

    def is_user_annotation(self) -> bool:
        return False


EPOCH = 1_795_270_000_000_000_001
STEP_OF_TORCH = [
    Kineto(kineto.STEP, EPOCH, 1000),
    Kineto(kineto.LAYER + "bn1", EPOCH + 10, 100),
    Kineto("aten::batch_norm", EPOCH + 20, 80, sequence=5, correlation=11),
    Kineto("aten::empty", EPOCH + 30, 10),
    Kineto(
        "autograd::engine::evaluate_function: NativeBatchNormBackward0",
        EPOCH + 300, 100, sequence=5,
    ),
    Kineto("NativeBatchNormBackward0", EPOCH + 310, 80, sequence=5),
    Kineto("aten::mul", EPOCH + 320, 50),
    Kineto("Optimizer.step#SGD.step", EPOCH + 500, 200),
    Kineto("aten::add_", EPOCH + 550, 100),
    Kineto("bn_kernel", EPOCH + 400, 77, device="DeviceType.CUDA", launched_by=11),
    Kineto("cudaStreamSynchronize", EPOCH + 750, 10),
    Kineto("cudaDeviceSynchronize", EPOCH + 900, 10),  # the end of the step, which is ours
    Kineto("aten::outside", EPOCH + 5000, 10),
]  # fmt: skip


def test_kineto_events_are_placed_by_what_is_around_them() -> None:
    found = kineto.normalise(STEP_OF_TORCH, {"bn1": "BatchNorm2d"})
    assert [(e.name, e.category, e.phase, e.layer, e.device) for e in found.events] == [
        ("aten::batch_norm", "norm", "forward", "bn1", False),
        ("aten::empty", "norm", "forward", "bn1", False),
        ("aten::mul", "norm", "backward", "bn1", False),
        ("aten::add_", "optimizer", "optimizer", None, False),
        ("cudaStreamSynchronize", "other", "forward", None, False),
        ("cudaDeviceSynchronize", "other", "forward", None, False),
        ("bn_kernel", "norm", "forward", "bn1", True),
    ]
    assert found.syncs == 1
    assert found.starts_ns == (0,)
    assert found.events[0].start_ns == 20
    assert [e.duration_ns for e in found.events if e.device] == [77]


def test_a_kernel_belongs_to_its_operation_and_not_to_a_call_of_the_same_number() -> None:
    """CUPTI numbers the runtime's calls from 1, as PyTorch numbers its operations."""
    cuda: dict[str, Any] = {"device": "DeviceType.CUDA"}
    events = [
        Kineto(kineto.STEP, EPOCH, 1000, correlation=1),
        Kineto("aten::mm", EPOCH + 10, 100, correlation=11),
        Kineto("cudaLaunchKernel", EPOCH + 20, 10, correlation=12, launched_by=11),
        Kineto("Optimizer.step#SGD.step", EPOCH + 200, 200, correlation=12),
        Kineto("aten::add_", EPOCH + 210, 100, correlation=13),
        Kineto("cuLaunchKernelEx", EPOCH + 220, 10, correlation=11, launched_by=13),
        Kineto("cudaDeviceSynchronize", EPOCH + 900, 10),
        Kineto("gemm", EPOCH + 400, 50, correlation=12, launched_by=11, **cuda),
        Kineto("adds", EPOCH + 450, 50, correlation=11, launched_by=13, **cuda),
        Kineto("reduce_of_nobody", EPOCH + 500, 50, **cuda),
    ]
    found = [e for e in kineto.normalise(events, {}).events if e.device]
    assert [(e.name, e.category, e.phase) for e in found] == [
        ("gemm", "matmul", "forward"),
        ("adds", "optimizer", "optimizer"),
        ("reduce_of_nobody", "reduction", "forward"),
    ]


def test_the_profilers_own_operations_are_none_of_the_models() -> None:
    marks = ("profiler::_record_function_enter_new", "profiler::_record_function_exit")
    events = [Kineto(kineto.STEP, EPOCH, 1000), *(Kineto(m, EPOCH + 10, 5) for m in marks)]
    assert kineto.normalise(events, {}).events == ()


def test_compiled_kernels_are_placed_by_what_was_fused() -> None:
    events = [
        Kineto(kineto.STEP, EPOCH, 1000),
        Kineto("## Call CompiledFxGraph fxyz ##", EPOCH + 10, 500),
        Kineto("Pregraph bytecode", EPOCH + 12, 3),
        Kineto("graph_0_cpp_fused_max_pool2d_with_indices_relu_2", EPOCH + 20, 100),
        Kineto("graph_0_cpp_fused_0", EPOCH + 130, 100),
    ]
    marked = kineto.normalise(events, {})
    assert [(e.name, e.category) for e in marked.events] == [
        ("graph_0_cpp_fused_max_pool2d_with_indices_relu_2", "pool"),
        ("graph_0_cpp_fused_0", "fused"),
    ]
    unmarked = kineto.normalise(events[:2], {})
    assert [(e.name, e.duration_ns) for e in unmarked.events] == [("compiled graph", 500)]
