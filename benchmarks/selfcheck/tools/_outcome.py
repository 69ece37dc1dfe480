"""What a tool said of one comparison, and the processes it is asked in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine.environment import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``called``: the tool says that they differ; ``ratio``: its time of B over its time of A."""

    called: bool
    ratio: float
    seconds: float = 0.0


def run(
    arguments: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python on some arguments in a folder, our packages within reach."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | dict(variables or {})
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def done(made: subprocess.CompletedProcess[str], *allowed: int) -> str:
    """What it printed.

    Raises:
        RuntimeError: it ended with a code that is not among ``allowed`` (0 unless said).
    """
    if made.returncode not in (allowed or (0,)):
        raise RuntimeError(f"exit {made.returncode}: {(made.stderr or made.stdout)[-2000:]}")
    return made.stdout
