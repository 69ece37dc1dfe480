"""What every probe offers, and how they are found: by file name, so adding one is one file."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from profilers.host import Reading
from profilers.metrics import Capability, Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is watched: a process, and the GPU it uses, by UUID (``None``: it uses none)."""

    pid: int
    gpu_uuid: str | None = None


class Probe(Protocol):
    """Reads some metrics, at a cost that is small beside a tenth of a second."""

    def probe(self) -> dict[str, Capability]:
        """Which of its metrics can be had here; asked once, before the first reading."""

    def about(self) -> dict[str, str | None]:
        """What is read, in words for the record."""

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """The metrics that are due now.

        ``edge`` is true where a phase begins or ends: figures that cost more are read only there.

        Raises:
            Lost: what it reads is gone.
        """

    def close(self) -> None:
        """Free what it holds."""


class Source(Protocol):
    """A probe's file."""

    METRICS: tuple[Metric, ...]

    def start(self, target: Target) -> Probe | None:
        """A probe of a target; ``None`` where the target has nothing of its kind."""


def sources() -> Iterator[Source]:
    """Every probe there is."""
    for found in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not found.name.startswith("_"):
            source: Source = import_module(f"{__package__}.{found.name}")
            yield source


def metrics() -> Mapping[str, Metric]:
    """Every metric of every probe, by name."""
    return {metric.name: metric for source in sources() for metric in source.METRICS}
