"""``python -m tests.soak``: a line per stage, a table, and exit 1 where something was not kept."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGKILL

from tests.pipeline import ROOT
from tests.soak import audit
from tests.soak.audit import MARK, Memory
from tests.soak.parent import Job

MOST_MB = 5.0
"""What the memory of the parent may grow by, in millions of bytes."""
GONE_S = 30.0
"""How long processes of a killed parent may take to end."""


@dataclass
class Stage:
    """What a stage made, and what was wrong with it."""

    name: str
    runs: int = 0
    launches: int = 0
    lost: int = 0
    doubled: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    memory: list[Memory] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """What is told of it."""
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        grown = max((m.grown_mb for m in self.memory), key=abs, default=None)
        parts = [
            f"{self.launches} launches in {self.runs} runs",
            f"faults: {told or 'none'}",
            f"parent killed {self.kills} times",
            "memory not compared" if grown is None else f"memory {grown:+.1f} MB",
            f"{self.seconds:.0f} s",
            f"{len(self.breaches)} breaches",
        ]
        return f"{self.name}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """How stages are made: below ``folder``, the parent killed at most so often, each after a time.

    ``killed_after_s`` are the shortest and the longest.
    """

    folder: Path
    killed_after_s: tuple[float, float]
    kills: int
    rng: random.Random

    def stage(self, name: str, job: Job, *, killed: bool) -> Stage:
        """Make a stage, and read what it left."""
        made, began = Stage(name, runs=len(job.runs)), time.monotonic()
        place, scratch = self.folder / name, self.folder / name / "tmp"
        scratch.mkdir(parents=True)
        self._carry_out(made, place, scratch, job, killed=killed)
        for number in job.runs:
            fault = job.fault(number)
            found = audit.of_run(place / str(number), fault, job.launches)
            made.launches += found.launches
            made.lost += found.lost
            made.doubled += found.doubled
            made.faults.update([fault.kind] if fault else [])
            what = f" ({fault})" if fault else ""
            made.breaches += [f"run {number}{what}: {text}" for text in found.breaches]
        made.breaches += audit.of_place(place, scratch)
        self._remember(made, place, long=not job.faults)
        made.seconds = time.monotonic() - began
        return made

    def _carry_out(
        self, made: Stage, place: Path, scratch: Path, job: Job, *, killed: bool
    ) -> None:
        """Start parents until one has nothing left to do, or says that something is wrong."""
        for _ in range(self.kills + len(job.runs) + 1):  # a link ends with the parent's end, too
            with (place / "stderr").open("ab") as stderr:
                parent = subprocess.Popen(
                    [sys.executable, "-m", "tests.soak.parent", str(place), _told(job)],
                    cwd=ROOT,
                    env=_environment(place, scratch),
                    stdin=subprocess.DEVNULL,
                    stdout=stderr,
                    stderr=stderr,
                )
            try:
                kill = killed and made.kills < self.kills
                code = parent.wait(self.rng.uniform(*self.killed_after_s) if kill else None)
            except subprocess.TimeoutExpired:
                parent.kill()
                code = parent.wait()
                made.kills += 1
            if left := _left(str(place)):
                made.breaches.append(f"{len(left)} processes left: {left}")
            if code != -SIGKILL:
                break
        if code:
            tail = (place / "stderr").read_text(errors="replace")[-500:]
            made.breaches.append(f"the parent ended with {code}: {tail}")

    def _remember(self, made: Stage, place: Path, *, long: bool) -> None:
        """How the memory of each parent grew."""
        for readings in audit.memory(place).values():
            grown = audit.within(readings) if long else audit.at_equal_points(readings)
            if grown is None:
                continue
            made.memory.append(grown)
            if abs(grown.grown_mb) > MOST_MB:
                made.breaches.append(f"the parent's memory changed by {grown.grown_mb:+.1f} MB")


def _told(job: Job) -> str:
    return json.dumps(asdict(job))


def _environment(place: Path, scratch: Path) -> dict[str, str]:
    """A lock and a temporary folder of its own, and the mark by which its processes are found."""
    return os.environ | {
        "TMPDIR": str(scratch),
        "TWINBENCH_LOCKS": str(place),
        "TWINBENCH_FRAMEWORKS_DIR": str(ROOT / "tests" / "frameworks"),
        "OMP_WAIT_POLICY": "PASSIVE",
        MARK: str(place),
    }


def _left(mark: str) -> list[str]:
    """What still runs of a stage whose parent is gone."""
    until = time.monotonic() + GONE_S
    while (found := audit.processes(mark)) and time.monotonic() < until:
        time.sleep(0.05)
    return [str(process) for process in found]


def _seconds(text: str) -> tuple[float, float]:
    first, _, last = text.partition(",")
    return float(first), float(last)


def table(stages: Sequence[Stage]) -> str:
    """All stages together."""
    faults = sum((stage.faults for stage in stages), Counter[str]())
    long, *others = stages
    points = [m.grown_mb for stage in others for m in stage.memory]
    rows = {
        "launches": sum(s.launches for s in stages),
        "runs": sum(s.runs for s in stages),
        "faults": faults.total(),
        **{f"  {kind}": count for kind, count in sorted(faults.items())},
        "parent killed": sum(s.kills for s in stages),
        "launches lost": sum(s.lost for s in stages),
        "launches doubled": sum(s.doubled for s in stages),
        "memory, first tenth (MB)": ", ".join(f"{m.first / 1e6:.1f}" for m in long.memory),
        "memory, last tenth (MB)": ", ".join(f"{m.last / 1e6:.1f}" for m in long.memory),
        "memory from run to run (MB)": f"{min(points):+.1f} to {max(points):+.1f}"
        if points
        else "not compared",
        "seconds": f"{sum(s.seconds for s in stages):.0f}",
        "breaches": sum(len(s.breaches) for s in stages),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all stages; 1 where something was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--launches", type=int, default=2000, help="with a fault in every EACH-th")
    parser.add_argument("--each", type=int, default=10, help="launches of a run (default: 10)")
    parser.add_argument("--runs", type=int, default=20, help="runs of a stage (default: 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--killed-after", type=_seconds, default=(5.0, 75.0), metavar="S,S")
    parser.add_argument("--kills", type=int, default=5, help="in a stage, at most (default: 5)")
    parser.add_argument("--keep", type=Path, help="a new folder that keeps what was written")
    asked = parser.parse_args(arguments)
    numbers = range(asked.launches // asked.each)
    with ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rng = random.Random(asked.seed)  # noqa: S311 - when to kill, not a secret
        soak = Soak(folder=folder, killed_after_s=asked.killed_after, kills=asked.kills, rng=rng)
        long = Job(seed=asked.seed, runs=(0,), launches=max(2, len(numbers)), faults=False)
        stages = [_made(soak, "long", long, killed=False)]
        for first in range(0, len(numbers), asked.runs):
            runs = tuple(numbers[first : first + asked.runs])
            job = Job(seed=asked.seed, runs=runs, launches=asked.each)
            stages.append(_made(soak, f"stage-{first // asked.runs + 1}", job, killed=True))
    print(table(stages))
    return int(any(stage.breaches for stage in stages))


def _made(soak: Soak, name: str, job: Job, *, killed: bool) -> Stage:
    stage = soak.stage(name, job, killed=killed)
    print(stage.line(), flush=True)
    for breach in stage.breaches:
        print(f"  {breach}", flush=True)
    return stage


if __name__ == "__main__":
    sys.exit(main())
