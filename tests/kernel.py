"""A machine in this process: workers without processes, and time that passes only by their work."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from benchmarks import frameworks
from benchmarks.proof import sides
from benchmarks.proof.worker import ProofWorker
from benchmarks.results.records import Failure, Stack
from benchmarks.worker import protocol
from benchmarks.worker.commands import Worker
from benchmarks.worker.disturbances import Counters, EdgeMonitor
from benchmarks.worker.process import WorkerError, WorkerProcess

STEP_S = 1e-6
"""By which the clock goes on whenever it is read."""
START_S = 0.05
"""What starting a worker takes."""
SPREAD = 1e-3
"""Of the time that a piece of work takes, as a share of it."""
PID = 1
CORES = 2


@dataclass
class Kernel:
    """Its clock, and what it counts of the one process that works.

    ``neighbour`` tells the cores that another program keeps busy at a time in seconds, for which
    our threads wait as long. ``asked`` has every question to a worker: its number, its stack, the
    command, and when it was asked.
    """

    seconds: float = 0.0
    neighbour: Callable[[float], float] = lambda _at: 0.0
    canary_s: Callable[[float], float] = lambda _at: 1e-4
    own_s: float = 0.0
    foreign_s: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - noise
    started: int = 0
    asked: list[tuple[int, str, str, float]] = field(default_factory=list)

    def now(self) -> float:
        """Monotonic seconds."""
        self.seconds += STEP_S
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Work for so long, give or take ``SPREAD``."""
        seconds *= self.chance.gauss(1.0, SPREAD)
        self.foreign_s += self.neighbour(self.seconds) * seconds
        self.own_s += seconds
        self.seconds += seconds

    def counters(self, now: Callable[[], float]) -> Counters:
        """As ``Counters.read``."""
        at_s = now()
        return Counters(
            at_s=at_s,
            own_s=self.own_s,
            delay_s=self.foreign_s,
            cpus=CORES,
            idle_s=CORES * at_s - self.own_s - self.foreign_s,
            steal_s=0.0,
            pressure_s=0.0,
            switches=0,
        )

    def chirp(self, _now: Callable[[], float]) -> float:
        """As ``canary``."""
        return self.canary_s(self.seconds)

    def turns(self) -> int:
        """How many turns were asked for."""
        return sum(verb == "turn" for _, _, verb, _ in self.asked)

    def start(
        self, stack: Stack, *_place: object, program: str | None = None, **_more: object
    ) -> WorkerProcess:
        """In the place of ``WorkerProcess``."""
        self.started += 1
        watch = EdgeMonitor(self.now, self.counters, self.chirp)
        proves = program == sides.WORKER
        servant = ProofWorker() if proves else Worker(now=self.now, watch=watch)
        return cast("WorkerProcess", Inside(self, self.started, stack, servant))


@dataclass
class Inside:
    """A worker within this process; what it is told and what it answers goes through JSON."""

    kernel: Kernel
    number: int
    stack: Stack
    servant: protocol.Servant
    pid: int = PID

    def __post_init__(self) -> None:
        self.spawned = self.kernel.now()
        self.kernel.sleep(START_S)

    def ask(self, verb: str, *, deadline_s: float, **arguments: Any) -> dict[str, Any]:
        """As ``WorkerProcess.ask``; no deadline is held."""
        del deadline_s
        self.kernel.asked.append((self.number, str(self.stack), verb, self.kernel.seconds))
        answer = _as_json(protocol.answer(self.servant, verb, _as_json(arguments)))
        if not answer.pop("ok"):
            failure = Failure(stack=answer["stack"])
            raise WorkerError(answer["status"], answer["reason"], failure)
        return answer

    def quit(self) -> None:
        """Nothing runs."""

    def kill(self) -> None:
        """Nothing runs."""


def _as_json(told: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(told))
    return made


def device() -> Any:
    """The module of the null framework whose ``sleep`` a kernel takes over."""
    return frameworks.part("null", "device")
