"""Pairs of files in ``tests/pairs``: what the tables say of them, and how they are asked for."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import frameworks
from benchmarks.machine.environment import framework_status
from benchmarks.pair import files
from benchmarks.pair.command import FLAGS
from benchmarks.proof.sides import Sides
from benchmarks.terminal import Parser

PAIRS = Path(__file__).parent / "pairs"


def cases(table: str) -> dict[str, list[str]]:
    """By name: PyTorch file, Keras file, arguments of ``pair``, status, what must be told."""
    with (PAIRS / table).open(newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        return {row[0]: row[1:] for row in rows if row and not row[0].startswith("#")}


def asked(torch: str, keras: str, words: str, **more: Any) -> files.Pair:
    """The pair that a row asks for; ``more`` are other fields of ``Pair``."""
    parser = Parser()
    for flag in ("--input", "--target", "--loss", "--optimizer"):
        parser.add_argument(flag, **FLAGS[flag])
    given = parser.parse_args(shlex.split(words))
    task = {
        "inputs": given.input,
        "targets": given.target or (),
        "loss": given.loss,
        "optimizer": given.optimizer,
    }
    return files.Pair(torch=torch, keras=keras, task=task, folder=PAIRS, **more)


@contextmanager
def opened(engine: str = "tensorflow") -> Iterator[Sides]:
    """PyTorch beside an engine of Keras; skips where one of them is not installed."""
    missing = framework_status(("torch", *frameworks.facts(engine).packages))
    if missing:
        pytest.skip(missing)
    with files.sides(engine, 300.0) as found:
        yield found
