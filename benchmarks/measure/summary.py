"""From the journal to the summary: run.json holds nothing that the journal does not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from benchmarks.measure import plausibility
from benchmarks.measure.launches import watching
from benchmarks.proof import costs
from benchmarks.request import discovery
from benchmarks.request.plan import Group, Plan
from benchmarks.results import moderation, statistics
from benchmarks.results.fairness import fairness, tuned, variables
from benchmarks.results.moderation import Spread
from benchmarks.results.observed import Disturbances, Disturbed, Interference, Memory, Watched
from benchmarks.results.records import (
    COLD,
    Case,
    ColdStart,
    Exit,
    Failure,
    Launch,
    Learned,
    Matchup,
    MatchupResult,
    Parity,
    Run,
    Stack,
    Status,
    Verdict,
)
from benchmarks.results.stored.codec import from_json
from benchmarks.results.stored.ledger import Ledger
from benchmarks.results.wording import duration, error_words, plural, unproven


def assemble(plan: Plan, ledger: Ledger, header: Run, *, interrupted: bool = False) -> Run:
    """The run as far as the journal tells it; ``header`` holds what does not depend on samples."""
    matchups = _with_verdicts(
        plan,
        [
            _matchup(plan, group, matchup, ledger, header, interrupted=interrupted)
            for group in plan.groups
            for matchup in group.matchups
        ],
        statistics.margin(header.aa_floor.value),
    )
    checks = fairness(_by_stack(ledger.settings)) + tuned(plan.selection.tuned)
    checks += variables(header.environment.variables)
    environment = replace(header.environment, fairness=tuple(checks))
    code = Exit.INTERRUPTED if interrupted else exit_code(matchups)
    return replace(
        header,
        matchups=matchups,
        environment=environment,
        interference=interference(matchups),
        telemetry=watching.perturbation(case for result in matchups for case in result.cases),
        exit=code,
    )


def _by_stack(settings: Mapping[tuple[str, str], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The settings of each stack, told apart by model where a stack was tuned to its models."""
    alike: dict[str, list[dict[str, Any]]] = {}
    for (_, stack), told in settings.items():
        if told not in alike.setdefault(stack, []):
            alike[stack].append(told)
    return {
        stack if len(alike[stack]) == 1 else f"{stack} ({model})": told
        for (model, stack), told in settings.items()
    }


def interference(matchups: Sequence[MatchupResult]) -> Disturbances:
    """Over the whole run: how many rounds were taken again, why, and what the watching cost."""
    rounds = repeated = busy = turns = 0
    shares, disturbed = list[float](), dict[str, list[float | None]]()
    for result in matchups:
        told = [
            (launch.index, launch.interference)
            for case in result.cases
            for launch in case.launches
            if launch.interference
        ]
        for of_round in dict(told).values():  # alike for all stacks of the launch
            rounds += of_round.rounds
            repeated += of_round.repeated
            busy += of_round.busy
        for _, of_stack in told:
            shares += [] if of_stack.gate_share is None else [of_stack.gate_share]
            turns += of_stack.turns
            for cause, times in of_stack.disturbed.items():
                disturbed.setdefault(cause, []).extend(times)
    return Disturbances(
        rounds=rounds,
        repeated=repeated,
        busy_launches=busy,
        turns=turns,
        disturbed={cause: _typical(times) for cause, times in disturbed.items()},
        gate_share=median(shares) if shares else None,
    )


def _typical(times: Sequence[float | None]) -> Disturbed:
    """Of turns disturbed alike: how many, and how many times as long as those left alone."""
    known = [t for t in times if t is not None]
    return Disturbed(turns=len(times), times_as_long=median(known) if known else None)


def exit_code(matchups: Sequence[MatchupResult]) -> Exit:
    """The gravest of what became of the cases; nothing measured is a code of its own."""
    statuses = {case.status for result in matchups for case in result.cases}
    if "parity_failed" in statuses:
        return Exit.PARITY
    if statuses - {"ok", "unsupported"}:
        return Exit.INCOMPLETE
    return Exit.OK if "ok" in statuses else Exit.NOTHING


def _matchup(
    plan: Plan,
    group: Group,
    matchup: Matchup,
    ledger: Ledger,
    header: Run,
    *,
    interrupted: bool,
) -> MatchupResult:
    """All but the verdicts, which rest on the other matchups, too."""
    parity = ledger.proofs.get(group.name)
    checks = tuple(ledger.checks.get(group.name, ()))
    if parity:
        parity = replace(parity, timed=checks)
    cases = tuple(
        plausibility.checked(
            _case(plan, group, matchup, stack, ledger, parity, interrupted=interrupted),
            header.environment.ceiling,
        )
        for stack in group.stacks
    )
    return MatchupResult(
        matchup=matchup,
        parity=parity,
        cases=cases,
        profile=ledger.profiles.get(matchup.id),
    )


def _with_verdicts(
    plan: Plan, results: Sequence[MatchupResult], margin: float
) -> tuple[MatchupResult, ...]:
    """The results with verdicts, whose intervals lean on like matchups for their variance."""
    compared = [
        (result, statistics.compared(a, b))
        for result in results
        for a, b in itertools.combinations(result.cases, 2)
    ]
    kinds = {result.matchup.phase: _kind(result.matchup.phase) for result in results}
    spreads: dict[tuple[str, str, str], list[Spread]] = {}
    for result, one in compared:
        if one.spread:
            alike = kinds[result.matchup.phase], one.a, one.b
            spreads.setdefault(alike, []).append(one.spread)
    priors = {alike: moderation.prior(found) for alike, found in spreads.items()}
    verdicts: dict[Matchup, list[Verdict]] = {}
    for result, one in compared:
        prior = priors.get((kinds[result.matchup.phase], one.a, one.b))
        found = _proven(plan, statistics.verdict(one, margin, prior), result.parity)
        verdicts.setdefault(result.matchup, []).append(found)
    return tuple(replace(r, verdicts=tuple(verdicts.get(r.matchup, ()))) for r in results)


def _kind(phase: str) -> str:
    """Phases whose launches vary alike: those that read data, starts, and all others."""
    if phase == COLD:
        return COLD
    return "data" if discovery.load("phases", phase).NEEDS_DATA else "step"


def _proven(plan: Plan, verdict: Verdict, parity: Parity | None) -> Verdict:
    """The verdict, or none where its two engines were not proven to compute the same."""
    across = len({plan.selection.engine(Stack.parse(s)) for s in (verdict.a, verdict.b)}) > 1
    if (
        across
        and verdict.verdict != "not comparable"
        and (parity is None or parity.status != "proven")
    ):
        why = parity.reason if parity else "the proof has not been made"
        return replace(verdict, verdict="not comparable", reason=unproven(why))
    return verdict


def _case(
    plan: Plan,
    group: Group,
    matchup: Matchup,
    stack: Stack,
    ledger: Ledger,
    parity: Parity | None,
    *,
    interrupted: bool,
) -> Case:
    name = str(stack)
    cold = tuple(ledger.colds.get(matchup.id, {}).get(name, ()))
    taken = {
        index: cases[name]
        for index, cases in sorted(ledger.launches.get(matchup.id, {}).items())
        if name in cases
    }
    launches = _cold_launches(cold) or tuple(_launch(i, data) for i, data in taken.items())
    status, reason = _status(plan, matchup, name, ledger, parity, launches, interrupted=interrupted)
    failed = ledger.failures.get((matchup.id, name))
    layers = parity.layers if parity else ()
    flops = costs.flops(layers, matchup.phase, group.task)
    last: Mapping[str, Any] = next(reversed(taken.values()), {})
    return Case(
        id=matchup.case_id(name),
        stack=name,
        status=status,
        reason=reason,
        launches=launches if status != "parity_failed" else (),
        flops_per_iteration=flops * group.size.batch if flops else None,
        bytes_per_iteration=costs.bytes_of(
            layers, group.task, matchup.phase, group.size.batch, matchup.precision
        ),
        items_per_iteration=last.get("items"),
        memory=_peaks([from_json(Memory, data["memory"]) for data in taken.values()]),
        cold_starts=cold,
        learned=tuple(
            from_json(Learned, one) for data in taken.values() for one in data["learned"][-1:]
        ),
        settings=ledger.settings.get((group.name, name), {}),
        failure=from_json(Failure, failed["failure"]) if failed else None,
        telemetry=_telemetry(plan, ledger.telemetry.get((matchup.id, name)), taken.values()),
        notes=tuple(_notes(ledger, group, matchup, name, launches)),
    )


def _notes(
    ledger: Ledger, group: Group, matchup: Matchup, stack: str, launches: Sequence[Launch]
) -> Iterator[str]:
    """What happened beside the samples of a case: turns that count for nothing, odd endings."""
    for index, turns_s in ledger.broken.get((matchup.id, stack), {}).items():
        typical = duration(median(turns_s))
        yield (
            f"launch {index} broke off after {plural(len(turns_s), 'turn')}"
            f" (median {typical}): they are in the journal and count for nothing"
        )
    made = {launch.index for launch in launches}
    for index, how in ledger.disorder.get((group.name, stack), {}).items():
        if index in made:
            yield f"launch {index}: {how}; its samples were complete and count"


def _telemetry(
    plan: Plan, watched: Watched | None, launches: Iterable[Mapping[str, Any]]
) -> Watched | None:
    """What was seen in a pass of its own; else what was counted at the edges of the turns."""
    chosen = plan.selection
    if watched or not chosen.telemetry or chosen.device in watching.SECOND_PASS:
        return watched
    return watching.of_turns(launches)


def _status(
    plan: Plan,
    matchup: Matchup,
    stack: str,
    ledger: Ledger,
    parity: Parity | None,
    launches: Sequence[Launch],
    *,
    interrupted: bool,
) -> tuple[Status, str | None]:
    failed = ledger.failures.get((matchup.id, stack))
    lacking = plan.lacking(matchup.model, Stack.parse(stack))
    if lacking and not failed:
        return "unsupported", lacking
    if parity and parity.status == "failed":
        return "parity_failed", parity.reason
    wrong = [c for c in (parity.timed if parity else ()) if c.stack == stack and not c.ok]
    if wrong:
        first = wrong[0]
        return "parity_failed", (
            f"as timed, its {first.quantity} differs from the float64 reference by"
            f" {error_words(first.error)}, more than rounding allows ({first.bound:.1e})"
        )
    if failed:
        return failed["status"], failed["reason"]
    cold = matchup.phase == COLD
    wanted = plan.effort.cold_launches if cold else plan.effort.launches
    if len(launches) < wanted and interrupted:
        return "interrupted", f"{len(launches)} of {wanted} launches were finished"
    if not launches:
        made = ledger.launches.get(matchup.id)
        return "error", "no launch could tell it from noise" if made else "no launch was made"
    return "ok", None


def _launch(index: int, data: Mapping[str, Any]) -> Launch:
    told = data.get("interference")
    return Launch(
        index=index,
        samples_s=tuple(data["samples_s"]),
        warmup_s=tuple(data["warmup_s"]),
        steady=data["steady"],
        iterations=data["iterations"],
        retraced=data.get("retraced"),
        interference=from_json(Interference, told) if told else None,
    )


def _cold_launches(cold: Sequence[ColdStart]) -> tuple[Launch, ...]:
    """A cold start is its own sample, with the compiler's cache empty."""
    return tuple(
        Launch(index=start.launch, samples_s=(start.total_s,))
        for start in cold
        if start.cache == "empty"
    )


def _peaks(measured: Sequence[Memory]) -> Memory:
    """The largest peak of each kind over the launches, with the reason where there is none."""
    if not measured:
        return Memory()
    last = measured[-1]
    rss = max((m.peak_rss_bytes for m in measured if m.peak_rss_bytes is not None), default=None)
    device = max(
        (m.device_peak_bytes for m in measured if m.device_peak_bytes is not None), default=None
    )
    return Memory(
        peak_rss_bytes=rss,
        peak_rss_reason=last.peak_rss_reason if rss is None else None,
        device_peak_bytes=device,
        device_reason=last.device_reason if device is None else None,
    )
