"""How numbers and names are written, so that page, summary and charts say the same thing.

Names come from files and may hold anything: what could reorder, hide or break text is shown as
an escape instead of being obeyed.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from benchmarks.results.wording import (
    ABSENT,
    digits,
    duration,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
# Controls, surrogates and invisible formatting (among them the bidirectional overrides).
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def clean(text: str) -> str:
    """The text with controls and invisible characters, save tab and newline, as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if char not in "\n\t" and unicodedata.category(char) in _UNSAFE
        else char
        for char in text
    )


def name(text: str, limit: int = 60) -> str:
    """A clean one-line name; the middle of a long one is left out."""
    line = " ".join(clean(text).split())
    if len(line) <= limit:
        return line
    head = (limit - 1) // 2
    return f"{line[:head]}…{line[-(limit - 1 - head) :]}"


def brief(text: str, limit: int) -> str:
    """A clean one-line text; the end of a long one is left out."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def tail(text: str, lines: int = 30, characters: int = 6000) -> str:
    """The last lines of a log."""
    kept = text.rstrip().splitlines()[-lines:]
    return clean("\n".join(kept)[-characters:])


def elapsed(seconds: float) -> str:
    """How long a run took: ``30 min 34 s``."""
    if not math.isfinite(seconds) or seconds < 120:  # noqa: PLR2004  two minutes read best in seconds
        return duration(seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(stamp: str) -> str:
    """``2026-11-21T07:02:13Z`` as ``2026-11-21 07:02 UTC``; any other text as it is."""
    try:
        when = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return when.strftime("%Y-%m-%d %H:%M") + (" UTC" if when.utcoffset() == timedelta() else "")


def size(count: float | None) -> str:
    """Binary units: ``1.21 GiB``."""
    if count is None or not math.isfinite(count):
        return ABSENT
    scale, unit = next((u for u in _BYTES if abs(count) >= u[0]), _BYTES[-1])
    return f"{digits(count / scale)} {unit}"


def quantity(value: float | None, unit: str) -> str:
    """Decimal prefixes: ``4.10 GFLOP/s``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    scale, prefix = next((p for p in _PREFIXES if abs(value) >= p[0]), _PREFIXES[-1])
    return f"{digits(value / scale)} {prefix}{unit}"


def whole(value: float | None) -> str:
    """A count with thin thousands: ``25 557 032``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def share(value: float | None) -> str:
    """A fraction of one in percent: ``97.5 %``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{100 * value:.1f} %"


def items(parts: Iterable[str]) -> str:
    """Parts beside each other, the empty ones left out."""
    return " · ".join(part for part in parts if part)
