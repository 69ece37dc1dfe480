"""Takes up what a kill after each event of a small run would leave on disk.

``python -m tests.killing FOLDER`` prints, as one JSON list, the exit code of each run that was
taken up, and that of the run itself. ``FOLDER/n`` is the folder of the runs as it was right after
event ``n``, counted from 0 over the run and those that its calibration needs: a SIGKILL at that
moment leaves the same. ``FOLDER/whole`` is that of the run itself.
"""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.__main__ import main
from benchmarks.measure import session
from benchmarks.measure.calibration import ceilings, floor
from benchmarks.worker import disturbances
from tests.pipeline import OURS, shorten

WHOLE = "whole"
ASKED = (*OURS, "--models", "tiny", "--stacks", "null-a")
MORE = ("--phases", "forward", "--effort", "release", "--no-telemetry")
ROWS = 64
"""Of the matrices whose product is a ceiling: small, because its value is nothing here."""


def copied_after_each_event(folder: Path) -> None:
    """Have this process keep a copy of ``folder/whole`` whenever another event is on disk."""
    counted, record = itertools.count(), session.Session.record

    def copying(self: session.Session, kind: str, **data: Any) -> None:
        record(self, kind, **data)
        shutil.copytree(folder / WHOLE, folder / str(next(counted)), symlinks=True)

    session.Session.record = copying  # type: ignore[method-assign]


def forked(arguments: list[str]) -> int:
    """The exit code of a command in a fork of this process."""
    pid = os.fork()
    if pid == 0:
        os._exit(main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def every(folder: Path) -> list[int]:
    """The exit codes of the runs that were taken up, by their number, and of the whole one."""
    record = session.Session.record
    copied_after_each_event(folder)
    code = main(["run", *ASKED, *MORE, "--out", str(folder / WHOLE)])
    session.Session.record = record  # type: ignore[method-assign]
    taken = [str(folder / str(n)) for n in range(len(list(folder.iterdir())) - 1)]
    return [*(forked(["run", "--resume", *OURS, "--out", out]) for out in taken), code]


def _left_alone(record: disturbances.Record, normal: disturbances.Normal) -> dict[str, float]:
    del record, normal
    return {}


if __name__ == "__main__":
    calibrated = floor.settle, ceilings.settle
    shorten()
    floor.settle, ceilings.settle = calibrated
    ceilings.SIZES = {"cpu": ROWS}
    session.report = lambda folder: folder / "report.html"
    disturbances.causes = _left_alone
    sys.stdout.write(json.dumps(every(Path(sys.argv[1]))))
