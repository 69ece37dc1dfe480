"""What a step must compute and move, counted once from the proven layers, alike for all stacks.

FLOPs are two per multiply-accumulate. Bytes are those of weights and of the maps between layers
with weights, each map written once and read once per pass that needs it. Caches and fusion may save
some of it, and real code moves more; it is a yardstick that no stack bends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from benchmarks.frameworks.description import Description, Node
from benchmarks.results.records import LayerWork
from benchmarks.tasks.optimizers import SGD
from benchmarks.tasks.task import Task

BYTES = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}
UPDATE_SGD, UPDATE_ADAPTIVE = 5, 7
"""Numbers that an update moves per weight: gradient, weight twice, and each moment twice."""
FORWARD_MAPS = 2
"""Times a map is moved forward: written, and read by the next layer."""
BACKWARD_MAPS = 3
"""And backward: read again, its gradient written, and read by the layer before."""
Layers = Sequence[LayerWork]


def layers(told: Description) -> tuple[LayerWork, ...]:
    """The work of each layer with weights, in forward order."""
    return tuple(_layer(node) for node in told.nodes)


def flops(of: Layers, phase: str, task: Task | None = None) -> float | None:
    """FLOPs of one sample; ``None`` where a phase has no count, or a layer's is unknown.

    Several objectives of a ``task`` take parts of the model in turn: only ``forward`` is counted.
    """
    in_turn = task is not None and task.objectives and phase != "forward"
    if in_turn or any(layer.macs is None for layer in of):
        return None
    forward = sum((each for _, each, _ in by_layer(of)), 0.0)
    backward = sum((each for _, _, each in by_layer(of)), 0.0)
    known = {"forward": forward, "backward": backward, "train_step": forward + backward}
    return known.get(phase)


def by_layer(of: Layers) -> Iterator[tuple[str, float, float]]:
    """Name of each layer and FLOPs of one sample, forward and backward.

    The backward pass of a layer costs one forward for the gradient of its weights, where it is
    trainable, and one for the gradient of its input, where something before it is trainable.
    """
    learning = False
    for layer in of:
        forward = 2.0 * (layer.macs or 0)
        yield layer.name, forward, forward * (layer.trainable + learning)
        learning = learning or layer.trainable


def bytes_of(of: Layers, task: Task, phase: str, batch: int, precision: str) -> float | None:
    """Bytes that one iteration of a phase must move; ``None`` where a phase has no count.

    Backward passes end at the first layer that learns. Of an embedding's table the rows looked up
    are counted.

    Args:
        of: the proven layers.
        task: at the input shapes that are run.
        phase: ``forward``, ``backward`` or ``train_step``.
        batch: samples per iteration.
        precision: of maps; weights and their gradients stay in float32 below it.
    """
    if phase not in {"forward", "backward", "train_step"} or not of:
        return None
    if task.objectives and phase != "forward":
        return None
    of_map = BYTES[precision]
    of_weight = max(of_map, BYTES["float32"])
    moved = UPDATE_SGD if isinstance(task.optimizer, SGD) else UPDATE_ADAPTIVE
    forward = of_map * batch * sum(prod(one.shape) for one in task.inputs.values())
    backward, update, learning = 0, 0, False
    for layer in of:
        touched = layer.parameters
        if layer.looked_up:
            touched = min(touched, batch * layer.output)
        weights, maps = of_weight * touched, of_map * batch * layer.output
        forward += weights + FORWARD_MAPS * maps
        if layer.trainable:
            update += moved * weights
        if learning or layer.trainable:
            backward += weights * (1 + layer.trainable) + BACKWARD_MAPS * maps
        learning = learning or layer.trainable
    counted = {"forward": forward, "backward": backward, "train_step": forward + backward + update}
    return float(counted[phase])


def _layer(node: Node) -> LayerWork:
    held = [weight for weight in node.weights.values() if not weight.buffer]
    return LayerWork(
        name=node.path,
        kind=node.kind,
        parameters=sum(prod(weight.shape) for weight in held),
        trainable=any(weight.trainable for weight in held),
        macs=node.macs if not node.kind.startswith("?") else None,
        output=_output(node),
        terms=_terms(node),
        looked_up=node.kind == "Embedding",
    )


def _output(node: Node) -> int:
    """Numbers that a layer gives for one sample; a recurrent layer gives a state at every step."""
    given = node.total or max(1, node.calls) * prod(node.output or ())
    steps = _steps(node)
    if steps and node.output is not None and len(node.output) == 1:
        return given * steps
    return given


def _terms(node: Node) -> int:
    """Terms in the longest sum of a layer, over all its steps."""
    kernels = [w.shape for n, w in node.weights.items() if n.endswith("kernel")]
    if not kernels:
        # A normalisation sums over the positions of a map.
        return max(1, prod((node.output or ())[:-1])) if node.kind != "Embedding" else 1
    terms = sum(prod(shape[:-1]) for shape in kernels)
    return terms * (_steps(node) or 1)


def _steps(node: Node) -> int:
    """The steps of (steps, in) that a recurrent layer takes; 0 for a cell and any other layer."""
    if "recurrent_kernel" not in node.weights or node.input is None or len(node.input) < 2:  # noqa: PLR2004 - steps and features
        return 0
    return node.input[0]
