"""The bytes that a step must move, counted once from a model's spec and the same for all stacks.

Counted are weights and the maps between layers with weights, each map written once and read once
per pass that needs it. Caches and fusion may save some of it, and real code moves more; it is a
yardstick that no stack bends.
"""

from __future__ import annotations

from math import prod

from benchmarks.models._spec import (
    LSTM,
    BatchNorm,
    Conv2D,
    Dense,
    Embedding,
    Layer,
    ModelSpec,
)

BYTES = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}
UPDATES = {"sgd": 5, "adam": 7}
"""Numbers that an update moves per weight: gradient, weight twice, and each moment twice."""
FORWARD_MAPS = 2
"""Times a map is moved forward: written, and read by the next layer."""
BACKWARD_MAPS = 3
"""And backward: read again, its gradient written, and read by the layer before."""


def bytes_of(spec: ModelSpec, phase: str, batch: int, precision: str) -> float | None:
    """Bytes that one iteration of a phase must move; ``None`` where a phase has no count.

    Backward passes end at the first layer that learns. Of an embedding's table the rows looked up
    are counted.

    Args:
        spec: the model at the input shape that is run.
        phase: ``forward``, ``backward`` or ``train_step``.
        batch: samples per iteration.
        precision: of maps; weights and their gradients stay in float32 below it.
    """
    if phase not in {"forward", "backward", "train_step"}:
        return None
    of_map = BYTES[precision]
    of_weight = max(of_map, BYTES["float32"])
    forward = of_map * batch * prod(spec.input_shape)
    backward, update, learning = 0, 0, False
    for layer in spec.layers:
        weights = of_weight * _weights(layer, batch, spec)
        maps = of_map * batch * _outputs(layer, spec)
        forward += weights + FORWARD_MAPS * maps
        if layer.trainable:
            update += UPDATES[spec.optimizer.name] * weights
        if learning or layer.trainable:
            backward += weights * (1 + layer.trainable) + BACKWARD_MAPS * maps
        learning = learning or layer.trainable
    counted = {"forward": forward, "backward": backward, "train_step": forward + backward + update}
    return float(counted[phase])


def _weights(layer: Layer, batch: int, spec: ModelSpec) -> int:
    """Numbers of a layer's weights that a step touches."""
    every = sum(map(prod, layer.parameters.values()))
    return min(every, batch * _outputs(layer, spec)) if isinstance(layer, Embedding) else every


def _outputs(layer: Layer, spec: ModelSpec) -> int:
    """Numbers that a layer with weights gives for one sample.

    Raises:
        TypeError: a kind of layer that nobody counted.
    """
    match layer:
        case Conv2D():
            return prod(layer.out) * layer.filters
        case BatchNorm():
            return prod(layer.out) * layer.channels
        case LSTM():
            return layer.steps * layer.units
        case Embedding():
            return prod(spec.input_shape) * layer.units
        case Dense():
            return layer.units
    raise TypeError(f"nobody counted the output of a {type(layer).__name__}")
