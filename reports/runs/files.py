"""Writes files so that whoever reads them at the same time finds whole ones."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from benchmarks.results.stored import files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Replace a file atomically: readers see the old bytes or the new ones.

    Raises:
        OSError: no space, no permission...; the old file is untouched and no other is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:  # whoever may read it: as the umask has it
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, lines: Iterable[bytes]) -> None:
    """Add lines in one write, so that those of processes that append at the same time do not mix.

    An empty line comes first: what a cut-short write left behind spoils no line of ours.

    Raises:
        OSError: it cannot be written, or only in part; or it is no file.
    """
    files.append(path, b"".join([b"\n", *(line + b"\n" for line in lines)]))
