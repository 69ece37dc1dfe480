"""Two accounts side by side: what each category costs either stack, and what explains the gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from profilers.ops.account import Account, spent
from profilers.ops.rows import Row
from profilers.ops.taxonomy import OVERHEAD

ENOUGH = 0.7
"""A share of the difference that may be called the reason for it."""
SENTENCES = 3
WORTH = 0.1
"""A share of the difference that is worth a sentence."""


Pairs = Sequence[tuple[Account, Account]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the comparison, seconds per step.

    ``share`` is this line's part of the difference (negative where it narrows it) and
    ``cumulative`` that of all lines up to it. ``range_s`` is the least and the most that it cost b
    beyond a in any pair of recordings.
    """

    key: str
    a_s: float
    b_s: float
    share: float | None
    cumulative: float | None
    layers: tuple[str, ...] = ()
    range_s: tuple[float, float]

    @property
    def delta_s(self) -> float:
        """What it costs b beyond a."""
        return self.b_s - self.a_s

    @property
    def steady(self) -> bool:
        """Whether every pair of recordings has it on the same side."""
        low, high = self.range_s
        return low > 0 or high < 0


def by_category(a: Account, b: Account, pairs: Pairs = ()) -> list[Line]:
    """Lines per phase and category, the framework's own time among them; they add up to the gap.

    ``pairs`` are recordings of both that were taken one after the other, if there are several.
    """
    return _lines(a, b, pairs, lambda row: f"{row.phase} · {row.category}")


def by_layer(a: Account, b: Account, pairs: Pairs = ()) -> list[Line]:
    """Lines per phase and layer; what belongs to no layer is one line per phase.

    A layer that only one of them has, such as a padding or the sum that ends a block, counts
    towards the one that it is named after, where the other has that: ``conv1_pad`` towards
    ``conv1``, ``layer1.0.add`` towards ``layer1.0``.
    """
    both = _in_both(a, b)
    return _lines(a, b, pairs, lambda row: f"{row.phase} · {both.get(row.layer or '', 'no layer')}")


def _in_both(a: Account, b: Account) -> dict[str, str]:
    """Every layer of either, by what both call it."""
    of_a, of_b = ({row.layer for row in account.rows if row.layer} for account in (a, b))
    return {
        name: next((part for part in _named_after(name) if part in other), name)
        for own, other in ((of_a, of_b), (of_b, of_a))
        for name in own
    }


def _named_after(name: str) -> Iterator[str]:
    """The name itself, then what is left of it as its last parts are cut off one by one."""
    while name:
        yield name
        name = name[: max(name.rfind("."), name.rfind("_"), 0)]


def _lines(a: Account, b: Account, pairs: Pairs, key: Callable[[Row], str]) -> list[Line]:
    sides = [_sums(account, key) for account in (a, b)]
    recorded = [[_sums(account, key) for account in pair] for pair in pairs or ((a, b),)]
    gap = b.wall_s - a.wall_s
    keys = dict.fromkeys(k for side in sides for k in side)
    deltas = {k: sides[1].get(k, 0.0) - sides[0].get(k, 0.0) for k in keys}
    largest_first = sorted(keys, key=lambda k: deltas[k], reverse=gap > 0)
    lines, sum_s = [], 0.0
    for k in largest_first:
        sum_s += deltas[k]
        each = [two.get(k, 0.0) - one.get(k, 0.0) for one, two in recorded]
        lines.append(
            Line(
                key=k,
                a_s=sides[0].get(k, 0.0),
                b_s=sides[1].get(k, 0.0),
                share=deltas[k] / gap if gap else None,
                cumulative=sum_s / gap if gap else None,
                layers=_layers((a, b), k, key),
                range_s=(min(each), max(each)),
            )
        )
    return lines


def _sums(account: Account, key: Callable[[Row], str]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for row in account.rows:
        sums[key(row)] += spent(row)
    sums[OVERHEAD] += account.overhead_s
    return dict(sums)


def _layers(accounts: Iterable[Account], key_: str, key: Callable[[Row], str]) -> tuple[str, ...]:
    """The layers behind a line, those that cost most first."""
    sums: dict[str, float] = defaultdict(float)
    for account in accounts:
        for row in account.rows:
            if row.layer and key(row) == key_:
                sums[row.layer] += spent(row)
    return tuple(sorted(sums, key=lambda name: -sums[name]))


def reasons(lines: Iterable[Line]) -> list[Line]:
    """The lines worth a sentence: the largest shares, until most of the difference is explained.

    What is not there in every recording is no reason.
    """
    found: list[Line] = []
    for line in (line for line in lines if line.steady):
        explained = sum(f.share or 0.0 for f in found)
        if len(found) == SENTENCES or line.share is None or line.share < WORTH:
            break
        if explained >= ENOUGH and line.share < 2 * WORTH:
            break
        found.append(line)
    return found


def sentence(line: Line, a: str, b: str) -> str:
    """One reason in plain words: how much of the gap, what, where, both times and their spread.

    Args:
        line: one of ``reasons``.
        a: the faster stack.
        b: the slower stack.
    """
    phase, _, category = line.key.rpartition(" · ")
    where = {"": "", "optimizer": " in the optimizer"}.get(phase, f" in the {phase} pass")
    named = f" ({', '.join(line.layers[:3])})" if line.layers else ""
    what = "the optimizer" if phase == category == "optimizer" else f"{category}{where}"
    share = line.share or 0.0
    part = f"{share:.0%} of the gap" if share <= 1 else "More than the whole gap"
    back = "" if share <= 1 else " Other parts make up for some of it."
    low, high = (f"{s * 1e3:.2f}" for s in line.range_s)
    spread = "" if low == high else f" ({low} to {high} ms more, by recording)"
    times = f"{b} {line.b_s * 1e3:.2f} ms, {a} {line.a_s * 1e3:.2f} ms"
    return f"{part} is {what}{named}: {times}{spread}.{back}".replace("%", " %", 1)
