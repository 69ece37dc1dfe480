"""What taking turns costs: how slow the first iterations of one are, and what a wait costs.

``python -m benchmarks.selftest.turns`` lets workers alternate as in a run and times each iteration
by itself. On it rests what a turn leaves untimed (``clock.DISCARD``, ``clock.SETTLE_S``) and that
it is timed in blocks (``clock.BLOCK_S``); and it says how much of a short step is the waiting for
its device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate, pairwise
from math import log, sqrt
from statistics import fmean, median, pstdev

from benchmarks import clock, options, terminal
from benchmarks.plan import Selection, SelectionError
from benchmarks.profiling._subject import Subject, ask, prepared, subject
from profilers import gpu_state

POSITIONS = 4
"""First iterations of a turn that are shown."""
SETTLED = 6
"""From here on a turn's iterations are taken as what it settles to."""
VARYING = 3
"""Turns from which on it can be told how much they vary."""
FLAGS = ("--models", "--phases", "--stacks", "--device", "--batch", "--effort", "--models-dir")
MODELS = ("mlp", "simple_cnn")
PHASES = ("train_step",)
Turns = list[dict[str, list[float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Let the stacks of each matchup alternate, and print a row per stack."""
    parser = terminal.Parser(prog="python -m benchmarks.selftest.turns", description=__doc__)
    options.add({flag: options.SELECTION[flag] for flag in FLAGS}, parser.add_argument)
    parser.add_argument("--turns", type=int, default=40, metavar="N")
    parser.add_argument("--iterations", type=int, default=16, metavar="N", help="of each turn")

    def called() -> int:
        asked = parser.parse_args(arguments)
        for name, least in (("turns", 1), ("iterations", SETTLED + 1)):
            if (given := getattr(asked, name)) < least:
                raise SelectionError(f"--{name} is {given}; it must be at least {least}")
        chosen = options.selection(terminal.value_of(asked))
        chosen = replace(chosen, models=chosen.models or MODELS, phases=chosen.phases or PHASES)
        for line in rows(chosen, asked.turns, asked.iterations):
            print(line)  # noqa: T201 - a program of its own
        return 0

    return terminal.guarded(called)


def rows(chosen: Selection, turns: int, iterations: int) -> Iterable[str]:
    """The table, line by line as its matchups are measured."""
    first = (f"iteration {1 + i}" for i in range(POSITIONS))
    rest = ("a wait", "mean varies", "blocks vary", "SM clock")
    heads = ("matchup", "stack", "step", *first, *rest)
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for model in chosen.models:
        for phase in chosen.phases:
            of = subject(replace(chosen, models=(model,), phases=(phase,)))
            taken, clocks = measure(of, turns, iterations)
            for lacking, why in of.lacking.items():
                yield f"| {of.matchup.id} | {lacking} | left out: {why} |"
            for stack, told in taken.items():
                yield f"| {of.matchup.id} | {stack} | {_row(told)} | {clocks} |"


def measure(of: Subject, turns: int, iterations: int) -> tuple[dict[str, Turns], str]:
    """What each stack's turns took, iteration by iteration, and the clocks of the GPU meanwhile.

    Raises:
        WorkerError: a stack could not take its turns.
        Locked: another run is using the device.
    """
    taken: dict[str, Turns] = {str(stack): [] for stack in of.stacks}
    clocks = list[int]()
    with of.device(), ExitStack() as opened, gpu_state.Watch() as gpu:
        held = replace(of, held=True)
        workers = {stack: opened.enter_context(prepared(held, stack)) for stack in of.stacks}
        for _ in range(turns):
            for stack, worker in workers.items():
                taken[str(stack)].append(ask(worker, of, "paces", iterations=iterations))
                state = gpu.state() if of.matchup.device == "cuda" else None
                if state and state.sm_clock_mhz is not None:
                    clocks.append(state.sm_clock_mhz)
    return taken, f"{min(clocks)} to {max(clocks)} MHz" if clocks else "-"


def penalties(turns: Turns) -> list[float]:
    """How much longer than a settled one each of the first iterations of a turn takes, as a share.

    The median over turns of each iteration over the median of the turn's settled ones.
    """
    shares = [
        [s / median(turn["samples_s"][SETTLED:]) - 1 for s in turn["samples_s"][:POSITIONS]]
        for turn in turns
    ]
    return [median(of_position) for of_position in zip(*shares, strict=True)]


def variation(turns: Turns) -> tuple[float, float] | None:
    """By what share a turn's time differs from the next one's: its mean, and its median block.

    The standard deviation of one turn, from the differences between neighbours; the settled
    iterations count. ``None`` where there are fewer than three turns.
    """
    if len(turns) < VARYING:
        return None
    settled = [turn["samples_s"][SETTLED:] for turn in turns]
    block = clock.iterations_for(median(median(each) for each in settled), clock.BLOCK_S)
    means, middles = map(fmean, settled), (median(_blocks(each, block)) for each in settled)
    return _differ(means), _differ(middles)


def _blocks(samples_s: Sequence[float], least: int) -> list[float]:
    edges = accumulate(clock.blocks(len(samples_s), least), initial=0)
    return [fmean(samples_s[first:last]) for first, last in pairwise(edges)]


def _differ(times_s: Iterable[float]) -> float:
    return pstdev(log(after / before) for before, after in pairwise(times_s)) / sqrt(2)


def _row(turns: Turns) -> str:
    step_s = median(s for turn in turns for s in turn["samples_s"][SETTLED:])
    wait_s = median(s for turn in turns for s in turn["waits_s"])
    slower = " | ".join(f"{share:+.1%}" for share in penalties(turns))
    varies = " | ".join(f"{share:.1%}" for share in variation(turns) or ()) or "- | -"
    return f"{step_s * 1e3:.3f} ms | {slower} | {wait_s * 1e6:.1f} us | {varies}"


if __name__ == "__main__":
    raise SystemExit(main())
