"""What the command lines share: bad input gets one clear line, and every ending its exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from rich.console import Console

from benchmarks.machine import locks
from benchmarks.measure import session
from benchmarks.request.selection import SelectionError
from benchmarks.results import printable, unexpected, wording
from benchmarks.results.records import Exit
from benchmarks.worker import interrupts
from benchmarks.worker.process import WorkerError


class UnfinishedError(Exception):
    """A run could not be ended, and may be taken up; the text says why and how."""


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


@dataclass
class Ending:
    """How a command ended."""

    code: int = Exit.OK


@contextmanager
def ending() -> Iterator[Ending]:
    """Within it a command sets its exit code; what it raises is told in a line and has a code.

    A signal that asks it to end is an interrupt; the second one ends it at once.
    """
    printable.fall_back()
    made = Ending()
    try:
        with interrupts.taken():
            yield made
    except locks.Locked as error:
        made.code = _told(str(error), Exit.LOCKED)
    except session.NothingRunsError as error:
        made.code = _told(str(error), Exit.NOTHING)
    except UnfinishedError as error:
        made.code = _told(str(error), Exit.INCOMPLETE)
    except WorkerError as error:
        made.code = _told(f"{error.status}: {error.reason}", Exit.INCOMPLETE)
    except session.usage_errors() as error:
        made.code = _told(str(error), Exit.USAGE)
    except KeyboardInterrupt:
        made.code = Exit.INTERRUPTED
    except Exception as error:
        print(unexpected.told(error), file=sys.stderr)  # noqa: T201 - as below
        made.code = unexpected.CODE


def _told(text: str, code: Exit) -> Exit:
    print(f"twinbench: {wording.plain(text)}", file=sys.stderr)  # noqa: T201 - a command line speaks here
    return code
