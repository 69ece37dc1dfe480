"""Weights in files: read without ever unpickling, and checked against what a model has."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks.task import TaskError

Arrays = dict[str, NDArray[Any]]
FORMATS = ".safetensors, .npz or .weights.h5"
KERAS = ".weights.h5"
"""Keras reads its own format itself, through h5py."""
UNPACKED, SHRINKING = 64 << 20, 4
"""What an archive may unpack to: so many bytes, and so many times its size."""
LONGEST = 300
"""Characters of what is said of a file."""
CANONICAL = "weights.npz"
"""A model's own weights, in its folder, by canonical key."""


def read(path: Path) -> Arrays:
    """The arrays of a safetensors or npz file, by name; each holds real numbers.

    Raises:
        TaskError: it cannot be read; one line says why.
    """
    try:
        held = _arrays(path)
    except ModuleNotFoundError:
        raise TaskError(f"{path.name}: reading it needs the package safetensors") from None
    except Exception as error:  # the formats have error classes of their own, and raise any other
        raise TaskError(
            _line(f"{path.name} cannot be read: {type(error).__name__}: {error}")
        ) from None
    if held is None:
        raise TaskError(f"{path.name} is no file of weights: {FORMATS}")
    for name, one in held.items():
        if not _real(one):
            raise TaskError(_line(f"{path.name} cannot be read: {name} holds no numbers"))
    return held


def _arrays(path: Path) -> Arrays | None:
    """What a file holds; ``None`` where its name is that of no format."""
    if path.suffix == ".npz":
        _refuse_bomb(path)
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return dict(load_file(path))
    return None


def _real(held: object) -> bool:
    """Whether it is an array of real numbers, those of other packages (bfloat16) included."""
    if not isinstance(held, np.ndarray):
        return False
    kind = held.dtype
    return kind.kind in "biuf" or (kind.names is None and "float" in kind.name)


def _line(text: str) -> str:
    """The text in one line: names and errors of a file may have several."""
    return " ".join(text.split())[:LONGEST]


def _refuse_bomb(path: Path) -> None:
    """Refuse an archive that says to unpack to much more than it holds: weights hardly shrink.

    Raises:
        ValueError: it does.
    """
    with zipfile.ZipFile(path) as archive:
        refuse_large(path, sum(one.file_size for one in archive.infolist()))


def refuse_large(path: Path, unpacked: int) -> None:
    """Refuse a file that says to hold so many bytes where it holds much less.

    Raises:
        ValueError: it does.
    """
    if unpacked > UNPACKED + SHRINKING * path.stat().st_size:
        raise ValueError(f"it would unpack to {unpacked >> 20} MiB")


def check(path: Path, held: Arrays, shapes: Mapping[str, tuple[int, ...]], side: str) -> None:
    """Refuse arrays that are not those of a model.

    Raises:
        TaskError: one is missing, too many, or of another shape; the first is named.
    """
    missing, spare = sorted(shapes.keys() - held.keys()), sorted(held.keys() - shapes.keys())
    if missing or spare:
        lacking = f"it lacks {missing[0]}" if missing else ""
        more = f"the model has no {spare[0]}" if spare else ""
        why = " and ".join(filter(None, (lacking, more)))
        raise TaskError(_line(f"{path.name} does not fit the {side} side: {why}"))
    for name, shape in shapes.items():
        if tuple(held[name].shape) != tuple(shape):
            there, here = ("x".join(map(str, one)) for one in (held[name].shape, shape))
            raise TaskError(
                f"{path.name} does not fit the {side} side: {name} is {there} in the file and"
                f" {here} in the model"
            )
