"""A model as a worker runs it: built in its framework, with its weights, batch and data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import inputs, registry, weights
from benchmarks.adapters._protocol import Adapter, Settings
from benchmarks.models._spec import ModelSpec
from benchmarks.phases._protocol import Session


def build(adapter: Adapter, settings: Settings, job: dict[str, Any]) -> Session:
    """The model of a briefing's job, with its weights, batch and data."""
    models_dir = Path(job["models_dir"]) if job["models_dir"] else None
    spec: ModelSpec = replace(
        registry.spec(job["model"], models_dir),
        input_shape=tuple(job["input_shape"]),
        deterministic=job["deterministic"],
    )
    values = weights.generate(spec.layers, settings.seed)
    batch = inputs.synthetic(
        spec.kind, spec.input_shape, spec.classes, job["batch"], settings.seed, spec.vocabulary
    )
    twin = registry.twin(job["model"], adapter.dialect, models_dir)
    return Session(
        adapter=adapter,
        model=adapter.build(twin, spec, values),
        spec=spec,
        weights=values,
        batch=adapter.place(batch),
        batch_size=job["batch"],
        data=_data(spec, settings.seed, job) if job["data"] else None,
    )


def _data(spec: ModelSpec, seed: int, job: dict[str, Any]) -> inputs.Dataset:
    """The plan's data in the model's shape, cut to whole batches so that every stack sees all."""
    data_dir = Path(job["data_dir"]) if job["data_dir"] else None
    data, batch = inputs.load(job["data"], data_dir, seed), int(job["batch"])

    def whole(available: int, wanted: int | None) -> int:
        return max(batch, min(available, wanted or available) // batch * batch)

    cut = inputs.take(
        data,
        whole(len(data.y_train), job["train_samples"]),
        whole(len(data.y_test), job["test_samples"]),
    )
    return inputs.fit_to(cut, spec.kind, spec.input_shape, spec.vocabulary)
