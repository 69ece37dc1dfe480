"""The contract every framework meets: what the worker may ask of it, and what it must guarantee."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from benchmarks.inputs import Batch, Dataset
from benchmarks.models._spec import ModelSpec
from benchmarks.weights import Weights
from profilers.ops.rows import Recording

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a worker is told; an adapter sets each of them and reads it back.

    ``device`` is ``cpu`` or ``cuda``; ``precision`` a name of ``benchmarks.rounding.ROUNDOFF``.
    In ``bfloat16`` and ``float16`` layers compute in that precision on parameters kept in float32.
    ``layout`` is that of images (``channels_first``, ``channels_last``), ``None`` what the
    framework's users get.
    """

    mode: str
    device: str = "cpu"
    precision: str = "float32"
    threads: int = 1
    policy: str = "matched"
    layout: str | None = None
    seed: int = 0

    @property
    def storage(self) -> str:
        """The type of parameters and batches."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def compute(self) -> str:
        """The type in which layers compute."""
        return "float32" if self.precision == "tf32" else self.precision

    @property
    def mixed(self) -> bool:
        """Whether layers compute in less than their parameters are kept in."""
        return self.compute != self.storage

    @property
    def tf32(self) -> bool | None:
        """Whether NVIDIA's TF32 may stand in for float32; ``None``: as the framework has it."""
        if self.precision == "tf32" or self.policy == "best":
            return True
        return None if self.policy == "defaults" else False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One watched training-mode pass: float64, channels last, keyed by layer or parameter.

    Activations stand in forward order.
    """

    output: Array
    loss: Array
    activations: Mapping[str, Array] = field(default_factory=dict)
    activation_gradients: Mapping[str, Array] = field(default_factory=dict)
    gradients: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over real data, ready to run: batches are equal and equally ordered for all stacks.

    ``run`` trains one epoch from where the weights stand, evaluates, and returns training loss and
    accuracy, test loss and accuracy, in this order.
    """

    run: Callable[[], tuple[float, float, float, float]]


class Adapter(Protocol):
    """A framework. Importing the module must not import the framework: ``__init__`` does."""

    requires: ClassVar[tuple[str, ...]]
    """Modules that must be installed; probed without importing them."""
    late: ClassVar[tuple[str, ...]]
    """Modules that the framework imports only when first used; imported before a fork."""
    dialect: ClassVar[str]
    """Which twin it runs: ``models/<model>/<dialect>.py``."""
    layout: ClassVar[str]
    """The layout of images that its users get."""
    modes: ClassVar[Mapping[str, bool]]
    """Every mode, and whether it is part of a run that names no stacks."""
    proof_mode: ClassVar[str]
    """The mode in which the float64 proof runs: the one that hides least."""
    env: ClassVar[Mapping[str, str]]
    """Set before the worker starts, because it is read at import."""
    profile_env: ClassVar[Mapping[str, str]]
    """Set beside ``env`` where steps are recorded; ``{dump}`` stands for a folder of its own."""
    cache_env: ClassVar[tuple[str, ...]]
    """Variables that name the folder of its compiler's cache; none where it keeps no cache."""

    def __init__(self, settings: Settings) -> None:
        """Import the framework and set everything ``settings`` says.

        Raises:
            NotImplementedError: this framework cannot do that here; the case is ``unsupported``.
        """

    def build(self, twin: ModuleType, spec: ModelSpec, weights: Weights) -> Any:
        """The model on the device, with these weights and a fresh optimizer."""

    def reset(self, model: Any, weights: Weights) -> None:
        """Weights and optimizer as after ``build``; compiled code and loss scale are kept."""

    def place(self, batch: Batch) -> Any:
        """The batch on the device, in the timed precision and the dialect's layout."""

    def set_training(self, model: Any, *, training: bool) -> None:
        """Switch modes before ``forward`` (inference) or the other three (training)."""

    def forward(self, model: Any, batch: Any) -> Any:
        """Inference: the logits."""

    def loss(self, model: Any, batch: Any) -> Any:
        """Training-mode forward pass and loss, no gradient taken."""

    def backward(self, model: Any, batch: Any) -> Any:
        """Training-mode forward pass, loss and every gradient."""

    def train_step(self, model: Any, batch: Any) -> Any:
        """Forward, loss, backward and update; returns the loss before the update."""

    def loader(self, data: Dataset, batch: int) -> Iterable[Any]:
        """Device-ready batches of the training data in its own order, once; restartable."""

    def epoch(self, model: Any, data: Dataset, batch: int) -> Epoch:
        """The framework's own way to train an epoch and evaluate."""

    def synchronize(self) -> None:
        """Return only when the device is idle."""

    def device_peak_bytes(self) -> int | None:
        """The allocator's peak since the last call; ``None`` where it keeps none."""

    def traced(self) -> int | None:
        """How many graphs this process has traced or compiled; ``None`` where the mode does not."""

    def export(self, model: Any) -> Weights:
        """Canonical weights and buffers as they stand."""

    def numpy(self, value: Any) -> Array:
        """A float64 copy of an output in host memory."""

    def trace(self, model: Any, batch: Any) -> Trace:
        """One watched pass, for the proof."""

    def trained(self, model: Any, batch: Any, optimizer: str, steps: int) -> Weights:
        """Canonical weights and buffers after ``steps`` with a fresh optimizer, for the proof."""

    def parameter_count(self, model: Any) -> int:
        """Parameters, counted in the framework."""

    def flops(self, model: Any, batch: Any) -> float | None:
        """FLOPs of one inference over the batch, counted by the framework's own operations."""

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A product of two ``size`` x ``size`` matrices, and so many numbers read and written once.

        Both work on the device and return before the device is done, if that is its way.
        """

    def record(self, model: Any, step: Callable[[], object], steps: int, dumped: Path) -> Recording:
        """So many steps of the model's work as the framework's own profiler records them.

        ``dumped`` is where ``profile_env`` had the compiler write what it made.
        """

    def settings(self) -> dict[str, Any]:
        """Everything that could make stacks unequal, read back from the framework."""
