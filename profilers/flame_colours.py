"""The colours of flame graphs: whose code a frame is, in a light and in a dark theme.

A test holds the contrast of the text on each of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from profilers import folded

LABELS = {
    "model": "model code",
    "harness": "harness",
    "torch": "torch",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "jax": "jax",
    "numpy": "numpy",
    "other": "other",
}
_PACKAGES = {
    "torch": "torch",
    "torchvision": "torch",
    "functorch": "torch",
    "tensorflow": "tensorflow",
    "keras": "keras",
    "jax": "jax",
    "jaxlib": "jax",
    "numpy": "numpy",
    "benchmarks": "harness",
    "profilers": "harness",
    "models": "model",
}
LIGHT = {
    "surface": "#ffffff",
    "ink": "#1b2026",
    "muted": "#57606a",
    "model": "#f2b8d5",
    "harness": "#d1d8df",
    "torch": "#8fc7ea",
    "tensorflow": "#f7b287",
    "keras": "#f5d76e",
    "jax": "#8ed8b8",
    "numpy": "#b9b4ea",
    "other": "#e4e8ec",
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
    "model": "#83456a",
    "harness": "#46515d",
    "torch": "#1f5f8b",
    "tensorflow": "#96491a",
    "keras": "#75600f",
    "jax": "#1c6b4c",
    "numpy": "#544c9c",
    "other": "#2d3640",
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


def category(frame: str) -> str:
    """A key of ``LABELS``: whose code a frame is, by its file."""
    file = folded.parts(frame)[1]
    if file.startswith("benchmarks/models/"):
        return "model"
    return _PACKAGES.get(file.partition("/")[0], "other") if "/" in file else "other"


def style() -> str:
    """The rules of a picture, for a light and for a dark theme."""

    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items())

    used = "".join(f".{k}{{fill:var(--{k})}}" for k in LIGHT if k not in {"ink", "muted"})
    return (
        f":root{{background:var(--surface);{variables(LIGHT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
        f"{used}.all{{fill:var(--other)}}"
        ".box{stroke:var(--surface);stroke-width:1px}"
        "text{font:12px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:var(--ink)}"
        ".title{font:bold 14px system-ui,sans-serif}"
        ".note{font:12px system-ui,sans-serif;fill:var(--muted)}"
    )
