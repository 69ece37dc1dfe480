"""What may be said of a run, and in which words.

Everything that shows a verdict asks here, so that page, summary and charts never disagree, and
nothing is left out without its reason.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.results import wording
from benchmarks.results.records import COLD
from reports.contents import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.results.records import (
        Case,
        Finding,
        Matchup,
        MatchupResult,
        Run,
        Verdict,
        VerdictWord,
    )


class Pair(NamedTuple):
    """Two stacks that are compared."""

    a: str
    b: str

    def __str__(self) -> str:
        return f"{self.a} against {self.b}"


HEADLINE, COMPILED = (Pair(*pair) for pair in wording.PAIRS)
MAX_NAMED = 3
PHASES = (
    "forward", "postprocess", "first_token", "next_token",
    "backward", "train_step", "dataload", "epoch", COLD,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one matchup says about one pair; ``ratio`` is time of b over time of a.

    ``ratio`` is there unless ``word`` is ``not comparable``; then ``reason`` is. One launch gives
    no interval, and so no call: the ends of ``ci95`` are NaN then.
    """

    matchup: Matchup
    pair: Pair
    word: VerdictWord
    ratio: float = math.nan
    ci95: tuple[float, float] = (math.nan, math.nan)
    margin: float = 0.0
    launches: int = 0
    reason: str | None = None

    @property
    def winner(self) -> str | None:
        """The faster stack, or ``None``."""
        return {"faster": self.pair.a, "slower": self.pair.b}.get(self.word)

    @property
    def factor(self) -> tuple[float, float, float]:
        """Ratio, low and high end as the winner sees them: above 1 means the winner is faster."""
        if self.word == "slower":
            return 1 / self.ratio, 1 / self.ci95[1], 1 / self.ci95[0]
        return self.ratio, *self.ci95

    @property
    def phrase(self) -> str:
        """The outcome in words."""
        return wording.verdict_words(*self.pair, self.word, self.ratio, self.ci95, self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a grid: a model under one set of conditions; per phase what its matchups say.

    ``found`` is what the proof found that touches its verdicts, ``findings`` its texts.
    """

    model: str
    detail: str
    cells: tuple[tuple[Outcome, ...], ...]
    found: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        """Each text once."""
        return tuple(dict.fromkeys(one.text for one in self.found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Model by phase for one pair."""

    pair: Pair
    phases: tuple[str, ...]
    rows: tuple[Row, ...]


class Withheld(NamedTuple):
    """Something that is not in the counts, and why."""

    what: str
    reason: str


def pairs(run: Run) -> tuple[Pair, ...]:
    """The pairs that answer the question: as written and compiled; else the first there is."""
    found = _compared(run)
    stacks = {case.stack for result in run.matchups for case in result.cases}
    first = tuple(p for p in (HEADLINE, COMPILED) if p in found or stacks.issuperset(p))
    return first or found[:1]


def other_pairs(run: Run) -> tuple[Pair, ...]:
    """Every other pair this run can speak about."""
    shown = pairs(run)
    return tuple(pair for pair in _compared(run) if pair not in shown)


def _compared(run: Run) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(Pair(v.a, v.b) for r in run.matchups for v in r.verdicts))


def outcome(result: MatchupResult, pair: Pair) -> Outcome | None:
    """What a matchup says about a pair; ``None`` where the pair was not selected in it."""
    cases = [case for case in result.cases if case.stack in pair]
    verdict = next((v for v in result.verdicts if (v.a, v.b) == pair), None)
    untimed = not result.cases and _unproven(result)  # then it stands against every pair
    if verdict is None and not untimed and len({case.stack for case in cases}) < len(pair):
        return None
    reason = _obstacle(result, cases) or _defect(verdict)
    if reason or verdict is None or verdict.ratio is None:
        return Outcome(matchup=result.matchup, pair=pair, word="not comparable", reason=reason)
    return Outcome(
        matchup=result.matchup,
        pair=pair,
        word=verdict.verdict,
        ratio=verdict.ratio,
        ci95=verdict.ci95 or (math.nan, math.nan),
        margin=verdict.margin,
        launches=verdict.launches,
        reason=verdict.reason,
    )


def outcomes(run: Run, pair: Pair) -> tuple[Outcome, ...]:
    """All that a run says about a pair, in the order of the run."""
    found = (outcome(result, pair) for result in run.matchups)
    return tuple(item for item in found if item is not None)


def grid(run: Run, pair: Pair) -> Grid:
    """Model by phase. Matchups that differ in anything else but batch and variant get own rows."""
    shown = outcomes(run, pair)
    phases = phase_order(o.matchup.phase for o in shown)
    keys = dict.fromkeys(_condition(o.matchup) for o in shown)
    rows = []
    for key in keys:
        members = [o for o in shown if _condition(o.matchup) == key]
        cells = tuple(tuple(o for o in members if o.matchup.phase == phase) for phase in phases)
        rows.append(
            Row(
                model=key[0],
                detail=_detail(key, keys, members),
                cells=cells,
                found=_found(run, {o.matchup for o in members}),
            )
        )
    return Grid(pair=pair, phases=phases, rows=tuple(rows))


def _found(run: Run, of: set[Matchup]) -> tuple[Finding, ...]:
    """What the proofs of some matchups found, each once."""
    parities = [r.parity for r in run.matchups if r.matchup in of and r.parity]
    return tuple(dict.fromkeys(found for p in parities for found in p.findings))


def summary(run: Run, pair: Pair) -> str:
    """The answer in one sentence: counts, never a score.

    A cold start that was measured once cannot have a call, and so is not counted.
    """
    found = outcomes(run, pair)
    once = [o for o in found if o.matchup.phase == COLD and o.launches == 1]
    counts = Counter(o.word for o in found if o not in once)
    comparable = counts.total() - counts["not comparable"]
    apart = " Cold starts were measured once and are not counted." if once else ""
    if not comparable:
        return f"On this machine no matchup of {pair} is comparable.{apart}"
    return (
        f"On this machine, of {wording.plural(comparable, 'comparable matchup')}: "
        f"{pair.a} faster in {counts['faster']}, {pair.b} faster in {counts['slower']}, "
        f"no call in {counts['no call']}.{apart}"
    )


def validity(run: Run) -> tuple[str, ...]:
    """What the numbers stand on: valid cases, failures by status, proven models, comparability.

    Where the run was edited that comes first.
    """
    cases = [case for result in run.matchups for case in result.cases]
    failed: dict[str, list[str]] = {}
    for case in cases:
        if case.status != "ok":
            failed.setdefault(case.status, []).append(case.id)
    parts = [wording.edited(run.run_id)] if run.edited else []
    parts.append(f"{len(cases) - sum(map(len, failed.values()))} of {len(cases)} cases valid")
    named = sum(map(len, failed.values())) <= MAX_NAMED  # all are named where they are explained
    for status, ids in failed.items():
        parts.append(f"{len(ids)} {status}" + (f" ({', '.join(ids)})" if named else ""))
    parts.append(_proofs(run))
    shown = [o for pair in pairs(run) for o in outcomes(run, pair)]
    usable = sum(o.word != "not comparable" for o in shown)
    parts += [f"{usable} of {len(shown)} comparisons stand"] if shown else []
    return (*parts, *disturbances(run))


def notes(run: Run) -> tuple[Withheld, ...]:
    """What happened beside the samples of a case and changed none, case by case."""
    return tuple(
        Withheld(case.id, note) for r in run.matchups for case in r.cases for note in case.notes
    )


def disturbances(run: Run) -> tuple[str, ...]:
    """How many rounds were taken again for what happened beside them, and who never went away."""
    told = run.interference
    if not told.rounds:
        return ()
    parts = [wording.taken_again(told)]
    busy = sum(v.busy for result in run.matchups for v in result.verdicts)
    return (*parts, f"{busy} verdicts withheld from a busy machine") if busy else tuple(parts)


def withheld(run: Run) -> tuple[Withheld, ...]:
    """Every case without a valid time, and every matchup without a verdict, with its reason."""
    found = [
        Withheld(case.id, wording.case_words(case))
        for result in run.matchups
        for case in result.cases
        if case.status != "ok"
    ]
    untimed = {
        result.matchup: reason
        for result in run.matchups
        if not result.cases and (reason := _unproven(result))
    }
    found += [Withheld(m.id, f"not timed: {reason}") for m, reason in untimed.items()]
    found += [
        Withheld(f"{o.matchup.id} ({pair})", o.reason or wording.NO_REASON)
        for pair in pairs(run)
        for o in outcomes(run, pair)
        if o.word == "not comparable" and o.matchup not in untimed
    ]
    return tuple(found)


def phase_order(phases: Iterable[str]) -> tuple[str, ...]:
    """The phases that occur: the known ones from cheap to dear, then the rest as they come."""
    found = dict.fromkeys(phases)
    known = [phase for phase in PHASES if phase in found]
    return (*known, *(phase for phase in found if phase not in PHASES))


def conditions(matchup: Matchup) -> str:
    """Everything about a matchup but its model and phase, in words."""
    policy = matchup.policy if matchup.policy != "matched" else ""
    batch = f"batch {matchup.batch}"
    return text.items([batch, matchup.variant, matchup.precision, matchup.device, policy])


def _obstacle(result: MatchupResult, cases: Iterable[Case]) -> str | None:
    """What forbids a verdict whatever the record says."""
    if reason := _unproven(result):
        return reason
    bad = [f"{c.stack}: {wording.case_words(c)}" for c in cases if c.status != "ok"]
    return "; ".join(bad) or None


def _unproven(result: MatchupResult) -> str | None:
    if result.parity is None or result.parity.status != "failed":
        return None
    return wording.unproven(result.parity.reason)


def _defect(verdict: Verdict | None) -> str | None:
    """Why a stored verdict cannot be shown."""
    if verdict is None:
        return "no verdict was recorded"
    if verdict.verdict == "not comparable":
        return verdict.reason or wording.NO_REASON
    alone = verdict.verdict == "no call" and verdict.ci95 is None
    numbers = (verdict.ratio, *((1.0, 1.0) if alone else verdict.ci95 or ()))
    if len(numbers) != 3 or not all(x is not None and 0 < x < math.inf for x in numbers):  # noqa: PLR2004  ratio, low, high
        return "the record holds no usable ratio and interval"
    ratio = verdict.ratio or math.nan
    if (verdict.verdict == "faster" and ratio <= 1) or (verdict.verdict == "slower" and ratio >= 1):
        return f"the record contradicts itself: {verdict.verdict!r} with ratio {ratio:.3g}"
    return None


_Condition = tuple[str, str, str, str]


def _condition(matchup: Matchup) -> _Condition:
    return matchup.model, matchup.device, matchup.precision, matchup.policy


def _detail(key: _Condition, keys: Iterable[_Condition], members: list[Outcome]) -> str:
    """What tells this row from its neighbours, and the batch where all its matchups share one."""
    columns = list(zip(*keys, strict=True))
    varying = [
        value for value, column in zip(key[1:], columns[1:], strict=True) if len(set(column)) > 1
    ]
    batches = {o.matchup.batch for o in members}
    return text.items([*varying, f"batch {batches.pop()}" if len(batches) == 1 else ""])


def _proofs(run: Run) -> str:
    """How many models are proven; a model counts as the weakest of its matchups."""
    strength = (
        "failed",
        "partial",
        "proven",
        None,
    )  # a phase without a proof of its own says nothing
    weakest: dict[str, str | None] = {}
    for result in run.matchups:
        status = result.parity.status if result.parity else None
        model = result.matchup.model
        weakest[model] = min(weakest.get(model), status, key=strength.index)
    rest = [
        f"{text.name(model)} {status or 'no proof'}"
        for model, status in weakest.items()
        if status != "proven"
    ]
    proven = (
        f"{len(weakest) - len(rest)} of {wording.plural(len(weakest), 'model')} proven identical"
    )
    return f"{proven} ({', '.join(rest)})" if rest else proven
