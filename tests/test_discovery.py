"""Adding a folder or a file is all it takes, and looking at what there is imports no framework."""

import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from benchmarks import frameworks
from benchmarks.request import discovery
from benchmarks.request.discovery import BadModelError, UnknownNameError
from benchmarks.results.records import Stack
from tests.pipeline import MODELS, ROOT

FRAMEWORKS = ("torch", "tensorflow", "keras", "jax")
USER_TASK = "from dataclasses import replace\nfrom tests.models.tiny import TASK\n"


def _user_model(folder: Path, name: str, code: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    return folder


def test_a_model_is_found_by_its_folder(tmp_path: Path) -> None:
    code = f"{USER_TASK}TASK = replace(TASK, title='Mine')\n"
    folder = _user_model(tmp_path, "brand_new", code)
    ours = discovery.names("models")
    assert discovery.names("models", folder) == tuple(sorted([*ours, "brand_new"]))
    assert discovery.task("brand_new", folder).title == "Mine"
    assert not discovery.has_twin("brand_new", "torch", folder)
    (folder / "brand_new" / "torch.py").write_text("def build(task): ...\n")
    assert discovery.has_twin("brand_new", "torch", folder)
    assert discovery.twin("brand_new", "torch", folder).__name__.endswith("brand_new.torch")


def test_a_users_model_stands_before_ours_of_the_same_name(tmp_path: Path) -> None:
    folder = _user_model(tmp_path, "mlp", f"{USER_TASK}TASK = replace(TASK, title='My own')\n")
    assert discovery.names("models", folder) == discovery.names("models")
    assert discovery.task("mlp", folder).title == "My own"
    assert discovery.task("mlp").title != "My own"
    assert not discovery.has_twin("mlp", "torch", folder)
    assert discovery.has_twin("mlp", "torch")


def test_shared_parts_are_no_models() -> None:
    there = {path.parent.name for path in (discovery.HERE / "models").glob("*/__init__.py")}
    assert "_resnet" in there
    assert set(discovery.names("models")) == {
        name for name in there if name[0] != "_" and name not in discovery.families()
    }


@pytest.mark.parametrize("code", ["", "TASK = 3\n"])
def test_a_folder_without_a_task_says_what_it_lacks(tmp_path: Path, code: str) -> None:
    folder = _user_model(tmp_path, "hollow", code)
    with pytest.raises(BadModelError, match=r"'hollow': its __init__\.py must define TASK"):
        discovery.task("hollow", folder)


def test_a_phase_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "worker" / "phases"
    shutil.copytree(discovery.HERE / "worker" / "phases", folder)
    (folder / "warp.py").write_text('"""A new phase."""\nNEEDS_DATA = False\n')
    monkeypatch.setattr(discovery, "HERE", tmp_path)
    assert "warp" in discovery.names("phases")
    monkeypatch.setattr("benchmarks.worker.phases.__path__", [str(folder)])
    monkeypatch.delitem(sys.modules, "benchmarks.worker.phases.warp", raising=False)
    importlib.invalidate_caches()
    assert discovery.load("phases", "warp").__doc__ == "A new phase."
    del sys.modules["benchmarks.worker.phases.warp"]


NEW_FRAMEWORK = """
from benchmarks.frameworks.about import Facts, Package

FACTS = Facts(
    needs=(Package(module="mxnet"),), dialect="mxnet", modes={"eager": True, "odd": False},
    proof_mode="eager", trainer="loop",
)
"""


def test_a_framework_is_found_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, code in (("mxnet", NEW_FRAMEWORK), ("_shared", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code)
    monkeypatch.setattr(frameworks, "__path__", [*frameworks.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    frameworks.facts.cache_clear()
    try:
        assert "mxnet" in frameworks.names()
        assert "_shared" not in frameworks.names()
        assert {Stack("mxnet", "eager"), Stack("mxnet", "odd")} <= set(discovery.stacks())
        assert Stack("mxnet", "eager") in discovery.default_stacks()
        assert Stack("mxnet", "odd") not in discovery.default_stacks()
        assert discovery.unsupported(Stack("mxnet", "eager"), "cpu") == "mxnet is not installed"
    finally:
        frameworks.facts.cache_clear()
        sys.modules.pop("benchmarks.frameworks.mxnet", None)


def test_an_unknown_framework_is_answered_with_the_known_ones() -> None:
    known = ", ".join(frameworks.names())
    with pytest.raises(ValueError, match=rf"^there is no framework 'nope'; there are: {known}$"):
        frameworks.facts("nope")


def test_a_trainer_is_found_by_its_file_and_a_users_goes_first(tmp_path: Path) -> None:
    assert discovery.trainers("torch") == ("loop",)
    assert discovery.trainers("tensorflow") == ("fit",)
    (tmp_path / "trainers" / "torch").mkdir(parents=True)
    for name in ("loop", "mine", "_shared"):
        (tmp_path / "trainers" / "torch" / f"{name}.py").write_text("def fit(): return 7\n")
    assert discovery.trainers("torch", tmp_path) == ("loop", "mine")
    assert discovery.trainers("tensorflow", tmp_path) == ("fit",)
    for name in ("mine", "loop"):
        assert discovery.trainer("torch", name, (tmp_path,)).fit() == 7
    with pytest.raises(UnknownNameError, match="unknown trainer of torch 'nope'; there are: loop"):
        discovery.trainer("torch", "nope", (tmp_path,))


def test_a_users_layers_and_losses_lie_beside_the_model_or_above_it(tmp_path: Path) -> None:
    folder = _user_model(tmp_path, "mine", USER_TASK)
    assert discovery.roots("mine", folder) == (folder / "mine", folder)
    assert discovery.roots("mlp", folder) == discovery.roots("mlp") == ()


def test_an_unknown_phase_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        discovery.load("phases", "nope")
    assert str(caught.value) == (
        f"unknown phase 'nope'; there are: {', '.join(discovery.names('phases'))}"
    )


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown model 'nope'; there are: .*tiny"):
        discovery.task("nope", MODELS)


def test_the_test_framework_is_hidden_unless_asked_for() -> None:
    assert not [stack for stack in discovery.stacks() if stack.framework == "null"]
    assert Stack("null", "a") in discovery.stacks(hidden=True)


def test_a_frameworks_own_dialect_comes_first_and_defaults_are_among_the_stacks() -> None:
    stacks = discovery.stacks()
    own = [frameworks.facts(s.framework).dialect == s.framework for s in stacks]
    assert own == sorted(own, reverse=True)
    assert stacks[0].framework == "torch"
    defaults = discovery.default_stacks()
    assert set(defaults) < set(stacks)
    assert {"torch-eager", "tensorflow-graph"} <= set(map(str, defaults))


def test_a_stack_without_its_framework_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "framework_status", lambda requires: f"lacks {requires[0]}")
    assert discovery.unsupported(Stack("torch", "eager"), "cpu") == "lacks torch"
    assert discovery.unsupported(Stack("tensorflow", "graph"), "cpu") == "lacks tensorflow"


@pytest.mark.parametrize("name", discovery.models())
def test_every_model_is_complete(name: str) -> None:
    task = discovery.task(name)
    assert task.title
    assert task.reference
    assert (task.published.parameters or 0) > 0
    assert discovery.has_twin(name, "torch")
    assert discovery.has_twin(name, "keras")


def _imports(modules: Iterable[str]) -> str:
    return "import " + ", ".join(modules)


@pytest.mark.parametrize(
    "program",
    [
        "import benchmarks.__main__, benchmarks.measure.engine",
        "import reports.__main__, reports.pages.build",
        _imports(f"benchmarks.frameworks.{name}" for name in frameworks.names()),
        _imports(f"benchmarks.worker.phases.{name}" for name in discovery.names("phases")),
        "from benchmarks.request.plan import Selection, make; make(Selection())",
    ],
)
def test_nothing_but_a_worker_imports_a_framework(program: str) -> None:
    report = (
        "\nimport sys, json; print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program + report],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert not set(json.loads(done.stdout)) & set(FRAMEWORKS)


def test_where_frameworks_cannot_be_imported_everything_but_a_worker_still_works() -> None:
    program = (
        "import sys\n"
        f"for name in {FRAMEWORKS!r}: sys.modules[name] = None\n"
        "from benchmarks.__main__ import main\n"
        "sys.exit(main(['list', '--json']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    listed = json.loads(done.stdout)
    assert set(discovery.names("models")) == set(listed["models"])
    assert {n for ns in listed["families"].values() for n in ns} == set(discovery.models())
