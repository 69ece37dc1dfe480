"""The readers of stored predictions, of labelled pictures, and of what audits and proofs keep."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audit import command
from benchmarks.proof import kept
from benchmarks.request import options
from benchmarks.request.selection import Selection
from benchmarks.results.records import Parity
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.journal import JournalError
from benchmarks.tasks.data import pictures
from benchmarks.tasks.data.idx import DataError
from reports.archives import audit, load
from reports.archives.load import ArchiveError
from reports.runs.load import LoadError
from tests.fuzz import inputs
from tests.fuzz.inputs import Inputs
from tests.fuzz.reader import Reader, documented
from tests.pipeline import MODELS

Started = tuple[Inputs, Callable[[bytes], object]]
COUNT, CLASSES = 6, 10
CHOSEN = Selection(models_dir=MODELS, models=("tiny",), phases=("forward",), stacks=("null-a",))
ROW = {"model": "m", "stack": "s", "check": "batch", "word": "same", "reason": ""}
STACK = {"model": "m", "stack": "s"} | {
    name: value
    for top in ("top1", "top5")
    for name, value in ((top, 0.5), (f"{top}_ci95", [0.4, 0.6]))
}
PAIR = {
    "model": "m",
    "a": "s",
    "b": "t",
    "word": "differs",
    "disagree": 1,
    "a_alone": 1,
    "b_alone": 0,
    "share": 0.1,
    "ci95": [-0.1, 0.3],
    "p": 1.0,
    "on": [{"picture": "cat/1.npy", "a": "cat", "b": "dog"}],
}
AUDIT = {
    "audit": "x",
    "rows": [ROW | {"figure": 1e-7, "bound": 1e-5, "refutes": False}],
    "accuracy": {
        "dataset": "d",
        "pictures": 6,
        "left_out": 0,
        "classes": 10,
        "preprocessing": "none",
        "stacks": [STACK],
        "pairs": [PAIR],
    },
}


def _npy(held: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, held)
    return stream.getvalue()


def predictions(folder: Path) -> Started:
    """Either half of a model's stored predictions, beside the other as it should be."""
    ranked = np.tile(np.arange(load.TOP, dtype=np.int64), (COUNT, 1))
    sound = {"preds": _npy(ranked), "probs": _npy(np.full(ranked.shape, 0.1, np.float32))}

    def read(data: bytes) -> None:
        for half in sound:
            for what, held in sound.items():
                written = data if what == half else held
                (folder / f"net_torch_set_top5{what}.npy").write_bytes(written)
            with documented(ArchiveError):
                for found in load.find(folder).values():
                    for preds, probs in found.rows(CLASSES):
                        assert preds.shape == probs.shape
                        assert np.isfinite(probs).all()

    return inputs.files(*sound.values()), read


def labels(folder: Path) -> Started:
    """The labels of predictions, as an array and as text."""
    held = np.arange(COUNT)

    def read(data: bytes) -> None:
        for name in ("labels.npy", "labels.txt"):
            (folder / name).write_bytes(data)
            with documented(ArchiveError):
                found = load.labels("set", COUNT, folder / name)
                assert found is not None
                assert found.min() >= 0

    return inputs.files(_npy(held), b"0\n1\n2\n3\n4\n5\n"), read


def picture(folder: Path) -> Started:
    """A picture that is an array."""
    path = folder / "a.npy"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with documented(DataError):
            assert pictures.sized(pictures.read(path), (4, 4, 1)).shape == (4, 4, 1)

    sides = np.arange(48, dtype=np.uint8)
    return inputs.files(_npy(sides.reshape(4, 4, 3)), _npy(sides.reshape(6, 8))), read


def summary(folder: Path) -> Started:
    """What an audit found, of which its page is made."""

    def read(data: bytes) -> None:
        (folder / audit.SUMMARY).write_bytes(data)
        with documented(LoadError):
            audit.write(folder)

    return inputs.documents(AUDIT), read


def begun(folder: Path) -> Started:
    """The journal of an audit, as ``audit --resume`` takes it up."""
    path = folder / command.FOLDER / "x" / command.JOURNAL
    path.parent.mkdir(parents=True)
    given = command.Given(selection=Selection(models_dir=MODELS))
    told = options.to_stored(CHOSEN)

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with documented(ValueError, JournalError):
            command.reopen(given, folder, "x")

    first = {"kind": "audit", "selection": told, "scaling": "torch", "weights": None}
    rows = {"kind": "rows", "model": "tiny", "stack": "null-a", "rows": AUDIT["rows"]}
    return inputs.lines([first, rows], seal=inputs.sealed), read


def proofs(folder: Path) -> Started:
    """A verification that is kept."""
    path = folder / "tiny-0.json"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = kept.read(path)
        assert found is None or kept.sound(found.parity)

    parity = Parity(status="proven", adapters=("torch", "tensorflow"))
    return inputs.documents(to_json(kept.Kept(date="2026-11-28", parity=parity))), read


READERS = (
    Reader(name="stored predictions", start=predictions, share=1_500),
    Reader(name="labels of predictions", start=labels, share=500),
    Reader(name="picture", start=picture, share=1_000),
    Reader(name="summary of an audit", start=summary, share=1_000),
    Reader(name="journal of an audit, by --resume", start=begun, share=500),
    Reader(name="kept verification", start=proofs, share=500),
)
