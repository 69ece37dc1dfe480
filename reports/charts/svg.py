"""Turns a figure into a PNG, and into an SVG that lives inside a page with a strict policy.

matplotlib writes colours and fonts into ``style`` attributes, which the page's policy forbids and
which cannot follow a dark theme. They become presentation attributes, with the colours of the
palette as CSS variables. The bytes depend on the data alone.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

from reports.contents.palette import LIGHT, light

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from matplotlib.axes import Axes

DPI = 72  # one figure unit is one CSS pixel
PNG_DPI = 2 * DPI
WIDTH = 1120  # CSS pixels, the text column of the page

_SETTINGS: dict[Any, Any] = {  # the stub types its keys as literals
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same picture everywhere
    "font.size": 11.0,
    "text.parse_math": False,  # a model named $\foo$ is a name, not a formula
    "text.usetex": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "twinbench",
    "hatch.linewidth": 1.2,
    "axes.edgecolor": LIGHT["rule"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titley": 1.0,  # else every tick is measured to find room for a title
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["ink"],
    "xtick.bottom": False,
    "ytick.left": False,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "figure.facecolor": LIGHT["surface"],
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_DROPPED = {"font-family", "font-style", "white-space"}  # the page chooses its fonts
_LONG = re.compile(r"-?\d+\.\d{2,}")
_UPRIGHT = re.compile(r"rotate\(-?0 [^)]*\)")


@contextmanager
def drawing() -> Iterator[None]:
    """The settings under which figures are made and saved; those of the caller come back after."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # A name in a script the font lacks is drawn as boxes; the table beside it has the name.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing from.*font")
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left free around and between panels, in CSS pixels."""

    left: float
    right: float
    top: float
    bottom: float
    across: float = 0.0
    down: float = 0.0


def panels(
    heights: Sequence[float],
    columns: int,
    room: Room,
    *,
    wide: float = WIDTH,
    share: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure with panels in rows and columns; the panels come row by row.

    The room for labels is given: matplotlib's layouts would draw each label several times to find
    it. The figure is no part of pyplot's global state.

    Args:
        heights: of each row, in CSS pixels.
        columns: panels in a row.
        room: margins and gaps.
        wide: the whole width, in CSS pixels.
        share: whether all panels have the same axes.
    """
    rows = len(heights)
    high = room.top + sum(heights) + (rows - 1) * room.down + room.bottom
    inner = wide - room.left - room.right - (columns - 1) * room.across
    figure = Figure(figsize=(wide / DPI, high / DPI), dpi=DPI)
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        height_ratios=heights,
        gridspec_kw={
            "left": room.left / wide,
            "right": 1 - room.right / wide,
            "top": 1 - room.top / high,
            "bottom": room.bottom / high,
            "wspace": room.across * columns / inner,  # both are measured in mean panels
            "hspace": room.down * rows / sum(heights),
        },
        sharex=share,
        sharey=share,
    )
    return figure, list(grid.ravel())


def below(figure: Figure, words: str) -> None:
    """A line at the foot of a picture."""
    _foot(figure, 0.5, words, "center")


def corner(figure: Figure, words: str) -> None:
    """A few words at the right end of the foot of a picture."""
    _foot(figure, 1 - 6 / DPI / figure.get_figwidth(), words, "right")


def _foot(figure: Figure, x: float, words: str, align: Literal["center", "right"]) -> None:
    y = 6 / DPI / figure.get_figheight()
    figure.text(x, y, words, fontsize=10, color=LIGHT["muted"], ha=align, va="bottom")


def width(words: Iterable[str], size: float = 11.0) -> float:
    """CSS pixels of the widest of some labels."""
    font = get_font(fontManager.findfont("DejaVu Sans"))
    font.set_size(size, DPI)
    widest = 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing from.*font")
        for label in words:
            font.set_text(label)
            widest = max(widest, font.get_width_height()[0] / 64)
    return widest


def png(figure: Figure) -> bytes:
    """The figure as PNG at twice its size, on the light surface."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    with drawing():
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def inline(figure: Figure, key: str, label: str) -> str:
    """The figure as an ``<svg>`` element without a style attribute.

    Args:
        figure: what to draw.
        key: makes the ids of this figure differ from those of others in the page.
        label: what a screen reader says instead of the picture.
    """
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    with drawing():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", dpi=DPI, facecolor="none", metadata=nothing)
    root = ET.fromstring(buffer.getvalue())  # noqa: S314  written by matplotlib a moment ago
    variables = {value: f"var(--{role})" for role, value in light().items()}
    for element in root.iter():
        _adapt(element, key, variables)
    _slim(root)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib.update({"role": "img", "aria-label": label, "width": width, "height": height})
    root.attrib.pop("version", None)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _slim(parent: ET.Element) -> None:
    """Take out what draws nothing: style sheets, blanks, empty parts, groups without attributes."""
    kept: list[ET.Element] = []
    for child in parent:
        _slim(child)
        unseen = child.tag == "path" and parent.tag == "g" and _unseen(child)
        if child.tag == "style" or unseen or (child.tag in {"defs", "g"} and not len(child)):
            continue
        kept += list(child) if child.tag == "g" and not child.attrib else [child]
    parent[:] = kept
    for element in (parent, *kept):
        element.tail = None
    if len(parent):
        parent.text = None


def _unseen(path: ET.Element) -> bool:
    return path.get("fill") == "none" and path.get("stroke") is None


def _adapt(element: ET.Element, key: str, variables: dict[str, str]) -> None:
    element.tag = element.tag.rpartition("}")[2]  # HTML needs no namespaces
    old = dict(element.attrib)
    element.attrib.clear()
    for declaration in filter(None, old.pop("style", "").split(";")):
        prop, _, value = declaration.partition(":")
        old.setdefault(prop.strip(), value.strip())
    for raw, value in old.items():
        attribute = raw.rpartition("}")[2]
        if attribute in _DROPPED or (attribute == "id" and element.tag == "g"):
            continue
        if attribute == "transform" and _UPRIGHT.fullmatch(value):
            continue
        element.set(attribute, _value(attribute, value, key, variables))


def _value(attribute: str, value: str, key: str, variables: dict[str, str]) -> str:
    if attribute == "id":
        return f"{key}-{value}"
    if attribute == "href":
        return f"#{key}-{value.removeprefix('#')}"
    if value.startswith("url(#"):
        return f"url(#{key}-{value[5:]}"
    if attribute in {"fill", "stroke"}:
        return variables.get(value, value)
    if attribute in {"d", "x", "y", "width", "height", "transform", "points"}:
        return " ".join(_LONG.sub(lambda number: f"{float(number[0]):.1f}", value).split())
    return value
