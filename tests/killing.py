"""Takes up what a kill after each event of a small run would leave on disk.

Its workers are those of ``tests.kernel``: what a kill does to processes has tests of its own.

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
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.__main__ import main
from benchmarks.measure import session
from benchmarks.measure.calibration import ceilings
from tests import kernel
from tests.kernel import Kernel
from tests.pipeline import BARE, OURS, REAL, shorten

WHOLE = "whole"
ASKED = (*OURS, "--models", "tiny", "--stacks", "null-a")
MORE = ("--phases", "forward", "--effort", "release", "--no-telemetry")
ROWS = 64
"""Of the matrices whose product is a ceiling: small, because its value is nothing here."""
MACHINE = Kernel()
MEANS = replace(
    BARE,
    floor=REAL.floor,
    ceiling=REAL.ceiling,
    start=MACHINE.start,
    now=MACHINE.now,
    pause=MACHINE.sleep,
)


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
        os._exit(main(arguments, MEANS))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def every(folder: Path) -> list[int]:
    """The exit codes of the runs that were taken up, by their number, and of the whole one."""
    record = session.Session.record
    copied_after_each_event(folder)
    code = main(["run", *ASKED, *MORE, "--out", str(folder / WHOLE)], MEANS)
    session.Session.record = record  # type: ignore[method-assign]
    taken = [str(folder / str(n)) for n in range(len(list(folder.iterdir())) - 1)]
    return [*(forked(["run", "--resume", *OURS, "--out", out]) for out in taken), code]


if __name__ == "__main__":
    shorten()
    ceilings.SIZES = {"cpu": ROWS}
    kernel.device().sleep = MACHINE.sleep
    sys.stdout.write(json.dumps(every(Path(sys.argv[1]))))
