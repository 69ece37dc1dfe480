"""What goes wrong in a run of the soak, drawn from its seed and number alone."""

from __future__ import annotations

import random
from dataclasses import dataclass

KINDS = ("crash", "hang", "garbage", "kill", "link", "full disk")
OF_WORKERS = {
    "crash": ("segv", "abort", "leave", "error", "memory"),
    "hang": ("hang", "hang_native"),
    "garbage": ("noise",),
    "kill": ("kill",),
}
"""The names in ``tests.frameworks.null.device.FAULTS`` of the kinds that strike in a worker."""
PLACES = {"garbage": ("build",)}
"""The methods in which a kind strikes, where not in any: noise in each pass takes minutes."""
ANYWHERE = ("build", "forward")
STATUS = {
    "segv": "crash",
    "abort": "crash",
    "kill": "crash",
    "leave": "error",
    "error": "error",
    "memory": "oom_host",
    "hang": "timeout",
    "hang_native": "timeout",
}
"""What becomes of the case of ``null-b``, by the fault of its worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: ``of_worker`` is empty where it strikes the parent's files."""

    kind: str
    launch: int
    of_worker: str = ""
    at: str = ""

    @property
    def status(self) -> str | None:
        """What becomes of the case that it strikes; ``None``: nothing."""
        return STATUS.get(self.of_worker)


def drawn(seed: int, number: int, launches: int) -> Fault:
    """The fault of a run, in one of its launches."""
    rng = random.Random(f"{seed} {number}")  # noqa: S311 - a plan, not a secret
    kind, launch = rng.choice(KINDS), rng.randrange(launches)
    if kind not in OF_WORKERS:
        return Fault(kind=kind, launch=launch)
    name, at = rng.choice(OF_WORKERS[kind]), rng.choice(PLACES.get(kind, ANYWHERE))
    return Fault(kind=kind, launch=launch, of_worker=name, at=at)
