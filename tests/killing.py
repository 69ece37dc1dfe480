"""Kills small runs at each of their events in turn, and takes every one of them up again.

``python -m tests.killing FOLDER`` prints, as one JSON list, the exit code of each run that was
taken up. Run ``n`` lies in ``FOLDER/n``; it was killed right after its event ``n`` was on disk,
counted from 0 over the run and those that its calibration needs. The last one was not killed.
"""

import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.__main__ import main
from benchmarks.measure import session, watching
from benchmarks.request.selection import EFFORTS
from benchmarks.worker import disturbances
from tests.pipeline import OURS, SHORT

ASKED = (*OURS, "--models", "tiny", "--stacks", "null-a")
MORE = ("--phases", "forward", "--effort", "release", "--no-telemetry")


def killed_at(number: int) -> None:
    """Have this process killed once so many events and one more are on disk."""
    counted, record = itertools.count(), session.Session.record

    def counting(self: session.Session, kind: str, **data: Any) -> None:
        record(self, kind, **data)
        if next(counted) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    session.Session.record = counting  # type: ignore[method-assign]


def forked(arguments: list[str], kill_at: int | None = None) -> int:
    """The exit code of a run in a fork of this process; minus the signal where one ended it."""
    pid = os.fork()
    if pid == 0:
        if kill_at is not None:
            killed_at(kill_at)
        os._exit(main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def every(folder: Path) -> list[int]:
    """The exit codes of all runs that were taken up, and of the one that was not killed."""
    codes = list[int]()
    while True:
        out = ["--out", str(folder / str(len(codes)))]
        code = forked(["run", *ASKED, *MORE, *out], kill_at=len(codes))
        if code != -signal.SIGKILL:
            return [*codes, code]
        codes.append(forked(["run", "--resume", *OURS, *out]))


def _left_alone(record: disturbances.Record, normal: disturbances.Normal) -> dict[str, float]:
    del record, normal
    return {}


if __name__ == "__main__":
    EFFORTS.update(SHORT)
    watching.WATCH_S.update(dict.fromkeys(SHORT, 0.0))
    session.report = lambda folder: folder / "report.html"
    disturbances.causes = _left_alone
    sys.stdout.write(json.dumps(every(Path(sys.argv[1]))))
