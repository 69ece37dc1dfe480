"""What a person is told of proofs and verdicts: each sentence once, wherever it is shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from benchmarks.results.observed import Disturbances, Perturbation
from benchmarks.results.records import (
    Case,
    Cause,
    MatchupResult,
    Parity,
    Verdict,
    VerdictWord,
)
from profilers.ops.rows import Implementation

TIMES = "×"
ABSENT = "–"
NO_REASON = "no reason was recorded"
CAUSES = {
    "taken": "others on the cores",
    "stolen": "cores taken by the hypervisor",
    "slow": "a slow core",
    "asleep": "the machine asleep",
    "gpu": "a device throttled or shared",
}
"""What disturbed a turn, by its name in a record."""
_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_EXPONENT_FROM = 1e6
PAIRS = (("torch-eager", "tensorflow-graph"), ("torch-compile", "tensorflow-xla"))
"""The pairs whose verdicts make the headline: as written, and compiled."""


def plain(text: str) -> str:
    """The text with what would steer a terminal, or break the line, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def edited(run_id: str) -> str:
    """What is said of a run that is not as it was written."""
    return f"{plain(run_id)} was edited: its content does not have the SHA-256 that it states"


def proof_line(model: str, parity: Parity) -> str:
    """The proof of a model in one line."""
    if parity.status == "proven":
        where = f"{parity.dtype} ({' and '.join(parity.adapters)})"
        return f"{model}: {proven_words(where, parity.largest_error)}"
    return f"{model}: {parity.status}: {parity.reason}"


def proven_words(where: str, largest_error: float) -> str:
    """What was proven in which type, and the largest error."""
    return (
        f"proven identical in {where}: largest error {largest_error:.1e} over"
        " output, loss, gradients and 3 steps of both optimizers"
    )


def proof_lines(model: str, parity: Parity) -> Iterator[str]:
    """The proof of a model: its line, how layers were matched, causes and findings."""
    yield proof_line(model, parity)
    if parity.match:
        yield f"  match: {parity.match}"
    yield from (f"  equalized: {line}" for line in parity.equalized)
    yield from cause_lines(parity.diagnosis)
    yield from (f"  finding: {found.text}" for found in parity.findings)


def cause_lines(diagnosis: Iterable[Cause]) -> Iterator[str]:
    """Where and why twins part, and the line to write."""
    for cause in diagnosis:
        first, *rest = cause_parts(cause)
        yield f"  {first}"
        yield from (f"    {part}" for part in rest)


def cause_parts(cause: Cause) -> list[str]:
    """Where and why twins part, what each side says, and the line to write."""
    sides = (("PyTorch", cause.torch), ("Keras", cause.keras), ("write", cause.fix))
    return [f"{cause.where}: {cause.cause}", *(f"{side}: {text}" for side, text in sides if text)]


def unproven(reason: str | None) -> str:
    """Why twins that are not proven identical are not compared."""
    return f"twins not proven: {reason or NO_REASON}"


def case_words(case: Case) -> str:
    """What became of a case that has no valid time."""
    return f"{case.status}: {case.reason or NO_REASON}"


def error_words(error: float | None, decimals: int = 1) -> str:
    """A relative error, in as many decimals."""
    if error is None or not math.isfinite(error):
        return "no number"
    return f"{error:.{decimals}e}"


def verdict_phrase(verdict: Verdict) -> str:
    """A verdict as a person says it, the faster stack first."""
    return verdict_words(
        verdict.a, verdict.b, verdict.verdict, verdict.ratio, verdict.ci95, verdict.reason
    )


def verdict_words(
    a: str,
    b: str,
    word: VerdictWord,
    ratio: float | None = None,
    ci95: tuple[float, float] | None = None,
    reason: str | None = None,
) -> str:
    """What is said of two stacks; ``ratio`` is time of b over time of a.

    One launch gives no interval: ``ci95`` is ``None`` or not a number then.
    """
    if word == "not comparable" or ratio is None:
        return f"{a} against {b}: {withheld(reason)}"
    low, high = ci95 or (math.nan, math.nan)
    if word == "slower":
        a, b, ratio, low, high = b, a, 1 / ratio, 1 / high, 1 / low
    why = f": {reason}" if reason else ""
    if word == "no call":
        return f"{a} against {b}: no call, {times(ratio)} {interval(low, high)}{why}"
    return f"{a} {times(ratio)} faster than {b} {interval(low, high)}{why}"


def withheld(reason: str | None) -> str:
    """Why nothing is said of two stacks."""
    return f"not comparable: {reason or NO_REASON}"


def headline(result: MatchupResult) -> list[Verdict]:
    """The verdicts of the headline pairs; the first verdict where neither pair was chosen."""
    return _of_pairs(result) or list(result.verdicts[:1])


def asked(result: MatchupResult) -> list[Verdict]:
    """The verdicts of the headline pairs; all verdicts where neither pair was chosen."""
    return _of_pairs(result) or list(result.verdicts)


def _of_pairs(result: MatchupResult) -> list[Verdict]:
    return [v for pair in PAIRS for v in result.verdicts if (v.a, v.b) == pair]


def verdict_lines(result: MatchupResult) -> list[str]:
    """What came of a matchup, every case that failed, and what happened beside the samples."""
    name = result.matchup.id
    lines = [f"  {name}: {verdict_phrase(v)}" for v in headline(result)]
    lines += [
        f"  {name}: {case.stack}: {case_words(case)}"
        for case in result.cases
        if case.status not in {"ok", "unsupported"}
    ]
    return lines + [
        f"  {name}: {case.stack}: {note}" for case in result.cases for note in case.notes
    ]


def repeats(told: Disturbances) -> str:
    """Rounds taken again, and by cause the turns disturbed and how long these took."""
    return "; ".join([f"interference: {taken_again(told)}", *disturbed(told)])


def taken_again(told: Disturbances) -> str:
    """How many rounds a disturbance cost."""
    return f"{told.repeated} of {told.rounds} rounds taken again"


def disturbed(told: Disturbances) -> Iterator[str]:
    """What disturbed how many turns, and how long these took beside those left alone."""
    for cause, found in told.disturbed.items():
        as_long = found.times_as_long
        longer = f" ({times(as_long)} as long as those left alone)" if as_long else ""
        yield f"{CAUSES.get(cause, cause)} in {found.turns} of {told.turns} turns{longer}"


def watching_cost(told: Perturbation) -> str:
    """What the sampler cost, as the run measured it; empty where nothing was watched."""
    if told.share is None:
        return ""
    found = ""
    if told.ci95:
        low, high = told.ci95
        found = f" [{100 * low:+.2f} % to {100 * high:+.2f} %]"
    doubt = "" if told.resolved else ", too few or too noisy to tell from nothing"
    cost = f"{100 * told.share:+.2f} % of the median step{found}"
    return f"watching cost {cost} over {plural(told.pairs, 'pair')}{doubt}"


def floor_words(
    comparisons: int, effort: str, dates: tuple[str, str], ci95: tuple[float, float | None]
) -> str:
    """What an A/A floor rests on, from when, and how uncertain it is."""
    low, high = ci95
    upper = "beyond the largest of them" if high is None else f"{100 * high:.2g} %"
    when = " to ".join(dict.fromkeys(dates))
    return (
        f"95th percentile of {comparisons} comparisons of a stack with itself, effort {effort},"
        f" {when}; 95 % interval {100 * low:.2g} % to {upper}"
    )


def busy_words(comparisons: int) -> str:
    """Why there is no A/A floor where every comparison met a busy machine."""
    met = "comparison" if comparisons == 1 else f"{comparisons} comparisons"
    return f"the machine was busy beside the {met}: the margin of 2 % stands alone"


def implementation(told: Implementation) -> str:
    """What computed a family of layers, and the names that told it, or that told nothing."""
    return plain(f"{told.family}, {told.phase}: {implemented(told)} ({told_by(told)})")


def implemented(told: Implementation) -> str:
    """The implementation by name."""
    return told.name or "not recognised"


def told_by(told: Implementation) -> str:
    """The recorded names that a statement on an implementation rests on."""
    return ", ".join(told.ops) or "no operation was recorded as of such a layer"


def short(verdict: Verdict) -> str:
    """A verdict on the first stack of the pair in a few characters."""
    if verdict.ratio is None or verdict.verdict == "not comparable":
        return verdict.verdict
    by = verdict.ratio if verdict.verdict != "slower" else 1 / verdict.ratio
    return f"{verdict.verdict} {times(by)}"


def time_unit(seconds: float) -> tuple[float, str]:
    """The unit, as (seconds, symbol), in which a duration is best read."""
    return next((unit for unit in _TIMES if seconds >= unit[0]), _TIMES[-1])


def duration(seconds: float | None) -> str:
    """Three significant digits and a unit: ``12.3 ms``."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds <= 0:
        return f"{seconds:g} s"
    scale, unit = time_unit(seconds)
    return f"{digits(seconds / scale)} {unit}"


def interval(low: float, high: float) -> str:
    """A confidence interval of a ratio: ``[1.18–1.29]``; the words for none where it is NaN."""
    if math.isnan(low) or math.isnan(high):
        return "[no interval]"
    return f"[{factor(low)}\N{EN DASH}{factor(high)}]"


def times(value: float) -> str:
    """A ratio as a multiple: ``1.23×``."""
    return f"{factor(value)}{TIMES}"


def factor(value: float) -> str:
    """A ratio with the digits it deserves: ``0.95``, ``1.23``, ``12.3``, ``123``."""
    two_decimals = 0.1 <= value < 1  # noqa: PLR2004  0.952 says no more than 0.95
    return f"{value:.2f}" if two_decimals else digits(value)


def plural(count: int, noun: str, ending: str = "s") -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {noun}{ending if count != 1 else ''}"


def digits(value: float) -> str:
    """Three significant digits, without an exponent up to a million."""
    if value == 0 or abs(value) >= _EXPONENT_FROM:
        return f"{value:.3g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
