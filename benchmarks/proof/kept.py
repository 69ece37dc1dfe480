"""Verifications that are kept, so that what was proven is not proven again while nothing changes.

A verification rests on our sources, those of the model, what was asked, the machine, and the
versions of the frameworks and variables; a digest of all that is in the name of its file.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import environment
from benchmarks.request import discovery
from benchmarks.request.plan import Group, Plan
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity
from benchmarks.results.stored import files, journal
from benchmarks.results.stored.codec import RecordError, decode, encode

STORE = "proofs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A proof with its checks as timed, all of which held, and the day on which it was made."""

    date: str
    parity: Parity


def path(out: Path, made: Plan, group: Group, threads: int) -> Path | None:
    """Where a verification is kept; ``None``: what it rests on cannot be seen from here.

    That is a folder of a user's models, layers and trainers, which may import anything, and a
    variable or an interpreter that the user hands on.
    """
    asked = made.selection
    pythons = any(variant.python for variant in asked.variants)
    if pythons or asked.env or not _ours(asked):
        return None
    settings = (asked.device, asked.precision, asked.policy)
    frameworks = {stack.framework for stack in group.stacks}
    rests_on = (
        environment.key(frameworks, *settings),
        *map(str, group.stacks),
        *(group.sized, str(group.size.batch), str(asked.seed), str(asked.equalize), str(threads)),
        _digest(discovery.shared_sources()),
        _digest(discovery.model_sources(group.model)),
    )
    name = hashlib.sha256("\n".join(rests_on).encode()).hexdigest()[:24]
    return out / STORE / f"{group.model}-{name}.json"


def read(place: Path) -> Kept | None:
    """What is kept; a damaged file, and one of a refused model, is as good as none."""
    try:
        found = decode(Kept, files.read(place))
    except (OSError, RecordError):
        return None
    return found if sound(found.parity) else None


def store(place: Path, parity: Parity) -> None:
    """Keep a verification that found nothing wrong.

    Raises:
        JournalError: it cannot be written.
    """
    date = datetime.now(tz=UTC).date().isoformat()
    journal.store(place, encode(Kept(date=date, parity=parity)))


def sound(parity: Parity) -> bool:
    """Whether the twins were proven, as far as frameworks were there, and every check held."""
    return parity.status in {"proven", "partial"} and all(check.ok for check in parity.timed)


def _ours(asked: Selection) -> bool:
    """Whether all that is run is our code: a user's trainer runs our models, too."""
    return asked.models_dir is None


@functools.cache
def _digest(sources: tuple[Path, ...]) -> str:
    """SHA-256 over names and contents."""
    told = hashlib.sha256()
    for source in sources:
        told.update(f"{source.name}\n".encode())
        told.update(source.read_bytes())
    return told.hexdigest()
