"""What a person is told of proofs and verdicts: each sentence once, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.results.observed import Disturbances, Perturbation
from benchmarks.results.records import Cause, MatchupResult, Parity, Verdict

PAIRS = (("torch-eager", "tensorflow-graph"), ("torch-compile", "tensorflow-xla"))
"""The pairs whose verdicts make the headline: as written, and compiled."""


def plain(text: str) -> str:
    """The text with what would steer a terminal, or break the line, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
        yield f"  {cause.where}: {cause.cause}"
        for side, text in (("PyTorch", cause.torch), ("Keras", cause.keras), ("write", cause.fix)):
            if text:
                yield f"    {side}: {text}"


def error_words(error: float | None, decimals: int = 1) -> str:
    """A relative error, in as many decimals."""
    return "no number" if error is None else f"{error:.{decimals}e}"


def verdict_phrase(verdict: Verdict) -> str:
    """A verdict as a person says it, the faster stack first."""
    if verdict.ratio is None or verdict.ci95 is None:
        return f"{verdict.a} vs {verdict.b}: {verdict.verdict} ({verdict.reason})"
    ratio, (low, high), first, second = verdict.ratio, verdict.ci95, verdict.a, verdict.b
    if verdict.verdict == "slower":
        ratio, low, high, first, second = 1 / ratio, 1 / high, 1 / low, second, first
    if verdict.verdict in {"faster", "slower"}:
        return f"{first} {ratio:.2f}x faster than {second} [{low:.2f}, {high:.2f}]"
    reason = f": {verdict.reason}" if verdict.reason else ""
    return f"{first} vs {second}: {verdict.verdict} ({ratio:.2f} [{low:.2f}, {high:.2f}]{reason})"


def headline(result: MatchupResult) -> list[Verdict]:
    """The verdicts of the headline pairs; the first verdict where neither pair was chosen."""
    chosen = [v for pair in PAIRS for v in result.verdicts if (v.a, v.b) == pair]
    return chosen or list(result.verdicts[:1])


def verdict_lines(result: MatchupResult) -> list[str]:
    """What came of a matchup, and every case that failed."""
    name = result.matchup.id
    lines = [f"  {name}: {verdict_phrase(v)}" for v in headline(result)]
    lines += [
        f"  {name}: {case.stack}: {case.status}: {case.reason}"
        for case in result.cases
        if case.status not in {"ok", "unsupported"}
    ]
    return lines


def repeats(told: Disturbances) -> str:
    """Rounds taken again, and by cause the turns disturbed and how long these took."""
    parts = [f"interference: {told.repeated} of {told.rounds} rounds taken again"]
    for cause, found in told.disturbed.items():
        longer = f", {found.times_as_long:.2f}x as long" if found.times_as_long else ""
        parts.append(f"{cause}: {found.turns} of {told.turns} turns{longer}")
    return "; ".join(parts)


def watching_cost(told: Perturbation) -> str:
    """What the sampler cost, as the run measured it; empty where nothing was watched."""
    if told.share is None:
        return ""
    interval = ""
    if told.ci95:
        low, high = told.ci95
        interval = f" [{100 * low:+.2f} % to {100 * high:+.2f} %]"
    resolved = "" if told.resolved else ", too few or too noisy to tell from nothing"
    return (
        f"telemetry: watching cost {100 * told.share:+.2f} % of the median step{interval},"
        f" {told.pairs} pairs{resolved}"
    )


def short(verdict: Verdict) -> str:
    """A verdict on the first stack of the pair in a few characters."""
    if verdict.ratio is None or verdict.verdict == "not comparable":
        return verdict.verdict
    by = verdict.ratio if verdict.verdict != "slower" else 1 / verdict.ratio
    return f"{verdict.verdict} {by:.2f}x"


def duration(seconds: float | None) -> str:
    """Three digits in s, ms or us; a dash where there is none."""
    if seconds is None:
        return "-"
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 0.9995:  # noqa: PLR2004 - what three digits round up to 1
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
