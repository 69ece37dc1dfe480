"""A task is refused where its loss could not fail, and its batches depend on the seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks import words
from benchmarks.tasks.task import (
    Input,
    LossPart,
    Target,
    Task,
    TaskError,
    boxes,
    check,
    draw,
    image,
    known,
)

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


def test_boxes_are_padded_and_masked_alike() -> None:
    task = Task(inputs={"x": Input("image", (8, 8, 3))}, targets=boxes("seen", 5, 7), loss=None)
    check(task)
    drawn = draw(task, 200, 3).targets
    corners, kinds, there = (drawn[f"seen.{name}"] for name in ("boxes", "classes", "mask"))
    assert (corners.shape, kinds.shape, there.shape) == ((200, 5, 4), (200, 5), (200, 5))
    assert (kinds.dtype.name, there.dtype.name) == ("int64", "bool")
    assert set(there.sum(1)) == {1, 2, 3, 4, 5}
    assert (np.sort(there, axis=1)[:, ::-1] == there).all()
    assert not corners[~there].any()
    assert not kinds[~there].any()
    assert set(kinds[there]) == set(range(7))
    left, top, right, bottom = np.moveaxis(corners[there], -1, 0)
    assert ((left >= 0) & (left < right) & (right <= 1)).all()
    assert ((top >= 0) & (top < bottom) & (bottom <= 1)).all()


@pytest.mark.parametrize(
    ("target", "loss", "said"),
    [
        ("b=boxes:4:classes=3", None, "no loss of boxes; add --loss own"),
        ("b=boxes:4", "own", "boxes:20:classes=80"),
        ("b=boxes:0:classes=3", "own", "room for one object"),
        ("b=boxes:4:classes=0", "own", "one class at least"),
    ],
)
def test_boxes_in_words_are_refused_in_one_line(target: str, loss: str | None, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        words.task(("x=image:8x8x3",), (target,), loss)


def test_a_known_target_is_an_input_too() -> None:
    targets = boxes("seen", 5, 7)
    inputs = {"boxes": known("seen.boxes", 5, 4), "x": image(8, 8, 3)}
    task = Task(inputs=inputs, targets=targets, loss=None)
    check(task)
    batch = draw(task, 3, 0)
    assert list(batch.inputs) == ["boxes", "x"]
    assert (batch.inputs["boxes"] == batch.targets["seen.boxes"]).all()
    assert batch.inputs["boxes"] is not batch.targets["seen.boxes"]
    for wrong in (known("seen.boxes", 4, 4), known("else", 5, 4)):
        with pytest.raises(TaskError, match=r"^input boxes: there is no target '.*' of its shape"):
            check(Task(inputs={"boxes": wrong}, targets=targets, loss=None))


def test_boxes_in_words() -> None:
    made = words.task(("x=image:8x8x3",), ("b=boxes:4:classes=3",), "own")
    assert dict(made.targets) == boxes("b", 4, 3)
