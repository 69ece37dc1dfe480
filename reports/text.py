"""How numbers and names are written, so that page, summary and charts say the same thing.

Names come from files and may hold anything: what could reorder, hide or break text is shown as
an escape instead of being obeyed.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMES = "\N{MULTIPLICATION SIGN}"
ABSENT = "\N{EN DASH}"

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
_EXPONENT_FROM = 1e6
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
    return f"{_digits(seconds / scale)} {unit}"


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
    return f"{_digits(count / scale)} {unit}"


def quantity(value: float | None, unit: str) -> str:
    """Decimal prefixes: ``4.10 GFLOP/s``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    scale, prefix = next((p for p in _PREFIXES if abs(value) >= p[0]), _PREFIXES[-1])
    return f"{_digits(value / scale)} {prefix}{unit}"


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


def error(value: float | None) -> str:
    """A relative error: ``1.3e-15``."""
    if value is None or not math.isfinite(value):
        return "not a number"
    return f"{value:.1e}"


def interval(low: float, high: float) -> str:
    """A confidence interval of a ratio: ``[1.18-1.29]``; the words for none where it is NaN."""
    if math.isnan(low) or math.isnan(high):
        return "[no interval]"
    return f"[{factor(low)}\N{EN DASH}{factor(high)}]"


def times(value: float) -> str:
    """A ratio as a multiple: ``1.23x``, with the proper sign."""
    return f"{factor(value)}{TIMES}"


def factor(value: float) -> str:
    """A ratio with the digits it deserves: ``0.95``, ``1.23``, ``12.3``, ``123``."""
    two_decimals = 0.1 <= value < 1  # noqa: PLR2004  0.952 says no more than 0.95
    return f"{value:.2f}" if two_decimals else _digits(value)


def items(parts: Iterable[str]) -> str:
    """Parts beside each other, the empty ones left out."""
    return " · ".join(part for part in parts if part)


def plural(count: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent up to a million."""
    if value == 0 or abs(value) >= _EXPONENT_FROM:
        return f"{value:.3g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
