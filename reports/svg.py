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
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.palette import LIGHT, light

if TYPE_CHECKING:
    from collections.abc import Iterator

DPI = 72  # one figure unit is one CSS pixel
PNG_DPI = 2 * DPI

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
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["ink"],
    "ytick.left": False,
    "grid.color": LIGHT["rule"],
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "figure.facecolor": LIGHT["surface"],
    "axes.facecolor": "none",
    "legend.frameon": False,
}
_DROPPED = {"font-family", "font-style", "white-space"}  # the page chooses its fonts
_LONG = re.compile(r"-?\d+\.\d{3,}")


@contextmanager
def drawing() -> Iterator[None]:
    """The settings under which figures are made and saved; those of the caller come back after."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        # A name in a script the font lacks is drawn as boxes; the table beside it has the name.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing from.*font")
        yield


def canvas(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """An empty figure, width and height in CSS pixels; no part of pyplot's global state."""
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, layout=layout)


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
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "style":
                parent.remove(child)
    width, height = root.attrib["viewBox"].split()[2:]
    root.attrib.update({"role": "img", "aria-label": label, "width": width, "height": height})
    root.attrib.pop("version", None)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


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
        return " ".join(_LONG.sub(lambda number: f"{float(number[0]):.2f}", value).split())
    return value
