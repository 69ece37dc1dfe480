"""Whether forked launches are as independent as fresh ones: the spread of both, and what they cost.

``python -m benchmarks.selftest.launches`` makes blocks of launches of either kind in alternating
order. Forks of one process would be alike, if it mattered, within a block and not between blocks;
and their spread would be the smaller one.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median, stdev

from rich.console import Console
from scipy import stats as reference

from benchmarks import conduct
from benchmarks.progress import Telling
from benchmarks.records import Run
from benchmarks.selection import PROCESSES, Selection
from benchmarks.stats import launch_log_ratio

CHOSEN = Selection(
    models=("mlp", "simple_cnn"),
    phases=("forward", "train_step"),
    stacks=("torch-eager", "tensorflow-graph"),
    telemetry=False,
)
Key = tuple[str, str]
Blocks = dict[Key, list[list[float]]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both kinds and print a row per case and per ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selftest.launches")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--launches", type=int, default=10, help="per block")
    parser.add_argument("--out", type=Path, default=Path("results/selftest"), metavar="DIR")
    asked = parser.parse_args(arguments)
    found: dict[str, Blocks] = {kind: {} for kind in PROCESSES}
    seconds = dict.fromkeys(PROCESSES, 0.0)
    for block in range(asked.blocks):
        for kind in PROCESSES[:: 1 if block % 2 else -1]:
            run = _run(replace(CHOSEN, processes=kind, launches=asked.launches), asked.out)
            seconds[kind] += run.seconds
            for key, logs in _logs(run):
                found[kind].setdefault(key, []).append(logs)
    for line in table(found["fresh"], found["forked"]):
        print(line)  # noqa: T201 - a program of its own
    print(", ".join(f"{kind}: {taken:.0f} s" for kind, taken in seconds.items()))  # noqa: T201


def table(fresh: Blocks, forked: Blocks) -> Iterable[str]:
    """Spread between launches of both kinds, with the tests that would tell them apart."""
    yield "| case | fresh: spread | forked: spread | equal spread, p | blocks alike, p |"
    yield "| --- | --- | --- | --- | --- |"
    for key, blocks in fresh.items():
        other = forked[key]
        a, b = ([log for block in kind for log in block] for kind in (blocks, other))
        levene = reference.levene(a, b).pvalue
        alike = reference.f_oneway(*other).pvalue if len(other) > 1 else math.nan
        yield f"| {' '.join(key)} | {stdev(a):.1%} | {stdev(b):.1%} | {levene:.2f} | {alike:.2f} |"


def _run(chosen: Selection, out: Path) -> Run:
    """A run whose launches all start alike: none of them is cold."""
    made = conduct.prepare(chosen, out)
    effort = replace(made.plan.effort, cold_launches=0)
    made = replace(made, plan=replace(made.plan, effort=effort))
    return conduct.carry_out(made, Telling(Console(file=io.StringIO())))


def _logs(run: Run) -> Iterable[tuple[Key, list[float]]]:
    """Per case the log of each launch's median, and per matchup that of each launch's ratio."""
    for result in run.matchups:
        for case in result.cases:
            yield (
                (result.matchup.id, case.stack),
                [math.log(median(launch.samples_s)) for launch in case.launches],
            )
        a, b = ({n.index: n.samples_s for n in case.launches} for case in result.cases)
        both = sorted(a.keys() & b.keys())
        yield (result.matchup.id, "ratio"), [launch_log_ratio(a[i], b[i]) for i in both]


if __name__ == "__main__":
    main()
