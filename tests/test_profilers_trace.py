"""The trace: every track nests, no event is lost, and none moves by a nanosecond."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilers import trace
from profilers.ops.rows import Event
from profilers.trace import StackTrace

FAR = 10**14
"""A day and more in nanoseconds: a float of seconds would have lost the last digits."""


def event(start_ns: int, duration_ns: int, **changed: Any) -> Event:
    fields = {
        "name": f"op{start_ns}",
        "category": "conv",
        "phase": "forward",
        "layer": None,
        "thread": "main",
        "device": False,
        "step": 0,
    }
    return Event(start_ns=start_ns, duration_ns=duration_ns, **(fields | changed))


EVENTS = st.lists(
    st.builds(
        event,
        st.integers(FAR, FAR + 20_000),
        st.sampled_from([0, 1, 500, 3000, 9000]) | st.integers(0, 20_000),
        thread=st.sampled_from(["main", "worker", "stream 7"]),
        step=st.integers(0, 2),
    ),
    max_size=40,
)


def _entries(**stacks: StackTrace) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(json.dumps(trace.document(stacks)))["traceEvents"]
    return entries


def _ns(entry: dict[str, Any]) -> int:
    return round(float(entry["ts"]) * 1000)


def _closed(entries: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Name, start and duration of every slice, as a reader pairs begins with ends."""
    found, opened, last = [], dict[tuple[int, int], list[dict[str, Any]]](), dict[Any, int]()
    for entry in entries:
        if entry["ph"] not in "BE":
            continue
        track = (entry["pid"], entry["tid"])
        assert _ns(entry) >= last.get(track, _ns(entry)), "a track runs backwards"
        last[track] = _ns(entry)
        if entry["ph"] == "B":
            opened.setdefault(track, []).append(entry)
            continue
        begin = opened[track].pop()
        found.append((begin["name"], _ns(begin), _ns(entry) - _ns(begin)))
    assert not any(opened.values()), "something never ends"
    return found


@given(EVENTS)
def test_every_track_nests_and_every_event_is_there(events: list[Event]) -> None:
    drawn = Counter(_closed(_entries(torch=StackTrace(events))))
    wanted = Counter((e.name, e.start_ns, e.duration_ns) for e in events)
    assert drawn.total() == wanted.total()
    # Only the length may differ, and by no more than the clocks' resolution.
    for one, other in zip(sorted(drawn.elements()), sorted(wanted.elements()), strict=True):
        assert one[:2] == other[:2]
        assert 0 <= other[2] - one[2] <= trace.CLAMP_NS


@given(EVENTS)
def test_a_track_holds_one_thread(events: list[Event]) -> None:
    for thread, lanes in trace.tracks(events).items():
        assert {e.thread for lane in lanes for e in lane} == {thread}
    assert sum(len(x) for ls in trace.tracks(events).values() for x in ls) == len(events)


def test_nesting_stays_on_one_track_and_overlap_does_not() -> None:
    nested = [event(0, 9000), event(1000, 2000), event(1500, 500), event(4000, 5000)]
    assert list(map(len, trace.tracks(nested)["main"])) == [4]
    overlapping = [event(0, 5000), event(2000, 6000), event(9000, 10)]
    assert list(map(len, trace.tracks(overlapping)["main"])) == [2, 1]


def test_an_event_that_sticks_out_a_little_is_cut() -> None:
    ((outer, inner),) = trace.tracks([event(0, 5000), event(4000, 2000)])["main"]
    assert (outer.duration_ns, inner.duration_ns) == (5000, 1000)


def test_stacks_begin_together_with_step_0_and_keep_their_nanoseconds() -> None:
    """What a framework did before its first operation is part of its step."""
    torch = [event(70_000, 1), event(FAR + 1, 2)]
    entries = _entries(
        torch=StackTrace(torch, {"rss_bytes": [(0, 6.0), (1501, 7.0), (3000, None)]}),
        tensorflow=StackTrace([event(123, 456_789_123_457)]),
    )
    starts = [(e["pid"], e["name"], e["ts"]) for e in entries if e["ph"] == "B"]
    assert starts == [
        (1, "op70000", 70.0),
        (1, f"op{FAR + 1}", (FAR + 1) / 1000),
        (2, "op123", 0.123),
    ]
    assert entries[-1] == {"ph": "E", "ts": 456_789_123.58, "pid": 2, "tid": 1}
    counters = [e for e in entries if e["ph"] == "C"]  # what could not be read is left out
    assert [(c["ts"], c["args"]) for c in counters] == [
        (0.0, {"value": 6.0}),
        (1.501, {"value": 7.0}),
    ]


def test_tracks_have_names_and_events_say_what_they_are() -> None:
    events = [
        event(0, 5, name="kernel", thread="stream 7", device=True),
        event(0, 9, name="conv2d", thread="main", layer="conv1", step=0),
        event(0, 9000, name="late", thread="pool"),
        event(10, 9500, name="later", thread="pool"),
    ]
    entries = _entries(torch=StackTrace(events), tensorflow=StackTrace([]))
    names = [e["args"]["name"] for e in entries if e["ph"] == "M" and "name" in e["args"]]
    assert names == ["torch", "main", "pool", "stream 7", "tensorflow"]
    begin = next(e for e in entries if e.get("name") == "conv2d")
    assert begin["cat"] == "conv"
    assert begin["args"] == {"phase": "forward", "layer": "conv1", "step": 0}


@pytest.mark.parametrize("stacks", [{}, {"torch": StackTrace([])}])
def test_nothing_is_a_file_too(stacks: dict[str, StackTrace]) -> None:
    assert _closed(_entries(**stacks)) == []
