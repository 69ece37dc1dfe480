"""What a profiling command is: one file, found by its name."""

from __future__ import annotations

import argparse
import json
from typing import Any, Protocol

from rich.console import Console

from benchmarks.why._shared.subjects import Subject


class Command(Protocol):
    """A module in this folder whose name has no underscore in front."""

    HELP: str
    """One line for the help text."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the flags that only this command has."""

    def main(self, subject: Subject, asked: argparse.Namespace, console: Console) -> int:
        """Carry it out and return the exit code; text goes to the console, data to stdout."""


def emit(document: Any) -> None:
    """One JSON document on stdout, which holds nothing else."""
    print(json.dumps(document, allow_nan=False))  # noqa: T201 - it is what was asked for
