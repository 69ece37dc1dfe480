"""The settings of Sphinx: `python -m nox -s docs` builds the pages into build/docs."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from docs import generated  # noqa: E402 - the checkout is put on the path above

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
version = release = PROJECT["version"]
project_copyright = "the authors of twinbench, under Apache-2.0"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = "twinbench"
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sourcelink = False

linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_anchors = False  # GitHub makes its anchors with a script


def setup(app: Any) -> None:
    """Put the generated parts into the pages as they are read."""
    app.connect("source-read", _fill)


def _fill(_app: Any, _name: str, source: list[str]) -> None:
    source[0] = generated.fill(source[0])
