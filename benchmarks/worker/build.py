"""A model as a worker runs it: built in its framework, with its weights, batch and data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.frameworks.contracts import Handoff, Settings
from benchmarks.frameworks.encoding import assignment, output
from benchmarks.request import discovery
from benchmarks.tasks import stored, weights
from benchmarks.tasks.data import sets
from benchmarks.tasks.task import Task, draw
from benchmarks.worker import sources
from benchmarks.worker.phases._protocol import Built


def device(framework: str, settings: dict[str, Any]) -> Any:
    """A framework, imported and set up for this process."""
    return frameworks.part(framework, "device").Device(Settings(**settings))


def build(on: Any, job: dict[str, Any]) -> Built:
    """The model of a briefing's job on a device, with its weights, batch and data."""
    name, seed = job["framework"], int(on.asked.seed)
    facts = frameworks.facts(name)
    source = sources.load(job["source"], facts.dialect)
    source = replace(source, task=source.task.at(job["shapes"], job["task_settings"]))
    told = job["handoff"]
    handoff = Handoff(
        assigned=assignment(told["assigned"]),
        keys=told["keys"],
        outputs={name: output(one) for name, one in told["outputs"].items()},
        changes=told["changes"],
    )
    kept = job["source"].get("weights")
    values = weights.overlaid(
        weights.generate(handoff.keys, seed), stored.read(Path(kept)) if kept else {}
    )
    fed = draw(source.task, job["batch"], seed)
    return Built(
        device=on,
        program=frameworks.part(name, "program").Program(on, source, handoff, values),
        trainer=discovery.trainer(
            name, job["trainer"] or facts.trainer, _folders(job["source"]["models_dir"])
        ),
        recorder=name,
        task=source.task,
        keys=handoff.keys,
        weights=values,
        fed=fed,
        batch=on.place(fed, source.task),
        batch_size=job["batch"],
        data=_data(source.task, seed, job) if job["data"] else None,
    )


def _folders(models_dir: str | None) -> tuple[Path, ...]:
    return (Path(models_dir),) if models_dir else ()


def _data(task: Task, seed: int, job: dict[str, Any]) -> sets.Dataset:
    """The plan's data in the model's shape, cut to whole batches so that every stack sees all."""
    data_dir = Path(job["data_dir"]) if job["data_dir"] else None
    data, batch = sets.load(job["data"], data_dir, seed), int(job["batch"])

    def whole(available: int, wanted: int | None) -> int:
        return max(batch, min(available, wanted or available) // batch * batch)

    cut = sets.first(
        data,
        whole(len(data.y_train), job["train_samples"]),
        whole(len(data.y_test), job["test_samples"]),
    )
    one, _ = task.labelled()
    return sets.fit_to(cut, one)
