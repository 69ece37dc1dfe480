"""The picture: boxes that fit into each other, clipped text, colours that say what they mean."""

import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.why import flame
from profilers.flames import flame_colours, flamegraph, folded
from profilers.flames.folded import Difference, Stack

LIBRARIES = flame._libraries()
OWNERS = (*flame_colours.OWNERS, *LIBRARIES)
SVG = "{http://www.w3.org/2000/svg}"
STACKS = st.dictionaries(
    st.lists(st.sampled_from("abcd<&"), min_size=1, max_size=6).map(tuple),
    st.integers(1, 1000),
    min_size=1,
    max_size=20,
)


def _boxes(svg: str) -> list[ET.Element]:
    root = ET.fromstring(svg)  # noqa: S314  written by ourselves a moment ago
    return [e for e in root.findall(f"{SVG}svg") if e.find(f"{SVG}title") is not None]


def _tips(svg: str) -> list[str]:
    return [box.findtext(f"{SVG}title", "") for box in _boxes(svg)]


def _number(element: ET.Element, name: str) -> float:
    return float(element.attrib[name].removesuffix("%"))


def _draw(stacks: dict[Stack, int]) -> str:
    return flamegraph.draw(folded.scaled(stacks), "torch-eager", ["a note"], "share", LIBRARIES)


@given(STACKS)
def test_children_lie_within_their_parent_side_by_side(stacks: dict[Stack, int]) -> None:
    root = flamegraph.tree(Difference(s, v, 0.0) for s, v in folded.scaled(stacks).items())
    boxes = {id(box.node): box for box in flamegraph.layout(root)}
    assert boxes[id(root)].width == 1.0
    for box in boxes.values():
        inner = [boxes[id(child)] for child in box.node.children.values()]
        assert sum(child.width for child in inner) <= box.width + 1e-9
        assert all(child.left >= box.left - 1e-9 for child in inner)
        assert all(child.left + child.width <= box.left + box.width + 1e-9 for child in inner)
        assert all(child.row == box.row + 1 for child in inner)
        inner.sort(key=lambda b: b.left)
        for one, other in itertools.pairwise(inner):
            assert one.left + one.width <= other.left + 1e-9


@given(STACKS)
def test_the_own_time_of_all_boxes_is_the_whole(stacks: dict[Stack, int]) -> None:
    root = flamegraph.tree(Difference(s, v, 0.0) for s, v in folded.scaled(stacks).items())
    assert sum(box.node.own for box in flamegraph.layout(root)) == pytest.approx(1.0)
    assert sum(flamegraph.shares(folded.scaled(stacks)).values()) == pytest.approx(1.0)


@given(STACKS)
def test_the_file_is_xml_in_which_every_box_clips_its_text(stacks: dict[Stack, int]) -> None:
    svg = _draw(stacks)
    assert svg == _draw(dict(reversed(stacks.items())))  # the data alone decide the bytes
    for box in _boxes(svg):
        assert "viewBox" not in box.attrib  # text keeps its size
        assert _number(box, "x") + _number(box, "width") <= 100.001
        assert box.find(f"{SVG}rect") is not None  # a viewport of its own cuts off what is longer
    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_an_empty_profile_gives_a_picture_that_says_so() -> None:
    for svg in (
        _draw({}),
        flamegraph.draw_difference([], ("torch-eager", "jax-xla"), "title", [], "s"),
    ):
        assert _boxes(svg) == []
        assert "the profile is empty" in svg


def test_tooltips_have_what_does_not_fit() -> None:
    svg = _draw({("main (a/b.py)", "work <T&> (torch/c.py)"): 3, ("main (a/b.py)",): 1})
    tips = _tips(svg)
    assert tips == [
        "all\n100.0%, 100.0%; own 0.0%",
        "main (a/b.py)\n100.0%, 100.0%; own 25.0%",
        "work <T&> (torch/c.py)\n75.0%, 75.0%; own 75.0%",
    ]


def test_a_name_that_xml_cannot_hold_is_mended() -> None:
    assert "\N{REPLACEMENT CHARACTER}" in _draw({("a\x00b\ud800",): 1})


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("f (benchmarks/models/mlp/torch.py)", "model"),
        ("f (models/net/torch.py)", "model"),
        ("f (benchmarks/frameworks/torch/device.py)", "harness"),
        ("f (torch/lib/libtorch_cpu.so)", "torch"),
        ("f (keras/src/x.py)", "keras"),
        ("f (tensorflow/python/x.py)", "tensorflow"),
        ("f (jaxlib/x.so)", "jax"),
        ("f (numpy/x.so)", "numpy"),
        ("f (torch)", "other"),
        ("syscall (libc.so.6)", "other"),
        ("no file", "other"),
    ],
)
def test_the_file_of_a_frame_says_whose_code_it_is(frame: str, kind: str) -> None:
    assert flame_colours.owner(frame, OWNERS).name == kind
    assert f'class="box {kind}"' in _draw({(frame,): 1})


@pytest.mark.parametrize(
    ("a", "b", "shade"),
    [(1, 1, "same"), (1, 1.05, "same"), (0, 1, "more4"), (1, 0, "less4"), (1, 2, "more2"),
     (1, 1.2, "more1"), (3, 1, "less3")],
)  # fmt: skip
def test_red_is_more_time_in_the_second_and_blue_less(a: float, b: float, shade: str) -> None:
    assert flamegraph.tint(flamegraph.Node("f", a, b)) == shade
    values = [Difference(("f",), a, b)]
    svg = flamegraph.draw_difference(values, ("torch-eager", "jax-xla"), "title", [], "s")
    assert f'class="box {shade}"' in svg
    assert "red: more time in jax-xla" in svg
    assert "blue: less time in jax-xla than in torch-eager" in svg


def test_a_difference_shows_what_only_one_of_them_has() -> None:
    values = folded.difference({("a",): 0.003}, {("b",): 0.001})
    svg = flamegraph.draw_difference(values, ("x", "y"), "title", [], "s")
    tips = _tips(svg)
    assert sorted(tips) == [
        "a\nx 3 ms, y 0 µs: \N{MINUS SIGN}3 ms",
        "all\nx 3 ms, y 1 ms: \N{MINUS SIGN}2 ms",
        "b\nx 0 µs, y 1 ms: +1 ms",
    ]
    widths = {
        tip[:1]: _number(box, "width") for tip, box in zip(_tips(svg), _boxes(svg), strict=True)
    }
    assert widths["a"] == pytest.approx(75)


def test_light_and_dark_have_every_colour_and_readable_text() -> None:
    assert set(flame_colours.LIGHT) == set(flame_colours.DARK)
    light, dark = ({o.name: (o.light, o.dark)[i] for o in OWNERS} for i in (0, 1))
    for colours, owned in ((flame_colours.LIGHT, light), (flame_colours.DARK, dark)):
        for name, colour in (colours | owned).items():
            if name not in {"ink", "muted", "surface"}:
                assert _contrast(colours["ink"], colour) >= 4.5, name
        assert _contrast(colours["muted"], colours["surface"]) >= 4.5
    assert "@media (prefers-color-scheme:dark)" in _draw({("f",): 1})
    names = {"model", "harness", "torch", "tensorflow", "keras", "jax", "numpy", "other"}
    assert set(re.findall(r"\.(\w+)\{fill:var", _draw({}))) >= names


def test_the_legend_names_whose_code_took_the_time() -> None:
    svg = _draw({("f (models/net/torch.py)",): 3, ("f (jaxlib/x.so)",): 1})
    assert ">model code 75.0%<" in svg
    assert ">jax 25.0%<" in svg


def _contrast(first: str, second: str) -> float:
    def luminance(color: str) -> float:
        channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)
