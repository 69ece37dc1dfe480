"""Where the files of a profile go."""

from __future__ import annotations

from pathlib import Path

from benchmarks import journal
from benchmarks.profiling._subject import Subject

FOLDER = "profiles"


def folder_of(subject: Subject, out: Path) -> Path:
    """The folder of a matchup's profiles below the folder that holds runs."""
    return out / FOLDER / subject.matchup.id


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, its folder made where it is not there.

    Raises:
        JournalError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise journal.JournalError(f"cannot make {path.parent}: {error.strerror}") from error
    journal.write_atomic(path, text)
