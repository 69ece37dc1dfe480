"""The journal by what it is about: what is done, what failed, and what is left to measure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.results.machine import Ceiling, Floor, Tuned
from benchmarks.results.observed import Watched
from benchmarks.results.profiles import StepProfile
from benchmarks.results.records import COLD, ColdStart, Matchup, Parity, Stack, TimedCheck
from benchmarks.results.stored.codec import from_json

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """What is known of the machine before the turns; ``None``: not yet."""

    tuned: tuple[Tuned, ...] | None = None
    floor: Floor | None = None
    ceiling: Ceiling | None = None


@dataclass
class Ledger:
    """The journal's entries, sorted by what they are about.

    ``calibrating`` has the id of the run that was begun for each part of the calibration, by name.
    ``proofs`` and ``checks`` are by the name of the group, which is the model where that is run at
    one size and batch; ``launches``, ``colds`` and ``profiles`` by matchup, ``settings`` by group
    and stack, ``failures`` and ``telemetry`` by matchup and stack. ``disorder`` has what is told
    of a worker's end by group and stack, and ``broken`` the seconds of turns that count for
    nothing by matchup and stack, both by launch.
    """

    calibrating: dict[str, str] = field(default_factory=dict)
    calibrated: Calibrated = field(default_factory=Calibrated)
    proofs: dict[str, Parity] = field(default_factory=dict)
    checks: dict[str, list[TimedCheck]] = field(default_factory=dict)
    launches: dict[str, dict[int, Mapping[str, Any]]] = field(default_factory=dict)
    colds: dict[str, dict[str, list[ColdStart]]] = field(default_factory=dict)
    failures: dict[tuple[str, str], Entry] = field(default_factory=dict)
    settings: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    profiles: dict[str, StepProfile] = field(default_factory=dict)
    telemetry: dict[tuple[str, str], Watched] = field(default_factory=dict)
    disorder: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    broken: dict[tuple[str, str], dict[int, list[float]]] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Ledger:
        """Sort a journal."""
        ledger = cls()
        for entry in entries:
            ledger.add(entry)
        return ledger

    def add(self, entry: Entry) -> None:
        """Take in one more entry."""
        match entry["kind"]:
            case "calibrating" | "calibrated":
                self._calibration(entry)
            case "proof":
                self.proofs[entry["model"]] = from_json(Parity, entry["parity"])
            case "check":
                self._check(entry["model"], from_json(TimedCheck, entry["check"]))
            case "launch":
                self.launches.setdefault(entry["matchup"], {})[entry["launch"]] = entry["cases"]
            case "cold":
                starts = self.colds.setdefault(entry["matchup"], {})
                starts.setdefault(entry["stack"], []).append(from_json(ColdStart, entry["cold"]))
            case "telemetry":
                told = from_json(Watched, entry["telemetry"])
                self.telemetry[entry["matchup"], entry["stack"]] = told
            case "settings":
                self.settings[entry.get("model", ""), entry["stack"]] = entry["settings"]
            case "profile":
                self.profiles[entry["matchup"]] = from_json(StepProfile, entry["profile"])
            case "failure" | "broken" | "disorder":
                self._amiss(entry)

    def done(self, matchup: Matchup, stack: Stack, launch: int, cold_launches: int) -> bool:
        """Whether a launch of a case is in the journal, or never will be because it failed."""
        if (matchup.id, str(stack)) in self.failures:
            return True
        if matchup.phase == COLD:
            if launch >= cold_launches:
                return True
            starts = self.colds.get(matchup.id, {}).get(str(stack), ())
            return any(s.launch == launch and s.cache == "empty" for s in starts)
        return launch in self.launches.get(matchup.id, {})

    def _calibration(self, entry: Entry) -> None:
        if entry["kind"] == "calibrating":
            self.calibrating[entry["of"]] = entry["run"]
        else:
            part = from_json(Calibrated, {entry["of"]: entry["value"]})
            self.calibrated = replace(self.calibrated, **{entry["of"]: getattr(part, entry["of"])})

    def _amiss(self, entry: Entry) -> None:
        """What went wrong, with a case or beside its samples."""
        if entry["kind"] == "failure":
            self.failures.setdefault((entry["matchup"], entry["stack"]), entry)
        elif entry["kind"] == "broken":
            turns = self.broken.setdefault((entry["matchup"], entry["stack"]), {})
            turns[entry["launch"]] = [turn["run_s"] for turn in entry["turns"]]
        else:
            ends = self.disorder.setdefault((entry["model"], entry["stack"]), {})
            ends[entry["launch"]] = entry["how"]

    def _check(self, model: str, new: TimedCheck) -> None:
        """Keep the newest of a stack's checks: a resumed run makes those anew that it can."""
        kept = self.checks.setdefault(model, [])
        kept[:] = [c for c in kept if (c.stack, c.quantity) != (new.stack, new.quantity)]
        kept.append(new)

    def refused(self, model: str) -> set[str]:
        """The stacks of a model that do not compute, as timed, what the proof proved."""
        return {check.stack for check in self.checks.get(model, ()) if not check.ok}
