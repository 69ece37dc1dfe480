"""The page of faults has every row, and names only tests that there are."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.pipeline import ROOT

ROWS = 35
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
TESTS = re.compile(r"`(test_\w+)((?:::\w+)+)`")


@cache
def defined(file: str) -> set[str]:
    """The tests of a file, those of a class behind its name."""
    found = set[str]()
    for node in ast.parse((ROOT / "tests" / f"{file}.py").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found.add(f"::{node.name}")
        elif isinstance(node, ast.ClassDef):
            methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef))
            found |= {f"::{node.name}::{name}" for name in methods}
    return found


def test_every_row_of_the_matrix_names_tests_that_there_are() -> None:
    rows = ROW.findall((ROOT / "docs" / "faults.md").read_text())
    assert [int(number) for number, *_ in rows] == list(range(1, ROWS + 1))
    for number, _, _, held in rows:
        named = TESTS.findall(held)
        assert len(named) == held.count("::test_") > 0, number
        for file, name in named:
            assert name in defined(file), f"row {number}: {file}{name}"
