"""What a run is carried out with: clock, workers, who judges a turn, who builds the page."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine.environment import ROOT
from benchmarks.worker import disturbances
from benchmarks.worker.disturbances import Normal, TurnRecord
from benchmarks.worker.process import Start, WorkerProcess

if TYPE_CHECKING:
    from benchmarks.measure.session import Session
    from benchmarks.results.machine import Ceiling, Floor


def report(folder: Path) -> Path | None:
    """Build the report in a process of its own, because reports know no measuring."""
    built = subprocess.run(
        [sys.executable, "-m", "reports", "build", str(folder.resolve())],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        print(built.stderr.strip(), file=sys.stderr)  # noqa: T201 - the run stands, its report does not
        return None
    return folder / "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Each part may be replaced, by which a test carries out a whole run without waiting.

    ``floor`` and ``ceiling`` give the A/A floor and the peaks of a session. ``start`` starts a
    worker as ``WorkerProcess`` does. ``causes`` says what was recorded against a turn, beside what
    is normal for its stack. ``now`` gives monotonic seconds, and ``pause`` waits for some.
    ``report`` builds the page of a run's folder; ``None`` where it could not.
    """

    floor: Callable[[Session], Floor]
    ceiling: Callable[[Session], Ceiling]
    start: Start = WorkerProcess
    causes: Callable[[TurnRecord, Normal], dict[str, float]] = disturbances.causes
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    report: Callable[[Path], Path | None] = report
