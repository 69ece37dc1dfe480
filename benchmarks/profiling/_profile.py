"""One stack's op profile: a worker of its own records some steps and answers with rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks import registry
from benchmarks.process import WorkerError
from benchmarks.profiling._subject import Subject, ask, prepared
from benchmarks.records import Stack, from_json, to_json
from profilers import gpu_state
from profilers.ops.account import Account
from profilers.ops.rows import Event
from profilers.sampler import MOST_HZ
from profilers.telemetry import SamplerError, Telemetry

TIMED_S = 0.5
BLIND = (
    "0 operations of the device were recorded, so these are the host's: its profiler (CUPTI) may be"
    " forbidden, or in use by another program"
)
"""What is noted of a stack on a GPU that shows none of its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a worker told of some steps; ``timed_s`` is the median step before it was profiled.

    ``counters`` are what a sampler read meanwhile, by nanoseconds since the first recorded step.
    """

    stack: Stack
    account: Account
    timed_s: float
    events: tuple[Event, ...] = ()
    counters: Mapping[str, Sequence[tuple[int, float | None]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def take(of: Subject, stack: Stack, *, steps: int, events: bool = False) -> Profile:
    """Profile one stack.

    Raises:
        WorkerError: it could not be started or recorded.
    """
    variables = registry.adapter(stack.adapter).profile_env
    with tempfile.TemporaryDirectory(prefix="twinbench-dump-") as dump:
        more = {name: value.format(dump=dump) for name, value in variables.items()}
        with prepared(of, stack, more=more) as worker:
            timed = ask(worker, of, "sustain", seconds=TIMED_S)
            with _watching(worker.pid, of.matchup.device, watched=events) as telemetry:
                told = ask(worker, of, "ops", steps=steps, events=events, dumped=dump)
    account = from_json(Account, told["account"])
    blind = of.matchup.device != "cpu" and not account.on_device
    return Profile(
        stack=stack,
        account=account,
        timed_s=timed["median_s"],
        events=tuple(Event(*e) for e in told.get("events", ())),
        counters=telemetry.course().counters(told["began_ns"]) if telemetry else {},
        notes=(*told["notes"], *((BLIND,) if blind else ())),
    )


def take_all(
    of: Subject, stacks: Sequence[Stack], *, steps: int
) -> tuple[list[Profile], dict[str, str]]:
    """The profiles of several stacks, and why the others have none."""
    profiles, failed = list[Profile](), dict[str, str]()
    for stack in stacks:
        try:
            profiles.append(take(of, stack, steps=steps))
        except WorkerError as error:
            failed[str(stack)] = f"{error.status}: {error.reason}"
    return profiles, failed


@contextmanager
def _watching(pid: int, device: str, *, watched: bool) -> Iterator[Telemetry | None]:
    """A sampler beside a worker, where one is wanted; without it only the counters are missing."""
    uuid = gpu_state.visible_uuid().value if watched and device == "cuda" else None
    with ExitStack() as stack:
        telemetry = None
        if watched:
            with suppress(SamplerError):
                telemetry = stack.enter_context(Telemetry(pid, uuid, hz=MOST_HZ))
                telemetry.mark("steady")
        yield telemetry


def rows(profile: Profile) -> list[dict[str, Any]]:
    """The rows as ``--json`` prints them."""
    return [{"stack": str(profile.stack), **to_json(row)} for row in profile.account.rows]


def summary(profile: Profile) -> dict[str, Any]:
    """Everything but the rows."""
    account = {k: v for k, v in to_json(profile.account).items() if k != "rows"}
    return {
        "stack": str(profile.stack),
        "timed_s": profile.timed_s,
        **account,
        "notes": list(profile.notes),
    }
