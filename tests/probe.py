"""What an adapter does, written down by a process of its own, because two frameworks share none.

``python -m tests.probe torch FOLDER`` leaves ``facts.json`` and ``arrays.npz`` in the folder.
"""

from __future__ import annotations

import copy
import itertools
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import inputs, registry, weights
from benchmarks.adapters._protocol import Adapter, Settings
from benchmarks.inputs import Batch, Dataset
from benchmarks.models._spec import BatchNorm, ModelSpec, Size

SMALL = ("mlp", "simple_cnn", "digits_cnn", "lstm")
MODES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torch": {
        "eager": (*SMALL, "resnet50_transfer"),
        "script": (*SMALL, "resnet50_transfer"),
        "compile": ("mlp",),
    },
    "tensorflow": {"eager": ("mlp", "simple_cnn"), "graph": SMALL, "xla": ("mlp", "simple_cnn")},
    "keras_torch": {"eager": SMALL, "compile": ("mlp",)},
    "jax": {"xla": SMALL},
}
EPOCHS = {
    "torch": ("eager", "script"),
    "tensorflow": ("graph",),
    "keras_torch": ("eager",),
    "jax": ("xla",),
}
TURNED = ("torch", "keras_torch", "jax")
"""What can compute on a CPU in the layout that is not its own."""
IN_BOTH = ("simple_cnn", "resnet50_transfer")
WRONG_TWINS = Path(__file__).parent / "wrong_twins"
BATCH, STEPS, SEED = 4, 3, 0
RECORDED = (np.arange(3 * 4 * 2 * 3 * 5, dtype=np.float64) % 7).reshape(3, 4, 2, 3, 5)
"""Three batches (n, h, w, c) for a running variance."""


def spec_of(model: str) -> ModelSpec:
    """A shipped model without dropout, ResNet at the smallest input that its strides allow."""
    spec = replace(registry.spec(model), deterministic=True)
    small = Size(batch=BATCH, input_shape=(32, 32, 3) if model.startswith("resnet") else None)
    return spec.at(small)


def batch_of(spec: ModelSpec) -> Batch:
    """The seeded batch that every stack gets."""
    return inputs.synthetic(spec.kind, spec.input_shape, spec.classes, BATCH, SEED, spec.vocabulary)


def data_for(kind: str) -> Dataset:
    """The digits in the shape of one of the three kinds of input."""
    shape, vocabulary = {
        "features": ((784,), None),
        "image": ((12, 12, 3), None),
        "tokens": ((70,), 20),
    }[kind]
    whole = inputs.take(inputs.load("digits", None, SEED), 1408, 320)
    return inputs.fit_to(whole, kind, shape, vocabulary)


def main() -> None:
    """Probe one framework."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    first = next(iter(MODES[name]))
    adapter = registry.adapter(name)(Settings(mode=first, threads=1, seed=SEED))
    facts: dict[str, Any] = {"settings": {}, "losses": {}, "again": {}, "epochs": {}, "dtypes": {}}
    arrays: dict[str, NDArray[Any]] = {}
    for mode, models in MODES[name].items():
        changed = _in_mode(adapter, mode)
        facts["settings"][mode] = changed.settings()
        for model in models:
            _steps(changed, mode, model, facts, arrays)
    for mode in EPOCHS[name]:
        facts["epochs"][mode] = _epochs(_in_mode(adapter, mode))
    _load(adapter, facts, arrays)
    _round_trip(adapter, arrays)
    if name == "torch":
        arrays["variance"] = _variance()
    if name in TURNED:
        _in_both_layouts(adapter, facts, arrays)
    (folder / "facts.json").write_text(json.dumps(facts))
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)


def _in_mode(adapter: Adapter, mode: str) -> Any:
    """The same framework, already set up, in another of its modes."""
    other: Any = copy.copy(adapter)
    other.asked = replace(other.asked, mode=mode)
    return other


def _steps(
    adapter: Any, mode: str, model: str, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]
) -> None:
    """Losses of a few steps, the logits after them, and the same once more after a reset."""
    spec = spec_of(model)
    made = weights.generate(spec.layers, SEED)
    built = adapter.build(registry.twin(model, adapter.dialect), spec, made)
    batch = adapter.place(batch_of(spec))
    for kind in ("losses", "again"):
        adapter.set_training(built, training=True)
        losses = [float(adapter.numpy(adapter.train_step(built, batch))) for _ in range(STEPS)]
        adapter.set_training(built, training=False)
        facts[kind][f"{mode}/{model}"] = losses
        arrays[f"{kind}/{mode}/{model}"] = adapter.numpy(adapter.forward(built, batch))
        adapter.reset(built, made)
    arrays[f"start/{mode}/{model}"] = adapter.numpy(adapter.forward(built, batch))


def _epochs(adapter: Any) -> list[tuple[float, ...]]:
    """Two epochs, both from the first weights."""
    spec = spec_of("mlp")
    made = weights.generate(spec.layers, SEED)
    built = adapter.build(registry.twin("mlp", adapter.dialect), spec, made)
    epoch = adapter.epoch(built, data_for("features"), 64)
    learned = []
    for _ in range(2):
        adapter.reset(built, made)
        learned.append(tuple(map(float, epoch.run())))
    return learned


def _load(adapter: Any, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """The first batches of a loader, how many there are, and how many there are again."""
    for kind in ("features", "image", "tokens"):
        loader = adapter.loader(data_for(kind), 64)
        for index, (x, y) in enumerate(itertools.islice(loader, 2)):
            values = np.array(x)
            if kind == "image" and adapter.dialect == "torch":
                values = np.moveaxis(values, 1, -1)
            arrays[f"{kind}/{index}/x"], arrays[f"{kind}/{index}/y"] = values, np.array(y)
            facts["dtypes"][kind] = str(values.dtype)
        facts[f"batches/{kind}"] = [sum(1 for _ in loader), sum(1 for _ in loader)]


def _round_trip(adapter: Any, arrays: dict[str, NDArray[Any]]) -> None:
    """Weights loaded into a model and taken out again, for every type of layer."""
    for model, folder in (("simple_cnn", None), ("lstm", None), ("honest", WRONG_TWINS)):
        spec = registry.spec(model, folder)
        made = weights.generate(spec.layers, SEED)
        built = adapter.build(registry.twin(model, adapter.dialect, folder), spec, made)
        arrays |= {f"kept/{model}/{key}": v for key, v in adapter.export(built).items()}


def _in_both_layouts(adapter: Any, facts: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Steps, an epoch and a loaded batch, once as always and once in the other layout.

    A process takes its settings once, so they are changed behind the adapter's back.
    """
    for kind in ("usual", "turned"):
        changed = copy.copy(adapter)
        if kind == "turned" and adapter.dialect == "torch":
            changed.asked = replace(changed.asked, layout="channels_last")
            changed.channels_last = True
        elif kind == "turned":
            changed.keras.config.set_image_data_format("channels_first")
        for model in IN_BOTH:
            _steps(changed, kind, model, facts, arrays)
        facts[f"epoch/{kind}"] = _image_epoch(changed)
        (x, _), *_ = itertools.islice(changed.loader(data_for("image"), 64), 1)
        facts[f"shape/{kind}"] = list(x.shape)
        if adapter.dialect == "torch":
            channels_last = changed.torch.channels_last
            facts[f"strided/{kind}"] = x.is_contiguous(memory_format=channels_last)


def _image_epoch(adapter: Any) -> tuple[float, ...]:
    """One epoch of a model that convolves."""
    spec = spec_of("digits_cnn")
    made = weights.generate(spec.layers, SEED)
    built = adapter.build(registry.twin("digits_cnn", adapter.dialect), spec, made)
    small = inputs.take(inputs.load("digits", None, SEED), 320, 64)
    data = inputs.fit_to(small, "image", spec.input_shape, None)
    return tuple(map(float, adapter.epoch(built, data, 32).run()))


def _variance() -> NDArray[Any]:
    """A running variance of PyTorch, restated as Keras keeps it."""
    import torch

    from benchmarks.dialects import torch as dialect

    channels = RECORDED.shape[-1]
    layer = BatchNorm(name="bn", channels=channels, out=(2, 3))
    net = torch.nn.Sequential()
    net.add_module("bn", torch.nn.BatchNorm2d(channels, momentum=0.1).double())
    start = weights.generate([layer], SEED)
    dialect.load(net, [layer], start)
    for batch in RECORDED:
        net(torch.from_numpy(inputs.channels_first(batch)))
    exported = dialect.export(net, [layer])
    restated = dialect.biased_variance(net, exported, start, [layer], batch=4, steps=3)
    return np.stack([exported["bn.variance"], restated["bn.variance"]])


if __name__ == "__main__":
    main()
