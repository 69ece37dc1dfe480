"""What a framework does, written down by a process of its own, because two share none.

``python -m tests.probe torch FOLDER`` reads ``handoffs.json`` in the folder, what a match found of
each model, and leaves ``facts.json`` and ``arrays.npz`` there.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import frameworks
from benchmarks.frameworks.contracts import Handoff, Samples, Settings, Source
from benchmarks.frameworks.description import Assigned
from benchmarks.frameworks.encoding import assignment, output
from benchmarks.request import discovery
from benchmarks.tasks import weights
from benchmarks.tasks.data import sets
from benchmarks.tasks.data.sets import Dataset
from benchmarks.tasks.task import Batch, LossPart, Task, draw, features, image, like, tokens
from benchmarks.worker import shortage, sources

SMALL = ("mlp", "simple_cnn", "digits_cnn", "lstm")
MODES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torch": {
        "eager": (*SMALL, "resnet50_transfer"),
        "script": (*SMALL, "resnet50_transfer"),
        "compile": ("mlp",),
    },
    "tensorflow": {"eager": ("mlp", "simple_cnn"), "graph": SMALL, "xla": ("mlp", "simple_cnn")},
    "keras_torch": {"eager": SMALL},
    "jax": {"xla": ("mlp", "simple_cnn", "lstm")},
}
EPOCHS = {
    "torch": ("eager", "script"),
    "tensorflow": ("graph",),
    "keras_torch": ("eager",),
    "jax": ("xla",),
}
TURNED = {
    "torch": ("simple_cnn", "resnet50_transfer"),
    "keras_torch": ("simple_cnn",),
    "jax": ("simple_cnn",),
}
"""What can compute on a CPU in the layout that is not its own, and the models it is tried on."""
PROGRAMS = Path(__file__).parent / "programs"
ODD = (
    "own_loss",
    "picture",
    "two_arguments",
    "two_inputs",
    "two_outputs",
    "untargeted",
)
"""Models of ``PROGRAMS`` whose inputs, outputs or losses are others than those of one label."""
EXACT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torch": {"eager": ODD},
    "tensorflow": {"graph": ODD, "eager": ("two_arguments",), "xla": ("two_outputs",)},
    "keras_torch": {"eager": ODD},
    "jax": {"xla": ODD},
}
"""The modes in which they are run in float64."""
KEPT = ("simple_cnn", "lstm", "normed")
SHIPPED = (*SMALL, "resnet50_transfer")
FITTED = ("subclassed", "layered")
"""Models of ``PROGRAMS`` that an epoch trains."""
OWN = (*ODD, "normed", *FITTED)
BATCH, STEPS, SEED = 4, 3, 0
RECORDED = (np.arange(3 * 4 * 2 * 3 * 5, dtype=np.float64) % 7).reshape(3, 4, 2, 3, 5)
"""Three batches (n, h, w, c) for a running variance."""


def folder_of(model: str) -> Path | None:
    """Where a model lies; ``None`` among ours."""
    return PROGRAMS if model in OWN else None


def task_of(model: str) -> Task:
    """The task of a model, ResNet at the smallest input that its strides allow."""
    task = discovery.task(model, folder_of(model))
    return task.at({"image": (32, 32, 3)}) if model.startswith("resnet") else task


def batch_of(model: str) -> Batch:
    """The seeded batch that every stack gets."""
    return draw(task_of(model), BATCH, SEED)


def data_for(kind: str) -> Dataset:
    """The digits in the shape of one of the three kinds of input."""
    one = {"features": features(784), "image": image(12, 12, 3), "tokens": tokens(70, 20)}[kind]
    whole = sets.first(sets.load("digits", None, SEED), 1408, 320)
    return sets.fit_to(whole, one)


@dataclass
class Probe:
    """A framework, set up, and what has been found of it."""

    name: str
    handoffs: Mapping[str, Any]
    device: Any
    facts: dict[str, Any] = field(
        default_factory=lambda: {"settings": {}, "epochs": {}, "called": {}}
    )
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def dialect(self) -> str:
        """The dialect that the framework runs."""
        return frameworks.facts(self.name).dialect

    def built(self, device: Any, model: str, *, random: bool = False) -> Any:
        """The program of a model with seeded weights; nothing in it drops unless it may."""
        source = sources.load(sources.of_model(model, folder_of(model)), self.dialect)
        source = replace(source, task=task_of(model))
        told = self.handoffs[model][self.dialect]
        handoff = Handoff(
            assigned=assignment(told["assigned"]),
            keys=told["keys"],
            outputs={name: output(one) for name, one in told["outputs"].items()},
        )
        source = source if random else replace(source, make=_undropped(source.make))
        program = frameworks.part(self.name, "program").Program
        return program(device, source, handoff, weights.generate(handoff.keys, SEED))

    def in_mode(self, mode: str) -> Any:
        """The same device, already set up, in another of its modes."""
        other = copy.copy(self.device)
        other.asked = replace(other.asked, mode=mode)
        return other

    def steps(self, device: Any, key: str, model: str) -> None:
        """Losses of a few steps, the logits after them, and the same once more after a reset."""
        program, batch = self.built(device, model), device.place(batch_of(model), task_of(model))
        for kind in ("losses", "again"):
            program.set_training(training=True)
            losses = [_number(program, program.step(batch)) for _ in range(STEPS)]
            program.set_training(training=False)
            self.facts.setdefault(kind, {})[key] = losses
            self.arrays[f"{kind}/{key}"] = _only(program.outputs(program.infer(batch)))
            program.reset()
        self.arrays[f"start/{key}"] = _only(program.outputs(program.infer(batch)))

    def epochs(self, device: Any, model: str) -> list[tuple[float, ...]]:
        """Two epochs, both from the first weights."""
        program = self.built(device, model)
        whole = sets.first(sets.load("digits", None, SEED), 1408, 320)
        data = sets.fit_to(whole, task_of(model).labelled()[0])
        epoch = self._epoch(device, program, data, 64)
        learned = []
        for _ in range(2):
            program.reset()
            learned.append(tuple(map(float, epoch.run())))
        return learned

    def load(self) -> None:
        """The first batches of a loader, how many there are, and how many there are again."""
        for kind in ("features", "image", "tokens"):
            data = data_for(kind)
            loader = self.device.batches(data.x_train, data.y_train, size=64, scale=data.scale)
            for index, placed in enumerate(itertools.islice(loader, 2)):
                (x,), (y,) = placed.inputs, placed.targets
                values = np.array(x)
                if kind == "image" and self.dialect == "torch":
                    values = np.moveaxis(values, 1, -1)
                self.arrays[f"{kind}/{index}/x"] = values
                self.arrays[f"{kind}/{index}/y"] = np.array(y)
                self.facts.setdefault("dtypes", {})[kind] = str(values.dtype)
            self.facts[f"batches/{kind}"] = [sum(1 for _ in loader), sum(1 for _ in loader)]

    def in_both_layouts(self) -> None:
        """Steps, an epoch and a loaded batch, once as always and once in the other layout.

        A process takes its settings once, so they are changed behind the device's back.
        """
        for kind in ("usual", "turned"):
            changed = self.in_mode(self.device.asked.mode)
            torch = self.dialect == "torch"
            if kind == "turned":
                layout = "channels_last" if torch else "channels_first"
                changed.asked = replace(changed.asked, layout=layout)
                if not torch:
                    changed.keras.config.set_image_data_format(layout)
            for model in TURNED[self.name]:
                self.steps(changed, f"{kind}/{model}", model)
            self.facts[f"epoch/{kind}"] = self._image_epoch(changed)
            data = data_for("image")
            loader = changed.batches(data.x_train, data.y_train, size=64, scale=data.scale)
            (x,) = next(iter(loader)).inputs
            self.facts[f"shape/{kind}"] = list(x.shape)
            if torch:
                import torch as package

                strided = x.is_contiguous(memory_format=package.channels_last)
                self.facts[f"strided/{kind}"] = strided
        if self.dialect == "keras":
            self.device.keras.config.set_image_data_format("channels_last")

    def dropping(self) -> None:
        """Two outputs of inference and two losses of training, of a model that drops at random."""
        program = self.built(self.device, "digits_cnn", random=True)
        batch = self.device.place(batch_of("digits_cnn"), task_of("digits_cnn"))
        program.set_training(training=False)
        for index in range(2):
            self.arrays[f"inferred/{index}"] = _only(program.outputs(program.infer(batch)))
        program.set_training(training=True)
        losses = [_number(program, program.loss(batch)) for _ in range(2)]
        self.facts["dropped"] = losses

    def called(self) -> None:
        """How many functions of ours a step and an inference call, once they are warm."""
        program, device = self.built(self.device, "mlp"), self.device
        batch = device.place(batch_of("mlp"), task_of("mlp"))
        for name, training in (("step", True), ("infer", False), ("gradients", True)):
            program.set_training(training=training)
            run = getattr(program, name)
            for _ in range(3):
                run(batch)
            names: list[str] = []

            def seen(frame: Any, event: str, _: Any, names: list[str] = names) -> None:
                path = frame.f_code.co_filename
                if event == "call" and f"{os.sep}benchmarks{os.sep}" in path:
                    names.append(frame.f_code.co_qualname)

            sys.setprofile(seen)
            run(batch)
            sys.setprofile(None)
            self.facts["called"][name] = names

    def exact(self) -> None:
        """One step of each odd model in float64, and what it gives before and after."""
        device = self._in_float64()
        for mode, models in EXACT[self.name].items():
            changed = copy.copy(device)
            changed.asked = replace(changed.asked, mode=mode)
            for model in models:
                self._stepped(changed, f"{mode}/{model}", model)
        if self.name in TURNED and self.dialect == "keras":
            device.asked = replace(device.asked, layout="channels_first")
            device.keras.config.set_image_data_format("channels_first")
            self._stepped(device, "turned/picture", "picture")
        if self.name == "torch":
            device.asked = replace(device.asked, layout="channels_last")
            self._stepped(device, "turned/picture", "picture")

    def variance(self) -> None:
        """A running variance as PyTorch's program leaves it, and restated as Keras keeps it."""
        import torch

        from benchmarks.frameworks.torch.inspection import Twin
        from benchmarks.frameworks.torch.program import Program

        channels = RECORDED.shape[-1]
        task = Task(
            inputs={"image": image(*RECORDED.shape[2:])},
            targets={"same": like("image")},
            loss=(LossPart("mse", "output", "same"),),
        )
        batches = [Batch({"image": x}, {"same": x}) for x in RECORDED]
        source = Source(
            task=task,
            make=lambda _: torch.nn.Sequential(torch.nn.BatchNorm2d(channels, momentum=0.1)),
        )
        twin = Twin(source, batches[0])
        told = twin.describe()
        (node,) = told.nodes
        start = {name: np.linspace(0.5, 1.5, channels) for name in node.weights}
        handoff = Handoff(
            assigned=(Assigned(node.path, {n: n for n in start}),), outputs=told.outputs
        )
        twin.load(handoff.assigned, start)
        device = self._in_float64()
        program = Program(device, source, handoff, start)
        program.set_training(training=True)
        for batch in batches:
            twin.feed(batch)
            restated = twin.train(task.steps, 1)
            program.step(device.place(batch, task))
        self.arrays["variance"] = np.stack([program.export()["variance"], restated["variance"]])

    def _stepped(self, device: Any, key: str, model: str) -> None:
        program, batch = self.built(device, model), device.place(batch_of(model), task_of(model))
        found = self.arrays

        def inferred(when: str) -> None:
            program.set_training(training=False)
            outputs = program.outputs(program.infer(batch))
            found.update({f"exact/{key}/{when}/{n}": a for n, a in outputs.items()})
            program.set_training(training=True)

        inferred("output")
        start = program.export()
        losses = [_number(program, program.loss(batch))]
        told = program.gradients(batch)
        losses.append(_number(program, told[0] if isinstance(told, tuple) else told))
        for name, held in program.export().items():
            assert np.array_equal(held, start[name]), f"{name} was moved by its gradient"
        losses.append(_number(program, program.step(batch)))
        found[f"exact/{key}/losses"] = np.array(losses)
        moved = program.export()
        found.update({f"exact/{key}/update/{n}": a - start[n] for n, a in moved.items()})
        inferred("after")
        program.reset()
        inferred("again")

    def _in_float64(self) -> Any:
        """The device in float64; a process takes its settings once, so behind its back."""
        device = copy.copy(self.device)
        asked = replace(device.asked, precision="float64")
        if self.name == "jax":
            device.jax.config.update("jax_enable_x64", val=True)
        if self.dialect == "keras":
            device.adopt(asked)
        device.asked = asked
        if "torch" in self.name:
            import torch

            device.dtype = torch.float64
        return device

    def _image_epoch(self, device: Any) -> tuple[float, ...]:
        """One epoch of a model that convolves."""
        program = self.built(device, "digits_cnn")
        small = sets.first(sets.load("digits", None, SEED), 320, 64)
        data = sets.fit_to(small, task_of("digits_cnn").inputs["image"])
        return tuple(map(float, self._epoch(device, program, data, 32).run()))

    def _epoch(self, device: Any, program: Any, data: Dataset, size: int) -> Any:
        trainer = discovery.trainer(self.name, frameworks.facts(self.name).trainer)
        train, test = (data.x_train, data.y_train), (data.x_test, data.y_test)
        samples = Samples(train=train, test=test, size=size, scale=data.scale)
        return trainer.fit(device, program, samples)


def main() -> None:
    """Probe one framework."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    first = next(iter(MODES[name]))
    refusal = _refusal(name, first)
    device = frameworks.part(name, "device").Device(Settings(mode=first, threads=1, seed=SEED))
    probe = Probe(name, json.loads((folder / "handoffs.json").read_text()), device)
    probe.facts["without_a_gpu"] = refusal
    probe.facts["imported"] = [module for module in frameworks.OURS if module in sys.modules]
    for mode, models in MODES[name].items():
        changed = probe.in_mode(mode)
        probe.facts["settings"][mode] = changed.settings()
        for model in models:
            probe.steps(changed, f"{mode}/{model}", model)
    for mode in EPOCHS[name]:
        changed = probe.in_mode(mode)
        probe.facts["epochs"][mode] = probe.epochs(changed, "mlp")
        for model in FITTED:
            probe.facts["epochs"][f"{mode}, {model}"] = probe.epochs(changed, model)
    probe.load()
    for model in KEPT:
        exported = probe.built(device, model).export()
        probe.arrays |= {f"kept/{model}/{key}": values for key, values in exported.items()}
    probe.dropping()
    probe.called()
    if name in TURNED:
        probe.in_both_layouts()
    if name == "torch":
        probe.variance()
    probe.exact()
    (folder / "facts.json").write_text(json.dumps(probe.facts))
    np.savez(folder / "arrays.npz", allow_pickle=False, **probe.arrays)


def _refusal(name: str, mode: str) -> str:
    """What becomes of a stack on a GPU that this process does not see, and why."""
    try:
        frameworks.part(name, "device").Device(Settings(mode=mode, device="cuda"))
    except Exception as error:
        return f"{shortage.status(error, 'cuda')} {error}"
    return "it was made"


def _number(program: Any, value: Any) -> float:
    return float(_only(program.outputs(value)))


def _only(outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    (value,) = outputs.values()
    return value


def _undropped(make: Any) -> Any:
    """The same, with everything that drops at random at a rate of zero."""

    def made(task: Task) -> Any:
        model = make(task)
        if hasattr(model, "modules"):
            for module in model.modules():
                if type(module).__name__.startswith("Dropout"):
                    module.p = 0.0
        for layer in getattr(model, "layers", ()):
            if "Dropout" in type(layer).__name__:
                layer.rate = 0.0
        return model

    return made


if __name__ == "__main__":
    main()
