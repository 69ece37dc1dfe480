"""Installing brings dependencies and nothing else, and every place that names versions agrees."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from benchmarks.machine import environment
from benchmarks.request import discovery
from tests.pipeline import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for line in chain(*PROJECT["optional-dependencies"].values())]
GROUPS = [
    Requirement(line)
    for line in chain(*PYPROJECT["dependency-groups"].values())
    if isinstance(line, str)
]
CONSTRAINTS = ROOT / "constraints.txt"


def _pins() -> dict[str, list[Version]]:
    """The versions of constraints.txt by canonical name; markers may give one name several."""
    pins: dict[str, list[Version]] = {}
    for line in CONSTRAINTS.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text:
            requirement = Requirement(text)
            (exact,) = requirement.specifier
            assert exact.operator == "==", f"not a pin: {text}"
            pins.setdefault(canonicalize_name(requirement.name), []).append(Version(exact.version))
    return pins


@pytest.mark.slow
def test_the_wheel_holds_metadata_alone(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    copy = tmp_path / "checkout"
    for name in ("benchmarks", "profilers", "reports", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", PROJECT["readme"], "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    build = "import hatchling.build; print(hatchling.build.build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, text=True
    )
    with zipfile.ZipFile(copy / "dist" / done.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
        folder = f"twinbench-{PROJECT['version']}.dist-info"
        metadata = wheel.read(f"{folder}/METADATA").decode()
    assert {name.split("/")[0] for name in names} == {folder}
    assert "Classifier: Private :: Do Not Upload" in metadata
    assert f"Requires-Python: {','.join(sorted(PROJECT['requires-python'].split(',')))}" in metadata


def test_what_was_tested_together_lies_within_what_is_declared() -> None:
    pins = _pins()
    for requirement in (*CORE, *EXTRAS, *GROUPS):
        for version in pins.get(canonicalize_name(requirement.name), []):
            assert version in requirement.specifier, f"{requirement} against {version}"


def test_every_dependency_is_pinned() -> None:
    pins = _pins()
    for requirement in (*CORE, *GROUPS):
        assert canonicalize_name(requirement.name) in pins, requirement
    assert {"torch", "keras"} <= pins.keys()
    assert {"tensorflow", "tensorflow-cpu"} & pins.keys()


def test_a_pin_names_no_registry() -> None:
    _pins()
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links", CONSTRAINTS.read_text())


def test_every_python_that_is_declared_is_classified_and_no_other() -> None:
    prefix = "Programming Language :: Python :: "
    classified = {
        text.removeprefix(prefix) for text in PROJECT["classifiers"] if text.startswith(prefix)
    }
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert classified == {f"3.{minor}" for minor in range(40) if f"3.{minor}" in allowed}
    oldest = min(map(Version, classified))
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.major}{oldest.minor}"


def test_neither_framework_is_a_dependency_of_everyone() -> None:
    names = {canonicalize_name(requirement.name) for requirement in CORE}
    assert not names & {"torch", "tensorflow", "tensorflow-cpu", "keras", "jax"}


def test_the_versions_that_a_run_records_are_of_packages_that_we_declare() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in (*CORE, *EXTRAS)}
    recorded = {canonicalize_name(n) for names in environment.packages().values() for n in names}
    assert recorded - declared <= {"jax", "twinbench"}


@pytest.mark.parametrize(
    ("package", "stack", "names"),
    [
        ("torch", "torch-eager", ("torch",)),
        ("tensorflow", "tensorflow-graph", ("tensorflow", "tensorflow-cpu")),
        ("tensorflow-cpu", "tensorflow-graph", ("tensorflow", "tensorflow-cpu")),
        ("keras", "tensorflow-graph", ("keras",)),
        ("jax", "jax-xla", ("jax",)),
    ],
)
def test_releases_of_a_package_are_compared_in_a_plain_stack_that_needs_it(
    package: str, stack: str, names: tuple[str, ...]
) -> None:
    found, all_names = discovery.compared(package)
    assert (str(found), all_names) == (stack, names)


def test_a_package_that_no_framework_needs_is_answered_with_those_that_one_does() -> None:
    with pytest.raises(discovery.UnknownNameError, match=r"'numpy'; there are: torch, tensorflow,"):
        discovery.compared("numpy")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_framework_has_an_extra_for_the_device(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noxfile = pytest.importorskip("noxfile", reason="nox is not installed", exc_type=ImportError)
    monkeypatch.setenv("TWINBENCH_DEVICE", device)
    named = {"torch": "torch", "tensorflow": f"tensorflow-{device}", "jax": f"jax-{device}"}
    assert noxfile.by_framework() == named


@pytest.mark.parametrize("package", ["torch", "tensorflow-cpu", "keras"])
def test_releases_that_are_compared_are_free_of_their_pin_and_of_no_other(package: str) -> None:
    noxfile = pytest.importorskip("noxfile", reason="nox is not installed", exc_type=ImportError)
    whole = CONSTRAINTS.read_text()
    left = noxfile.unpinned(whole, package)
    (gone,) = set(whole.splitlines()) - set(left.splitlines())
    assert canonicalize_name(Requirement(gone).name) == package
