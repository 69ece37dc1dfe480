"""What both twins of a model share: shapes, layers, optimizer and sizes, in no framework's terms.

The layers are listed once, in forward order, with the names that both twins use. Parameter count,
FLOPs, seeded weights and the mapping of weights all follow from that list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ctypes import c_float
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal, Protocol

Kind = Literal["image", "features", "tokens"]
Shapes = dict[str, tuple[int, ...]]


class Layer(Protocol):
    """A layer with weights."""

    @property
    def name(self) -> str:
        """The same in both twins."""

    @property
    def trainable(self) -> bool:
        """Whether the optimizer moves it."""

    @property
    def parameters(self) -> Shapes:
        """Canonical (Keras) shapes of what gradients reach."""

    @property
    def buffers(self) -> Shapes:
        """Canonical shapes of the state that gradients do not reach."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample's forward pass, convolutions and products only."""

    @property
    def reduction(self) -> int:
        """Terms in the longest sum that makes one output value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D:
    """A square 2-D convolution; ``out`` is the height and width of its output."""

    name: str
    inputs: int
    filters: int
    kernel: int
    out: tuple[int, int]
    bias: bool = True
    trainable: bool = True

    @property
    def parameters(self) -> Shapes:
        """Kernel as height, width, inputs, filters."""
        shapes: Shapes = {"kernel": (self.kernel, self.kernel, self.inputs, self.filters)}
        return shapes | ({"bias": (self.filters,)} if self.bias else {})

    @property
    def buffers(self) -> Shapes:
        """None."""
        return {}

    @property
    def macs(self) -> int:
        """One product per kernel element, output position and filter."""
        return prod(self.out) * self.filters * self.reduction

    @property
    def reduction(self) -> int:
        """The size of one receptive field."""
        return self.kernel**2 * self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer; ``grid`` is the height, width, channels it was flattened from.

    The canonical kernel has its rows in height, width, channels order; a channels-first dialect
    reorders them.
    """

    name: str
    inputs: int
    units: int
    grid: tuple[int, int, int] | None = None
    trainable: bool = True

    @property
    def parameters(self) -> Shapes:
        """Kernel as inputs, units."""
        return {"kernel": (self.inputs, self.units), "bias": (self.units,)}

    @property
    def buffers(self) -> Shapes:
        """None."""
        return {}

    @property
    def macs(self) -> int:
        """One product per weight."""
        return self.inputs * self.units

    @property
    def reduction(self) -> int:
        """The inputs."""
        return self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNorm:
    """Batch normalisation over the channels; ``out`` is the height and width it sees.

    ``scale`` is where its scale starts, on average.
    """

    name: str
    channels: int
    out: tuple[int, int] = (1, 1)
    scale: float = 1.0
    trainable: bool = True

    @property
    def parameters(self) -> Shapes:
        """Scale and shift."""
        return {"gamma": (self.channels,), "beta": (self.channels,)}

    @property
    def buffers(self) -> Shapes:
        """Running statistics."""
        return {"mean": (self.channels,), "variance": (self.channels,)}

    @property
    def macs(self) -> int:
        """None by convention: published counts leave normalisation out."""
        return 0

    @property
    def reduction(self) -> int:
        """The positions of one sample's map."""
        return prod(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A table of vectors."""

    name: str
    vocabulary: int
    units: int
    trainable: bool = True

    @property
    def parameters(self) -> Shapes:
        """The table."""
        return {"table": (self.vocabulary, self.units)}

    @property
    def buffers(self) -> Shapes:
        """None."""
        return {}

    @property
    def macs(self) -> int:
        """A lookup multiplies nothing."""
        return 0

    @property
    def reduction(self) -> int:
        """Nothing is summed."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LSTM:
    """One long short-term memory layer; gates in the order input, forget, cell, output."""

    name: str
    inputs: int
    units: int
    steps: int
    trainable: bool = True

    @property
    def parameters(self) -> Shapes:
        """Input and recurrent kernels for four gates, and one bias."""
        return {
            "kernel": (self.inputs, 4 * self.units),
            "recurrent_kernel": (self.units, 4 * self.units),
            "bias": (4 * self.units,),
        }

    @property
    def buffers(self) -> Shapes:
        """None."""
        return {}

    @property
    def macs(self) -> int:
        """Two products per step."""
        return self.steps * 4 * self.units * (self.inputs + self.units)

    @property
    def reduction(self) -> int:
        """Inputs and state, accumulated over the steps."""
        return (self.inputs + self.units) * self.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """Stochastic gradient descent with momentum, or Adam in Keras' form.

    Adam: ``w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + epsilon)`` (Kingma & Ba 2015,
    section 2, the reordered form). Every constant is rounded to float32, because Keras does so
    whatever the precision of the variables.
    """

    name: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.9
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        for name in ("learning_rate", "momentum", "beta_1", "beta_2", "epsilon"):
            object.__setattr__(self, name, c_float(getattr(self, name)).value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one effort runs: batch, input shape (``None``: the published one), samples per epoch."""

    batch: int
    input_shape: tuple[int, ...] | None = None
    train_samples: int | None = None
    test_samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model in no framework's terms.

    ``heavy`` leaves it out of a quick run that names no models.
    ``input_shape`` is one sample, channels last. ``architecture`` lists the layers for the input
    shape at hand. ``dropout`` says that training draws random masks; ``deterministic`` switches
    them off, which is how identity is proven.
    """

    title: str
    reference: str
    kind: Kind
    input_shape: tuple[int, ...]
    classes: int
    architecture: Callable[[ModelSpec], tuple[Layer, ...]]
    sizes: Mapping[str, Size]
    vocabulary: int | None = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    proof_batch: int = 8
    dropout: bool = False
    deterministic: bool = False
    heavy: bool = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers with weights, in forward order."""
        return self.architecture(self)

    @property
    def convolves(self) -> bool:
        """Whether it convolves images, so that their layout may matter."""
        return any(isinstance(layer, Conv2D) for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Number of parameters, running statistics not counted."""
        return sum(prod(shape) for layer in self.layers for shape in layer.parameters.values())

    def size(self, effort: str) -> Size:
        """The size that an effort runs; ``release`` runs the published one of ``standard``."""
        return self.sizes["quick" if effort == "quick" else "standard"]

    def at(self, size: Size) -> ModelSpec:
        """The same model for a size's input shape."""
        return replace(self, input_shape=size.input_shape or self.input_shape)

    def flops(self, phase: str) -> float | None:
        """FLOPs of one sample; ``None`` where a phase has no count."""
        forward = sum((each for _, each, _ in self.layer_flops()), 0.0)
        backward = sum((each for _, _, each in self.layer_flops()), 0.0)
        known = {"forward": forward, "backward": backward, "train_step": forward + backward}
        return known.get(phase)

    def layer_flops(self) -> Iterator[tuple[str, float, float]]:
        """Name of each layer and FLOPs of one sample, forward and backward.

        Two per multiply-accumulate. The backward pass of a layer costs one forward for the gradient
        of its weights, where it is trainable, and one for the gradient of its input, where
        something before it is trainable.
        """
        learning = False
        for layer in self.layers:
            forward = 2.0 * layer.macs
            yield layer.name, forward, forward * (layer.trainable + learning)
            learning = learning or layer.trainable
