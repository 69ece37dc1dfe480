"""Phases: what each of them runs, in which mode, and what it counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.frameworks.contracts import Epoch, Placed, Samples
from benchmarks.request import discovery
from benchmarks.results.records import Learned
from benchmarks.tasks.data import sets
from benchmarks.tasks.metrics import accuracy
from benchmarks.tasks.task import Batch, Task, classes
from benchmarks.worker.phases._protocol import Built, Work

DATA = sets.Dataset(
    name="counted",
    x_train=np.arange(8, dtype=np.uint8)[:, None],
    y_train=np.zeros(8, np.int64),
    x_test=np.arange(4, dtype=np.uint8)[:, None],
    y_test=np.zeros(4, np.int64),
    classes=2,
    scale=8.0,
)


BATCH = Placed(("x",), ("y",))


class Recorder:
    """A device, a program and a trainer that only write down what they are asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.epochs = 0

    def set_training(self, *, training: bool) -> None:
        self.asked.append("training" if training else "inference")

    def reset(self) -> None:
        self.asked.append("reset")

    def infer(self, batch: Placed) -> str:
        self.asked.append(("infer", batch))
        return "outputs"

    def postprocess(self, outputs: Any) -> None:
        self.asked.append(("postprocess", outputs))

    def first_token(self, batch: Placed) -> str:
        self.asked.append(("first_token", batch))
        return "held"

    def next_token(self, held: str) -> str:
        self.asked.append(("next_token", held))
        return "held on"

    def loss(self, batch: Placed) -> None:
        self.asked.append(("loss", batch))

    def gradients(self, batch: Placed) -> None:
        self.asked.append(("gradients", batch))

    def step(self, batch: Placed) -> None:
        self.asked.append(("step", batch))

    def batches(self, x: Any, y: Any, *, size: int, scale: float) -> Any:
        self.asked.append(("batches", len(y), scale))

        class Loader:
            def __iter__(self) -> Iterator[list[int]]:
                for start in range(0, len(x), size):
                    yield x[start : start + size, 0].tolist()

        return Loader()

    def fit(self, device: Any, program: Any, samples: Samples) -> Epoch:
        assert device is program is self
        assert samples.train == (DATA.x_train, DATA.y_train)
        assert samples.test == (DATA.x_test, DATA.y_test)
        self.asked.append(("fit", samples.size, samples.scale))

        def run() -> tuple[float, float, float, float]:
            self.epochs += 1
            return 1.0 / self.epochs, 0.5, 2.0, 0.25

        return Epoch(run=run)


def _prepared(
    phase: str,
    data: sets.Dataset | None = None,
    task: Task | None = None,
    recorder: Recorder | None = None,
) -> tuple[Recorder, Work]:
    recorder = recorder or Recorder()
    session = Built(
        device=recorder,
        program=recorder,
        trainer=recorder,
        recorder="null",
        task=task or Task(inputs={}),
        keys={},
        weights={},
        fed=Batch({}, {}),
        batch=BATCH,
        batch_size=4,
        data=data,
    )
    work: Work = discovery.load("phases", phase).prepare(session)
    return recorder, work


def test_forward_runs_in_inference_mode() -> None:
    recorder, work = _prepared("forward")
    work.run()
    assert recorder.asked == ["inference", ("infer", BATCH)]
    assert (work.before, work.baseline, work.discard, work.items) == (None, None, 2, 4)


def test_postprocess_takes_the_outputs_of_one_inference_again_and_again() -> None:
    recorder, work = _prepared("postprocess")
    work.run()
    work.run()
    assert recorder.asked == ["inference", ("infer", BATCH), *[("postprocess", "outputs")] * 2]
    assert (work.before, work.baseline, work.items) == (None, None, 4)


def test_generation_is_timed_as_a_prompt_and_as_one_token_at_the_same_place() -> None:
    recorder, work = _prepared("first_token")
    work.run()
    assert recorder.asked == ["inference", ("first_token", BATCH)]
    assert work.items == 4
    recorder, work = _prepared("next_token")
    work.run()
    work.run()
    assert recorder.asked == ["inference", ("first_token", BATCH), *[("next_token", "held")] * 2]
    assert (work.before, work.baseline, work.items) == (None, None, 4)


def test_backward_is_what_gradients_cost_beyond_the_loss() -> None:
    recorder, work = _prepared("backward")
    assert work.baseline is not None
    work.run()
    work.baseline()
    assert recorder.asked == ["training", ("gradients", BATCH), ("loss", BATCH)]
    assert work.items == 4


def test_every_turn_of_training_starts_from_the_same_weights() -> None:
    recorder, work = _prepared("train_step")
    assert work.before is not None
    work.before()
    work.run()
    assert recorder.asked == ["training", "reset", ("step", BATCH)]
    assert (work.baseline, work.items) == (None, 4)


def test_dataload_gives_batch_after_batch_and_starts_over() -> None:
    recorder, work = _prepared("dataload", DATA)
    assert work.bursts  # what was read ahead comes at once: only a whole turn tells the pace
    assert [work.run() for _ in range(5)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [0, 1, 2, 3],
    ]
    assert (work.items, work.discard) == (4, 4)
    assert recorder.asked == [("batches", 8, 8.0)]


def test_an_epoch_is_timed_once_per_turn_from_the_first_weights() -> None:
    recorder, work = _prepared("epoch", DATA)
    assert work.before is not None
    work.before()
    work.run()
    work.run()
    assert recorder.asked == [("fit", 4, 8.0), "reset"]
    assert recorder.epochs == 2
    assert (work.iterations, work.warm_up, work.discard, work.items) == (1, 1, 0, 8)
    assert work.learned == [
        Learned(
            train_loss=loss,
            train_accuracy=0.5,
            test_loss=2.0,
            test_accuracy=0.25,
            train_samples=8,
            test_samples=4,
        )
        for loss in (1.0, 0.5)
    ]


class Judged(Recorder):
    """A program whose outputs are the logits of class 1, then of class 0."""

    def infer(self, batch: Any) -> str:
        self.asked.append(len(batch))
        return "outputs"

    def outputs(self, value: Any) -> dict[str, Any]:
        assert value == "outputs"
        return {"output": np.array([[0.0, 1.0], [1.0, 0.0]] * 2)}


def test_the_last_epoch_is_judged_by_the_tasks_metrics_once_all_turns_are_taken() -> None:
    task = Task(inputs={}, targets={"label": classes(2)}, metrics=(accuracy(),))
    recorder, work = _prepared("epoch", DATA, task, Judged())
    assert work.after is not None
    work.after()
    assert work.learned == []
    work.run()
    work.run()
    assert [one.metrics for one in work.learned] == [{}, {}]
    work.after()
    assert [one.metrics for one in work.learned] == [{}, {"accuracy": 0.5}]
    assert recorder.asked[-3:] == ["inference", ("batches", 4, 8.0), 4]


@pytest.mark.parametrize("phase", ["dataload", "epoch"])
def test_real_data_must_be_named(phase: str) -> None:
    assert discovery.load("phases", phase).NEEDS_DATA
    with pytest.raises(ValueError, match="the plan names none"):
        _prepared(phase)


def test_a_cold_start_is_no_turn() -> None:
    with pytest.raises(NotImplementedError, match="by starting a worker"):
        _prepared("cold_start")


@pytest.mark.parametrize("phase", ["forward", "backward", "train_step", "cold_start"])
def test_synthetic_phases_need_no_data(phase: str) -> None:
    assert not discovery.load("phases", phase).NEEDS_DATA
