"""What the command lines share: bad input gets one clear line, and every ending its exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console

from benchmarks.machine import locks
from benchmarks.measure import session
from benchmarks.request.selection import SelectionError
from benchmarks.results.records import Exit
from benchmarks.worker.process import WorkerError


class Parser(argparse.ArgumentParser):
    """Raises what it refuses, so that it is told as any other bad input."""

    def error(self, message: str) -> NoReturn:
        """Refuse.

        Raises:
            SelectionError: always.
        """
        raise SelectionError(f"{message} (see {self.prog} --help)")


def value_of(asked: argparse.Namespace) -> Callable[[str], Any]:
    """What was given for a flag, by its name; ``None`` where it was not, or is none here."""
    return lambda flag: getattr(asked, flag.lstrip("-").replace("-", "_"), None)


def console() -> Console:
    """Text goes to stderr; names are shown as they are, neither markup nor emoji."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def guarded(command: Callable[[], int]) -> int:
    """Carry out a command; its exit code, or that of what it raised, which is told in a line."""
    try:
        return int(command())
    except locks.Locked as error:
        return _told(str(error), Exit.LOCKED)
    except session.NothingRunsError as error:
        return _told(str(error), Exit.NOTHING)
    except WorkerError as error:
        return _told(f"{error.status}: {error.reason}", Exit.INCOMPLETE)
    except session.usage_errors() as error:
        return _told(str(error), Exit.USAGE)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED


def _told(text: str, code: Exit) -> Exit:
    print(f"twinbench: {text}", file=sys.stderr)  # noqa: T201 - a command line speaks here
    return code
