from boxes_keras import detector as detector
from boxes_keras import loss as masked
from keras import losses, ops


def loss(outputs, targets):
    kind = losses.sparse_categorical_crossentropy(
        targets["seen.classes"], outputs["classes"], from_logits=True
    )
    return {"box": masked(outputs, targets)["box"], "class": ops.mean(kind)}
