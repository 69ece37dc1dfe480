"""The time left is that of what is left, from what alike parts took; it is told without jumps."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.measure.progress import SOON_S
from benchmarks.measure.schedule import left
from benchmarks.measure.schedule.pace import JUMP, LEAST_S, Countdown, Pace, Part
from benchmarks.measure.schedule.todo import Step, groups, planned
from benchmarks.measure.session import Session
from benchmarks.request import plan
from benchmarks.request.selection import Selection
from benchmarks.results.stored.ledger import Ledger
from tests.pipeline import MODELS
from tests.recorded import FOLDER, replayed

ASKED = Selection(
    models_dir=MODELS, models=("tiny",), phases=("forward", "epoch"), stacks=("null-a",), launches=3
)


class Clock:
    """A clock that is set."""

    at_s = 0.0

    def __call__(self) -> float:
        """The moment it was set to."""
        return self.at_s


def told(pace: Pace, clock: Clock, *events: tuple[float, str, dict[str, Any]]) -> None:
    for at_s, kind, data in events:
        clock.at_s = at_s
        pace.told(kind, data)


def launch(began_s: float, index: int, start_s: float, *turns_s: float) -> Any:
    """The events of a launch of the tiny model."""
    at_s = began_s + start_s
    yield began_s, "starting", {"model": "tiny", "launch": index}
    for phase, turn_s in zip(("forward", "epoch"), turns_s, strict=False):
        yield at_s, "timing", {"model": "tiny", "launch": index, "phase": phase}
        at_s += turn_s
        yield at_s, "launch", {"launch": index}


def step(index: int) -> Step:
    (found,) = (s for s in planned(_session()) if s.index == index)
    return found


def _session(pace: Pace | None = None, **changes: Any) -> Session:
    made = plan.make(ASKED)
    fields = {"plan": made, "ledger": Ledger(), "pace": pace or Pace(1), "seconds": 0.0}
    return cast("Session", SimpleNamespace(**fields | changes))


def test_a_launch_takes_what_the_last_ones_of_its_model_took() -> None:
    clock = Clock()
    pace = Pace(1, now=clock)
    told(pace, clock, *launch(0, 0, 20, 3, 5), *launch(30, 1, 4, 2, 6))
    assert pace.took[Part("start", "tiny", "first")] == [20]
    assert pace.took[Part("end", "tiny", "first")][-1] == 2  # from 28 to 30
    assert pace.known
    assert pace.step_s(step(2)) == 4 + 2.5 + 5.5
    told(pace, clock, *launch(42, 2, 4))
    clock.at_s = 43
    assert pace.step_s(step(2)) == 3 + 2.5 + 5.5
    told(pace, clock, (46, "timing", {"model": "tiny", "launch": 2, "phase": "epoch"}))
    clock.at_s = 50
    assert pace.step_s(step(2)) == 2.5 + (5.5 - 4)
    clock.at_s = 90  # longer than expected: what is left of it is 0
    assert pace.step_s(step(2)) == 2.5


def test_what_was_never_done_takes_what_is_most_like_it() -> None:
    clock = Clock()
    pace = Pace(1, now=clock)
    pace.took = {
        Part("start", "m", "later"): [5.0],
        Part("turns", "m", "forward"): [2.0],
        Part("turns", "n", "forward"): [4.0],
    }
    assert pace.step_s(step(1)) == 5 + 3 + 3  # no epoch of any model is known


def test_before_a_second_launch_has_started_nothing_is_told() -> None:
    clock = Clock()
    pace = Pace(1, now=clock)
    session = _session(pace)
    told(pace, clock, *launch(0, 0, 20, 3, 5), (30, "starting", {"model": "tiny", "launch": 1}))
    assert left.seconds(session) is None
    told(pace, clock, (34, "timing", {"model": "tiny", "launch": 1, "phase": "forward"}))
    for matchup in groups(session.plan)[0].matchups:
        session.ledger.launches[matchup.id] = {0: {}}
    assert left.seconds(session) == (3 + 5) + (4 + 3 + 5)


def test_it_is_told_without_jumps() -> None:
    clock = Clock()
    countdown = Countdown(now=clock)
    assert countdown.next(300) == 300
    clock.at_s = 30
    assert countdown.next(100) == 170  # 270 are due, and 100 a third of what was told
    assert countdown.next(1000) == pytest.approx(170 * (1 + JUMP))
    clock.at_s = 1000
    assert countdown.next(0) == 0
    assert countdown.next(60) == LEAST_S


def lines_of(name: str) -> tuple[list[tuple[float, float]], float]:
    """When the time left was told in a recorded run, what was told, and when its turns ended."""
    clock, lines, ended_s = Clock(), list[tuple[float, float]](), 0.0
    countdown = Countdown(now=clock)
    for event, session in replayed(name):
        clock.at_s = session.seconds
        if event.data.get("launch", 0) >= session.plan.effort.launches:
            break
        if event.kind in {"starting", "timing"} and (estimate := left.seconds(session)) is not None:
            lines.append((clock.at_s, countdown.next(estimate)))
        elif event.kind == "launch":
            ended_s = clock.at_s
    return lines, ended_s


def test_in_recorded_runs_it_was_within_a_quarter_nine_times_of_ten() -> None:
    right = list[bool]()
    for path in FOLDER.iterdir():
        lines, ended_s = lines_of(path.name.partition(".")[0])
        for at_s, told_s in lines:
            true_s = ended_s - at_s
            near = abs(told_s - true_s) <= 0.25 * true_s
            right.append(true_s <= SOON_S if told_s < SOON_S else near)
        for (before_s, first_s), (at_s, second_s) in pairwise(lines):
            due_s = max(0.0, first_s - (at_s - before_s))
            assert abs(second_s - due_s) <= max(JUMP * first_s, LEAST_S) + 1e-6
    assert len(right) >= 30
    assert sum(right) >= 0.9 * len(right)
