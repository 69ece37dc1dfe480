"""What a reader under test is, and how many inputs it is given."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import FrameType

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from tests.fuzz.inputs import Inputs

LONGEST_S = 10
"""What one input may take."""
MOST_ROUNDS = 20
INSTALLED = ("site-packages", "/lib/python")
INPUT = "input"
"""The file that holds the last input: what a reader that took its process with it was given."""


class TooLongError(Exception):
    """An input took longer than ``LONGEST_S``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Something that reads what it should not trust.

    ``start`` makes, in a folder that lies there for the reader alone, what sound files it needs,
    and gives the inputs and what reads one; that raises where the reader does what it must not.
    ``share`` is the number of inputs of 100,000; ``needs`` is a module.
    """

    name: str
    start: Callable[[Path], tuple[Inputs, Callable[[bytes], object]]]
    share: int
    needs: str | None = None


@dataclass(slots=True)
class Outcome:
    """How many inputs were read, the slowest, and the smallest input for each wrong ending."""

    inputs: int = 0
    slowest_s: float = 0.0
    failures: dict[str, tuple[str, bytes]] = field(default_factory=dict)


@contextmanager
def documented(*errors: type[Exception]) -> Iterator[None]:
    """The one way in which a reader may refuse: these errors, in one line."""
    try:
        yield
    except errors as error:
        text = str(error)
        assert text
        assert "\n" not in text, f"an error of several lines: {text!r}"


def fuzz(
    reader: Reader,
    folder: Path,
    count: int,
    first: int = 0,
    ready: Callable[[], object] = lambda: None,
) -> Outcome:
    """Give a reader so many inputs; an ending that is known already does not end the search.

    ``ready`` is called once the reader has started; ``first`` is the seed.
    """
    inputs, read = reader.start(folder)
    ready()
    found, known = Outcome(), set[str]()

    def one(data: bytes) -> None:
        (folder / INPUT).write_bytes(data)
        found.inputs += 1
        began = perf_counter()
        try:
            with _limited():
                read(data)
        except Exception as error:
            where = _place(error)
            kept = found.failures.get(where)
            if kept is None or len(data) <= len(kept[1]):
                told = "".join(traceback.format_exception(error))[-1500:]
                found.failures[where] = told, data
            if where not in known:
                raise
        finally:
            found.slowest_s = max(found.slowest_s, perf_counter() - began)

    for number in range(MOST_ROUNDS):
        left = count - found.inputs
        if left <= 0:
            break
        asked = settings(
            max_examples=left,
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            verbosity=Verbosity.quiet,
        )
        with suppress(Exception):  # it is among the failures
            seed(first + number)(asked(given(inputs)(one)))()
        known |= found.failures.keys()
    return found


@contextmanager
def _limited() -> Iterator[None]:
    """Raise in what takes too long."""
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TooLongError(f"longer than {LONGEST_S} s")


def _place(error: Exception) -> str:
    """What tells one wrong ending from another: the error and the line of ours that it came by."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if not any(word in f.filename for word in INSTALLED)]
    last = (ours or frames)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
