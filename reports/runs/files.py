"""Adds lines to the files that several reports write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results.stored import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def append(path: Path, lines: Iterable[bytes]) -> None:
    """Add lines in one write, so that those of processes that append at the same time do not mix.

    An empty line comes first: what a cut-short write left behind spoils no line of ours.

    Raises:
        OSError: it cannot be written, or only in part; or it is no file.
    """
    files.append(path, b"".join([b"\n", *(line + b"\n" for line in lines)]))
