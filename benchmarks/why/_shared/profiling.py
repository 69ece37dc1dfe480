"""Op profiles: workers record some steps, in turn, and answer with rows.

Several recordings of each stack, taken in turn, say which parts of a difference are there every
time and which come and go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from statistics import median
from typing import Any

from benchmarks import frameworks
from benchmarks.machine import scratch
from benchmarks.proof import costs
from benchmarks.results.profiles import ProfiledStack, StackRow
from benchmarks.results.records import LayerWork, Stack
from benchmarks.results.stored.codec import from_json
from benchmarks.why._shared.subjects import Subject, ask, prepared
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers.gpu import gpu_state
from profilers.ops import kernels, taxonomy
from profilers.ops.account import Account, merge
from profilers.ops.rows import Event, Steps
from profilers.sampler import MOST_HZ
from profilers.telemetry import SamplerError, Telemetry

TIMED_S = 0.3
BLIND = (
    "0 operations of the device were recorded, so these are the host's: its profiler (CUPTI) may be"
    " forbidden, or in use by another program"
)
"""What is noted of a stack on a GPU that shows none of its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a worker told of some steps.

    ``account`` is the mean of ``recordings``; ``timed_s`` the median step before each of them,
    without a profiler. ``counters`` are what a sampler read meanwhile, by nanoseconds since the
    first recorded step.
    """

    stack: Stack
    account: Account
    timed_s: float
    recordings: tuple[Account, ...] = ()
    events: tuple[Event, ...] = ()
    counters: Mapping[str, Sequence[tuple[int, float | None]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Recorder:
    """A warm worker of a stack, and what it has told so far."""

    of: Subject
    stack: Stack
    worker: WorkerProcess
    dump: str
    timed_s: list[float] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)

    def record(self, steps: int, *, events: bool = False) -> dict[str, Any]:
        """Time some steps without the profiler, and record some with it; the worker's answer.

        Raises:
            WorkerError: it could not.
        """
        self.timed_s.append(ask(self.worker, self.of, "sustain", seconds=TIMED_S)["median_s"])
        told = ask(self.worker, self.of, "ops", steps=steps, events=events, dumped=self.dump)
        self.accounts.append(from_json(Account, told["account"]))
        self.notes |= dict.fromkeys(told["notes"])
        return told

    def profile(self, **more: Any) -> Profile:
        """All recordings as one."""
        group, on_gpu = self.of.group, self.of.matchup.device != "cpu"
        blind = on_gpu and not any(account.on_device for account in self.accounts)
        merged = merge(self.accounts, flops_of(self.of.layers, group.size.batch))
        told = kernels.complete(merged.implementations, families(self.of.layers))
        return Profile(
            stack=self.stack,
            account=replace(merged, implementations=told),
            timed_s=median(self.timed_s),
            recordings=tuple(self.accounts),
            notes=(*self.notes, *((BLIND,) if blind else ())),
            **more,
        )


def flops_of(layers: Sequence[LayerWork], batch: int) -> dict[tuple[str, str], float]:
    """FLOPs of a step by layer and phase."""
    return {
        (name, phase): batch * flops
        for name, *both in costs.by_layer(layers)
        for phase, flops in zip(("forward", "backward"), both, strict=True)
        if flops
    }


def families(layers: Sequence[LayerWork]) -> set[str]:
    """The categories that the kinds of a model's layers decide."""
    return {taxonomy.category(layer.kind, taxonomy.FORWARD, layer.kind) for layer in layers}


@contextmanager
def recorder(of: Subject, stack: Stack) -> Iterator[Recorder]:
    """A warm worker that can be recorded.

    Raises:
        WorkerError: it could not be started.
    """
    variables = frameworks.facts(stack.framework).profile_env
    with scratch.folder("dump") as folder:
        dump = str(folder)
        more = {name: value.format(dump=dump) for name, value in variables.items()}
        with prepared(of, stack, more=more) as worker:
            yield Recorder(of=of, stack=stack, worker=worker, dump=dump)


def with_events(of: Subject, stack: Stack, *, steps: int) -> Profile:
    """One recording of a stack with every event of it, and a sampler's counters beside them.

    Raises:
        WorkerError: it could not be started or recorded.
    """
    with recorder(of, stack) as one, _watching(one.worker.pid, of.matchup.device) as telemetry:
        told = one.record(steps, events=True)
    return one.profile(
        events=tuple(Event(*e) for e in told["events"]),
        counters=telemetry.course().counters(told["began_ns"]) if telemetry else {},
    )


def take_all(
    of: Subject, stacks: Sequence[Stack], *, steps: int, recordings: int
) -> tuple[list[Profile], dict[str, str]]:
    """The profiles of several stacks, recorded in turn, and why the others have none."""
    recorders, failed = list[Recorder](), dict[str, str]()
    with of.device(), ExitStack() as opened:
        for stack in stacks:
            with _costing_itself(stack, failed):
                one = opened.enter_context(recorder(replace(of, held=True), stack))
                recorders.append(one)
        for _ in range(recordings):
            for one in recorders:
                if str(one.stack) not in failed:
                    with _costing_itself(one.stack, failed):
                        one.record(steps)
    return [one.profile() for one in recorders if str(one.stack) not in failed], failed


@contextmanager
def _costing_itself(stack: Stack, failed: dict[str, str]) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        failed[str(stack)] = f"{error.status}: {error.reason}"


@contextmanager
def _watching(pid: int, device: str) -> Iterator[Telemetry | None]:
    """A sampler beside a worker; without it only the counters are missing."""
    uuid = gpu_state.visible_uuid().value if device == "cuda" else None
    with ExitStack() as stack:
        telemetry = None
        with suppress(SamplerError):
            telemetry = stack.enter_context(Telemetry(pid, uuid, hz=MOST_HZ))
            telemetry.mark("steady")
        yield telemetry


def rows(profile: Profile) -> list[StackRow]:
    """The rows as they are stored."""
    return [StackRow(stack=str(profile.stack), **asdict(row)) for row in profile.account.rows]


def summary(profile: Profile) -> ProfiledStack:
    """Everything but the rows."""
    told = {each.name: getattr(profile.account, each.name) for each in fields(Steps)}
    return ProfiledStack(
        **told,
        stack=str(profile.stack),
        timed_s=profile.timed_s,
        recordings=len(profile.recordings),
        notes=profile.notes,
    )
