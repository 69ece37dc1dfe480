"""twinbench beside the tools people use: the same work, the same machine, one after the other.

``python -m benchmarks.selfcheck`` (``nox -s selfcheck``) asks each tool, as its own documentation
has it, whether a piece of work is as fast as itself (on a quiet machine, and beside one busy
foreign process) and as fast as a copy slowed by a known share. Every answer is kept as it comes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, stdev
from types import ModuleType
from typing import Any

from benchmarks.machine import environment
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import to_json
from benchmarks.selfcheck import neighbour
from benchmarks.selfcheck.tools import twinbench
from benchmarks.selfcheck.tools._outcome import Outcome

OTHERS = {"pytest_benchmark": 12, "torch": 12, "asv": 4, "pyperf": 2}
"""Other tools, with how many comparisons each is asked for under each condition."""
SLOW = 0.05
NARROW = 0.02
CONDITIONS = {"quiet": False, "busy": True}
Rows = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask every tool, print the table, keep the answers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selfcheck", description=__doc__)
    parser.add_argument("--tools", default=",".join((*OTHERS, "twinbench")), metavar="A,B")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of comparisons")
    parser.add_argument("--repeats", type=int, default=1, help="runs of twinbench per condition")
    parser.add_argument("--conditions", default=",".join(CONDITIONS), metavar="A,B")
    parser.add_argument("--launches", type=int, help="of twinbench, under every condition")
    parser.add_argument("--out", type=Path, default=Path("results/selfcheck"), metavar="DIR")
    asked = parser.parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    with journal.Journal(asked.out / "answers.ndjson") as log:
        for condition in asked.conditions.split(","):
            with neighbour.busy(present=CONDITIONS[condition]):
                for name in asked.tools.split(","):
                    for kind, outcome in _ask(name, condition, asked):
                        log.append(
                            "answer", tool=name, condition=condition, given=kind, **asdict(outcome)
                        )
    rows = summarise(journal.read(asked.out / "answers.ndjson")[0])
    told = {"environment": to_json(environment.describe()), "slowed_by": SLOW, "tools": rows}
    journal.write_atomic(asked.out / "selfcheck.json", json.dumps(told, indent=1) + "\n")
    print(markdown(rows))
    return 0


def _ask(name: str, condition: str, asked: argparse.Namespace) -> Iterable[tuple[str, Outcome]]:
    """Each answer of a tool under a condition: ``same`` or ``slowed``, the latter when quiet."""
    if name == "twinbench":
        launches = asked.launches or twinbench.LAUNCHES[condition]
        for _ in range(asked.repeats):
            same, slowed = twinbench.measure(SLOW, launches, asked.out / condition)
            yield from (("same", outcome) for outcome in same)
            if condition == "quiet":
                yield from (("slowed", outcome) for outcome in slowed)
        if condition == "quiet":
            yield from (("alone", outcome) for outcome in twinbench.alone(asked.out / "alone"))
        return
    if find_spec(name if name != "torch" else "torch.utils") is None:
        print(f"{name} is not installed: left out", file=sys.stderr)
        return
    module = importlib.import_module(f"benchmarks.selfcheck.tools.{name}")
    for _ in range(max(1, round(OTHERS[name] * asked.scale))):
        yield "same", _timed(module, 0.0)
        if condition == "quiet":
            yield "slowed", _timed(module, SLOW)


def _timed(module: ModuleType, slow: float) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="twinbench-selfcheck-") as folder:
        began = time.perf_counter()
        compare: Callable[[float, Path], Outcome] = module.compare
        outcome = compare(slow, Path(folder))
        return replace(outcome, seconds=time.perf_counter() - began)


def summarise(answers: Iterable[dict[str, Any]]) -> Rows:
    """One row per tool: how often it called what, and what a ±2 % interval costs it.

    Where a tool was asked for comparisons of a fixed cost, their spread says how many must be
    averaged: (1.96 sd / ln 1.02)² of them, at least one. twinbench stops by itself when its
    interval is that narrow, so its cost is what one such run took.
    """
    taken = [a for a in answers if a["kind"] == "answer"]
    rows = []
    for tool in dict.fromkeys(a["tool"] for a in taken):
        of = [a for a in taken if a["tool"] == tool]
        quiet = [a for a in of if a["condition"] == "quiet" and a["given"] == "same"]
        busy = [a for a in of if a["condition"] == "busy" and a["given"] == "same"]
        slowed = [a for a in of if a["given"] == "slowed"]
        alone = [a for a in of if a["given"] == "alone"]
        rule = importlib.import_module(f"benchmarks.selfcheck.tools.{tool}").RULE
        rows.append(
            {
                "tool": tool,
                "rule": rule,
                "quiet": _count(quiet),
                "busy": _count(busy),
                "slowed": _count(slowed),
                "spread_quiet": _spread(quiet),
                "spread_busy": _spread(busy),
                "narrow_s": fmean(a["seconds"] for a in alone) if alone else _narrow_s(quiet),
            }
        )
    return rows


def _count(answers: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {"called": sum(a["called"] for a in answers), "of": len(answers)}


def _spread(answers: Sequence[dict[str, Any]]) -> float | None:
    """Standard deviation of the log-ratios."""
    logs = [math.log(a["ratio"]) for a in answers]
    return stdev(logs) if len(logs) > 1 else None


def _narrow_s(answers: Sequence[dict[str, Any]]) -> float | None:
    spread = _spread(answers)
    if spread is None:
        return None
    needed = max(1.0, (1.96 * spread / math.log1p(NARROW)) ** 2)
    return needed * fmean(a["seconds"] for a in answers)


def markdown(rows: Rows) -> str:
    """The table as the README has it."""
    heads = (
        "tool",
        "its rule",
        "false calls, quiet",
        "false calls, busy",
        f"{SLOW:.0%} slower: seen",
        "spread, quiet",
        "spread, busy",
        f"±{NARROW:.0%} takes",
    )
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    for row in rows:
        counts = (f"{row[k]['called']} of {row[k]['of']}" for k in ("quiet", "busy", "slowed"))
        spreads = (_percent(row[f"spread_{k}"]) for k in ("quiet", "busy"))
        cost = "-" if row["narrow_s"] is None else f"{row['narrow_s']:.0f} s"
        cells = (row["tool"].replace("_", "-"), row["rule"], *counts, *spreads, cost)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    sys.exit(main())
