"""Where the files of a profile go."""

from __future__ import annotations

from pathlib import Path

from benchmarks.why._shared.subjects import Subject

FOLDER = "profiles"


def folder_of(subject: Subject, out: Path) -> Path:
    """The folder of a matchup's profiles below the folder that holds runs."""
    return out / FOLDER / subject.matchup.id
