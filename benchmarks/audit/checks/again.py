"""The same call again, and with other numbers of threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.audit.child import Bench, difference
from benchmarks.audit.rows import Row, plain

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 7, "g"
TITLE = "the same call again, and with other numbers of threads"
TIMES = 5
THREADS = "with other threads"


def rows(on: Audited) -> Iterator[Row]:
    """The call again in one process; then a process for the other number of threads."""
    yield on.asked("again")
    threads = 1 if on.threads > 1 else 2
    with on.held(THREADS) as kept:
        with on.worker(threads=threads) as worker:
            found = on.outputs(worker, "threads")
        kept.append(on.against_fresh(found, THREADS, f"{threads} against {on.threads}"))
    yield from kept


def inside(bench: Bench) -> dict[str, Any]:
    """One call ``TIMES`` times."""
    first = bench.outputs(bench.built.batch_size)
    calls = [bench.outputs(bench.built.batch_size) for _ in range(TIMES - 1)]
    worst = max(difference(one, first) for one in calls)
    return plain("not deterministic" if worst else "same", worst, f"{TIMES} calls")
