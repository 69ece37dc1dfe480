"""What a worker tells of its twin: layers in forward order, what they drop, and what they compute.

All of it is plain data, so that the parent, which imports no framework, can match and compare.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A canonical weight of a node: its shape, whether it is trained, and where it starts.

    ``start`` is ``(mean, standard deviation)`` of the values that the twin's own code gave it.
    """

    shape: tuple[int, ...]
    trainable: bool = True
    buffer: bool = False
    start: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A layer with weights (or one of its parts), in the order in which a forward pass calls it.

    ``path`` is unique in its twin. ``kind`` is a name of ``benchmarks.tasks.layers`` or the class
    behind a question mark (``?MyLayer``) where no kind is known; ``cls`` is the class. ``input``
    and ``output`` are canonical shapes of its first call without the batch axis, ``None`` where it
    was never called; ``total`` is how many numbers all of its calls gave for one sample, whose
    shapes may differ. ``macs`` of all calls is ``None`` where they are unknown. ``grid_in`` and
    ``grid_out`` are (channels, *space) where the layer's input (output) features are a flattened
    channels-first map.
    """

    path: str
    kind: str
    cls: str
    weights: dict[str, Weight]
    constants: dict[str, Any] = field(default_factory=dict)
    calls: int = 1
    input: tuple[int, ...] | None = None
    output: tuple[int, ...] | None = None
    total: int = 0
    macs: int | None = None
    grid_in: tuple[int, ...] | None = None
    grid_out: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A call without weights, in forward order: an activation, a pooling, a padding, a flattening.

    ``name`` is lower case and without underscores, the same in every dialect where that is possible
    (``relu``, ``gelu``, ``softmax``, ``maxpool``, ``avgpool``, ``interpolate``, ``flatten``).
    ``constants`` are its stated settings. ``after`` is the number of nodes called before it.
    ``key`` names its arrays in the trace: ``step/<key>/in`` and ``step/<key>/out``.
    """

    name: str
    after: int
    key: str
    constants: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Something random in a training step: what, its rate, and the nodes called before it.

    ``what``: ``dropout``, ``spatial dropout``, ``recurrent dropout``, ``input dropout of the
    layer``, ``attention dropout``, ``gaussian noise``, … ``where`` is the path of the layer.
    """

    what: str
    rate: float
    after: int
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output: its canonical shape without the batch axis, and how the twin itself lays it out.

    ``first``: the twin gives it channels first. ``grid``: (channels, *space) of a channels-first
    map that it gives flattened.
    """

    shape: tuple[int, ...]
    first: bool = False
    grid: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A twin, told.

    ``regularisers`` names the losses that the twin itself adds: ``layer: attribute``. ``random``
    names functions that draw random numbers in a way that cannot be switched off. ``outputs`` are
    by name. ``optimizer`` tells of one that the twin defines itself: ``class``, ``learning_rate``,
    ``weight_decay``, ``decoupled``, ``momentum``, ``beta_1``, ``beta_2``, ``epsilon``.
    """

    nodes: tuple[Node, ...]
    steps: tuple[Step, ...] = ()
    drops: tuple[Drop, ...] = ()
    outputs: dict[str, Output] = field(default_factory=dict)
    parameters: int = 0
    regularisers: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    optimizer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the match says of one node of a twin: the canonical name of its weights.

    ``weights`` maps the node's own names of weights to canonical keys; ``grid_in`` and
    ``grid_out`` as in ``Node``, for a twin that stores features channels first.
    """

    path: str
    weights: dict[str, str]
    grid_in: tuple[int, ...] | None = None
    grid_out: tuple[int, ...] | None = None


OPTIMIZER = "(optimizer)"
"""The path under which constants of a twin's own optimizer are changed."""
Arrays = dict[str, NDArray[Any]]
"""Arrays of a trace, float64 and channels last, keyed:

``output/<name>``, ``loss/<part>``, ``loss``, ``gradient/<canonical key>``,
``input_gradient/<input>``, ``node/<path>/in``, ``node/<path>/out``, ``step/<key>/in``,
``step/<key>/out``, ``drop/<index>``, and those of ``decisions.made`` and ``decisions.generated``.
"""
