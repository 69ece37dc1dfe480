"""Op profiles of several stacks as one document: what ``--json`` prints and a run keeps."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from benchmarks.models._spec import Conv2D
from benchmarks.profiling import _experiments, _profile
from benchmarks.profiling._profile import Profile
from benchmarks.profiling._subject import Subject
from profilers.ops import explain
from profilers.ops.account import Account


def of(subject: Subject, profiles: Sequence[Profile], *, most: int | None = None) -> dict[str, Any]:
    """Rows and summary of each stack, and what explains the difference of each pair.

    ``most`` limits the rows of each stack to the largest.
    """
    return {
        "model": subject.group.model,
        "phase": subject.matchup.phase,
        "stacks": [_profile.summary(p) for p in profiles],
        "rows": [row for p in profiles for row in _profile.rows(p)[:most]],
        "explained": [_pair(subject, *pair) for pair in itertools.combinations(profiles, 2)],
        "confirmed": [],
    }


def _pair(subject: Subject, one: Profile, other: Profile) -> dict[str, Any]:
    """The faster first: the lines that add up to the gap, and what they say.

    Where the stack that is slower under its profiler is faster without, the gap is the profiler's:
    its reasons would be about the wrong stack.
    """
    fast, slow = sorted((one, other), key=lambda p: p.account.wall_s)
    lines = explain.by_category(fast.account, slow.account)
    doubt = _doubt(fast, slow)
    images = any(isinstance(layer, Conv2D) for layer in subject.group.spec.layers)
    return {
        "a": str(fast.stack),
        "b": str(slow.stack),
        "gap_s": slow.account.wall_s - fast.account.wall_s,
        "categories": [_line(x) for x in lines],
        "layers": [_line(x) for x in _by_layer(fast.account, slow.account)],
        "doubt": doubt,
        "sentences": [
            {
                "text": explain.sentence(x, str(fast.stack), str(slow.stack)),
                "key": x.key,
                "experiment": _experiments.experiment(
                    slow.stack, x.key, images=images, device=subject.matchup.device
                ),
            }
            for x in (() if doubt else explain.reasons(lines))
        ],
    }


def _doubt(fast: Profile, slow: Profile) -> str | None:
    """Why the difference under the profilers is not the one to explain, or ``None``."""
    if fast.timed_s <= slow.timed_s:
        return None
    times = (f"{p.stack} {p.timed_s * 1e3:.2f} ms" for p in (slow, fast))
    return f"Without a profiler it is the other way round ({', '.join(times)}): nothing to explain."


def _by_layer(fast: Account, slow: Account) -> list[explain.Line]:
    """Lines per layer; none where one side, being compiled, knows no layers."""
    known = [any(row.layer for row in account.rows) for account in (fast, slow)]
    return explain.by_layer(fast, slow) if all(known) else []


def _line(line: explain.Line) -> dict[str, Any]:
    return {
        "key": line.key,
        "a_s": line.a_s,
        "b_s": line.b_s,
        "delta_s": line.delta_s,
        "share": line.share,
        "cumulative": line.cumulative,
        "layers": list(line.layers[:3]),
    }
