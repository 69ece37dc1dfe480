"""Where the time of a phase goes, as flame graphs: of each stack, and of what differs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import frameworks
from benchmarks.machine.environment import ROOT
from benchmarks.request.selection import SelectionError
from benchmarks.results.records import Exit, Stack
from benchmarks.results.stored import files, journal
from benchmarks.results.stored.codec import RecordError, decode
from benchmarks.why._shared.command import emit
from benchmarks.why._shared.files import folder_of
from benchmarks.why._shared.subjects import Subject, ask, prepared
from benchmarks.worker.process import WorkerError, WorkerProcess
from profilers.flames import flame_colours, flamegraph, folded, pyspy

HELP = "flame graphs of running workers (py-spy), and the difference of two"
SECONDS = 5.0
SPARE_S = 60.0
"""What a recording may take beyond twice the time asked for, before it is ended."""
MANY_UNREADABLE = 0.05
"""The share of samples without frames that is told as too many."""
HARNESS = "Worker.sustain (benchmarks/worker/commands.py)"
ALSO = ("turn (benchmarks/worker/clock.py)",)
"""The frames above a phase's own; they are the same for all stacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds per iteration while the worker repeats the phase.

    What sampling costs shows in the mean: the few steps that it stops become very long, which a
    median does not see.
    """

    iterations: int
    median_s: float
    mean_s: float


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is read of a stored profile's record."""

    alone: Pace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was seen of a stack; no ``stacks`` and a ``reason`` where nothing was.

    ``samples`` were seen in the phase, ``elsewhere`` outside of it and in other threads, and
    ``unreadable`` came without frames.
    """

    name: str
    matchup: str
    mode: str
    reason: str | None = None
    stacks: Mapping[folded.Stack, int] | None = None
    elsewhere: int = 0
    unreadable: int = 0
    alone: Pace | None = None
    watched: Pace | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def iteration_s(self) -> float | None:
        """Mean seconds of an iteration that nothing watched: what the samples are parts of."""
        return self.alone.mean_s if self.alone else None

    @property
    def stem(self) -> str:
        """What its files are called: a native profile replaces no other."""
        return self.name + (".native" if self.mode.startswith(pyspy.NATIVE) else "")

    def record(self) -> dict[str, Any]:
        """As data, the stacks themselves left to their files."""
        kept = {k: v for k, v in asdict(self).items() if k != "stacks"}
        return kept | {"samples": None if self.stacks is None else sum(self.stacks.values())}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of this command."""
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="S", help="of each stack (default: 5)"
    )
    parser.add_argument("--rate", type=int, metavar="HZ", help="samples per second (default: 100)")
    parser.add_argument(
        "--native",
        action="store_true",
        help="native frames, too: stops every thread at each sample (10 Hz unless --rate is given)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDED",
        help="a .folded file of an earlier run, to compare with",
    )


def main(subject: Subject, asked: argparse.Namespace, console: Console) -> int:
    """Profile each stack in turn; one that cannot be profiled costs itself alone."""
    how = _watching(asked)
    earlier = _earlier(asked.against) if asked.against else None
    folder = folder_of(subject, asked.out)
    profiles = [
        Profile(name=str(s), matchup=subject.matchup.id, mode=how.mode, reason=why)
        for s, why in subject.lacking.items()
    ]
    for stack in subject.stacks:
        profile = _written(_profiled(subject, stack, how, asked.seconds), folder)
        console.print(_told(profile))
        profiles.append(profile)
    seen = [p for p in profiles if p.stacks]
    pairs = [(seen[0], other) for other in seen[1:]]
    if earlier and seen:
        same = next((p for p in seen if p.stem == asked.against.stem), seen[0])
        pairs.append((earlier, same))
    differences = [_difference(a, b, folder) for a, b in pairs]
    if asked.json:
        document = {
            "model": subject.group.model,
            "phase": subject.matchup.phase,
            "matchup": subject.matchup.id,
            "profiles": [p.record() for p in profiles],
            "differences": differences,
        }
        emit(document)
    else:
        paths = [path for p in profiles for path in p.files.values()]
        sys.stdout.writelines(f"{p}\n" for p in (*paths, *(d["file"] for d in differences)))
    return Exit.OK if len(seen) == len(profiles) else Exit.INCOMPLETE


def _watching(asked: argparse.Namespace) -> pyspy.Watching:
    rate = asked.rate or (pyspy.NATIVE_RATE if asked.native else pyspy.RATE)
    for what, value in (("--seconds", asked.seconds), ("--rate", rate)):
        if not value > 0:
            raise SelectionError(f"{what} is {value}; it must be more than 0")
    cap_s = 2 * asked.seconds + SPARE_S
    return pyspy.Watching(rate=rate, native=asked.native, cap_s=cap_s)


def _earlier(path: Path) -> Profile:
    """A stored profile; how long its iterations took is in the file beside it, if that is there."""
    try:
        stacks = folded.read(files.read(path).decode())
    except (OSError, UnicodeDecodeError, folded.FoldedError) as error:
        raise SelectionError(f"--against {path}: {error}") from error
    try:
        alone = decode(_Kept, files.read(path.with_name(f"{path.stem}.json"))).alone
    except (OSError, RecordError):
        alone = None
    if alone and not alone.mean_s > 0:  # which no iteration takes
        alone = None
    return Profile(name=f"{path.stem} before", matchup="", mode="", stacks=stacks, alone=alone)


def _profiled(subject: Subject, stack: Stack, how: pyspy.Watching, seconds: float) -> Profile:
    nothing = Profile(name=str(stack), matchup=subject.matchup.id, mode=how.mode)

    def failed(reason: str | None, alone: Pace | None = None) -> Profile:
        return Profile(**(_fields(nothing) | {"reason": reason, "alone": alone}))

    alone = None
    try:
        with prepared(subject, stack) as worker:
            alone = _pace(worker, subject, seconds)
            ask(worker, subject, "watched", by=os.getpid())  # py-spy is a child of this process
            with pyspy.Recorder(worker.pid, how) as recorder:
                watched = _pace(worker, subject, seconds) if recorder.started else None
            ask(worker, subject, "watched", by=0)
    except WorkerError as error:
        return failed(f"{error.status}: {error.reason}", alone)
    recording = recorder.recording
    if recording.stacks is None or watched is None:
        return failed(recording.reason or "py-spy ended at once", alone)
    stacks, elsewhere = folded.below(folded.tidy(recording.stacks, _places(subject)), HARNESS, ALSO)
    if not stacks:
        return failed("py-spy saw nothing of the phase: record for longer", alone)
    changed = {"stacks": stacks, "elsewhere": elsewhere, "alone": alone, "watched": watched}
    changed["unreadable"] = recording.unreadable
    return Profile(**(_fields(nothing) | changed))


def _fields(profile: Profile) -> dict[str, Any]:
    return {name: getattr(profile, name) for name in profile.__dataclass_fields__}


def _places(subject: Subject) -> dict[str, str]:
    """What stands for the folders that are ours or the user's own."""
    models = subject.selection.models_dir
    return ({str(models.resolve()): "models/"} if models else {}) | {str(ROOT): ""}


def _pace(worker: WorkerProcess, subject: Subject, seconds: float) -> Pace:
    answer = ask(worker, subject, "sustain", seconds=seconds)
    return Pace(
        iterations=answer["iterations"],
        median_s=answer["median_s"],
        mean_s=(answer["ended_ns"] - answer["began_ns"]) / answer["iterations"] / 1e9,
    )


def _written(profile: Profile, folder: Path) -> Profile:
    """The profile's files; nothing for one that saw nothing."""
    if not profile.stacks:
        return profile
    stacks, unit, values = profile.stacks, *_in_unit(profile, timed=True)
    samples = sum(stacks.values())
    whole = {profile.name: (stacks, (profile.iteration_s or 0.0) / samples)}
    notes = [profile.matchup, f"{samples} samples, {profile.mode}", *_paces(profile)]
    paths = {kind: folder / f"{profile.stem}.{kind}" for kind in ("folded", "svg", "json")}
    paths["speedscope"] = folder / f"{profile.stem}.speedscope.json"
    made = Profile(**(_fields(profile) | {"files": {k: str(p) for k, p in paths.items()}}))
    journal.store(paths["folded"], folded.write(stacks))
    drawn = flamegraph.draw(values, profile.name, notes, unit, _libraries())
    journal.store(paths["svg"], drawn)
    journal.store(paths["speedscope"], json.dumps(folded.speedscope(whole)))
    journal.store(paths["json"], json.dumps(made.record() | {"files": {}}))
    return made


def _libraries() -> tuple[flame_colours.Owner, ...]:
    """The code of the frameworks, as each of them says that it is drawn."""
    return tuple(
        flame_colours.Owner(name, (name, *package.also), *package.frames)
        for name, package in frameworks.packages().items()
        if package.frames
    )


def _in_unit(profile: Profile, *, timed: bool) -> tuple[str, dict[folded.Stack, float]]:
    """Seconds of an iteration where that is wanted and known, else shares."""
    stacks = profile.stacks or {}
    if timed and profile.iteration_s:
        return "s", folded.scaled(stacks, profile.iteration_s)
    return "share", folded.scaled(stacks)


def _difference(a: Profile, b: Profile, folder: Path) -> dict[str, Any]:
    """The difference flame graph of two, per iteration; by share where one's time is not known."""
    timed = bool(a.iteration_s and b.iteration_s)
    (unit, first), (_, second) = _in_unit(a, timed=timed), _in_unit(b, timed=timed)
    values = folded.difference(first, second)
    path = folder / f"{a.stem}..{b.stem}.diff.svg".replace(" ", "-")
    notes = [b.matchup, "Shares of time: how long an iteration of one of them took is not known."]
    if a.iteration_s and b.iteration_s:
        both = (f"{p.name} {flamegraph.amount(p.iteration_s or 0.0, 's')}" for p in (a, b))
        notes[1:] = [f"An iteration: {', '.join(both)}"]
    drawn = flamegraph.draw_difference(
        values, (a.name, b.name), f"{b.name} against {a.name}", notes, unit
    )
    journal.store(path, drawn)
    return {"a": a.name, "b": b.name, "unit": unit, "file": str(path)}


def _paces(profile: Profile) -> list[str]:
    def told(pace: Pace | None) -> str:
        if pace is None:
            return "not measured"
        median, mean = (flamegraph.amount(s, "s") for s in (pace.median_s, pace.mean_s))
        return f"median {median}, mean {mean}"

    return [f"Iteration: {told(profile.alone)}", f"Under py-spy: {told(profile.watched)}"]


def _told(profile: Profile) -> str:
    if profile.stacks is None:
        return f"{profile.name}: no profile: {profile.reason}"
    samples = sum(profile.stacks.values())
    told = f"{profile.name}: {samples} samples, {profile.mode}. {'. '.join(_paces(profile))}"
    return f"{told}. {_lost(profile)}" if profile.unreadable else told


def _lost(profile: Profile) -> str:
    """How many samples came without frames, and whether they are many."""
    share = profile.unreadable / (
        profile.unreadable + sum((profile.stacks or {}).values()) + profile.elsewhere
    )
    many = f", which is more than {MANY_UNREADABLE:.0%}: record again, or with --native"
    return f"{profile.unreadable} samples ({share:.1%}) came without frames" + (
        many if share > MANY_UNREADABLE else ""
    )
