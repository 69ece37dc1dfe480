"""The colours of page and charts, and how a stack is told apart: by hue, and always by shape too.

Okabe and Ito's colours, which stay apart for colour-blind readers; the dark set is lightened until
it reaches the same contrast. A test computes every contrast.
"""

from __future__ import annotations

from typing import NamedTuple

# Every light value is unique: charts are drawn with it, and the page swaps it for its variable.
LIGHT = {
    "surface": "#ffffff",
    "raised": "#f6f8fa",
    "ink": "#1b2026",
    "muted": "#57606a",
    "rule": "#d1d8df",
    "band": "#e4e8ec",
    "torch": "#0072b2",
    "tensorflow": "#d55e00",
    "jax": "#00875f",
    "keras": "#b4558c",
    "other": "#6a6f75",
    "torch-text": "#00629b",
    "tensorflow-text": "#a84300",
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
    "torch": "#56b4e9",
    "tensorflow": "#f0893e",
    "jax": "#33c29a",
    "keras": "#dd8fbd",
    "other": "#9aa3ad",
    "torch-text": "#7cc5ef",
    "tensorflow-text": "#f5a468",
    "bad-text": "#ff9d94",
    "link": "#7cc0f5",
}
TEXT = ("ink", "muted", "torch-text", "tensorflow-text", "bad-text", "link")
MARKS = ("torch", "tensorflow", "jax", "keras", "other")

_PLAIN_MODES = {"eager", "graph"}
_FAMILIES = {"torch": "torch", "tensorflow": "tensorflow", "jax": "jax", "keras_torch": "keras"}
_MARKERS = {"torch": "o", "tensorflow": "s", "jax": "^", "keras": "D", "other": "v"}


class Look(NamedTuple):
    """How a stack is drawn: its colour's role, its marker, and hollow for a compiled mode."""

    role: str
    marker: str
    hollow: bool

    @property
    def color(self) -> str:
        """The light value of the role."""
        return LIGHT[self.role]


def look(stack: str) -> Look:
    """How to draw a stack named ``framework-mode``."""
    framework, _, mode = stack.partition("-")
    role = _FAMILIES.get(framework, "other")
    plain = mode.partition("+")[0] in _PLAIN_MODES
    return Look(role, _MARKERS[role], hollow=not plain)


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
