"""ConvNeXt-T as ``keras.applications`` defines it."""

import keras

from benchmarks.tasks.task import Task


def build(task: Task) -> keras.Model:
    """The model, its weights not yet set; it gives logits."""
    return keras.applications.ConvNeXtTiny(
        weights=None,
        input_shape=task.inputs["image"].shape,
        classes=task.targets["label"].count,
        classifier_activation=None,
        include_preprocessing=False,
    )
