"""Which other programs use the CPU: what to name when a machine is too busy to measure on."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

from profilers.host import Reading

FOREIGN = "a program of another user"
"""What stands for the name of what others run: that is not ours to tell."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every process's name and CPU seconds at a moment of the monotonic clock."""

    at_s: float
    spent_s: dict[psutil.Process, tuple[str, float]]

    @classmethod
    def take(cls) -> Snapshot:
        """Ask for every process that may be seen."""
        at_s, me = time.monotonic(), os.getuid()
        listed = psutil.process_iter(["name", "cpu_times", "uids"])
        spent_s = {
            process: (
                process.info["name"] if _of(process) == me else FOREIGN,
                times.user + times.system,
            )
            for process in listed
            if (times := process.info["cpu_times"])
        }
        return cls(at_s, spent_s)


def cores_since(before: Snapshot) -> Reading[dict[str, float]]:
    """Cores that each program outside our own process tree kept busy since then, by name."""
    try:
        after, ours = Snapshot.take(), _own_tree()
    except psutil.Error as error:
        return Reading(None, f"psutil: {error}")
    shares: dict[str, float] = {}
    for process, (name, spent) in after.spent_s.items():
        used = spent - before.spent_s.get(process, (name, 0.0))[1]
        if used > 0 and process not in ours:
            shares[name] = shares.get(name, 0.0) + used / (after.at_s - before.at_s)
    return Reading(shares)


def _of(process: psutil.Process) -> int | None:
    """The user that a process runs as, where that may be seen."""
    uids = process.info["uids"]
    return None if uids is None else int(uids.real)


def _own_tree() -> set[psutil.Process]:
    me = psutil.Process()
    return {me, *me.parents(), *me.children(recursive=True)}
