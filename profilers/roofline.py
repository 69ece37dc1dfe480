"""Where a case stands under the roofs of its device (Williams, Waterman and Patterson 2009).

The time of a step is at least its FLOPs over the fastest arithmetic and its bytes over the fastest
copy that were seen; the larger of the two is the roof it is under.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LOW = 0.1
"""A case below this share of its roof is held up by something else."""

Bound = Literal["compute", "memory", "neither"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A case under its roof.

    ``of_compute`` and ``of_memory`` are shares of the two ceilings; ``of_roof`` is the larger. More
    than 1 of the memory's says that what is counted as traffic stayed in the caches or was never
    written. ``intensity`` is FLOPs per byte. ``bound`` is ``neither`` below a tenth of the roof:
    latency, dispatch or a kernel that does more than it must.
    """

    flops_per_s: float
    bytes_per_s: float
    intensity: float
    of_compute: float
    of_memory: float
    of_roof: float
    bound: Bound


def place(
    flops: float, traffic_bytes: float, seconds: float, most_flops: float, most_bytes: float
) -> Place:
    """Where one iteration stands.

    Args:
        flops: floating-point operations of an iteration.
        traffic_bytes: bytes that an iteration must move.
        seconds: an iteration takes.
        most_flops: per second, the device's ceiling.
        most_bytes: per second, the device's ceiling.

    Raises:
        ValueError: a figure that is not more than 0.
    """
    if not min(flops, traffic_bytes, seconds, most_flops, most_bytes) > 0:
        raise ValueError("a roofline needs figures above 0")
    of_compute = flops / seconds / most_flops
    of_memory = traffic_bytes / seconds / most_bytes
    nearest: Bound = "compute" if of_compute >= of_memory else "memory"
    return Place(
        flops_per_s=flops / seconds,
        bytes_per_s=traffic_bytes / seconds,
        intensity=flops / traffic_bytes,
        of_compute=of_compute,
        of_memory=of_memory,
        of_roof=max(of_compute, of_memory),
        bound=nearest if max(of_compute, of_memory) >= LOW else "neither",
    )
