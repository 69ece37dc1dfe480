"""The sampler: a process of its own that reads probes at a steady rate beside what it watches.

A thread of the watched process would have to wait for its interpreter lock, and its readings would
be stamped with moments at which they were not taken. This one imports no more than the probes need,
writes nothing until it is asked, so that nobody is woken while something is being watched, and ends
when its standard input does: also when whoever started it was killed.

Commands are lines: ``mark NAME`` begins a phase, ``pause`` ends it and stops reading. Answers are
JSON lines: what can be read (``able``), readings (``t``: CLOCK_MONOTONIC ns, ``w``: how long they
took in ns, ``v``: values, ``no``: why some could not be had), phases (``phase``, ``at``), and
probes that lost what they read (``lost``).
"""

from __future__ import annotations

import argparse
import json
import os
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from profilers.metrics import Lost
from profilers.probes._protocol import Probe, Target, metrics, sources

HZ = 10.0
MOST_HZ = 20.0
"""More would disturb: NVML's calls take turns in the driver with those of the work."""
STDIN, STDOUT = 0, 1
BLOCK = 1 << 12


@dataclass
class Sampler:
    """Probes, and the lines not yet written."""

    probes: dict[Probe, list[str]]
    lines: list[str] = field(default_factory=list)
    refused: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, target: Target) -> Sampler:
        """Start every probe that has something to read, and tell what each can."""
        probes = [probe for source in sources() if (probe := source.start(target))]
        found = {probe: probe.probe() for probe in probes}
        able = {n: asdict(capability) for each in found.values() for n, capability in each.items()}
        sampler = cls({probe: list(each) for probe, each in found.items()})
        sampler.tell(
            able={name: able[name] for name in metrics() if name in able},
            device={key: words for probe in probes for key, words in probe.about().items()},
            anchor={"mono_ns": time.monotonic_ns(), "unix_ns": time.time_ns()},
        )
        return sampler

    def sample(self, *, edge: bool = False) -> int:
        """Read every probe once; the moment, in ns."""
        at_ns, values, reasons = time.monotonic_ns(), dict[str, float](), dict[str, str | None]()
        for probe in list(self.probes):
            try:
                found = probe.read(edge=edge)
            except Lost as lost:
                self.tell(lost=self.probes.pop(probe), reason=str(lost), at=at_ns)
                probe.close()
                continue
            values |= {name: r.value for name, r in found.items() if r.value is not None}
            reasons |= {name: r.reason for name, r in found.items() if r.value is None}
        new = {n: why for n, why in reasons.items() if self.refused.get(n) != why}
        self.refused = {n: why for n, why in self.refused.items() if n not in values} | new
        told = {"t": at_ns, "w": time.monotonic_ns() - at_ns, "v": values}
        self.tell(**told, **({"no": new} if new else {}))
        return at_ns

    def mark(self, name: str | None) -> None:
        """Begin a phase at a reading; ``None``: end the one that runs."""
        self.tell(phase=name, at=self.sample(edge=True))

    def tell(self, **entry: Any) -> None:
        """Keep a line."""
        self.lines.append(json.dumps(entry, separators=(",", ":"), allow_nan=False) + "\n")

    def flush(self) -> None:
        """Write what was kept."""
        data = "".join(self.lines).encode()
        self.lines.clear()
        while data:
            data = data[os.write(STDOUT, data) :]

    def close(self) -> None:
        """Close what is left."""
        for probe in self.probes:
            probe.close()


def commands(hz: float) -> Iterator[str]:
    """Commands as they come, and ``""`` at every tick while a phase runs; ends with the input."""
    held, running, tick_s = b"", False, 1 / hz
    due = time.monotonic()
    while True:
        wait_s = max(0.0, due - time.monotonic()) if running else None
        if not select.select([STDIN], [], [], wait_s)[0]:
            due += tick_s
            if due < time.monotonic():  # asleep for longer than a tick: do not make up for it
                due = time.monotonic() + tick_s
            yield ""
            continue
        received = os.read(STDIN, BLOCK)
        if not received:
            return
        *lines, held = (held + received).split(b"\n")
        for line in lines:
            running = line.startswith(b"mark ")
            due = time.monotonic() + tick_s
            yield line.decode()


def run(target: Target, hz: float) -> None:
    """Obey until the input ends; there is a reading at the start and at the end, always."""
    sampler = Sampler.of(target)
    try:
        sampler.sample(edge=True)
        sampler.flush()
        for command in commands(hz):
            verb, _, name = command.partition(" ")
            if verb:
                sampler.mark(name or None)
                sampler.flush()
            else:
                sampler.sample()
        sampler.mark(None)
        sampler.flush()
    except BrokenPipeError:
        pass  # nobody is left to tell
    finally:
        sampler.close()


def rate(text: str) -> float:
    """A rate in Hz.

    Raises:
        argparse.ArgumentTypeError: it is none, or more than may be.
    """
    hz = float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    if not 0 < hz <= MOST_HZ:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate up to {MOST_HZ:g} Hz")
    return hz


def main(arguments: Sequence[str] | None = None) -> None:
    """Watch the process that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m profilers.sampler", description=__doc__)
    parser.add_argument("--pid", type=int, required=True, help="the process to watch")
    parser.add_argument("--gpu", metavar="UUID", help="the GPU that it uses")
    parser.add_argument("--hz", type=rate, default=HZ, help="readings per second (default: 10)")
    asked = parser.parse_args(arguments)
    run(Target(pid=asked.pid, gpu_uuid=asked.gpu), asked.hz)


if __name__ == "__main__":
    main()
