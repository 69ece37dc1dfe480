"""Folded stacks: what is written is read again, two compare, and no folder of the machine stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilers.flames import folded

CHECKOUT = "/home/someone/code/twinbench"
FRAMES = st.text(
    st.characters(exclude_characters=";\r\n", exclude_categories=["Cs"]), min_size=1, max_size=12
)
STACKS = st.dictionaries(
    st.lists(FRAMES, min_size=1, max_size=6).map(tuple).filter(lambda s: any(map(str.strip, s))),
    st.integers(1, 10**6),
    max_size=12,
)


@given(STACKS)
def test_what_is_written_is_read_again(stacks: dict[folded.Stack, int]) -> None:
    assert folded.read(folded.write(stacks)) == stacks


@given(STACKS, STACKS)
def test_merged_profiles_hold_the_samples_of_both(
    a: dict[folded.Stack, int], b: dict[folded.Stack, int]
) -> None:
    together = folded.merge(a, b)
    assert sum(together.values()) == sum(a.values()) + sum(b.values())
    assert set(together) == {*a, *b}


@given(STACKS, STACKS, st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_a_difference_adds_up_to_the_difference_of_the_iterations(
    a: dict[folded.Stack, int], b: dict[folded.Stack, int], a_s: float, b_s: float
) -> None:
    found = folded.difference(folded.scaled(a, a_s), folded.scaled(b, b_s))
    assert sum(d.a for d in found) == pytest.approx(a_s if a else 0)
    assert sum(d.b for d in found) == pytest.approx(b_s if b else 0)


def test_what_would_break_a_line_becomes_a_space() -> None:
    assert folded.write({("a;b", "c\nd"): 1}) == "a b;c d 1\n"


@pytest.mark.parametrize("line", ["a;b", "a;b 1.5", "a;b x", " 3", "a;b -1", "a;b ²"])
def test_a_line_that_is_no_stack_is_named(line: str) -> None:
    with pytest.raises(folded.FoldedError, match="line 2 is no folded stack"):
        folded.read(f"a;b 1\n{line}\n")


def test_lines_that_are_no_stacks_are_counted_and_the_others_kept() -> None:
    stacks, unreadable = folded.readable("a;b 1\n 3\na;b 2\n\nnothing\n")
    assert stacks == {("a", "b"): 3}
    assert unreadable == {2: 3, 5: 1}


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (f"f ({CHECKOUT}/benchmarks/worker/clock.py)", "f (benchmarks/worker/clock.py)"),
        (f"f ({CHECKOUT}/.venv/lib/python3.11/site-packages/torch/a.py)", "f (torch/a.py)"),
        ("f (/usr/lib/python3/dist-packages/numpy/a.py)", "f (numpy/a.py)"),
        ("f (/opt/x/lib/python3.11/threading.py)", "f (threading.py)"),
        ("f (/opt/x/lib/python3.11/lib-dynload/_json.so)", "f (_json.so)"),
        ("operator()(int) (/usr/lib/x86_64-linux-gnu/libc.so.6)", "operator()(int) (libc.so.6)"),
        ("f (/home/someone/my (own) models/net/torch.py)", "f (models/net/torch.py)"),
        ("f (/home/someone/else (or) where/a.py)", "f (a.py)"),
        ("0x7f29df14e8a8 (?)", "(no symbol) (?)"),
        ("_run_code (<frozen runpy>)", "_run_code (<frozen runpy>)"),
        ("no file", "no file"),
    ],
)
def test_no_folder_of_this_machine_stays(frame: str, told: str) -> None:
    places = {"/home/someone/my (own) models": "models/", CHECKOUT: ""}
    assert folded.tidy({(frame,): 2}, places) == {(told,): 2}


def test_the_harness_is_cut_off_and_what_is_elsewhere_is_counted() -> None:
    stacks = {
        ("main (m.py)", "W.sustain (w.py)", "turn (c.py)", "step (s.py)"): 5,
        ("main (m.py)", "sustain (w.py)", "turn (c.py)", "step (s.py)"): 1,
        ("main (m.py)", "W.sustain (w.py)"): 2,
        ("main (m.py)", "W.sustain (w.py)", "sync (a.py)"): 3,
        ("main (m.py)", "sustain (other.py)"): 7,
    }
    found, elsewhere = folded.below(stacks, "W.sustain (w.py)", ("turn (c.py)",))
    assert found == {("step (s.py)",): 6, ("W.sustain (w.py)",): 2, ("sync (a.py)",): 3}
    assert elsewhere == 7


@given(STACKS, st.one_of(st.none(), st.floats(1e-6, 1.0)))
def test_a_speedscope_file_is_what_its_schema_says(
    stacks: dict[folded.Stack, int], period_s: float | None
) -> None:
    made = json.loads(json.dumps(folded.speedscope({"torch-eager": (stacks, period_s)})))
    assert made["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = made["shared"]["frames"]
    (profile,) = made["profiles"]
    assert profile["type"] == "sampled"
    assert profile["unit"] == ("seconds" if period_s else "none")
    assert len(profile["samples"]) == len(profile["weights"]) == len(stacks)
    assert profile["endValue"] == pytest.approx(sum(stacks.values()) * (period_s or 1))
    assert all(set(f) <= {"name", "file"} and f["name"] is not None for f in frames)
    for sample, stack in zip(profile["samples"], sorted(stacks), strict=True):
        assert [folded.parts(f)[0] for f in stack] == [frames[i]["name"] for i in sample]


def test_an_empty_profile_stays_empty() -> None:
    assert folded.read("") == {}
    assert folded.write({}) == ""
    assert folded.scaled({}, 3.0) == {}
    assert folded.difference({}, {}) == ()
