"""PyTorch as an engine: set up, read back, fed and waited for alike, whoever's model runs on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from benchmarks.frameworks.contracts import Array, Placed, Settings
from benchmarks.frameworks.torch import calls
from benchmarks.tasks.task import Batch, Task

LOADER = "DataLoader in the training process (num_workers=0)"
IMAGE_RANK = 4


class Engine:
    """What PyTorch and Keras on PyTorch share."""

    def __init__(self, asked: Settings) -> None:
        if asked.device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("PyTorch sees no GPU")
        self.asked = asked
        self.dtype: torch.dtype = getattr(torch, asked.storage)
        torch.manual_seed(asked.seed)
        if asked.policy != "defaults":
            torch.set_num_threads(asked.threads)
            torch.set_num_interop_threads(1)
            torch.set_flush_denormal(True)  # TensorFlow's executors always flush
            torch.backends.cudnn.benchmark = True  # TensorFlow always autotunes
        if asked.tf32 is not None:
            torch.backends.cuda.matmul.allow_tf32 = asked.tf32
            torch.backends.cudnn.allow_tf32 = asked.tf32

    def synchronize(self) -> None:
        """Return only when the device is idle; on the CPU nothing runs on behind one's back."""
        if self.asked.device == "cuda":
            torch.cuda.synchronize(self.asked.device)

    def peak_memory(self) -> int | None:
        """The allocator's peak since the last call; none on the CPU."""
        if self.asked.device != "cuda":
            return None
        peak = torch.cuda.max_memory_allocated(self.asked.device)
        torch.cuda.reset_peak_memory_stats(self.asked.device)
        return int(peak)

    def read_back(self) -> dict[str, Any]:
        """The settings that are PyTorch's own, as they stand."""
        on_cpu = self.asked.device == "cpu"
        return {
            "threads": torch.get_num_threads(),
            "interop_threads": torch.get_num_interop_threads(),
            "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
            "autotune": None if on_cpu else torch.backends.cudnn.benchmark,
            "flush_denormals": _flushes_denormals() if on_cpu else None,
            "policy": self.asked.policy,
            "onednn": torch.backends.mkldnn.is_available(),
            "engine": self.asked.mode,
            "loader": LOADER,
        }

    def traced(self) -> int | None:
        """How many graphs were captured, where the mode captures any."""
        if self.asked.mode != "compile":
            return None
        counters = torch._dynamo.utils.counters  # noqa: SLF001 - its public face has none
        return int(counters["stats"]["unique_graphs"])

    def ceiling_work(self, size: int, copied: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """A product of two ``size`` x ``size`` matrices, and a copy, in the precision asked."""
        kind = {"dtype": getattr(torch, self.asked.compute), "device": self.asked.device}
        a, b = (torch.rand(size, size, **kind) for _ in range(2))
        source = torch.rand(copied, **kind)
        out, target = torch.empty_like(a), torch.empty_like(source)
        return lambda: torch.mm(a, b, out=out), lambda: target.copy_(source)

    def loader(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Any]:
        """Batches (x, y) on the host, in the order of the data."""
        images, labels, dtype = torch.from_numpy(x), torch.from_numpy(y), self.dtype

        class Samples(torch.utils.data.Dataset):
            """Bytes in memory, made floats sample by sample, as a data set of files would."""

            def __len__(self) -> int:
                return len(labels)

            def __getitem__(self, index: int) -> Any:
                image = images[index]
                floats = image.to(dtype) / scale if image.dtype == torch.uint8 else image
                return floats, labels[index]

        return torch.utils.data.DataLoader(Samples(), batch_size=size, drop_last=True)


class Moved:
    """A loader whose batches are moved to the device, and laid out for it, as they come."""

    def __init__(
        self, host: Iterable[Any], device: str, lay_out: Callable[[Any], Any] = lambda x: x
    ) -> None:
        self.host, self.device, self.lay_out = host, device, lay_out

    def __iter__(self) -> Any:
        for x, y in self.host:
            placed = x.to(self.device, non_blocking=True)
            yield Placed((self.lay_out(placed),), (y.to(self.device, non_blocking=True),))


class Device(Engine):
    """PyTorch with modules of its own; ``Engine`` says what is set."""

    @property
    def channels_last(self) -> bool:
        """Whether maps lie channels last in memory."""
        return self.asked.layout == "channels_last"

    def place(self, batch: Batch, task: Task) -> Placed:
        """As the contract says; images channels first."""
        inputs = calls.tensors(batch.inputs, task, self.dtype)
        targets = calls.tensors(batch.targets, task, self.dtype)
        return Placed(
            tuple(self.lay_out(t.to(self.asked.device)) for t in inputs.values()),
            tuple(t.to(self.asked.device) for t in targets.values()),
        )

    def batches(self, x: Array, y: Array, *, size: int, scale: float) -> Iterable[Placed]:
        """As the contract says, from PyTorch's DataLoader."""
        images = np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == IMAGE_RANK else x
        host = self.loader(images, y, size=size, scale=scale)
        return Moved(host, self.asked.device, self.lay_out)

    def lay_out(self, x: Any) -> Any:
        """Images in the layout of the policy; anything else as it is."""
        images = self.channels_last and x.dim() == IMAGE_RANK
        return x.contiguous(memory_format=torch.channels_last) if images else x

    def settings(self) -> dict[str, Any]:
        """As the contract says."""
        return self.read_back() | {
            "precision": self.asked.compute,
            "layout": self.asked.layout or "channels_first",
            "version": torch.__version__,
            **({"mixed": "autocast: products and convolutions"} if self.asked.mixed else {}),
        }


def _flushes_denormals() -> bool:
    """Found by experiment: half of the smallest normal number."""
    return bool(torch.tensor(2.0**-126) * 0.5 == 0)
