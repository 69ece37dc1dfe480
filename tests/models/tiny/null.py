"""The twin of the framework that computes nothing: shapes of weights by layer."""

from benchmarks.tasks.task import Task


def build(task: Task) -> dict[str, dict[str, tuple[int, ...]]]:
    """One dense layer."""
    (inputs,), classes = task.inputs["features"].shape, task.targets["label"].count
    return {"dense": {"kernel": (inputs, classes), "bias": (classes,)}}
