"""Charts: inert, the same every time, readable in both themes, and without global state."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest

from benchmarks import frameworks
from benchmarks.results.observed import Memory
from benchmarks.results.records import Launch
from reports import charts, forest, palette, svg
from tests import report_samples as samples

PNG_START = b"\x89PNG\r\n\x1a\n"


def _png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.parametrize("theme", [palette.light(), palette.dark()])
def test_contrast_reaches_the_guidelines(theme: dict[str, str]) -> None:
    for role in {*palette.TEXT, *(role for role in theme if role.endswith("-text"))}:
        for ground in ("surface", "raised"):
            assert palette.contrast(theme[role], theme[ground]) >= 4.5, (role, ground)
    for role in ("other", *(name for name in frameworks.names() if name in theme)):
        for ground in ("surface", "band"):
            assert palette.contrast(theme[role], theme[ground]) >= 3, (role, ground)


def test_contrast_is_that_of_wcag() -> None:
    assert palette.contrast("#000000", "#ffffff") == pytest.approx(21)
    assert palette.contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_both_themes_have_the_same_roles_and_light_colours_are_unique() -> None:
    assert set(palette.light()) == set(palette.dark())
    assert len(set(palette.light().values())) == len(palette.light())


def test_no_two_frameworks_share_a_shape() -> None:
    markers = [f.appearance.marker for f in frameworks.every().values() if f.appearance]
    assert len({*markers, palette.OTHER}) == len(markers) + 1
    assert set(markers) < set(palette.SHAPES)


def test_a_stack_is_told_by_shape_as_well_as_hue() -> None:
    assert palette.look("torch-eager") == ("torch", "o", False)
    assert palette.look("torch-compile") == ("torch", "o", True)
    assert palette.look("tensorflow-graph") == ("tensorflow", "s", False)
    assert palette.look("tensorflow-xla").hollow
    assert palette.look("keras_torch-eager") == ("keras_torch", "D", False)
    assert palette.look("jax-xla") == ("jax", "^", True)
    assert palette.look("</script>") == ("other", "v", True)
    assert palette.look("torch-eager").color == palette.light()["torch"] == "#0072b2"
    assert palette.look("tensorflow-graph").color == palette.light()["tensorflow"] == "#d55e00"
    assert palette.look("unheard-of").color == palette.light()["other"]


def test_the_forest_has_a_marker_and_a_band_for_every_comparable_matchup() -> None:
    figure = forest.forest(samples.failing_run())
    assert figure is not None
    first, second = figure.axes
    assert len(first.patches) == 12  # the margin bands
    assert len(second.patches) == 12
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels[0] == "mlp  forward"
    assert len(labels) == 21
    notes = [words.get_text() for words in first.texts]
    assert sum(words.startswith("not comparable") for words in notes) == 9


def test_the_forest_draws_the_ratio_where_the_winner_is() -> None:
    run = samples.healthy_run(("mlp",), ("forward",))
    figure = forest.forest(run)
    assert figure is not None
    verdict = run.matchups[0].verdicts[0]
    points = [line for line in figure.axes[0].lines if line.get_marker() not in {"None", None}]
    assert verdict.ratio is not None
    assert 2 ** float(points[0].get_xdata()[0]) == pytest.approx(verdict.ratio)  # type: ignore[index, arg-type]  # the stub allows any array
    assert (verdict.ratio > 1) == (points[0].get_marker() == "o")


def test_figures_without_data_are_not_drawn() -> None:
    nothing = samples.run(())
    assert forest.forest(nothing) is None
    assert charts.cold_start(nothing) is None
    assert charts.memory(nothing) is None
    assert charts.memory(samples.healthy_run(("mlp",), ("forward",)), "device_peak_bytes") is None
    empty = samples.failing_run().matchups[-1]
    assert charts.distributions(empty) is None


def test_device_memory_is_drawn_where_it_was_measured() -> None:
    result = samples.healthy_run(("mlp",), ("forward",)).matchups[0]
    peaks = [3 * 2**30, 2**30, None, None]
    cases = tuple(
        dataclasses.replace(case, memory=Memory(device_peak_bytes=peak))
        for case, peak in zip(result.cases, peaks, strict=True)
    )
    run = samples.run((dataclasses.replace(result, cases=cases),))
    figure = charts.memory(run, "device_peak_bytes")
    assert figure is not None
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["torch-eager", "tensorflow-graph"]
    assert [bar.get_width() for ax in figure.axes for bar in ax.patches] == [3.0, 1.0]  # type: ignore[attr-defined]  # bars are rectangles
    assert charts.memory(run) is None


def test_distributions_keep_every_sample_up_to_the_limit() -> None:
    result = samples.large_run(4, 350).matchups[0]
    figure = charts.distributions(result, limit=350)
    assert figure is not None
    ticks = [line for line in figure.axes[0].lines if line.get_marker() == "None"]
    assert [len(list(line.get_xdata())) // 3 for line in ticks] == [350] * 4  # type: ignore[arg-type]  # the stub allows any array
    thinned = charts.distributions(result, limit=70)
    assert thinned is not None
    counts = [len(list(line.get_xdata())) // 3 for line in thinned.axes[0].lines]  # type: ignore[arg-type]  # as above
    assert max(counts) == 70


def test_a_wild_spread_is_drawn_on_a_logarithmic_axis() -> None:
    result = samples.healthy_run(("mlp",), ("forward",)).matchups[0]
    slow = dataclasses.replace(result.cases[0], launches=(Launch(index=0, samples_s=(9.0, 9.5)),))
    figure = charts.distributions(dataclasses.replace(result, cases=(slow, *result.cases[1:])))
    assert figure is not None
    assert figure.axes[0].get_xscale() == "log"
    assert "logarithmic" in figure.axes[0].get_xlabel()


def test_an_inline_svg_is_inert_and_themed() -> None:
    run = samples.hostile_run()
    figure = forest.forest(run)
    assert figure is not None
    markup = svg.inline(figure, "key", 'a "label" <b>')
    root = ET.fromstring(markup)  # noqa: S314  our own output
    tags = {element.tag for element in root.iter()}
    assert tags <= {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect", "pattern"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert "style" not in attributes
    assert not [name for name in attributes if name.startswith("on")]
    assert "http" not in markup
    assert "var(--ink)" in markup
    assert not re.search(r'(?:fill|stroke)="#', markup), "every colour follows the theme"
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    used = {e.attrib["href"][1:] for e in root.iter("use")}
    assert used <= set(ids)
    assert "$\\foo$" in "".join(root.itertext())


def test_pictures_are_the_same_bytes_every_time_and_twice_the_size() -> None:
    run = samples.healthy_run(("mlp",), ("forward", "epoch"))
    made = []
    for _ in range(2):
        figure = forest.forest(run)
        assert figure is not None
        made.append((svg.png(figure), svg.inline(figure, "k", "l")))
    assert made[0] == made[1]
    picture, markup = made[0]
    assert picture.startswith(PNG_START)
    width, height = (float(x) for x in re.search(r'viewBox="0 0 (\S+) (\S+)"', markup).groups())  # type: ignore[union-attr]  # asserted by the unpacking
    assert _png_size(picture) == (round(2 * width), round(2 * height))


def test_the_settings_of_the_caller_come_back() -> None:
    with mpl.rc_context({"font.size": 33.0, "svg.hashsalt": "mine"}):
        figure = charts.memory(samples.healthy_run(("mlp",), ("forward",)))
        assert figure is not None
        svg.png(figure)
        assert mpl.rcParams["font.size"] == 33.0
        assert mpl.rcParams["svg.hashsalt"] == "mine"
