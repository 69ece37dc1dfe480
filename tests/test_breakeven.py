"""A compiled stack pays when its total time, compilation included, is the smaller one."""

from __future__ import annotations

import pytest

from benchmarks import breakeven
from benchmarks.records import Case, ColdStart, Launch, Matchup, MatchupResult, Stack, Status

PLAIN = (Stack("torch", "eager"), Stack("tensorflow", "graph"))


def start(total_s: float, cache: str = "empty") -> ColdStart:
    return ColdStart(
        launch=0, cache="warm" if cache == "warm" else "empty", import_s=0.0, build_s=0.0,
        first_step_s=total_s,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cold", "against", "step", "against_step", "found"),
    [
        (21.0, 1.0, 0.125, 0.375, 81),
        (21.0, 1.0, 0.125, 0.375001, 81),
        (1.0, 1.0, 0.1, 0.3, 1),
        (0.5, 1.0, 0.1, 0.1, 1),
        (21.0, 1.0, 0.3, 0.3, None),
        (21.0, 1.0, 0.4, 0.3, None),
        (0.5, 1.0, 0.4, 0.3, None),  # ahead, but not for ever
    ],
)
def test_the_step_at_which_it_is_ahead(
    cold: float, against: float, step: float, against_step: float, found: int | None
) -> None:
    got = breakeven.break_even(start(cold), start(against), step, against_step)
    assert got == found
    if found and found > 1:
        totals = [cold + n * step - against - n * against_step for n in (found - 1, found - 2)]
        assert totals[0] <= 1e-9 < totals[1]


def _case(stack: str, *starts: ColdStart, step_s: float = 0.0, status: Status = "ok") -> Case:
    launches = (Launch(index=0, samples_s=(step_s or 1.0,)),)
    return Case(id=stack, stack=stack, status=status, launches=launches, cold_starts=starts)


def _results(status: Status = "ok", label: str = "") -> list[MatchupResult]:
    def matchup(phase: str) -> Matchup:
        return Matchup(model="m", phase=phase, batch=4)

    return [
        MatchupResult(
            matchup=matchup("train_step"),
            parity=None,
            cases=(
                _case(f"torch-eager{label}", step_s=0.375, status=status),
                _case(f"torch-compile{label}", step_s=0.125),
            ),
        ),
        MatchupResult(
            matchup=matchup("cold_start"),
            parity=None,
            cases=(
                _case(f"torch-eager{label}", start(1.0)),
                _case(f"torch-compile{label}", start(21.0), start(3.0, "warm")),
                _case("null-b", start(1.0)),
            ),
        ),
    ]


@pytest.mark.parametrize("label", ["", "@b"])
def test_a_compiled_stack_is_held_against_its_plain_sibling(label: str) -> None:
    (points,) = breakeven.found(_results(label=label), PLAIN).values()
    assert [(p.stack, p.against, p.cache, p.step) for p in points] == [
        (f"torch-compile{label}", f"torch-eager{label}", "empty", 81),
        (f"torch-compile{label}", f"torch-eager{label}", "warm", 9),
    ]


def test_a_failed_case_has_no_break_even() -> None:
    assert breakeven.found(_results("crash"), PLAIN) == {"m.cold_start.b4.float32.cpu": []}
    assert breakeven.found(_results()[1:], PLAIN) == {}
