"""The adapters: what they were told and read back, and that all modes compute the same numbers."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks import registry, weights
from benchmarks.environment import framework_status
from benchmarks.models._spec import BatchNorm
from tests import probe

pytestmark = pytest.mark.slow

Array = NDArray[Any]
ROOT = Path(__file__).parent.parent
STACKS = [
    (adapter, mode, model)
    for adapter, modes in probe.MODES.items()
    for mode, models in modes.items()
    for model in models
]
SMALL_STACKS = [stack for stack in STACKS if stack[2] in probe.SMALL]


@dataclass(frozen=True)
class Found:
    """What a framework's own process wrote down."""

    facts: dict[str, Any]
    arrays: dict[str, Array]


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    """Every installed framework, probed side by side."""
    started = {}
    for name in probe.MODES:
        adapter = registry.adapter(name)
        if framework_status(adapter.requires) is None:
            folder = tmp_path_factory.mktemp(name)
            own = {variable: str(folder / variable.lower()) for variable in adapter.cache_env}
            own["KERAS_HOME"] = str(folder / "keras")
            (folder / "keras").mkdir()
            (folder / "keras" / "keras.json").write_text('{"image_data_format": "channels_first"}')
            started[name] = (
                folder,
                subprocess.Popen(
                    [sys.executable, "-m", "tests.probe", name, str(folder)],
                    cwd=ROOT,
                    env=dict(os.environ) | dict(adapter.env) | own | {"PYTHONWARNINGS": "ignore"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                ),
            )
    found = {}
    for name, (folder, process) in started.items():
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, f"{name}:\n{errors[-4000:]}"
        with np.load(folder / "arrays.npz") as arrays:
            found[name] = Found(json.loads((folder / "facts.json").read_text()), dict(arrays))
    return found


def _of(probed: dict[str, Found], adapter: str) -> Found:
    if adapter not in probed:
        pytest.skip(framework_status(registry.adapter(adapter).requires) or adapter)
    return probed[adapter]


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


def _lstm(x: Array, w: weights.Weights) -> Array:
    units = len(w["lstm.recurrent_kernel"])
    hidden = cell = np.zeros((len(x), units))
    for step in range(x.shape[1]):
        gates = x[:, step] @ w["lstm.kernel"] + hidden @ w["lstm.recurrent_kernel"] + w["lstm.bias"]
        enter, keep, new, show = np.split(gates, 4, axis=1)
        cell = _sigmoid(keep) * cell + _sigmoid(enter) * np.tanh(new)
        hidden = _sigmoid(show) * np.tanh(cell)
    return hidden


def _logits(model: str, w: weights.Weights, x: Array) -> Array:
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


@pytest.mark.parametrize(("adapter", "mode", "model"), SMALL_STACKS)
def test_every_mode_computes_what_plain_numpy_computes(
    probed: dict[str, Found], adapter: str, mode: str, model: str
) -> None:
    """Float64, no framework, straight from the canonical weights: layouts and gates included."""
    found, spec = _of(probed, adapter), probe.spec_of(model)
    batch = probe.batch_of(spec)
    logits = _logits(model, weights.generate(spec.layers, probe.SEED), batch.x)
    written = found.arrays[f"start/{mode}/{model}"]
    assert np.linalg.norm(written - logits) <= 1e-4 * np.linalg.norm(logits)
    first = found.facts["losses"][f"{mode}/{model}"][0]
    assert first == pytest.approx(_loss(logits, batch.y), rel=1e-4)


@pytest.mark.parametrize(("adapter", "mode", "model"), STACKS)
def test_training_goes_the_same_way_in_every_mode_and_framework(
    probed: dict[str, Found], adapter: str, mode: str, model: str
) -> None:
    expected = _of(probed, "torch").facts["losses"][f"eager/{model}"]
    losses = _of(probed, adapter).facts["losses"][f"{mode}/{model}"]
    if registry.adapter(adapter).dialect == "keras":  # Keras gives the mean since the last reset
        losses = np.diff(np.arange(1, probe.STEPS + 1) * losses, prepend=0.0).tolist()
    assert losses == pytest.approx(expected, rel=2e-3)
    assert losses[0] == pytest.approx(expected[0], rel=1e-4)
    assert losses[0] != losses[1] != losses[2]  # it does train
    after = [
        _of(probed, a).arrays[f"losses/{m}/{model}"]
        for a, m in (("torch", "eager"), (adapter, mode))
    ]
    assert np.linalg.norm(after[0] - after[1]) <= 5e-3 * np.linalg.norm(after[0])


@pytest.mark.parametrize(("adapter", "mode", "model"), STACKS)
def test_reset_really_resets(probed: dict[str, Found], adapter: str, mode: str, model: str) -> None:
    """Weights, running statistics and the optimizer's memory: the steps repeat to the last bit."""
    found, key = _of(probed, adapter), f"{mode}/{model}"
    assert found.facts["again"][key] == found.facts["losses"][key]
    assert np.array_equal(found.arrays[f"again/{key}"], found.arrays[f"losses/{key}"])
    assert not np.array_equal(found.arrays[f"start/{key}"], found.arrays[f"losses/{key}"])


def test_torchscript_keeps_a_frozen_body_frozen(probed: dict[str, Found]) -> None:
    """A scripted module forgets an overridden train(): its normalisation would start to learn."""
    found = _of(probed, "torch")
    eager, script = (found.arrays[f"losses/{m}/resnet50_transfer"] for m in ("eager", "script"))
    assert script == pytest.approx(eager, rel=1e-4)


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("adapter", "mode"), [(a, m) for a, ms in probe.MODES.items() for m in ms])
def test_settings_are_read_back_as_asked(probed: dict[str, Found], adapter: str, mode: str) -> None:
    settings = _of(probed, adapter).facts["settings"][mode]
    assert settings["threads"] == 1
    if adapter != "jax":  # it says that this cannot be set
        assert settings["interop_threads"] == 1
    assert settings["precision"] == "float32"
    assert settings["tf32"] is False
    assert settings["autotune"] is None  # there is nothing to tune on a CPU
    assert settings["flush_denormals"] is True
    assert settings["engine"] == mode
    if registry.adapter(adapter).dialect == "keras":  # though the user's keras.json says otherwise
        assert settings["layout"] == "channels_last"


@pytest.mark.parametrize("adapter", sorted(probe.MODES))
def test_all_adapters_report_the_same_settings(probed: dict[str, Found], adapter: str) -> None:
    torch = _of(probed, "torch").facts["settings"]["eager"]
    for settings in _of(probed, adapter).facts["settings"].values():
        assert settings.keys() == torch.keys()


NO_GPU = """
import sys
from benchmarks import memory, registry
from benchmarks.adapters._protocol import Settings

adapter = registry.adapter(sys.argv[1])
try:
    adapter(Settings(mode=next(iter(adapter.modes)), device="cuda"))
except Exception as error:
    print(memory.status(error, "cuda"), error)
"""


@pytest.mark.parametrize("name", sorted(probe.MODES))
def test_a_framework_that_sees_no_gpu_is_unsupported_there(name: str, tmp_path: Path) -> None:
    adapter = registry.adapter(name)
    if framework_status(adapter.requires):
        pytest.skip(f"{name} is not installed")
    hidden = {"CUDA_VISIBLE_DEVICES": "", "KERAS_HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", NO_GPU, name],
        cwd=ROOT,
        env=dict(os.environ) | dict(adapter.env) | hidden,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.startswith("unsupported "), done.stdout + done.stderr[-2000:]
    assert " sees no " in done.stdout


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", sorted(probe.MODES))
@pytest.mark.parametrize("kind", ["features", "image", "tokens"])
def test_a_loader_gives_the_bytes_of_the_data_set_in_its_order(
    probed: dict[str, Found], adapter: str, kind: str
) -> None:
    found, data = _of(probed, adapter), probe.data_for(kind)
    for index in range(2):
        part = slice(64 * index, 64 * (index + 1))
        raw = data.x_train[part]
        expected = raw if kind == "tokens" else raw.astype(np.float32) / np.float32(data.scale)
        assert np.array_equal(found.arrays[f"{kind}/{index}/x"], expected)
        assert np.array_equal(found.arrays[f"{kind}/{index}/y"], data.y_train[part])
    assert found.facts["dtypes"][kind] == ("int32" if kind == "tokens" else "float32")
    assert found.facts[f"batches/{kind}"] == [22, 22]  # 1408 samples, and again


@pytest.mark.parametrize("adapter", sorted(probe.MODES))
def test_an_epoch_learns_and_repeats(probed: dict[str, Found], adapter: str) -> None:
    for first, second in _of(probed, adapter).facts["epochs"].values():
        assert first == pytest.approx(second, rel=1e-6)
        train_loss, train_accuracy, test_loss, test_accuracy = first
        assert test_loss < train_loss < math.log(10)
        assert test_accuracy > 0.8
        assert 0.5 < train_accuracy <= 1


def test_an_epoch_teaches_both_frameworks_the_same(probed: dict[str, Found]) -> None:
    """The same batches in the same order from the same weights: only rounding differs."""
    everyone = [
        run
        for name in probed
        for runs in _of(probed, name).facts["epochs"].values()
        for run in runs[:1]
    ]
    reference = everyone[0]
    for train_loss, train_accuracy, test_loss, test_accuracy in everyone[1:]:
        assert train_loss == pytest.approx(reference[0], rel=1e-3)
        assert test_loss == pytest.approx(reference[2], rel=1e-2)
        assert train_accuracy == pytest.approx(reference[1], abs=0.01)
        assert test_accuracy == pytest.approx(reference[3], abs=0.01)


# --- dialects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", sorted(probe.MODES))
@pytest.mark.parametrize(
    ("model", "folder"), [("simple_cnn", None), ("lstm", None), ("honest", probe.WRONG_TWINS)]
)
def test_canonical_weights_survive_the_way_there_and_back(
    probed: dict[str, Found], adapter: str, model: str, folder: Path | None
) -> None:
    found = _of(probed, adapter)
    made = weights.generate(registry.spec(model, folder).layers, probe.SEED)
    prefix = f"kept/{model}/"
    kept = {k.removeprefix(prefix): v for k, v in found.arrays.items() if k.startswith(prefix)}
    assert kept.keys() == made.keys()
    for name, values in made.items():
        assert np.array_equal(kept[name], values), name


def test_a_running_variance_is_restated_as_keras_keeps_it(probed: dict[str, Found]) -> None:
    exported, restated = _of(probed, "torch").arrays["variance"]
    layer = BatchNorm(name="bn", channels=probe.RECORDED.shape[-1])
    start = weights.generate([layer], probe.SEED)
    biased = unbiased = start["bn.variance"]
    for batch in probe.RECORDED:
        biased = 0.9 * biased + 0.1 * batch.var(axis=(0, 1, 2))
        unbiased = 0.9 * unbiased + 0.1 * batch.var(axis=(0, 1, 2), ddof=1)
    assert exported == pytest.approx(unbiased, rel=1e-12)
    assert restated == pytest.approx(biased, rel=1e-12)
    assert not np.allclose(biased, unbiased, rtol=1e-3)


@pytest.mark.parametrize("adapter", probe.TURNED)
def test_the_other_layout_changes_the_order_of_numbers_and_nothing_else(
    probed: dict[str, Found], adapter: str
) -> None:
    found = _of(probed, adapter)
    for model in probe.IN_BOTH:
        usual, turned = (found.facts["losses"][f"{kind}/{model}"] for kind in ("usual", "turned"))
        assert turned == pytest.approx(usual, rel=1e-4)
        logits = [found.arrays[f"losses/{kind}/{model}"] for kind in ("usual", "turned")]
        np.testing.assert_allclose(logits[1], logits[0], rtol=2e-3, atol=2e-4)
    usual, turned = (found.facts[f"epoch/{kind}"] for kind in ("usual", "turned"))
    assert turned == pytest.approx(usual, rel=1e-3, abs=0.02)
    if adapter == "torch":  # strides change, and shapes do not
        assert [found.facts[f"strided/{kind}"] for kind in ("usual", "turned")] == [False, True]
    else:
        shapes = [found.facts[f"shape/{kind}"] for kind in ("usual", "turned")]
        assert shapes == [[64, 12, 12, 3], [64, 3, 12, 12]]
