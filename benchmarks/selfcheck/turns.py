"""What taking turns costs: how long one takes to settle, and what a wait for the device costs.

``python -m benchmarks.selfcheck.turns`` lets workers alternate as in a run and times each iteration
by itself. On it rests what a turn leaves untimed (``clock.DISCARD``, ``clock.SETTLE_S``) and that
it is timed in blocks (``clock.BLOCK_S``); and it says how much of a short step is the waiting for
its device.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate, pairwise
from math import log, sqrt
from statistics import fmean, median, pstdev

from benchmarks import terminal
from benchmarks.request import options
from benchmarks.request.selection import Selection, SelectionError
from benchmarks.results.records import Stack
from benchmarks.why._shared.subjects import Subject, ask, prepared, subject
from benchmarks.worker import clock
from profilers.gpu import gpu_state

AT_MS = (0, 5, 10, 20, 30, 50)
"""Milliseconds into a turn at which it is held against its second half."""
LEAST = 8
"""Iterations of a turn, however long they are."""
VARYING = 3
"""Turns from which on it can be told how much they vary."""
FLAGS = ("--models", "--phases", "--stacks", "--device", "--batch", "--effort", "--models-dir")
MODELS = ("mlp", "simple_cnn")
PHASES = ("forward", "train_step")
Turns = list[dict[str, list[float]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Let the stacks of each matchup alternate, and print a row per stack."""
    parser = terminal.Parser(prog="python -m benchmarks.selfcheck.turns", description=__doc__)
    options.add({flag: options.SELECTION[flag] for flag in FLAGS}, parser.add_argument)
    parser.add_argument("--turns", type=int, default=40, metavar="N")
    parser.add_argument("--turn-ms", type=int, default=150, metavar="MS", help="how long, about")

    with terminal.ending() as ending:
        asked = parser.parse_args(arguments)
        for flag, given in (("--turns", asked.turns), ("--turn-ms", asked.turn_ms)):
            if given < 1:
                raise SelectionError(f"{flag} is {given}; it must be at least 1")
        chosen = options.selection(terminal.value_of(asked))
        chosen = replace(chosen, models=chosen.models or MODELS, phases=chosen.phases or PHASES)
        for line in rows(chosen, asked.turns, asked.turn_ms / 1e3):
            print(line)  # noqa: T201 - a program of its own
    return ending.code


def rows(chosen: Selection, turns: int, turn_s: float) -> Iterable[str]:
    """The table, line by line as its matchups are measured."""
    first = (f"at {ms} ms" for ms in AT_MS)
    rest = ("a wait", "mean varies", "blocks vary", "SM clock")
    heads = ("matchup", "stack", "step", *first, *rest)
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for model in chosen.models:
        for phase in chosen.phases:
            of = subject(replace(chosen, models=(model,), phases=(phase,)))
            taken, clocks = measure(of, turns, turn_s)
            for lacking, why in of.lacking.items():
                yield f"| {of.matchup.id} | {lacking} | left out: {why} |"
            for stack, told in taken.items():
                yield f"| {of.matchup.id} | {stack} | {_row(told)} | {clocks} |"


def measure(of: Subject, turns: int, turn_s: float) -> tuple[dict[str, Turns], str]:
    """What each stack's turns took, iteration by iteration, and the clocks of the GPU meanwhile.

    Raises:
        WorkerError: a stack could not take its turns.
        Locked: another run is using the device.
    """
    taken: dict[str, Turns] = {str(stack): [] for stack in of.stacks}
    clocks = list[int]()
    with of.device(), ExitStack() as opened, gpu_state.Reader() as gpu:
        held = replace(of, held=True)
        workers = {stack: opened.enter_context(prepared(held, stack)) for stack in of.stacks}
        counts = dict[Stack, int]()
        for stack, worker in workers.items():
            few = ask(worker, of, "paces", iterations=LEAST)["samples_s"]
            counts[stack] = max(LEAST, clock.iterations_for(min(few), turn_s))
        for _ in range(turns):
            for stack, worker in workers.items():
                taken[str(stack)].append(ask(worker, of, "paces", iterations=counts[stack]))
                state = gpu.state() if of.matchup.device == "cuda" else None
                if state and state.sm_clock_mhz is not None:
                    clocks.append(state.sm_clock_mhz)
    return taken, f"{min(clocks)} to {max(clocks)} MHz" if clocks else "-"


def penalties(turns: Turns) -> list[float]:
    """How much longer iterations take so far into a turn (``AT_MS``), as shares, than later on.

    The median over turns of the iteration begun then, or the last begun before, over the median of
    the turn's second half.
    """
    shares = list[list[float]]()
    for samples_s in (turn["samples_s"] for turn in turns):
        begun_s = list(accumulate(samples_s, initial=0.0))[: len(samples_s)]
        at = (bisect_right(begun_s, ms / 1e3) - 1 for ms in AT_MS)
        settled_s = median(_settled(samples_s))
        shares.append([samples_s[position] / settled_s - 1 for position in at])
    return [median(of_time) for of_time in zip(*shares, strict=True)]


def _settled(samples_s: list[float]) -> list[float]:
    return samples_s[len(samples_s) // 2 :]


def variation(turns: Turns) -> tuple[float, float] | None:
    """By what share a turn's time differs from the next one's: its mean, and its median block.

    The standard deviation of one turn, from the differences between neighbours; the settled
    iterations count. ``None`` where there are fewer than three turns.
    """
    if len(turns) < VARYING:
        return None
    settled = [_settled(turn["samples_s"]) for turn in turns]
    block = clock.iterations_for(median(median(each) for each in settled), clock.BLOCK_S)
    means, middles = map(fmean, settled), (median(_blocks(each, block)) for each in settled)
    return _differ(means), _differ(middles)


def _blocks(samples_s: Sequence[float], least: int) -> list[float]:
    return [fmean(samples_s[i] for i in each) for each in clock.blocks(len(samples_s), least)]


def _differ(times_s: Iterable[float]) -> float:
    return pstdev(log(after / before) for before, after in pairwise(times_s)) / sqrt(2)


def _row(turns: Turns) -> str:
    step_s = median(s for turn in turns for s in _settled(turn["samples_s"]))
    wait_s = median(s for turn in turns for s in turn["waits_s"])
    slower = " | ".join(f"{share:+.1%}" for share in penalties(turns))
    varies = " | ".join(f"{share:.1%}" for share in variation(turns) or ()) or "- | -"
    return f"{step_s * 1e3:.3f} ms | {slower} | {wait_s * 1e6:.1f} us | {varies}"


if __name__ == "__main__":
    raise SystemExit(main())
