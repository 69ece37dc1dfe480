"""Our twins compute what public definitions of the same name do, or what the docs say is changed.

``docs/namesakes.md`` has the figures; each of its rows is measured again here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import pytest

from benchmarks.machine.environment import framework_status
from tests import definitions, definitions_torchvision, namesakes
from tests.pipeline import ROOT

pytestmark = pytest.mark.slow

EXACT = 1e-9
"""Largest relative difference of two functions that are one."""
CLOSE = 0.05
"""Share by which a figure of the page may be off: it has two digits."""


@cache
def _told(program: str, *words: str) -> Any:
    """What a program of the tests writes."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"tests.{program}", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@cache
def _figures() -> dict[str, float]:
    """The last figure of each row of the page, by the name that the row ends with."""
    text = (ROOT / "docs" / "namesakes.md").read_text()
    rows = re.findall(r"^\|.* \| ([\d.]+(?:e-\d+)?) \| `(\w+)` \|$", text, re.MULTILINE)
    return {name: float(figure) for figure, name in rows}


def test_the_page_has_a_row_for_each_difference_and_each_definition() -> None:
    differences = [row.__name__ for row in namesakes.ROWS]
    assert list(_figures()) == [*definitions.CHANGES, *differences]


@pytest.mark.parametrize("row", [row.__name__ for row in namesakes.ROWS])
def test_two_definitions_of_one_name_are_apart_as_the_page_says(row: str) -> None:
    if missing := framework_status(("torch", "tensorflow", "keras")):
        pytest.skip(missing)
    found = _told("namesakes")[row]
    assert found["apart"] == pytest.approx(_figures()[row], rel=CLOSE)
    assert found["together"] <= EXACT < found["apart"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", definitions.CHANGES)
def test_a_definition_of_keras_applications_is_our_twin_but_for_what_is_named(name: str) -> None:
    if missing := framework_status(("tensorflow", "keras")):
        pytest.skip(missing)
    found = _told("definitions", name)[name]
    assert found["changed"] <= EXACT
    assert found["shipped"] == pytest.approx(_figures()[name], rel=CLOSE, abs=EXACT)


@pytest.mark.heavy
@pytest.mark.parametrize("name", definitions_torchvision.SIDES)
def test_a_model_of_torchvision_is_our_twin(name: str) -> None:
    if missing := framework_status(("torch",)):
        pytest.skip(missing)
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    assert _told("definitions_torchvision", name)[name] <= EXACT
