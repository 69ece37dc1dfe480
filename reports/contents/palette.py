"""The colours of page and charts, and how a stack is told apart: by hue, and always by shape too.

Each framework says how it is drawn; one that is not known here is drawn as ``other``.

Okabe and Ito's colours, which stay apart for colour-blind readers; the dark set is lightened until
it reaches the same contrast. A test computes every contrast.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks import frameworks
from benchmarks.frameworks.about import Appearance

# Every light value is unique: charts are drawn with it, and the page swaps it for its variable.
LIGHT = {
    "surface": "#ffffff",
    "raised": "#f6f8fa",
    "ink": "#1b2026",
    "muted": "#57606a",
    "rule": "#d1d8df",
    "band": "#e4e8ec",
    "other": "#6a6f75",
    "bad-text": "#b3261e",
    "link": "#0a5aa8",
}
DARK = {
    "surface": "#12161b",
    "raised": "#1b2128",
    "ink": "#e6e9ed",
    "muted": "#a3adb8",
    "rule": "#37404a",
    "band": "#262e37",
    "other": "#9aa3ad",
    "bad-text": "#ff9d94",
    "link": "#7cc0f5",
}
TEXT = ("ink", "muted", "bad-text", "link")


class Shape(NamedTuple):
    """A marker as text, filled and hollow, and how a square becomes it in CSS."""

    glyphs: str
    css: str = ""


SHAPES = {
    "o": Shape("●○", "border-radius:50%"),
    "s": Shape("■□"),
    "^": Shape("▲△", "clip-path:polygon(50% 0,100% 100%,0 100%)"),
    "D": Shape("◆◇", "transform:rotate(45deg)"),
    "<": Shape("◀◁", "clip-path:polygon(0 50%,100% 0,100% 100%)"),
    ">": Shape("▶▷", "clip-path:polygon(100% 50%,0 100%,0 0)"),
    "v": Shape("▼▽"),
}
"""By Matplotlib's name."""
OTHER = "v"
"""The shape of ``other``."""


class Look(NamedTuple):
    """How a stack is drawn: its colour's role, its marker, and hollow for a compiled mode.

    The role is the framework's name or ``other``. A mode that is not known is drawn hollow, too.
    """

    role: str
    marker: str
    hollow: bool

    @property
    def color(self) -> str:
        """The light value of the role."""
        facts = frameworks.known(self.role)
        return facts.appearance.mark[0] if facts and facts.appearance else LIGHT[self.role]

    @property
    def glyph(self) -> str:
        """The marker as text."""
        return SHAPES[self.marker].glyphs[self.hollow]


def look(stack: str) -> Look:
    """How to draw a stack named ``framework-mode``."""
    framework, _, mode = stack.partition("-")
    facts = frameworks.known(framework)
    hollow = facts is None or mode.partition("+")[0] not in facts.plain
    if facts is None or facts.appearance is None:
        return Look("other", OTHER, hollow)
    return Look(framework, facts.appearance.marker, hollow)


def light() -> dict[str, str]:
    """``LIGHT`` and the colours of the frameworks."""
    return LIGHT | _of_frameworks(0)


def dark() -> dict[str, str]:
    """``DARK`` and the colours of the frameworks."""
    return DARK | _of_frameworks(1)


def rules() -> str:
    """The style rules of the frameworks: the shape before a stack, the edge of a verdict."""
    lines = []
    for name, drawn in _drawn():
        css = SHAPES[drawn.marker].css
        lines.append(f".stack.{name}::before{{background:var(--{name});{css}}}")
        lines.append(f".mark.{name}{{border-color:var(--{name})}}")
        if drawn.text:
            lines.append(f".mark.{name} b{{color:var(--{name}-text)}}")
    return "\n".join(lines)


def _drawn() -> Iterator[tuple[str, Appearance]]:
    for name, facts in frameworks.every().items():
        if facts.appearance:
            yield name, facts.appearance


def _of_frameworks(theme: int) -> dict[str, str]:
    """``NAME`` for marks and ``NAME-text`` for words."""
    found = dict(_drawn())
    marks = {name: drawn.mark[theme] for name, drawn in found.items()}
    words = {f"{name}-text": drawn.text[theme] for name, drawn in found.items() if drawn.text}
    return marks | words


def variables(colors: dict[str, str]) -> str:
    """The colours as CSS custom properties."""
    return "".join(f"--{role}:{value};" for role, value in colors.items())


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]  # noqa: PLR2004  the sRGB curve
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
