"""Accuracy on labelled pictures: what stacks predict, kept as an archive of predictions, compared.

The files are those that ``python -m reports archive`` reads, so that others can count again.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.rows import Row, Word
from benchmarks.request.plan import Group
from benchmarks.results import accuracy
from benchmarks.results.records import Stack
from benchmarks.results.stored import files, journal
from benchmarks.tasks.data import pictures
from benchmarks.tasks.data.pictures import SCALINGS, Pictures, Shape
from benchmarks.tasks.task import Task, TaskError

FOLDER = "predictions"
"""Of an audit: what its stacks predicted."""
TOP = 5
SHOWN = 20
"""Pictures that are named of those on which two stacks disagree."""
IN_A_ROW = 3
"""The same where a line must hold them."""
OTHER = re.compile(r"[^A-Za-z0-9.-]")
"""What the name of a data set must not have in a file's name, where ``_`` parts names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Pictures as an audit feeds them, and the folder for what is predicted of them.

    ``scaling`` is a name of ``SCALINGS``; ``arrays`` are files of all pictures, as
    ``pictures.prepare`` writes them, by the shape of a model's input.
    """

    of: Pictures
    scaling: str
    folder: Path
    arrays: Mapping[Shape, Path]

    @property
    def dataset(self) -> str:
        """What the data set is called in the names of files."""
        return OTHER.sub("-", self.of.name) or "pictures"

    @property
    def preprocessing(self) -> str:
        """What becomes of a picture, in words."""
        return f"{pictures.SIZED}; then {SCALINGS[self.scaling].words}"

    def unfit(self, task: Task) -> str | None:
        """Why a model cannot be judged by these pictures; ``None`` where it can."""
        return _unfit(task, self.of, self.scaling)

    def keep(
        self, model: str, stack: Stack, preds: Sequence[Any], probs: Sequence[Any]
    ) -> tuple[int, int]:
        """Write what a stack predicted; how many pictures are right first, and among five.

        ``preds`` are five classes per picture, best first, and ``probs`` their probabilities.

        Raises:
            JournalError: it cannot be written.
        """
        first, second = self._paths(model, stack)
        classes = np.array(preds, np.int64)
        journal.store(second, as_npy(np.array(probs, np.float32)))
        journal.store(first, as_npy(classes))
        return self._right(classes)

    def document(self, groups: Iterable[Group]) -> dict[str, Any]:
        """What all stacks predicted, counted and compared two by two, as plain data.

        Shares are of 1. A pair has the names of the first ``SHOWN`` pictures on which its stacks
        disagree, with the class that each gives.

        Raises:
            JournalError: predictions that were kept cannot be read.
        """
        found = {
            group.name: {
                str(s): held
                for s in group.stacks
                if (held := self._stored(group.name, s)) is not None
            }
            for group in groups
        }
        return {
            "dataset": self.dataset,
            "pictures": len(self.of.paths),
            "left_out": self.of.left_out,
            "classes": len(self.of.classes),
            "preprocessing": self.preprocessing,
            "stacks": [
                self._counted(model, stack, held)
                for model, of in found.items()
                for stack, held in of.items()
            ],
            "pairs": [pair for model, of in found.items() for pair in self._pairs(model, of)],
        }

    def _paths(self, model: str, stack: Stack) -> tuple[Path, Path]:
        name = f"{model}_{platform(stack)}_{self.dataset}_top5"
        return self.folder / f"{name}preds.npy", self.folder / f"{name}probs.npy"

    def _stored(self, model: str, stack: Stack) -> NDArray[np.int64] | None:
        path, _ = self._paths(model, stack)
        if not path.is_file():
            return None
        try:
            held = np.load(io.BytesIO(files.read(path)), allow_pickle=False)
        except Exception as error:  # NumPy has Python's parser read a header, which may raise any
            what = " ".join(f"{error}".split())
            raise journal.JournalError(f"{path}: cannot be read: {what}") from None
        if held.shape != (len(self.of.paths), TOP) or held.dtype != np.int64:
            raise journal.JournalError(f"{path}: {held.dtype} of shape {held.shape}, not ours")
        return np.asarray(held)

    def _right(self, preds: NDArray[np.int64]) -> tuple[int, int]:
        """Pictures whose class is the first, and among the five."""
        hits = preds == self.of.labels[:, None]
        return int(hits[:, 0].sum()), int(hits.any(axis=1).sum())

    def _counted(self, model: str, stack: str, preds: NDArray[np.int64]) -> dict[str, Any]:
        count, made = len(preds), dict[str, Any](model=model, stack=stack)
        for name, hits in zip(("top1", "top5"), self._right(preds), strict=True):
            made |= {name: hits / count, f"{name}_ci95": accuracy.wilson(hits, count)}
        return made

    def _pairs(
        self, model: str, found: Mapping[str, NDArray[np.int64]]
    ) -> Iterator[dict[str, Any]]:
        pairs = list(itertools.combinations(found, 2))
        compared = [self._compared(found[a], found[b]) for a, b in pairs]
        chance = accuracy.undecided([one.p for one in compared])
        for place, ((a, b), one) in enumerate(zip(pairs, compared, strict=True)):
            first, second = found[a][:, 0], found[b][:, 0]
            differ = np.flatnonzero(first != second)
            word: Word = "not told apart" if place in chance else "differs"
            yield {
                "model": model,
                "a": a,
                "b": b,
                **asdict(one),
                "word": word if len(differ) else "same",
                "disagree": len(differ),
                "on": [
                    {
                        "picture": self.of.names[i],
                        "a": self.of.classes[first[i]],
                        "b": self.of.classes[second[i]],
                    }
                    for i in differ[:SHOWN]
                ],
            }

    def _compared(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> accuracy.Paired:
        one, other = (held[:, 0] == self.of.labels for held in (a, b))
        return accuracy.paired(int((one & ~other).sum()), int((other & ~one).sum()), len(a))


def prepared(
    of: Pictures, scaling: str, folder: Path, tasks: Iterable[Task], scratch: Path
) -> Labelled:
    """Pictures in the shape of every task that they fit; labels and names are kept in ``folder``.

    The arrays are written to ``scratch``.

    Raises:
        DataError: a picture cannot be read.
        JournalError: labels or names cannot be written.
    """
    arrays: dict[Shape, Path] = {}
    for task in tasks:
        if _unfit(task, of, scaling) is None:
            shape = input_shape(task)
            if shape not in arrays:
                arrays[shape] = scratch / f"{'x'.join(map(str, shape))}.npy"
                pictures.prepare(of, shape, arrays[shape])
    made = Labelled(of=of, scaling=scaling, folder=folder, arrays=arrays)
    journal.store(folder / f"{made.dataset}_labels.npy", as_npy(of.labels))
    journal.store(folder / f"{made.dataset}_pictures.txt", "\n".join([*of.names, ""]))
    return made


def input_shape(task: Task) -> Shape:
    """The shape of the one picture that a model takes."""
    height, width, channels = task.labelled()[0].shape
    return height, width, channels


def _unfit(task: Task, of: Pictures, scaling: str) -> str | None:
    try:
        one, target = task.labelled()
    except TaskError as error:
        return str(error)
    if one.kind != "image":
        return f"it takes {one.kind}, no picture"
    if target.count != len(of.classes):
        return f"it has {target.count} classes, and {of.name} {len(of.classes)}"
    if target.count < TOP:
        return f"predictions are kept of {TOP} classes, and it has {target.count}"
    if not SCALINGS[scaling].fits(one.shape[-1]):
        return f"--preprocess {scaling} is for 3 channels, and it takes {one.shape[-1]}"
    return None


def platform(stack: Stack) -> str:
    """What a stack is called in the names of files, where ``_`` parts names."""
    return str(stack).replace("_", "-")


def judged(task: Task) -> str:
    """The output that is held against the label: of a metric or the loss, else ``output``."""
    names = [m.output for m in task.metrics] + [part.output for part in task.loss or ()]
    return names[0] if names else "output"


def best(
    logits: NDArray[np.float64], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ``TOP`` classes of each row of logits, best first, and their softmax.

    Of equal logits the class that comes first is the better one.

    Raises:
        NotImplementedError: they are not one row per sample and one column per class.
        ValueError: one of them is no number.
    """
    if logits.ndim != 2 or logits.shape[1] != classes:  # noqa: PLR2004 - rows and columns
        raise NotImplementedError(f"its output has shape {logits.shape}, not (n, {classes})")
    if not np.isfinite(logits).all():
        raise ValueError("an output is not finite")
    order = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return order, np.take_along_axis(shares, order, axis=1)


def as_npy(held: NDArray[Any]) -> bytes:
    """An array as the content of an ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, held, allow_pickle=False)
    return stream.getvalue()


def share(hits: int, count: int) -> str:
    """A share of pictures with its 95 % interval, in per cent."""
    low, high = accuracy.wilson(hits, count)
    return f"{100 * hits / count:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def rows(document: Mapping[str, Any]) -> list[Row]:
    """A row for each pair of stacks of a document."""
    return [_row(pair) for pair in document["pairs"]]


def _row(pair: Mapping[str, Any]) -> Row:
    count, named = pair["disagree"], [one["picture"] for one in pair["on"][:IN_A_ROW]]
    made = Row(
        model=pair["model"], stack=pair["a"], check=f"accuracy against {pair['b']}", word="same"
    )
    if not count:
        return replace(made, reason="the same class first for every picture")
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return replace(
        made,
        word=pair["word"],
        reason=f"{pair['a_alone']} right here alone, {pair['b_alone']} there alone, p ="
        f" {pair['p']:.2g}; they disagree on {', '.join(named)}{more}",
    )
