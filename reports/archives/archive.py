"""An archive of stored predictions, scored: accuracies, ranks, and what was published of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reports.archives import published, scores
from reports.archives.load import IMAGENET, ArchiveError, Key, beside, find, labels
from reports.archives.published import Published
from reports.archives.scores import Difference, Score

CLASSES = 1000
"""Of ImageNet."""
WHOLE = 1e-6
"""By how much a share times the number of images may miss a whole number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A model: its score and rank, what the archive published of it, and what its authors did.

    ``like`` are models of the data set that McNemar's test cannot tell from it.
    """

    score: Score
    rank: int
    published: Published | None
    authors: Published | None
    like: tuple[Key, ...]

    @property
    def equal(self) -> bool | None:
        """Whether the published accuracies are exactly these; ``None`` without any."""
        of = self.published
        return None if of is None else (of.top1, of.top5) == self.score.accuracy

    @property
    def gap(self) -> float | None:
        """The accuracy less that of the authors, as a share of the images."""
        return None if self.authors is None else self.score.accuracy[0] - self.authors.top1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A data set: its models, best first, and those that several platforms have."""

    dataset: str
    images: int
    rows: tuple[Row, ...]
    namesakes: tuple[Difference, ...]

    @property
    def line(self) -> str:
        """What the table says, in one line."""
        held = [row for row in self.rows if row.published]
        other = [row for row in held if not row.equal]
        said = f"{self.dataset}: {len(self.rows)} models on {self.images:,} images"
        if held:
            said += f"; {len(held) - len(other)} of {len(held)} published rows are exactly these"
        if other:
            said += (
                f", not {', '.join(f'{r.score.key.model} ({r.score.key.platform})' for r in other)}"
            )
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What a folder of stored predictions comes to; ``notes`` say what was left out, and why."""

    name: str
    scored: tuple[Scored, ...]
    notes: tuple[str, ...]


def read(folder: Path, files: Mapping[str, Path] | None = None) -> Archive:
    """Score all predictions in a folder.

    Args:
        folder: the archive.
        files: of a data set the file with its labels, in place of those in the archive.

    Raises:
        ArchiveError: something in it cannot be used.
    """
    given, notes, found = dict(files or {}), list[str](), list[Scored]()
    stored, tables = find(folder), published.of_archive(folder)
    for dataset in dict.fromkeys(key.dataset for key in stored):
        of = [one for key, one in stored.items() if key.dataset == dataset]
        counts = {one.images for one in of}
        if len(counts) > 1:
            each = ", ".join(f"{one.key.model} {one.images:,}" for one in of)
            raise ArchiveError(f"{dataset}: the models saw different images: {each}")
        (images,) = counts
        wanted = labels(dataset, images, given.pop(dataset, None) or beside(folder, dataset))
        if wanted is None:
            notes.append(f"{dataset}: left out, give its labels with --labels {dataset}=FILE")
            continue
        classes = CLASSES if dataset == IMAGENET[0] else None
        done = [scores.score(one, wanted, classes) for one in of]
        table, told = _over(tables, dataset, images)
        notes += told
        found.append(_scored(dataset, images, dict(done), table))
    if given:
        raise ArchiveError(f"--labels: no predictions on {', '.join(given)} in {folder}")
    return Archive(name=folder.resolve().name, scored=tuple(found), notes=tuple(notes))


def as_json(archive: Archive) -> dict[str, Any]:
    """As one JSON document: of each data set its models, accuracies as shares."""
    return {
        "schema": 1,
        "archive": archive.name,
        "notes": list(archive.notes),
        "datasets": [
            {
                "dataset": scored.dataset,
                "images": scored.images,
                "models": [_row_json(row) for row in scored.rows],
                "namesakes": [asdict(one) for one in scored.namesakes],
            }
            for scored in archive.scored
        ],
    }


def _row_json(row: Row) -> dict[str, Any]:
    top1, top5 = row.score.accuracy
    return {
        "model": row.score.key.model,
        "platform": row.score.key.platform,
        "rank": row.rank,
        "top1": top1,
        "ci95": row.score.interval,
        "top5": top5,
        "tied": row.score.tied,
        "published": row.published and asdict(row.published),
        "equal": row.equal,
        "authors": row.authors and asdict(row.authors),
        "like": [str(key) for key in row.like],
    }


def _over(
    tables: Mapping[Path, Mapping[Key, Published]], dataset: str, images: int
) -> tuple[dict[Key, Published], list[str]]:
    """The published table of all images; one of other images is left out, and told."""
    kept, notes = dict[Key, Published](), list[str]()
    for path, table in tables.items():
        of = {key: row for key, row in table.items() if key.dataset == dataset}
        shares = [s * images for row in of.values() for s in (row.top1, row.top5) if s is not None]
        if not of:
            continue
        if any(abs(s - round(s)) > WHOLE for s in shares):
            notes.append(f"{path.name}: left out, its shares are not of {images:,} images")
            continue
        kept |= of
    return kept, notes


def _scored(
    dataset: str,
    images: int,
    done: Mapping[Score, Any],
    table: Mapping[Key, Published],
) -> Scored:
    every = sorted(done, key=lambda score: (-score.top1, score.key))
    right = {score.key: bits for score, bits in done.items()}
    ranks, authors = scores.ranks(every), published.of_authors()
    alike = scores.undecided(scores.every_pair(every, right))
    rows = [
        Row(
            score=score,
            rank=ranks[score.key],
            published=table.get(score.key),
            authors=authors.get(score.key),
            like=tuple(o.key for o in every if frozenset((o.key, score.key)) in alike),
        )
        for score in every
    ]
    return Scored(
        dataset=dataset,
        images=images,
        rows=tuple(rows),
        namesakes=tuple(_namesakes(every, right)),
    )


def _namesakes(every: list[Score], right: Mapping[Key, Any]) -> Iterable[Difference]:
    by_key = {score.key: score for score in every}
    for a, b in published.namesakes(list(by_key)):
        yield scores.difference(by_key[a], by_key[b], right)
