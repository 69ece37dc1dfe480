"""Reads stored predictions without trust: plain arrays of bounded size, checked row by row.

A model's predictions are two files, ``<model>_<platform>_<dataset>_top5preds.npy`` (integers: five
classes per image, in any order) and ``…_top5probs.npy`` (floats: their probabilities).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from benchmarks.results.stored import files
from reports.runs.load import LoadError

NAME = re.compile(
    r"(?P<model>.+)_(?P<platform>[A-Za-z0-9.@+-]+)_(?P<dataset>[A-Za-z0-9.-]+)_top5(?P<what>preds|probs)\.npy"
)
TOP = 5
IMAGES = 10_000_000
"""What a file may hold at most."""
FILES = 10_000
CHUNK = 1 << 18
"""Images that are read at a time."""
SPARE = 0.02
"""By how much five probabilities may add up to more than 1: those of float16 are rounded."""
IMAGENET = ("imagenet", 50_000, 50)
"""The data set whose images stand in class order: its name, its images, those of each class."""

Rows = tuple[NDArray[np.int64], NDArray[np.float64]]


class ArchiveError(LoadError):
    """Stored predictions that cannot be used; the text is one line that names the file."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Whose predictions, on what."""

    dataset: str
    platform: str
    model: str

    def __str__(self) -> str:
        return f"{self.model} ({self.platform}, {self.dataset})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The two files of a model, whose headers are read: so many images."""

    key: Key
    preds: Path
    probs: Path
    images: int

    def rows(self, classes: int | None = None) -> Iterator[Rows]:
        """Classes and probabilities, ``CHUNK`` images of five at a time.

        Args:
            classes: how many there are, where that is known.

        Raises:
            ArchiveError: a value that cannot be.
        """
        done = 0
        with _opened(self.preds) as first, _opened(self.probs) as second:
            kinds = _header(first, self.preds)[1], _header(second, self.probs)[1]
            while done < self.images:
                count = min(CHUNK, self.images - done)
                preds = _part(first, kinds[0], count, self.preds).astype(np.int64)
                probs = _part(second, kinds[1], count, self.probs).astype(np.float64)
                _check_classes(preds, classes, done, self.preds)
                _check_probabilities(probs, done, self.probs)
                yield preds, probs
                done += count


def find(folder: Path) -> dict[Key, Stored]:
    """All predictions in a folder and those below it, by whose they are; links are passed over.

    Raises:
        ArchiveError: there are none, or one cannot be used.
    """
    pairs: dict[Key, dict[str, Path]] = {}
    for path in _arrays(folder):
        named = NAME.fullmatch(path.name)
        if not named:
            continue
        key = Key(named["dataset"], named["platform"], named["model"])
        known = pairs.setdefault(key, {})
        if named["what"] in known:
            raise ArchiveError(f"{path}: {key} is there twice, also as {known[named['what']]}")
        known[named["what"]] = path
    if not pairs:
        raise ArchiveError(f"{folder}: no <model>_<platform>_<dataset>_top5preds.npy in it")
    return {key: _stored(key, of) for key, of in sorted(pairs.items())}


def labels(dataset: str, images: int, file: Path | None) -> NDArray[np.int64] | None:
    """The class of each image, from a file or by position; ``None`` where nothing tells them.

    Images of ImageNet's validation set stand in class order, 50 of each.

    Args:
        dataset: its name.
        images: how many there are.
        file: one class per image: an ``.npy`` of integers, or text with one on each line.

    Raises:
        ArchiveError: the file cannot be used, or has another number of classes.
    """
    if file is None:
        if (dataset, images) != IMAGENET[:2]:
            return None
        return np.arange(images, dtype=np.int64) // IMAGENET[2]
    found = _labels(file)
    if len(found) != images:
        raise ArchiveError(f"{file}: {len(found):,} labels for {images:,} images of {dataset}")
    if found.min() < 0:
        raise ArchiveError(f"{file}: a label below 0")
    return found


def beside(folder: Path, dataset: str) -> Path | None:
    """The labels of a data set that lie in an archive itself; ``None`` where none do."""
    path = folder / f"{dataset}_labels.npy"
    return path if path.is_file() else None


def _labels(file: Path) -> NDArray[np.int64]:
    if file.suffix == ".npy":
        with _opened(file) as stream:
            shape, kind = _header(stream, file)
            if len(shape) != 1 or kind.kind not in "iu" or not 0 < shape[0] <= IMAGES:
                raise ArchiveError(f"{file}: {kind} of shape {shape}, not integers of shape (n,)")
            return _values(stream, kind, shape[0], file).astype(np.int64)
    try:
        found = [int(line) for line in files.read(file).split()]
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{file}: not one integer on each line ({error})") from error
    if not found:
        raise ArchiveError(f"{file}: no labels in it")
    return np.array(found, dtype=np.int64)


def _arrays(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ArchiveError(f"{folder}: no such folder")
    found = list[Path]()
    for place, _, names in os.walk(folder):
        found += [Path(place, name) for name in names if name.endswith(".npy")]
        if len(found) > FILES:
            raise ArchiveError(f"{folder}: more than {FILES:,} arrays in it")
    return sorted(path for path in found if not path.is_symlink())


def _stored(key: Key, of: dict[str, Path]) -> Stored:
    for what, other in (("preds", "probs"), ("probs", "preds")):
        if what not in of:
            raise ArchiveError(f"{of[other]}: its other half, …_top5{what}.npy, is missing")
    images = set[int]()
    for what, kinds in (("preds", "iu"), ("probs", "f")):
        path = of[what]
        with _opened(path) as stream:
            shape, kind = _header(stream, path)
            begins = stream.tell()
        if len(shape) != 2 or shape[1] != TOP or kind.kind not in kinds:  # noqa: PLR2004 - rows and columns
            wanted = "integers" if what == "preds" else "floats"
            raise ArchiveError(f"{path}: {kind} of shape {shape}, not {wanted} of shape (n, {TOP})")
        if not 0 < shape[0] <= IMAGES:
            raise ArchiveError(f"{path}: {shape[0]:,} images, where 1 to {IMAGES:,} can be read")
        if path.stat().st_size != begins + shape[0] * TOP * kind.itemsize:
            raise ArchiveError(f"{path}: shorter or longer than its header says")
        images.add(shape[0])
    if len(images) > 1:
        raise ArchiveError(f"{of['preds']}: its two halves hold different numbers of images")
    return Stored(key=key, preds=of["preds"], probs=of["probs"], images=images.pop())


def _opened(path: Path) -> IO[bytes]:
    try:
        return os.fdopen(files.opened(path), "rb")
    except OSError as error:
        raise ArchiveError(f"{path}: {error.strerror or error}") from error


def _header(stream: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and kind of an array; one that would have to be unpickled is refused."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, kind = read(stream)
    except Exception as error:  # NumPy has Python's parser read it, which may raise any
        raise ArchiveError(f"{path}: not an array of NumPy ({_line(error)})") from error
    if kind.hasobject:
        raise ArchiveError(f"{path}: holds pickled objects, which are never read")
    if fortran and len(shape) > 1:
        raise ArchiveError(f"{path}: stored by columns; write it by rows")
    return shape, kind


def _part(stream: IO[bytes], kind: np.dtype[Any], count: int, path: Path) -> NDArray[Any]:
    return _values(stream, kind, count * TOP, path).reshape(count, TOP)


def _values(stream: IO[bytes], kind: np.dtype[Any], count: int, path: Path) -> NDArray[Any]:
    data = stream.read(count * kind.itemsize)
    if len(data) != count * kind.itemsize:
        raise ArchiveError(f"{path}: ends before its last image")
    return np.frombuffer(data, dtype=kind)


def _check_classes(preds: NDArray[np.int64], classes: int | None, done: int, path: Path) -> None:
    wrong = preds < 0 if classes is None else (preds < 0) | (preds >= classes)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        there = "from 0 on" if classes is None else f"0 to {classes - 1}"
        raise ArchiveError(
            f"{path}: image {done + row}: class {preds[row, column]}, where there are {there}"
        )
    ordered = np.sort(preds, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        raise ArchiveError(f"{path}: image {done + int(np.argmax(twice))}: a class twice")


def _check_probabilities(probs: NDArray[np.float64], done: int, path: Path) -> None:
    odd = ~np.isfinite(probs) | (probs < 0) | (probs > 1)
    if odd.any():
        row, column = map(int, np.argwhere(odd)[0])
        raise ArchiveError(f"{path}: image {done + row}: {probs[row, column]:g} is no probability")
    above = probs.sum(axis=1) > 1 + SPARE
    if above.any():
        row = int(np.argmax(above))
        raise ArchiveError(
            f"{path}: image {done + row}: its probabilities add up to {probs[row].sum():.3f}"
        )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
