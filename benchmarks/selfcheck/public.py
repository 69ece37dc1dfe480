"""Whether our Keras twins are as fast as the public definitions of the same functions.

``python -m benchmarks.selfcheck.public`` lets a worker with our twin and one with the model of
``keras.applications`` alternate as in a run, launch after launch. A ratio above 1 says that ours is
slower. ``tests/test_definitions.py`` shows that both compute the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import terminal
from benchmarks.request import options
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Stack
from benchmarks.results.statistics import Estimate, estimate, launch_log_ratio
from benchmarks.why._shared.subjects import Subject, ask, prepared, subject
from benchmarks.worker.process import WorkerProcess

DEFINITIONS = Path(__file__).parent / "definitions"
FLAGS = ("--models", "--phases", "--stacks", "--batch", "--models-dir")
MODELS = ("vgg16", "densenet121", "xception", "convnext_tiny")
"""What computes the same as it is, but for an epsilon of ``densenet121``."""
PHASES = ("forward", "train_step")
STACKS = ("tensorflow-graph",)
TURNS = 10
LAUNCHES = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Time each model at its published size beside its definition, and print a row per stack."""
    parser = terminal.Parser(prog="python -m benchmarks.selfcheck.public", description=__doc__)
    options.add({flag: options.SELECTION[flag] for flag in FLAGS}, parser.add_argument)
    parser.add_argument("--launches", type=int, default=LAUNCHES, metavar="N")
    with terminal.ending() as ending:
        asked = parser.parse_args(arguments)
        if asked.launches < 2:  # noqa: PLR2004 - one has no interval
            raise SelectionError(f"--launches is {asked.launches}; it must be at least 2")
        chosen = options.selection(terminal.value_of(asked))
        chosen = replace(
            chosen,
            effort="standard",
            models=chosen.models or MODELS,
            phases=chosen.phases or PHASES,
            stacks=chosen.stacks or STACKS,
        )
        for line in rows(chosen, asked.launches):
            print(line, flush=True)  # noqa: T201 - a program of its own
    return ending.code


def rows(chosen: Selection, launches: int) -> Iterable[str]:
    """The table, line by line: the time of our twin over that of the public definition."""
    yield "| model | phase | batch | stack | ratio | 95 % interval |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for model in chosen.models:
        for phase in chosen.phases:
            one = replace(chosen, models=(model,), phases=(phase,))
            ours, public = subject(one), subject(replace(one, models_dir=DEFINITIONS))
            sizes = [sum(layer.parameters for layer in each.layers) for each in (ours, public)]
            if sizes[0] != sizes[1]:
                told = f"{sizes[0]:,} parameters in ours, {sizes[1]:,} in the public one"
                raise SelectionError(f"{model}: {told}")
            for stack in ours.stacks:
                found = measured(ours, public, stack, launches)
                low, high = found.ci95 or (0.0, 0.0)
                cells = (model, phase, str(ours.group.size.batch), str(stack), f"{found.ratio:.3f}")
                yield f"| {' | '.join(cells)} | {low:.3f} to {high:.3f} |"


def measured(ours: Subject, public: Subject, stack: Stack, launches: int) -> Estimate:
    """Time of our twin over the time of the public definition, both in fresh workers.

    Raises:
        WorkerError: a worker could not serve them.
        Locked: a run is using the device.
    """
    logs = []
    with ours.device():
        free = [replace(each, held=True) for each in (public, ours)]
        for _ in range(launches):
            with prepared(free[0], stack) as theirs, prepared(free[1], stack) as mine:
                workers = ((theirs, free[0]), (mine, free[1]))
                turns = [_turns(workers, reverse=bool(turn % 2)) for turn in range(TURNS)]
            logs.append(launch_log_ratio(*zip(*turns, strict=True)))
    return estimate(logs)


def _turns(workers: Sequence[tuple[WorkerProcess, Subject]], *, reverse: bool) -> tuple[float, ...]:
    """Seconds per iteration of each worker in a turn of its own, one after the other."""
    order = workers[::-1] if reverse else workers
    taken = [_turn_s(worker, of) for worker, of in order]
    return tuple(taken[::-1] if reverse else taken)


def _turn_s(worker: WorkerProcess, of: Subject) -> float:
    return float(ask(worker, of, "turn")["run_s"])


if __name__ == "__main__":
    raise SystemExit(main())
