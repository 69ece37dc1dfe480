"""The experiment behind an explanation: what to change, and whether it helps when it is timed.

An explanation from a profile is a guess until the thing it blames is changed and timed, interleaved
with what it was: as any other matchup, without a profiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from benchmarks.measure.calibration import floor, side
from benchmarks.measure.progress import Telling
from benchmarks.measure.run import MEANS
from benchmarks.request.selection import Variant
from benchmarks.results import statistics
from benchmarks.results.profiles import Confirmation, Experiment, Explained
from benchmarks.results.records import Case
from benchmarks.why._shared.files import folder_of
from benchmarks.why._shared.subjects import Subject

LAUNCHES = 7
WORDS = {"faster": "confirmed", "slower": "refuted"}


def carry_out(
    of: Subject, explained: Sequence[Explained], out: Path, console: Console
) -> tuple[Confirmation, ...]:
    """Time each experiment once, beside the stack that it changes and the faster one of its pair.

    Raises:
        Locked: another run is using the device.
        KeyboardInterrupt: an experiment was interrupted, and so are those that would follow.
    """
    done: list[Confirmation] = []
    for pair in explained:
        asked: dict[str, tuple[str, Experiment]] = {}
        for one in pair.sentences:
            if one.experiment and one.experiment.stack != pair.a:
                asked.setdefault(one.experiment.stack, (one.text, one.experiment))
        for claim, trial in asked.values():
            done.append(replace(_try(of, pair, trial, out, console), claim=claim))
            console.print(done[-1].text, soft_wrap=True)
    return tuple(done)


def _try(
    of: Subject, pair: Explained, trial: Experiment, out: Path, console: Console
) -> Confirmation:
    variant = Variant(**asdict(trial.variant)) if trial.variant else None
    chosen = replace(
        of.selection,
        stacks=tuple(dict.fromkeys((trial.stack, pair.b, pair.a))),
        variants=(*of.selection.variants, *([variant] if variant else [])),
        launches=of.selection.launches or LAUNCHES,
    )
    folder = folder_of(of, out) / "confirm"
    run = side.measured(chosen, folder, Telling(console), MEANS)
    stored = floor.lookup(out, of.selection)
    margin = statistics.margin(stored.value if stored else None)
    told = confirmation(run.matchups[0].cases, pair, trial, margin)
    return replace(told, run=run.run_id, exit=run.exit)


def confirmation(
    timed: Sequence[Case], pair: Explained, trial: Experiment, margin: float
) -> Confirmation:
    """What the timings say of a trial: whether it made the slow stack of a pair faster.

    Args:
        timed: cases of the trial's stack and of both stacks of the pair.
        pair: the two stacks.
        trial: the change.
        margin: as of any verdict.
    """
    cases = {case.stack: case for case in timed}
    changed, slow, fast = (cases[name] for name in (trial.stack, pair.b, pair.a))
    verdict = statistics.compare(changed, slow, margin)
    closes = _closed(changed, slow, fast)
    if verdict.ratio is None or verdict.ci95 is None:
        text = f"{trial.text}: {verdict.reason}"
    else:
        low, high = verdict.ci95
        text = (
            f"{WORDS.get(verdict.verdict, 'not confirmed')}: {trial.text} is"
            f" {verdict.ratio:.2f}x as fast as {pair.b} [{low:.2f}, {high:.2f}],"
            f" {verdict.launches} launches{_part(closes)}"
        )
    return Confirmation(
        stack=trial.stack,
        against=pair.b,
        verdict=verdict.verdict,
        ratio=verdict.ratio,
        ci95=verdict.ci95,
        launches=verdict.launches,
        closes=closes,
        text=text,
    )


def _closed(changed: Case, slow: Case, fast: Case) -> float | None:
    """The part of the timed gap between two stacks that the change takes away."""
    if changed.median_s is None or slow.median_s is None or fast.median_s is None:
        return None
    gap_s = slow.median_s - fast.median_s
    return (slow.median_s - changed.median_s) / gap_s if gap_s > 0 else None


def _part(closes: float | None) -> str:
    if closes is None:
        return ""
    share = f"{abs(closes):.0%}".replace("%", " %")
    return f"; it closes {share} of the gap" if closes >= 0 else f"; it widens the gap by {share}"
