"""Other models in the process change nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.audit.child import Bench
from benchmarks.audit.rows import Row

if TYPE_CHECKING:
    from benchmarks.audit.run import Audited

ORDER, LETTER = 4, "d"
TITLE = "outputs after and beside other models in the process"
TURNS = 3
"""How often the other model runs at least while the outputs are computed."""


def rows(on: Audited) -> Iterator[Row]:
    """After others were built, trained and deleted; and while another one runs."""
    names = ("after other models", "beside another model")
    with on.held(names[0]) as kept, on.worker(first=on.other) as worker:
        other = on.other["source"]["model"]
        worker.ask("first_step", deadline_s=on.timeout_s)
        worker.ask("rebuild", deadline_s=on.timeout_s, job=on.job())
        found = on.outputs(worker, "after")
        kept.append(on.against_fresh(found, names[0], f"{other} was trained before"))
        path = on.folder / "beside.npz"
        answer = worker.ask(
            "audit",
            deadline_s=on.timeout_s,
            check="company",
            other=on.other,
            size=on.size,
            path=str(path),
        )
        turns = answer["found"]["turns"]
        kept.append(on.against_fresh(path, names[1], f"{other} ran {turns} times in a thread"))
    yield from kept


def inside(bench: Bench, *, other: dict[str, Any], size: int, path: str) -> dict[str, Any]:
    """Write the outputs that are computed last while a thread runs another model over and over."""
    beside, done = bench.another(other), threading.Event()
    turns = []

    def run() -> None:
        while not done.is_set():
            beside.outputs(1)
            turns.append(1)

    beside.outputs(1)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        found = bench.outputs(size)
        while len(turns) < TURNS and thread.is_alive():
            found = bench.outputs(size)
    finally:
        done.set()
        thread.join()
    np.savez(path, allow_pickle=False, **found)
    return {"turns": len(turns)}
