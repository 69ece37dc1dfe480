"""Published accuracies: the archive's own table, and what the authors of the weights said."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results.stored import files
from reports.archives.load import ArchiveError, Key

COLUMNS = ("Platform", "Model", "Acc@1", "Acc@5")
AUTHORS = Path(__file__).with_name("authors.csv")
"""What keras.io and torchvision's documentation gave in 2018 and 2019, in per cent."""
FOLDER = re.compile(r"(?P<dataset>.+)_benchmarks")


@dataclass(frozen=True, slots=True)
class Published:
    """Accuracies as shares; ``top5`` is ``None`` where none was given."""

    top1: float
    top5: float | None


def of_archive(folder: Path) -> dict[Path, dict[Key, Published]]:
    """The tables below a folder, by file: CSV in ``<dataset>_benchmarks`` with ``COLUMNS``.

    Raises:
        ArchiveError: one of them cannot be used.
    """
    found: dict[Path, dict[Key, Published]] = {}
    for path in sorted(folder.rglob("*.csv")):
        place = FOLDER.fullmatch(path.parent.name)
        if place and not path.is_symlink():
            found[path] = table(path, place["dataset"])
    return found


def table(path: Path, dataset: str) -> dict[Key, Published]:
    """One table of a data set; nothing where it lacks the columns.

    Raises:
        ArchiveError: it cannot be read, or holds a value that is no share.
    """
    rows = _rows(path)
    if not rows or not set(COLUMNS) <= rows[0].keys():
        return {}
    found: dict[Key, Published] = {}
    for number, row in enumerate(rows, start=2):
        key = Key(dataset, row["Platform"].split()[0].lower(), row["Model"])
        if key in found:
            raise ArchiveError(f"{path}, line {number}: {key} is there twice")
        shares = [_share(row[name], path, number) for name in ("Acc@1", "Acc@5")]
        found[key] = Published(*shares)
    return found


def of_authors() -> dict[Key, Published]:
    """What the authors of the weights published for ImageNet's validation images."""
    return {
        Key("imagenet", row["platform"], row["model"]): Published(
            float(row["top1"]) / 100, float(row["top5"]) / 100 if row["top5"] else None
        )
        for row in _rows(AUTHORS)
    }


def namesakes(keys: Sequence[Key]) -> Iterator[tuple[Key, Key]]:
    """The models of one data set that several platforms have, two at a time."""
    groups: dict[tuple[str, str], list[Key]] = {}
    for key in sorted(keys):
        name = re.sub(r"[^a-z0-9]", "", key.model.lower())
        groups.setdefault((key.dataset, name), []).append(key)
    for same in groups.values():
        for index, first in enumerate(same):
            yield from ((first, other) for other in same[index + 1 :])


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = files.read(path).decode()
        return [
            {k: v for k, v in row.items() if isinstance(k, str) and isinstance(v, str)}
            for row in csv.DictReader(text.splitlines(), strict=True)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArchiveError(f"{path}: {' '.join(str(error).split())}") from error


def _share(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ArchiveError(f"{path}, line {number}: {text!r} is no share from 0 to 1")
    return value
