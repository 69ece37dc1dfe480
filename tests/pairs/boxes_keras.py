import keras
from keras import layers, ops


def detector(slots=5, classes=3):
    image = layers.Input((16, 16, 3), name="image")
    x = layers.ZeroPadding2D(1)(image)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    boxes = layers.Dense(slots * 4, activation="sigmoid", name="boxes")(x)
    kinds = layers.Dense(slots * classes, name="classes")(x)
    return keras.Model(
        image,
        {
            "boxes": layers.Reshape((slots, 4))(boxes),
            "classes": layers.Reshape((slots, classes))(kinds),
        },
    )


def loss(outputs, targets):
    mask = ops.cast(targets["seen.mask"], outputs["boxes"].dtype)
    apart = ops.abs(outputs["boxes"] - targets["seen.boxes"])
    box = ops.sum(ops.where(apart < 1, 0.5 * apart**2, apart - 0.5), axis=-1)
    kind = keras.losses.sparse_categorical_crossentropy(
        targets["seen.classes"], outputs["classes"], from_logits=True
    )
    return {
        "box": ops.sum(box * mask) / ops.sum(mask),
        "class": ops.sum(kind * mask) / ops.sum(mask),
    }
