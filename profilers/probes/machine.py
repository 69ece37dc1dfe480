"""What the whole machine did meanwhile: waiting, stolen time, clock, and energy where it is told.

Energy comes from RAPL's counters of the processor packages (Documentation/power/powercap), never
from an estimate: they are absent in most virtual machines, and for root alone since CVE-2020-8694.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from profilers import host
from profilers.host import MICRO, PROC, SYS, Reading
from profilers.metrics import ENERGY_S, RATE_S, Capability, Metric
from profilers.probes._protocol import Target

PRESSURE, STEAL = "env.cpu_pressure", "env.steal_cores"
FREQUENCY, ENERGY = "env.cpu_mhz", "env.cpu_energy_j"
METRICS = (
    Metric(name=PRESSURE, kind="rate", min_s=RATE_S, meaning="share of time a task stood in line"),
    Metric(name=STEAL, kind="rate", min_s=RATE_S, meaning="cores that the hypervisor gave away"),
    Metric(name=FREQUENCY, kind="gauge", meaning="clock of the CPUs, averaged"),
    Metric(name=ENERGY, kind="counter", min_s=ENERGY_S, meaning="energy of the packages (RAPL)"),
)


WHOLE = "psys"
"""The name of a zone that measures the whole machine: the packages are in it once more."""


@dataclass
class Rapl:
    """Joules of all packages since the first reading; each counter may wrap in between."""

    sys: Path = SYS
    last: dict[Path, int] = field(default_factory=dict)
    total_j: float = 0.0

    def read(self) -> Reading[float]:
        """The sum so far, or why there is none."""
        folder = self.sys / "class" / "powercap"
        zones = (p for p in folder.glob("*-rapl:*") if p.name.count(":") == 1)
        packages = sorted(p for p in zones if _name(p) != WHOLE)
        if not packages:
            return Reading(None, "no RAPL in /sys/class/powercap (virtual machine or other vendor)")
        for package in packages:
            try:
                now = int((package / "energy_uj").read_text())
                whole = int((package / "max_energy_range_uj").read_text())
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "not a number"
                return Reading(None, f"RAPL: {why} (for root alone since CVE-2020-8694)")
            grown = now - self.last.get(package, now)
            self.total_j += (grown + whole if grown < 0 else grown) * MICRO
            self.last[package] = now
        return Reading(self.total_j)


@dataclass(eq=False)
class Machine:
    """The probe of the machine."""

    proc: Path = PROC
    sys: Path = SYS
    rapl: Rapl = field(init=False)
    missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rapl = Rapl(self.sys)

    def probe(self) -> dict[str, Capability]:
        """What the kernel shows here."""
        found = self.read(edge=True)
        self.missing = {name for name, reading in found.items() if reading.value is None}
        return {name: Capability(reading.reason) for name, reading in found.items()}

    def about(self) -> dict[str, str | None]:
        """Nothing: the environment of a run describes the machine."""
        return {}

    def read(self, *, edge: bool) -> dict[str, Reading[float]]:
        """All that is there, always: it is cheap."""
        del edge
        calls: dict[str, Callable[[], Reading[float]]] = {
            PRESSURE: self._pressure,
            STEAL: lambda: host.steal_s(self.proc),
            FREQUENCY: lambda: host.frequency_mhz(self.sys),
            ENERGY: self.rapl.read,
        }
        return {name: call() for name, call in calls.items() if name not in self.missing}

    def close(self) -> None:
        """Nothing is held."""

    def _pressure(self) -> Reading[float]:
        found = host.cpu_pressure(self.proc)
        return Reading(found.value.total_s if found.value else None, found.reason)


def _name(zone: Path) -> str:
    """What a zone measures; empty where it does not say."""
    try:
        return (zone / "name").read_text().strip()
    except OSError:
        return ""


def start(target: Target) -> Machine:
    """A probe of the machine that the target runs on."""
    del target
    return Machine()
