"""PyTorch as an engine: set up, read back, fed and waited for alike, whoever's model runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from benchmarks.adapters._protocol import Settings

if TYPE_CHECKING:
    from profilers.ops.rows import Recording

LOADER = "DataLoader in the training process (num_workers=0)"


def set_up(asked: Settings) -> None:
    """Seed, threads and everything of the policy that holds for the whole process.

    Raises:
        NotImplementedError: the device is not there, or PyTorch is built without it.
    """
    if asked.device == "cuda" and not torch.cuda.is_available():
        raise NotImplementedError("PyTorch sees no GPU")
    torch.manual_seed(asked.seed)
    if asked.policy != "defaults":
        torch.set_num_threads(asked.threads)
        torch.set_num_interop_threads(1)
        torch.set_flush_denormal(True)  # TensorFlow's executors always flush
        torch.backends.cudnn.benchmark = True  # TensorFlow always autotunes
    if asked.tf32 is not None:
        torch.backends.cuda.matmul.allow_tf32 = asked.tf32
        torch.backends.cudnn.allow_tf32 = asked.tf32


def require_lstm(asked: Settings, module: torch.nn.Module) -> None:
    """Try PyTorch's own LSTM in mixed precision, where the module has one.

    Raises:
        NotImplementedError: there is none here (oneDNN has float16 on a few CPUs alone).
    """
    if not asked.mixed or not any(isinstance(m, torch.nn.LSTM) for m in module.modules()):
        return
    tiny = torch.nn.LSTM(8, 8).to(asked.device)
    try:
        with torch.autocast(asked.device, dtype=getattr(torch, asked.compute)):
            tiny(torch.zeros(1, 1, 8, device=asked.device))
    except RuntimeError as error:
        raise NotImplementedError(
            f"PyTorch has no {asked.compute} LSTM on this {asked.device}"
        ) from error


def read_back(asked: Settings) -> dict[str, Any]:
    """The settings that are PyTorch's own, as they stand."""
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
        "autotune": torch.backends.cudnn.benchmark if asked.device == "cuda" else None,
        "flush_denormals": _flushes_denormals() if asked.device == "cpu" else None,
        "policy": asked.policy,
        "onednn": torch.backends.mkldnn.is_available(),
        "engine": asked.mode,
        "loader": LOADER,
    }


def _flushes_denormals() -> bool:
    """Found by experiment: half of the smallest normal number."""
    return bool(torch.tensor(2.0**-126) * 0.5 == 0)


def synchronize(device: str) -> None:
    """Return only when the device is idle; on the CPU nothing runs on behind one's back."""
    if device == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: str) -> int | None:
    """The allocator's peak since the last call; none on the CPU."""
    if device != "cuda":
        return None
    peak = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return int(peak)


def traced(mode: str) -> int | None:
    """How many graphs were captured, where the mode captures any."""
    if mode != "compile":
        return None
    counters = torch._dynamo.utils.counters  # noqa: SLF001 - its public face has none
    return int(counters["stats"]["unique_graphs"])


def flops(run: Callable[[], object]) -> float:
    """FLOPs of a call, counted by PyTorch's operations."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run()
    return float(counter.get_total_flops())


def record(
    asked: Settings, step: Callable[[], object], steps: int, modules: Mapping[str, torch.nn.Module]
) -> Recording:
    """Record so many steps of a model, whose modules are known by these names."""
    from profilers.ops import torch as ops

    return ops.record(
        step,
        lambda: synchronize(asked.device),
        steps=steps,
        modules=modules,
        python=asked.mode == "eager",
    )


def ceiling_work(
    asked: Settings, size: int, copied: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A product of two ``size`` x ``size`` matrices, and a copy, both in the precision asked."""
    kind = {"dtype": getattr(torch, asked.compute), "device": asked.device}
    a, b = (torch.rand(size, size, **kind) for _ in range(2))
    source = torch.rand(copied, **kind)
    out, target = torch.empty_like(a), torch.empty_like(source)
    return lambda: torch.mm(a, b, out=out), lambda: target.copy_(source)


def loader(
    x: NDArray[Any], y: NDArray[Any], *, batch: int, scale: float, dtype: torch.dtype
) -> Iterable[Any]:
    """Batches on the host, in the order of the data."""
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    class Samples(torch.utils.data.Dataset):
        """Bytes in memory, made floats sample by sample, as a data set of files would."""

        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> Any:
            image = images[index]
            floats = image.to(dtype) / scale if image.dtype == torch.uint8 else image
            return floats, labels[index]

    return torch.utils.data.DataLoader(Samples(), batch_size=batch, drop_last=True)


class Placed:
    """A loader whose batches are moved to the device, and laid out for it, as they come."""

    def __init__(
        self, host: Iterable[Any], device: str, lay_out: Callable[[Any], Any] = lambda x: x
    ) -> None:
        self.host, self.device, self.lay_out = host, device, lay_out

    def __iter__(self) -> Any:
        for x, y in self.host:
            placed = x.to(self.device, non_blocking=True)
            yield self.lay_out(placed), y.to(self.device, non_blocking=True)
