"""How long a turn takes to settle is told from times of single iterations."""

import json
import math

import pytest

from benchmarks.results.records import Exit
from benchmarks.selfcheck import turns
from tests.pipeline import MODELS


def test_a_penalty_is_the_median_over_turns_of_the_iteration_at_a_time() -> None:
    def turn(first_ms: float, second_ms: float) -> dict[str, list[float]]:
        samples_ms = [first_ms, second_ms, *[10.0] * 10]
        return {"samples_s": [ms / 1e3 for ms in samples_ms], "waits_s": [0.1]}

    found = turns.penalties([turn(12.0, 11.0), turn(13.0, 11.0), turn(90.0, 10.0)])
    # At 0, 5 and 10 ms the first is under way in every turn, at 20 ms the second in two of them.
    assert found == pytest.approx([0.3, 0.3, 0.3, 0.1, 0.0, 0.0])


def test_a_lost_core_moves_the_mean_of_a_turn_and_no_block_but_its_own() -> None:
    def turn(*settled_s: float) -> dict[str, list[float]]:
        return {"samples_s": [9.0, 9.0, 9.0, *settled_s], "waits_s": [0.1]}

    quiet, lost = turn(1.0, 1.0, 1.0), turn(1.0, 4.0, 1.0)
    told = turns.variation([quiet, lost, quiet])
    assert told == pytest.approx((math.log(2) / math.sqrt(2), 0.0))
    assert turns.variation([quiet, lost]) is None


def test_stacks_alternate_and_each_has_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"slow": 3.0}))
    words = "--models tiny --phases forward --stacks null-a,null-b --turns 3 --turn-ms 2"
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
        ("--turn-ms 0", "--turn-ms is 0; it must be at least 1"),
    ],
)
def test_bad_words_get_one_line(
    words: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert turns.main(words.split()) == Exit.USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
