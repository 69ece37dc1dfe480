"""The colours of flame graphs: whose code a frame is, in a light and in a dark theme.

A test holds the contrast of the text on each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profilers.flames import folded


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose code a frame may be.

    ``folders`` are the first folders of its files; ``light`` and ``dark`` its colour, ``#rrggbb``,
    by theme; ``label`` what a legend calls it, its name unless given.
    """

    name: str
    folders: tuple[str, ...]
    light: str
    dark: str
    label: str = ""


OTHER = Owner("other", (), "#e4e8ec", "#2d3640")
OWNERS = (
    Owner("model", ("models",), "#f2b8d5", "#83456a", "model code"),
    Owner("harness", ("benchmarks", "profilers"), "#d1d8df", "#46515d"),
    Owner("numpy", ("numpy",), "#b9b4ea", "#544c9c"),
    OTHER,
)
"""Those of every picture; a caller adds the frameworks'."""
LIGHT = {
    "surface": "#ffffff",
    "ink": "#1b2026",
    "muted": "#57606a",
    "more1": "#fbdcd8",
    "more2": "#f6b5ad",
    "more3": "#ef8d82",
    "more4": "#e5675b",
    "less1": "#d6e6f7",
    "less2": "#acccee",
    "less3": "#80b0e3",
    "less4": "#5b95d6",
    "same": "#e4e8ec",
}
DARK = {
    "surface": "#12161b",
    "ink": "#eef1f4",
    "muted": "#a3adb8",
    "more1": "#55302f",
    "more2": "#77332f",
    "more3": "#97362f",
    "more4": "#b23a31",
    "less1": "#273a52",
    "less2": "#27486f",
    "less3": "#26568c",
    "less4": "#2664a8",
    "same": "#2d3640",
}


def owner(frame: str, owners: Sequence[Owner]) -> Owner:
    """Whose code a frame is, by its file; ``OTHER`` where it is none of theirs."""
    file = folded.parts(frame)[1]
    folder, inside, _ = file.partition("/")
    if file.startswith("benchmarks/models/"):
        folder = "models"
    return next((o for o in owners if inside and folder in o.folders), OTHER)


def style(owners: Sequence[Owner]) -> str:
    """The rules of a picture, for a light and for a dark theme."""
    light = LIGHT | {owner.name: owner.light for owner in owners}
    dark = DARK | {owner.name: owner.dark for owner in owners}

    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items())

    used = "".join(f".{k}{{fill:var(--{k})}}" for k in light if k not in {"ink", "muted"})
    return (
        f":root{{background:var(--surface);{variables(light)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{variables(dark)}}}}}"
        f"{used}.all{{fill:var(--other)}}"
        ".box{stroke:var(--surface);stroke-width:1px}"
        "text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink)}"
        ".title{font:bold 14px system-ui,sans-serif}"
        ".note{font:12px system-ui,sans-serif;fill:var(--muted)}"
    )
