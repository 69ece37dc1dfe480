"""What a framework says of itself is all that others know of it: one more needs no other edit."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from random import Random

import pytest

from benchmarks import frameworks
from benchmarks.frameworks.about import Appearance, Facts, Package
from benchmarks.machine import environment
from benchmarks.request import discovery
from benchmarks.results.records import Matchup, Verdict
from benchmarks.why import flame
from profilers.flames import flame_colours, flamegraph
from reports.contents import engines, machine, palette
from reports.pages import html
from reports.runs import store
from tests import report_samples as samples

FACTS = Facts(
    needs=(
        Package(
            module="mxnet",
            distributions=("mxnet-that-is-not-installed", "pytest"),
            also=("gluon",),
            frames=("#aabbcc", "#112233"),
        ),
    ),
    dialect="mxnet",
    modes={"lazy": True, "tvm": False},
    proof_mode="lazy",
    trainer="loop",
    plain=("lazy",),
    appearance=Appearance(mark=("#123456", "#fedcba"), text=("#234567", "#edcba9"), marker="<"),
)
THROUGH = Facts(
    needs=FACTS.needs, dialect="keras", modes={"lazy": False}, proof_mode="lazy", trainer="fit",
    engine="mxnet",
)  # fmt: skip


@pytest.fixture(autouse=True)
def mxnet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two frameworks more: ``mxnet``, and ``keras_mxnet`` that lets it compute for Keras."""
    names, facts = frameworks.names, frameworks.facts
    new = {"mxnet": FACTS, "keras_mxnet": THROUGH}
    monkeypatch.setattr(frameworks, "names", lambda: (*names(), *new))
    monkeypatch.setattr(frameworks, "facts", lambda name: new.get(name) or facts(name))


def test_its_stacks_are_drawn_as_it_says() -> None:
    assert palette.look("mxnet-lazy+loop") == ("mxnet", "<", False)
    assert palette.look("mxnet-tvm").glyph == "\N{WHITE LEFT-POINTING TRIANGLE}"
    assert palette.look("mxnet-tvm").color == palette.light()["mxnet"] == "#123456"
    assert (palette.dark()["mxnet"], palette.dark()["mxnet-text"]) == ("#fedcba", "#edcba9")
    assert palette.look("keras_mxnet-lazy").role == "other"  # it says nothing of colours


def test_the_page_has_its_colours_and_its_shape() -> None:
    matchup = Matchup(model="mlp", phase="forward", batch=64)
    rng = Random(1)  # noqa: S311  plausible times, no secrets
    stacks = ("mxnet-lazy", "torch-eager")
    made = samples.result(matchup, tuple(samples.case(matchup, s, rng, 0.01) for s in stacks))
    verdict = Verdict(
        a=stacks[0], b=stacks[1], ratio=2.0, ci95=(1.9, 2.1), launches=3, margin=0.02,
        verdict="faster",
    )  # fmt: skip
    page = html.render(samples.run((replace(made, verdicts=(verdict,)),)))
    assert "--mxnet:#123456" in page
    assert "--mxnet:#fedcba" in page
    assert ".stack.mxnet::before{background:var(--mxnet);clip-path:" in page
    assert 'class="stack mxnet"' in page
    assert 'stroke="var(--mxnet)"' in page
    assert "\N{BLACK LEFT-POINTING TRIANGLE}" in page
    assert "#123456" not in page.replace("--mxnet:#123456", "")


def test_a_run_records_its_version_and_reports_show_it_first() -> None:
    versions = environment.describe().versions
    assert versions["mxnet"] == metadata.version("pytest")
    run = samples.run(())
    here = replace(run.environment, versions={"scipy": "1", "mxnet": "2"})
    run = replace(run, environment=here)
    assert [name for name, _ in machine.versions(run)][:2] == ["mxnet", "scipy"]
    assert ("mxnet", "2") in machine.main_versions(run)
    assert "scipy" not in dict(machine.main_versions(run))
    assert store.versions(run) == {"mxnet": "2"}


def test_its_releases_are_compared_in_its_first_mode() -> None:
    stack, names = discovery.compared("mxnet-that-is-not-installed")
    assert (str(stack), names) == ("mxnet-lazy", FACTS.needs[0].names)


def test_its_code_has_a_colour_of_its_own_in_flame_graphs() -> None:
    libraries = flame._libraries()
    owner = flame_colours.owner("f (gluon/x.py)", libraries)
    assert (owner.name, owner.light, owner.dark) == ("mxnet", "#aabbcc", "#112233")
    svg = flamegraph.draw({("f (mxnet/x.py)",): 1.0}, "t", [], "share", libraries)
    assert 'class="box mxnet"' in svg
    assert "--mxnet:#aabbcc;" in svg
    assert ">mxnet 100.0%<" in svg


def test_what_keras_costs_on_it_is_told_by_the_engine_that_it_names() -> None:
    matchup = Matchup(model="mlp", phase="train_step", batch=64)
    rng = Random(1)  # noqa: S311  plausible times, no secrets
    stacks = ("mxnet-lazy", "keras_mxnet-lazy", "jax-xla")
    result = samples.result(matchup, tuple(samples.case(matchup, s, rng, 0.01) for s in stacks))
    found = [(what, words) for what, words in engines.sentences(replace(result, verdicts=()))]
    assert [what for what, _ in found] == ["Keras", "engine"]
    assert found[0][1].startswith("mxnet-lazy against keras_mxnet-lazy")
    assert found[1][1].startswith("keras_mxnet-lazy against jax-xla")


def test_an_import_by_itself_sees_nothing_that_only_we_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needed_by_us.py").write_text("")
    (tmp_path / "imported_before.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("needed_by_us", "imported_before", "not_installed")
    monkeypatch.setattr(frameworks, "OURS", names)
    before = importlib.import_module("imported_before")
    with frameworks.by_itself():
        assert importlib.import_module("imported_before") is before
        with pytest.raises(ImportError):
            importlib.import_module("needed_by_us")
    assert importlib.import_module("needed_by_us").__name__ in sys.modules
    with pytest.raises(RuntimeError), frameworks.by_itself():
        raise RuntimeError("the import failed")
    assert not [name for name in names if sys.modules.get(name, name) is None]
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_installed")
