"""Whether a worker that has served one model before is as fast on the next as a fresh one.

``python -m benchmarks.selfcheck.sharing`` lets both kinds of worker alternate as in a run, launch
after launch. A run starts processes of its own for every launch of a model: serving several models
by one would save starts, but what the first leaves behind (an allocator's memory, caches, threads)
may change the time of the second, and this measures by how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from benchmarks import terminal
from benchmarks.request import options
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Stack
from benchmarks.results.statistics import Estimate, estimate, launch_log_ratio
from benchmarks.why._shared.subjects import TURN_S, WARM_S, Subject, ask, job, prepared, subject
from benchmarks.worker.process import WorkerProcess

FLAGS = ("--models", "--phases", "--stacks", "--effort", "--batch", "--models-dir")
MODELS = ("lstm", "simple_cnn")
PHASES = ("forward", "train_step")
TURNS = 10
LAUNCHES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the last of the models in workers that served the others, and print a row per stack."""
    parser = terminal.Parser(prog="python -m benchmarks.selfcheck.sharing", description=__doc__)
    options.add({flag: options.SELECTION[flag] for flag in FLAGS}, parser.add_argument)
    parser.add_argument("--launches", type=int, default=LAUNCHES, metavar="N")
    with terminal.ending() as ending:
        asked = parser.parse_args(arguments)
        chosen = options.selection(terminal.value_of(asked))
        chosen = replace(chosen, models=chosen.models or MODELS, phases=chosen.phases or PHASES)
        if len(chosen.models) < 2 or asked.launches < 2:  # noqa: PLR2004
            raise SelectionError("--models and --launches: name at least two")
        for line in rows(chosen, asked.launches):
            print(line, flush=True)  # noqa: T201 - a program of its own
    return ending.code


def rows(chosen: Selection, launches: int) -> Iterable[str]:
    """The table, line by line: the time after other models over the time in a fresh worker."""
    yield "| model | after | phase | stack | ratio | 95 % interval |"
    yield "| --- | --- | --- | --- | --- | --- |"
    *before, last = chosen.models
    for phase in chosen.phases:
        others = [subject(replace(chosen, models=(m,), phases=(phase,))) for m in before]
        of = subject(replace(chosen, models=(last,), phases=(phase,)))
        for stack in of.stacks:
            found = measured(others, of, stack, launches)
            low, high = found.ci95 or (0.0, 0.0)
            cells = (last, ", ".join(before), phase, str(stack), f"{found.ratio:.3f}")
            yield f"| {' | '.join(cells)} | {low:.3f} to {high:.3f} |"


def measured(others: Sequence[Subject], of: Subject, stack: Stack, launches: int) -> Estimate:
    """Time in a worker that served other models, over the time in a fresh one.

    Raises:
        WorkerError: a worker could not serve them.
        Locked: a run is using the device.
    """
    logs = []
    with of.device():
        free = [replace(each, held=True) for each in (*others, of)]
        for _ in range(launches):
            with prepared(free[-1], stack) as fresh, prepared(free[0], stack) as used:
                ask(used, free[0], "turn")
                for each in free[1:]:
                    serve(used, each, stack)
                turns = [(_turn_s(fresh, of), _turn_s(used, of)) for _ in range(TURNS)]
            logs.append(launch_log_ratio(*zip(*turns, strict=True)))
    return estimate(logs)


def serve(worker: WorkerProcess, of: Subject, stack: Stack) -> None:
    """Have a worker build another model, warm it up and take a turn of it."""
    ask(worker, of, "rebuild", job=job(of, stack))
    ask(worker, of, "prepare", phase=of.matchup.phase, turn_s=TURN_S, warm_s=WARM_S)
    ask(worker, of, "turn")


def _turn_s(worker: WorkerProcess, of: Subject) -> float:
    told: dict[str, Any] = ask(worker, of, "turn")
    return float(told["run_s"])


if __name__ == "__main__":
    raise SystemExit(main())
