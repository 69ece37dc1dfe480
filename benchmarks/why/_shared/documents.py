"""Op profiles of several stacks as one document: what ``--json`` prints and a run keeps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from benchmarks.results.profiles import Explained, Part, Reason, StepProfile
from benchmarks.why._shared import experiments, profiling
from benchmarks.why._shared.profiling import Profile
from benchmarks.why._shared.subjects import Subject
from profilers.ops import explain
from profilers.ops.account import Account


def of(
    subject: Subject,
    profiles: Sequence[Profile],
    failed: Mapping[str, str],
    *,
    most: int | None = None,
) -> StepProfile:
    """Rows and summary of each stack, and what explains the difference of each pair.

    Args:
        subject: what was profiled.
        profiles: of its stacks.
        failed: why others have none, by stack.
        most: rows to keep of each stack, the largest.
    """
    return StepProfile(
        model=subject.group.model,
        phase=subject.matchup.phase,
        stacks=tuple(map(profiling.summary, profiles)),
        rows=tuple(row for p in profiles for row in profiling.rows(p)[:most]),
        explained=tuple(_pair(subject, *pair) for pair in itertools.combinations(profiles, 2)),
        failed=dict(failed),
    )


def _pair(subject: Subject, one: Profile, other: Profile) -> Explained:
    """The faster first: the lines that add up to the gap, and what they say.

    Where the stack that is slower under its profiler is faster without, the gap is the profiler's:
    its reasons would be about the wrong stack.
    """
    fast, slow = sorted((one, other), key=lambda p: p.account.wall_s)
    pairs = list(zip(fast.recordings, slow.recordings, strict=False))
    lines = explain.by_category(fast.account, slow.account, pairs)
    reasons = explain.reasons(lines)
    doubt = _doubt(fast, slow) or (None if reasons else _unsteady(pairs))
    images = subject.group.task.images
    return Explained(
        a=str(fast.stack),
        b=str(slow.stack),
        gap_s=slow.account.wall_s - fast.account.wall_s,
        categories=tuple(map(_part, lines)),
        layers=tuple(map(_part, _by_layer(fast.account, slow.account, pairs))),
        doubt=doubt,
        sentences=tuple(
            Reason(
                text=explain.sentence(x, str(fast.stack), str(slow.stack)),
                key=x.key,
                experiment=experiments.experiment(
                    slow.stack, x.key, images=images, device=subject.matchup.device
                ),
            )
            for x in (() if doubt else reasons)
        ),
    )


def _doubt(fast: Profile, slow: Profile) -> str | None:
    """Why the difference under the profilers is not the one to explain, or ``None``."""
    if fast.timed_s <= slow.timed_s:
        return None
    times = (f"{p.stack} {p.timed_s * 1e3:.2f} ms" for p in (slow, fast))
    return f"Without a profiler it is the other way round ({', '.join(times)}): nothing to explain."


def _unsteady(pairs: explain.Pairs) -> str | None:
    """What to know where no part of a gap is worth a sentence, or ``None``: there is no gap."""
    turned = sum(slow.wall_s <= fast.wall_s for fast, slow in pairs)
    if turned:
        return (
            f"In {turned} of {len(pairs)} recordings it is the other way round: no gap to explain."
        )
    return f"{len(pairs)} recordings do not agree on what the gap is made of." if pairs else None


def _by_layer(fast: Account, slow: Account, pairs: explain.Pairs) -> list[explain.Line]:
    """Lines per layer; none where one side, being compiled, knows no layers."""
    known = [any(row.layer for row in account.rows) for account in (fast, slow)]
    return explain.by_layer(fast, slow, pairs) if all(known) else []


def _part(line: explain.Line) -> Part:
    return Part(
        key=line.key,
        a_s=line.a_s,
        b_s=line.b_s,
        delta_s=line.delta_s,
        range_s=line.range_s,
        share=line.share,
        cumulative=line.cumulative,
        layers=line.layers[:3],
    )
