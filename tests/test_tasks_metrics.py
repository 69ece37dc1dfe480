"""Metrics against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks.metrics import (
    FUNCTIONS,
    Metric,
    accuracy,
    compute,
    mean_absolute_error,
    mean_squared_error,
    top_5_accuracy,
)
from benchmarks.tasks.task import Input, LossPart, Target, Task, TaskError, check

LOGITS = np.array([[1.0, 3.0, 2.0], [5.0, 4.0, 0.0], [0.0, 1.0, 2.0], [9.0, 0.0, 0.0]])


def test_accuracy_counts_the_largest_logits() -> None:
    found = compute(accuracy("out", "kind"), {"out": LOGITS}, {"kind": np.array([1, 1, 2, 0])})
    assert found == 0.75


def test_accuracy_is_of_every_step() -> None:
    kinds = np.array([[1, 1], [2, 1]])
    assert compute(accuracy(), {"output": LOGITS.reshape(2, 2, 3)}, {"label": kinds}) == 0.5


def test_the_five_largest_are_enough() -> None:
    logits = np.tile(np.arange(7.0), (3, 1))
    assert compute(top_5_accuracy(), {"output": logits}, {"label": np.array([6, 2, 1])}) == (
        pytest.approx(2 / 3)
    )


def test_errors_of_values() -> None:
    outputs, targets = {"output": np.array([[1.0], [4.0]])}, {"value": np.array([2.0, 2.0])}
    assert compute(mean_absolute_error(), outputs, targets) == 1.5
    assert compute(mean_squared_error(), outputs, targets) == 2.5


def test_every_metric_has_a_name() -> None:
    made = (accuracy(), top_5_accuracy(), mean_absolute_error(), mean_squared_error())
    assert [one.name for one in made] == list(FUNCTIONS)


@pytest.mark.parametrize("metric", [Metric("bleu", "output", "y"), accuracy("output", "label")])
def test_a_metric_that_cannot_be_is_refused_in_one_line(metric: Metric) -> None:
    task = Task(
        inputs={"x": Input("features", (3,))},
        targets={"y": Target("classes", count=3)},
        loss=(LossPart("cross_entropy", "output", "y"),),
        metrics=(metric,),
    )
    with pytest.raises(TaskError, match="the metric one of accuracy, top_5_accuracy"):
        check(task)
