"""Text on a terminal that knows fewer characters than ours, as under an ASCII locale."""

from __future__ import annotations

import codecs
import io
import sys

NAME = "twinbench"
ASCII = {
    "×": "x",
    "–": "-",
    "—": "-",
    "→": "->",
    "µ": "u",
    "…": "...",
    "·": "-",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "▲": "^",
    "▼": "v",
    "━": "-",
    "─": "-",
    "│": "|",
    "┃": "|",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{NO-BREAK SPACE}": " ",
}
"""What is written instead where it cannot be written as it is."""


def fall_back() -> None:
    """Have stdout and stderr write what their encoding lacks in ASCII, and raise no error for it.

    What has no counterpart is written as an escape.
    """
    codecs.register_error(NAME, _instead)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=NAME)


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    known = (ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(known), error.end
