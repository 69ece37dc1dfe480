"""The ceilings of this machine: measured once in each framework, and kept beside the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.machine import environment, names
from benchmarks.measure.session import Session
from benchmarks.request import options
from benchmarks.request.selection import Selection
from benchmarks.results.machine import Ceiling
from benchmarks.results.records import Stack
from benchmarks.results.stored import files, journal
from benchmarks.results.stored.codec import RecordError, decode, encode
from benchmarks.worker import briefing
from benchmarks.worker.process import WorkerError

SIZES = {"cpu": 1024, "cuda": 8192}
"""Rows of the matrices: long beside the clock's step, short beside a person's patience."""
STORE = "ceilings"
MIXED = {"bfloat16", "float16"}


def obtain(session: Session) -> Ceiling:
    """The ceiling of this machine, device and precision; measured where it is not stored.

    It is the largest over the frameworks of the run, and kept for them and their versions. A
    framework that fails has no say.
    """
    made, chosen = session.plan, session.plan.selection
    able: dict[str, Stack] = {}
    for group in made.groups:
        for stack in group.stacks:
            if not stack.label and not made.lacking(group.model, stack):
                able.setdefault(stack.framework, stack)
    name = environment.key(able, chosen.device, chosen.precision, chosen.policy)
    path = session.out / STORE / f"{name}.json"
    if stored := _read(path):
        return stored
    found, reasons = _ask(session, list(able.values()), chosen)
    if found and chosen.precision in MIXED:
        # Some of the work stays in float32, which may be the faster one.
        found += _ask(session, list(able.values()), replace(chosen, precision="float32"))[0]
    if not found:
        return Ceiling(reason="; ".join(reasons) or "no framework could measure it")
    told = Ceiling(
        flops_per_s=max(each["flops_per_s"] for each in found),
        bytes_per_s=max(each["bytes_per_s"] for each in found),
        reason=names.hidden("; ".join(reasons), options.words(chosen)) or None,
    )
    journal.store(path, encode(told))
    return told


def _ask(
    session: Session, stacks: Sequence[Stack], chosen: Selection
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """What each framework reached, and why one did not answer."""
    found, reasons = list[Mapping[str, Any]](), list[str]()
    for stack in stacks:
        worker = session.means.start(stack, passed=chosen.env)
        try:
            found.append(
                worker.ask(
                    "ceiling",
                    deadline_s=chosen.timeout_s,
                    framework=stack.framework,
                    settings=briefing.settings(stack, chosen, session.threads),
                    size=SIZES[chosen.device],
                )
            )
        except WorkerError as error:
            reasons.append(f"{stack}: {error.reason}")
        finally:
            worker.quit()
    return found, reasons


def _read(path: Path) -> Ceiling | None:
    """What is stored; a damaged file is as good as none."""
    try:
        stored = decode(Ceiling, files.read(path))
    except (OSError, RecordError):
        return None
    known = (stored.flops_per_s or 0.0, stored.bytes_per_s or 0.0)
    return stored if min(known) > 0 else None
