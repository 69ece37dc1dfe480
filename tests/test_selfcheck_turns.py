"""What a turn's first iterations cost is told from times of single iterations."""

import json
import math

import pytest

from benchmarks.records import Exit
from benchmarks.selftest import turns
from tests.pipeline import MODELS


def test_a_penalty_is_the_median_over_turns_of_each_position() -> None:
    def turn(first_s: float, second_s: float) -> dict[str, list[float]]:
        return {"samples_s": [first_s, second_s, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "waits_s": [0.1]}

    found = turns.penalties([turn(1.2, 1.0), turn(1.3, 1.1), turn(9.0, 1.0)])
    assert found == pytest.approx([0.3, 0.0, 0.0, 0.0])


def test_a_lost_core_moves_the_mean_of_a_turn_and_no_block_but_its_own() -> None:
    opening = [9.0] * turns.SETTLED

    def turn(*settled_s: float) -> dict[str, list[float]]:
        return {"samples_s": [*opening, *settled_s], "waits_s": [0.1]}

    quiet, lost = turn(1.0, 1.0, 1.0), turn(1.0, 4.0, 1.0)
    told = turns.variation([quiet, lost, quiet])
    assert told == pytest.approx((math.log(2) / math.sqrt(2), 0.0))
    assert turns.variation([quiet, lost]) is None


def test_stacks_alternate_and_each_has_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"slow": 3.0}))
    words = "--models tiny --phases forward --stacks null-a,null-b --turns 3 --iterations 8"
    assert turns.main([*words.split(), "--models-dir", str(MODELS)]) == Exit.OK
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.count("|") == first.count("|") == second.count("|")
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in (first, second)]
    assert [row[1] for row in cells] == ["null-a", "null-b"]
    steps_ms = [float(row[2].removesuffix(" ms")) for row in cells]
    assert steps_ms[1] / steps_ms[0] == pytest.approx(3.0, rel=0.4)
    assert [row[-1] for row in cells] == ["-", "-"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--models no_such", "unknown model 'no_such'"),
        ("--turns 0", "--turns is 0; it must be at least 1"),
        ("--iterations 6", "--iterations is 6; it must be at least 7"),
    ],
)
def test_bad_words_get_one_line(
    words: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert turns.main(words.split()) == Exit.USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
