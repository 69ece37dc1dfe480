"""Devices and programs: what they were told and read back, and that all compute the same."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks import frameworks
from benchmarks.frameworks.encoding import plain
from benchmarks.machine.environment import framework_status
from benchmarks.proof import group, outcome, prove
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.tasks import weights
from benchmarks.worker import sources
from tests import probe

pytestmark = pytest.mark.slow
MOST_CALLED = 20

Array = NDArray[Any]
Weights = Mapping[str, Array]
ROOT = Path(__file__).parent.parent
KERAS = ("keras_torch", "tensorflow", "jax")
"""The frameworks of Keras, the one first that takes the least time to describe a twin."""
STACKS = [
    (framework, mode, model)
    for framework, modes in probe.MODES.items()
    for mode, models in modes.items()
    for model in models
]
SMALL_STACKS = [stack for stack in STACKS if stack[2] in probe.SMALL]
EXACT_STACKS = [
    (framework, mode, model)
    for framework, modes in probe.EXACT.items()
    for mode, models in modes.items()
    for model in models
]
EQUAL = 1e-9
"""Relative difference up to which two float64 programs are one."""


@dataclass(frozen=True)
class Found:
    """What a framework's own process wrote down."""

    facts: dict[str, Any]
    arrays: dict[str, Array]


def _missing(framework: str) -> str | None:
    return framework_status(frameworks.facts(framework).packages)


@pytest.fixture(scope="module")
def handoffs() -> dict[str, dict[str, Any]]:
    """What a match of both dialects says of each model: by model and dialect."""
    keras = next((name for name in KERAS if not _missing(name)), None)
    sides = [n for n in ("torch", keras) if n and not _missing(n)]
    stacks = [Stack(name, frameworks.facts(name).proof_mode) for name in sides]
    found = {}
    with group.opened(stacks, Selection()) as every:
        for model in (*probe.SHIPPED, *probe.OWN):
            source = sources.of_model(model, probe.folder_of(model))
            asked = outcome.Asked(source=source, task=probe.task_of(model), batch=probe.BATCH)
            told, made = prove.matched(asked, every)
            assigned = prove.assigned_to(every.names, made)
            found[model] = {
                frameworks.facts(name).dialect: {
                    "assigned": plain(assigned[name]),
                    "keys": next(iter(made.values())).keys,
                    "outputs": {n: asdict(o) for n, o in told[name].outputs.items()},
                }
                for name in every.names
            }
    return found


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, handoffs: dict[str, Any]) -> dict[str, Found]:
    """Every installed framework, probed side by side."""
    started = {}
    for name in probe.MODES:
        facts = frameworks.facts(name)
        if _missing(name):
            continue
        folder = tmp_path_factory.mktemp(name)
        own = {variable: str(folder / variable.lower()) for variable in facts.cache_env}
        own |= {"KERAS_HOME": str(folder / "keras"), "CUDA_VISIBLE_DEVICES": ""}
        (folder / "keras").mkdir()
        (folder / "keras" / "keras.json").write_text('{"image_data_format": "channels_first"}')
        (folder / "handoffs.json").write_text(json.dumps(handoffs))
        started[name] = (
            folder,
            subprocess.Popen(
                [sys.executable, "-m", "tests.probe", name, str(folder)],
                cwd=ROOT,
                env=dict(os.environ) | dict(facts.env) | own | {"PYTHONWARNINGS": "ignore"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ),
        )
    found = {}
    for name, (folder, process) in started.items():
        _, errors = process.communicate(timeout=1200)
        assert process.returncode == 0, f"{name}:\n{errors[-4000:]}"
        with np.load(folder / "arrays.npz") as arrays:
            found[name] = Found(json.loads((folder / "facts.json").read_text()), dict(arrays))
    return found


def _of(probed: dict[str, Found], framework: str) -> Found:
    if framework not in probed:
        pytest.skip(_missing(framework) or framework)
    return probed[framework]


def _keys(handoffs: dict[str, dict[str, Any]], model: str) -> dict[str, Any]:
    keys: dict[str, Any] = next(iter(handoffs[model].values()))["keys"]
    return keys


# --- the small models once more, in plain NumPy ---------------------------------------------------


def _relu(x: Array) -> Array:
    return np.maximum(x, 0)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _convolved(x: Array, kernel: Array, bias: Array) -> Array:
    windows = sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # (n, h, w, c, kh, kw)
    summed: Array = np.einsum("nhwcij,ijcf->nhwf", windows, kernel)
    return summed + bias


def _pooled(x: Array) -> Array:
    n, h, w, c = x.shape
    whole = x[:, : h // 2 * 2, : w // 2 * 2]
    largest: Array = whole.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))
    return largest


def _lstm(x: Array, w: Weights) -> Array:
    units = len(w["lstm.recurrent_kernel"])
    hidden = cell = np.zeros((len(x), units))
    for step in range(x.shape[1]):
        gates = x[:, step] @ w["lstm.kernel"] + hidden @ w["lstm.recurrent_kernel"] + w["lstm.bias"]
        enter, keep, new, show = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        hidden = _sigmoid(show) * np.tanh(cell)
    return hidden


def _logits(model: str, w: Weights, x: Array) -> Array:
    def dense(x: Array, name: str) -> Array:
        return x.reshape(len(x), -1) @ w[f"{name}.kernel"] + w[f"{name}.bias"]

    def conv(x: Array, name: str) -> Array:
        return _convolved(x, w[f"{name}.kernel"], w[f"{name}.bias"])

    if model == "mlp":
        return dense(_relu(dense(_relu(dense(x, "dense1")), "dense2")), "dense3")
    if model == "simple_cnn":
        x = _pooled(_relu(conv(x, "conv1")))
        return dense(_pooled(_relu(conv(x, "conv2"))), "dense")
    if model == "digits_cnn":
        x = _relu(_pooled(conv(x, "conv1")))
        x = _relu(_pooled(conv(x, "conv2")))
        return dense(_relu(dense(x, "dense1")), "dense2")
    return dense(_lstm(w["embedding.table"][x], w), "dense")


def _loss(logits: Array, y: Array) -> float:
    spread = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
    return float((spread - logits[np.arange(len(y)), y]).mean())


@pytest.mark.parametrize(("framework", "mode", "model"), SMALL_STACKS)
def test_every_mode_computes_what_plain_numpy_computes(
    probed: dict[str, Found],
    handoffs: dict[str, dict[str, Any]],
    framework: str,
    mode: str,
    model: str,
) -> None:
    """Float64, no framework, straight from the canonical weights: layouts and gates included."""
    found, batch = _of(probed, framework), probe.batch_of(model)
    (x,), (y,) = batch.inputs.values(), batch.targets.values()
    logits = _logits(model, weights.generate(_keys(handoffs, model), probe.SEED), x)
    written = found.arrays[f"start/{mode}/{model}"]
    assert np.linalg.norm(written - logits) <= 1e-4 * np.linalg.norm(logits)
    first = found.facts["losses"][f"{mode}/{model}"][0]
    assert first == pytest.approx(_loss(logits, y), rel=1e-4)


@pytest.mark.parametrize(("framework", "mode", "model"), STACKS)
def test_training_goes_the_same_way_in_every_mode_and_framework(
    probed: dict[str, Found], framework: str, mode: str, model: str
) -> None:
    expected = _of(probed, "torch").facts["losses"][f"eager/{model}"]
    losses = _of(probed, framework).facts["losses"][f"{mode}/{model}"]
    if frameworks.facts(framework).dialect == "keras":  # Keras gives the mean since the last reset
        losses = np.diff(np.arange(1, probe.STEPS + 1) * losses, prepend=0.0).tolist()
    assert losses == pytest.approx(expected, rel=2e-3)
    assert losses[0] == pytest.approx(expected[0], rel=1e-4)
    assert losses[0] != losses[1] != losses[2]  # it does train
    after = [
        _of(probed, f).arrays[f"losses/{m}/{model}"]
        for f, m in (("torch", "eager"), (framework, mode))
    ]
    assert np.linalg.norm(after[0] - after[1]) <= 5e-3 * np.linalg.norm(after[0])


@pytest.mark.parametrize(("framework", "mode", "model"), STACKS)
def test_reset_really_resets(
    probed: dict[str, Found], framework: str, mode: str, model: str
) -> None:
    """Weights, running statistics and the optimizer's memory: the steps repeat to the last bit."""
    found, key = _of(probed, framework), f"{mode}/{model}"
    assert found.facts["again"][key] == found.facts["losses"][key]
    assert np.array_equal(found.arrays[f"again/{key}"], found.arrays[f"losses/{key}"])
    assert not np.array_equal(found.arrays[f"start/{key}"], found.arrays[f"losses/{key}"])


def test_torchscript_keeps_a_frozen_body_frozen(probed: dict[str, Found]) -> None:
    """A scripted module forgets an overridden train(): its normalisation would start to learn."""
    found = _of(probed, "torch")
    eager, script = (found.arrays[f"losses/{m}/resnet50_transfer"] for m in ("eager", "script"))
    assert script == pytest.approx(eager, rel=1e-4)


@pytest.mark.parametrize("framework", sorted(probe.MODES))
def test_a_model_drops_at_random_in_training_and_never_in_inference(
    probed: dict[str, Found], framework: str
) -> None:
    found = _of(probed, framework)
    assert np.array_equal(found.arrays["inferred/0"], found.arrays["inferred/1"])
    first, second = found.facts["dropped"]
    assert first != second


# --- tasks that are no labelled samples -----------------------------------------------------------


def _apart(a: Array, b: Array) -> float:
    """The relative difference of two arrays of one shape."""
    assert a.shape == b.shape
    size = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / (size or 1.0)


def _exact(found: Found, key: str) -> dict[str, Array]:
    prefix = f"exact/{key}/"
    return {k.removeprefix(prefix): v for k, v in found.arrays.items() if k.startswith(prefix)}


@pytest.mark.parametrize(("framework", "mode", "model"), EXACT_STACKS)
def test_a_task_of_any_form_is_one_function_in_every_framework(
    probed: dict[str, Found], framework: str, mode: str, model: str
) -> None:
    """Outputs, loss, and what one step makes of the weights and of the outputs, in float64."""
    expected = _exact(_of(probed, "torch"), f"eager/{model}")
    found = _exact(_of(probed, framework), f"{mode}/{model}")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert _apart(found[name], array) <= EQUAL, name
    moved = [array for name, array in found.items() if name.startswith("update/")]
    assert len(moved) >= 4
    assert all(array.any() for array in moved)
    assert np.ptp(found["losses"]) <= EQUAL * abs(found["losses"][0])  # by loss, gradients, step
    outputs = {n.partition("/")[2] for n in found if n.startswith("output/")}
    for name in outputs:
        assert np.array_equal(found[f"again/{name}"], found[f"output/{name}"])
        assert not np.array_equal(found[f"after/{name}"], found[f"output/{name}"])


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        ("two_inputs", {"output": (4, 4)}),
        ("two_outputs", {"kind": (4, 4), "size": (4, 2)}),
        ("own_loss", {"output": (4, 2)}),
        ("two_arguments", {"output": (4, 4)}),
        ("picture", {"output": (4, 6, 5, 3), "small": (4, 3, 2, 4), "flat": (4, 24)}),
        ("untargeted", {"output_0": (4, 2), "output_1": (4, 3)}),
    ],
)
def test_outputs_have_their_names_and_images_their_channels_last(
    probed: dict[str, Found], model: str, outputs: dict[str, tuple[int, ...]]
) -> None:
    for name, found in probed.items():
        for mode in (m for m, models in probe.EXACT[name].items() if model in models):
            written = _exact(found, f"{mode}/{model}")
            told = {k.partition("/")[2]: v.shape for k, v in written.items() if "output/" in k}
            assert told == outputs, (name, mode)


def test_the_losses_are_those_of_plain_numpy(probed: dict[str, Found]) -> None:
    """Weights of the parts, an own loss, a target that is an input: all from the outputs alone."""

    def wanted(model: str, of: dict[str, Array]) -> float:
        batch = probe.batch_of(model)
        if model == "picture":
            return float(np.square(of["output"] - batch.inputs["image"]).mean())
        if model == "untargeted":
            return float(np.square(of["output_0"]).mean() + np.abs(of["output_1"]).mean())
        if model == "own_loss":
            off = of["output"] - batch.targets["value"]
            return float(np.log(np.cosh(off)).mean() + np.square(of["output"]).sum())
        label = batch.targets["label"]
        if model == "two_outputs":
            size = np.square(of["size"] - batch.targets["value"]).mean()
            return 0.7 * _loss(of["kind"], label) + 0.3 * float(size)
        return _loss(of["output"], label)

    for name, found in probed.items():
        for model in probe.ODD:
            written = _exact(found, f"{next(iter(probe.EXACT[name]))}/{model}")
            outputs = {k.removeprefix("output/"): v for k, v in written.items() if "output/" in k}
            assert written["losses"][0] == pytest.approx(wanted(model, outputs), rel=EQUAL)


@pytest.mark.parametrize("framework", probe.TURNED)
def test_a_picture_is_the_same_in_the_other_layout(
    probed: dict[str, Found], framework: str
) -> None:
    found = _of(probed, framework)
    usual = _exact(found, f"{next(iter(probe.EXACT[framework]))}/picture")
    turned = _exact(found, "turned/picture")
    assert turned.keys() == usual.keys()
    for name, array in usual.items():
        assert _apart(turned[name], array) <= EQUAL, name


def test_a_step_calls_no_more_of_ours_than_a_handful_of_functions(
    probed: dict[str, Found],
) -> None:
    """What a step does beyond the framework's own work is time that we would add to its figure."""
    for name, found in probed.items():
        for what, called in found.facts["called"].items():
            assert len(called) <= MOST_CALLED, (name, what, called)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "mode"), [(f, m) for f, modes in probe.MODES.items() for m in modes]
)
def test_settings_are_read_back_as_asked(
    probed: dict[str, Found], framework: str, mode: str
) -> None:
    settings = _of(probed, framework).facts["settings"][mode]
    assert settings["threads"] == 1
    if framework != "jax":  # it says that this cannot be set
        assert settings["interop_threads"] == 1
    assert settings["precision"] == "float32"
    assert settings["tf32"] is False
    assert settings["autotune"] is None  # there is nothing to tune on a CPU
    assert settings["flush_denormals"] is True
    assert settings["engine"] == mode
    if (
        frameworks.facts(framework).dialect == "keras"
    ):  # though the user's keras.json says otherwise
        assert settings["layout"] == "channels_last"


@pytest.mark.parametrize("framework", sorted(probe.MODES))
def test_all_devices_report_the_same_settings(probed: dict[str, Found], framework: str) -> None:
    torch = _of(probed, "torch").facts["settings"]["eager"]
    for settings in _of(probed, framework).facts["settings"].values():
        assert settings.keys() == torch.keys()


@pytest.mark.parametrize("framework", sorted(probe.MODES))
def test_a_framework_that_sees_no_gpu_is_unsupported_there(
    probed: dict[str, Found], framework: str
) -> None:
    told = _of(probed, framework).facts["without_a_gpu"]
    assert told.startswith("unsupported ")
    assert " sees no " in told


@pytest.mark.parametrize("framework", sorted(probe.MODES))
def test_a_framework_is_imported_as_if_nothing_of_ours_were_there(
    probed: dict[str, Found], framework: str
) -> None:
    assert _of(probed, framework).facts["imported"] == []


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", sorted(probe.MODES))
@pytest.mark.parametrize("kind", ["features", "image", "tokens"])
def test_a_loader_gives_the_bytes_of_the_data_set_in_its_order(
    probed: dict[str, Found], framework: str, kind: str
) -> None:
    found, data = _of(probed, framework), probe.data_for(kind)
    for index in range(2):
        part = slice(64 * index, 64 * (index + 1))
        raw = data.x_train[part]
        expected = raw if kind == "tokens" else raw.astype(np.float32) / np.float32(data.scale)
        assert np.array_equal(found.arrays[f"{kind}/{index}/x"], expected)
        assert np.array_equal(found.arrays[f"{kind}/{index}/y"], data.y_train[part])
    assert found.facts["dtypes"][kind] == ("int32" if kind == "tokens" else "float32")
    assert found.facts[f"batches/{kind}"] == [22, 22]  # 1408 samples, and again


@pytest.mark.parametrize("framework", sorted(probe.MODES))
def test_an_epoch_learns_and_repeats(probed: dict[str, Found], framework: str) -> None:
    epochs = _of(probed, framework).facts["epochs"]
    assert len(epochs) == (1 + len(probe.FITTED)) * len(probe.EPOCHS[framework])
    for name, (first, second) in epochs.items():
        assert first == pytest.approx(second, rel=1e-6)
        train_loss, train_accuracy, test_loss, test_accuracy = first
        assert test_loss < train_loss < math.log(10)
        assert test_accuracy > (0.7 if "," in name else 0.8)
        assert (0.3 if "," in name else 0.5) < train_accuracy <= 1


@pytest.mark.parametrize("kind", ["", ", subclassed", ", layered"])
def test_an_epoch_teaches_both_frameworks_the_same(probed: dict[str, Found], kind: str) -> None:
    """The same batches in the same order from the same weights: only rounding differs."""
    everyone = [
        probed[name].facts["epochs"][mode + kind][0]
        for name in probed
        for mode in probe.EPOCHS[name]
    ]
    reference = everyone[0]
    for train_loss, train_accuracy, test_loss, test_accuracy in everyone[1:]:
        assert train_loss == pytest.approx(reference[0], rel=1e-3)
        assert test_loss == pytest.approx(reference[2], rel=1e-2)
        assert train_accuracy == pytest.approx(reference[1], abs=0.01)
        assert test_accuracy == pytest.approx(reference[3], abs=0.01)


# --- weights and layouts --------------------------------------------------------------------------


@pytest.mark.parametrize("framework", sorted(probe.MODES))
@pytest.mark.parametrize("model", probe.KEPT)
def test_canonical_weights_survive_the_way_there_and_back(
    probed: dict[str, Found], handoffs: dict[str, dict[str, Any]], framework: str, model: str
) -> None:
    found = _of(probed, framework)
    made = weights.generate(_keys(handoffs, model), probe.SEED)
    prefix = f"kept/{model}/"
    kept = {k.removeprefix(prefix): v for k, v in found.arrays.items() if k.startswith(prefix)}
    assert kept.keys() == made.keys()
    for name, values in made.items():
        assert np.array_equal(kept[name], values), name


def test_a_running_variance_is_restated_as_keras_keeps_it(probed: dict[str, Found]) -> None:
    exported, restated = _of(probed, "torch").arrays["variance"]
    biased = unbiased = np.linspace(0.5, 1.5, probe.RECORDED.shape[-1])
    for batch in probe.RECORDED:
        biased = 0.9 * biased + 0.1 * batch.var(axis=(0, 1, 2))
        unbiased = 0.9 * unbiased + 0.1 * batch.var(axis=(0, 1, 2), ddof=1)
    assert exported == pytest.approx(unbiased, rel=1e-12)
    assert restated == pytest.approx(biased, rel=1e-12)
    assert not np.allclose(biased, unbiased, rtol=1e-3)


@pytest.mark.parametrize("framework", probe.TURNED)
def test_the_other_layout_changes_the_order_of_numbers_and_nothing_else(
    probed: dict[str, Found], framework: str
) -> None:
    found = _of(probed, framework)
    for model in probe.TURNED[framework]:
        usual, turned = (found.facts["losses"][f"{kind}/{model}"] for kind in ("usual", "turned"))
        assert turned == pytest.approx(usual, rel=1e-4)
        logits = [found.arrays[f"losses/{kind}/{model}"] for kind in ("usual", "turned")]
        np.testing.assert_allclose(logits[1], logits[0], rtol=2e-3, atol=2e-4)
    usual, turned = (found.facts[f"epoch/{kind}"] for kind in ("usual", "turned"))
    assert turned == pytest.approx(usual, rel=1e-3, abs=0.02)
    if framework == "torch":  # strides change, and shapes do not
        assert [found.facts[f"strided/{kind}"] for kind in ("usual", "turned")] == [False, True]
    else:
        shapes = [found.facts[f"shape/{kind}"] for kind in ("usual", "turned")]
        assert shapes == [[64, 12, 12, 3], [64, 3, 12, 12]]
