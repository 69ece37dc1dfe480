"""A task is refused where its loss could not fail, and its batches depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks.task import Input, LossPart, Target, Task, TaskError, check, draw

CLASSIFIER = Task(
    inputs={"x": Input("features", (20,))},
    targets={"y": Target("classes", count=10)},
    loss=(LossPart("cross_entropy", "output", "y"),),
)


def test_an_honest_task_passes() -> None:
    check(CLASSIFIER)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Task(inputs={}), "at least one input"),
        (
            Task(inputs={"x": Input("features", (20,))}, targets={"y": Target("classes", count=1)}),
            "every loss and gradient would be zero",
        ),
        (Task(inputs={"x": Input("tokens", (8,))}), "vocabulary of at least 2"),
        (Task(inputs={"x": Input("image", (32, 32))}), "HEIGHTxWIDTHxCHANNELS"),
        (
            Task(inputs={"x": Input("noise", (4,))}, targets={"y": Target("like", source="image")}),
            "no input 'image'",
        ),
        (
            Task(inputs={"x": Input("noise", (4,))}, loss=(LossPart("mse", "output", "y"),)),
            "no target 'y'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(task: Task, text: str) -> None:
    with pytest.raises(TaskError, match=text):
        check(task)


def test_a_batch_has_the_shapes_and_types_that_were_asked() -> None:
    task = Task(
        inputs={
            "image": Input("image", (8, 6, 3)),
            "words": Input("tokens", (5,), vocabulary=7),
            "mask": Input("mask", (5,)),
        },
        targets={
            "label": Target("classes", count=4),
            "each": Target("classes", (5,), count=7),
            "tags": Target("labels", count=14),
            "value": Target("values", (2,)),
            "same": Target("like", source="image"),
        },
    )
    batch = draw(task, 3, seed=1)
    assert {n: (a.shape, a.dtype.name) for n, a in batch.inputs.items()} == {
        "image": ((3, 8, 6, 3), "float64"),
        "words": ((3, 5), "int32"),
        "mask": ((3, 5), "bool"),
    }
    assert {n: (a.shape, a.dtype.name) for n, a in batch.targets.items()} == {
        "label": ((3,), "int64"),
        "each": ((3, 5), "int64"),
        "tags": ((3, 14), "float64"),
        "value": ((3, 2), "float64"),
        "same": ((3, 8, 6, 3), "float64"),
    }
    assert batch.inputs["words"].max() < 7
    assert batch.inputs["mask"][:, 0].all()
    assert set(np.unique(batch.targets["tags"])) <= {0.0, 1.0}
    assert np.array_equal(batch.targets["same"], batch.inputs["image"])


def test_values_are_those_of_float32_and_of_their_own_name_and_seed() -> None:
    one, again, other = (draw(CLASSIFIER, 4, seed) for seed in (0, 0, 1))
    x = one.inputs["x"]
    assert np.array_equal(x, again.inputs["x"])
    assert not np.array_equal(x, other.inputs["x"])
    assert np.array_equal(x, x.astype(np.float32))
    wider = Task(inputs={"z": Input("noise", (2,)), **CLASSIFIER.inputs})
    assert np.array_equal(draw(wider, 4, 0).inputs["x"], x)
