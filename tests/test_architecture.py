"""Which file may import what, held by reading the source; import-linter holds the folders' order.

Here stand the rules that a graph of imports does not show: frameworks, modules that are loaded by
name, and imports that run code finds.
"""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from tests.pipeline import ROOT

FOLDERS = ("benchmarks", "profilers", "reports")
OURS = (*FOLDERS, "tests")
FRAMEWORKS = {"torch", "tensorflow", "jax", "keras"}
FRAMEWORK_FOLDERS = {
    "benchmarks/frameworks/torch": {"torch"},
    "benchmarks/frameworks/tensorflow": {"keras", "tensorflow"},
    "benchmarks/frameworks/jax": {"keras", "jax"},
    "benchmarks/frameworks/keras_torch": {"keras", "torch"},
    "benchmarks/frameworks/_keras": {"keras", "tensorflow", "jax", "torch"},  # Keras' engines
    "benchmarks/tasks/losses": {"torch", "keras"},  # a loss in both dialects, side by side
    "benchmarks/selfcheck/tools": {"torch"},  # programs of their own
    "benchmarks/selfcheck/definitions": {"keras"},  # models of a user's folder
}
"""The folders below which files may import a framework."""
DYNAMIC = {"import_module", "__import__", "run_module"}
KINDS = ("benchmarks.frameworks", "benchmarks.models", "benchmarks.worker.phases")
SHARED = {"torch": ("keras_torch",)}
"""Folders of frameworks that others stand on: Keras on PyTorch on PyTorch's."""
DOOR = ("profilers/__main__.py", "benchmarks.why")
"""`python -m profilers` hands over to the folder of its commands."""
REPORTS_MAY_IMPORT = (
    "benchmarks.results.accuracy",
    "benchmarks.results.stored.codec",
    "benchmarks.results.stored.files",
    "benchmarks.results.machine",
    "benchmarks.results.observed",
    "benchmarks.results.printable",
    "benchmarks.results.profiles",
    "benchmarks.results.unexpected",
    "benchmarks.results.records",
    "benchmarks.results.statistics",
    "benchmarks.results.wording",
    "benchmarks.frameworks.about",
    "profilers.ops.rows",
    "profilers.roofline",
)
MAX_SOURCE_LINES = 48_457
"""Lines of all sources together: what is added must be worth what it costs to read."""
PRINTING = {
    "benchmarks/why/_shared/command.py": 1,  # the one document of --json
    "benchmarks/terminal.py": 2,  # what was wrong, in one line
    "benchmarks/measure/means.py": 1,  # why a report could not be built, after the run stands
    "benchmarks/selfcheck/turns.py": 1,  # as good as a __main__: a program of its own
    "benchmarks/selfcheck/sharing.py": 1,
    "benchmarks/selfcheck/public.py": 1,
    "benchmarks/selfcheck/tools/asv.py": 2,  # programs of their own, which answer their parent
    "benchmarks/selfcheck/tools/torch.py": 1,
}

SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imported(source: str, path: str) -> Iterator[str]:
    """Every module that a file names in an import, absolute, and by a literal dynamic import."""
    package = PurePosixPath(path).with_suffix("").parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: -node.level]) if node.level else ""
            base = ".".join(filter(None, [above, node.module]))
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            name = node.func.id if isinstance(node.func, ast.Name) else name
            first = node.args[0]
            if name in DYNAMIC and isinstance(first, ast.Constant):
                yield str(first.value)


def violations(source: str, path: str) -> list[str]:
    """What a file imports and must not."""
    return [module for module in imported(source, path) if not _may_import(path, module)]


def _may_import(path: str, module: str) -> bool:
    place, top = PurePosixPath(path), module.partition(".")[0]
    if top in FRAMEWORKS:
        twin = place.parts[:2] == ("benchmarks", "models") and place.stem == top
        above = {parent.as_posix() for parent in place.parents}
        within = above & FRAMEWORK_FOLDERS.keys()
        return twin or any(top in FRAMEWORK_FOLDERS[folder] for folder in within)
    if top not in OURS:
        return True
    folder = place.parts[0]
    if folder == "profilers":
        return top == "profilers" or (path, module) == DOOR
    if folder == "reports":
        facts = module == "benchmarks.frameworks"  # not what lies below
        return top == "reports" or facts or _within(module, REPORTS_MAY_IMPORT)
    return top in {"benchmarks", "profilers"} and not _concrete(place, module)


def _within(module: str, allowed: tuple[str, ...]) -> bool:
    # `from benchmarks.results import records` names the packages, too, which import nothing.
    return module in {"benchmarks", "benchmarks.results", "benchmarks.results.stored"} or any(
        f"{module}.".startswith(f"{name}.") for name in allowed
    )


def _concrete(place: PurePosixPath, module: str) -> bool:
    """Whether it is a framework, a model or a phase itself: those are loaded by name."""
    kind = next((kind for kind in KINDS if module.startswith(f"{kind}.")), None)
    if kind is None:
        return False
    name, _, rest = module.removeprefix(f"{kind}.").partition(".")
    folder = f"{kind.replace('.', '/')}/{name}"
    below = rest.partition(".")[0]
    if kind == "benchmarks.models" and f"{folder}/{below}/__init__.py" in SOURCES:
        name, folder = below, f"{folder}/{below}"  # a model in the folder of its family
    if name.startswith("_") or (
        kind.endswith("frameworks") and f"{folder}/__init__.py" not in SOURCES
    ):
        return False  # what all of them share
    own = place.as_posix().startswith(f"{folder}/")  # a model's own files
    return not own and not any(part in place.parts for part in SHARED.get(name, ()))


@pytest.mark.parametrize("path", SOURCES)
def test_a_file_imports_only_what_it_may(path: str) -> None:
    assert violations(SOURCES[path], path) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("benchmarks/measure/engine.py", "import torch"),
        ("benchmarks/frameworks/tensorflow/device.py", "from torch import nn"),
        ("benchmarks/models/mlp/keras.py", "import torch.nn.functional as F"),
        ("benchmarks/models/mlp/torch.py", "import keras"),
        ("benchmarks/models/mlp/keras.py", "import tensorflow as tf"),
        ("benchmarks/models/mlp/__init__.py", "import keras"),
        ("benchmarks/frameworks/torch/device.py", "def f():\n    import jax"),
        ("benchmarks/frameworks/contracts.py", "import torch"),
        ("benchmarks/proof/worker.py", "import keras"),
        ("benchmarks/frameworks/torch/optimizers.py", "import keras"),
        ("benchmarks/tasks/losses/mse.py", "import tensorflow"),
        ("benchmarks/tasks/layers/dense.py", "import torch"),
        ("benchmarks/worker/commands.py", "if TYPE_CHECKING:\n    import tensorflow"),
        ("benchmarks/worker/commands.py", "import importlib\nimportlib.import_module('torch')"),
        ("benchmarks/worker/commands.py", "__import__('keras')"),
        ("profilers/host.py", "from benchmarks.results import records"),
        ("profilers/host.py", "import runpy\nrunpy.run_module('benchmarks.why')"),
        ("profilers/gpu/nvml.py", "import reports.contents.text"),
        ("reports/runs/load.py", "from benchmarks.results.stored.journal import read"),
        ("reports/runs/load.py", "from benchmarks.request import plan"),
        ("reports/runs/load.py", "import profilers"),
        ("reports/runs/load.py", "from benchmarks.frameworks import torch"),
        ("reports/runs/load.py", "from benchmarks.frameworks.contracts import Program"),
        ("reports/runs/load.py", "from benchmarks.frameworks.jax.device import Device"),
        ("benchmarks/request/plan.py", "from reports import text"),
        ("benchmarks/request/plan.py", "from tests.pipeline import TINY"),
        ("benchmarks/models/mlp/torch.py", "from benchmarks.models.lstm.torch import build"),
        ("benchmarks/models/mlp/torch.py", "from ..lstm import TASK"),
        ("benchmarks/models/mlp/__init__.py", "from benchmarks.models import lstm"),
        (
            "benchmarks/models/images/vgg16/torch.py",
            "from benchmarks.models.images.alexnet.torch import build",
        ),
        ("benchmarks/models/mlp/torch.py", "from benchmarks.frameworks.torch.device import Device"),
        ("benchmarks/models/mlp/torch.py", "from benchmarks.worker.phases import epoch"),
        ("benchmarks/frameworks/torch/device.py", "from benchmarks.frameworks import jax"),
        ("benchmarks/frameworks/torch/device.py", "from .. import tensorflow"),
        ("benchmarks/frameworks/torch/device.py", "from benchmarks.models.mlp import TASK"),
        (
            "benchmarks/frameworks/torch/device.py",
            "from benchmarks.worker.phases.epoch import prepare",
        ),
        (
            "benchmarks/worker/phases/epoch.py",
            "from benchmarks.worker.phases.forward import prepare",
        ),
        (
            "benchmarks/worker/phases/epoch.py",
            "from benchmarks.frameworks.jax.device import Device",
        ),
        ("benchmarks/measure/engine.py", "from benchmarks.frameworks.jax.device import Device"),
    ],
)
def test_a_planted_violation_is_caught(path: str, source: str) -> None:
    assert violations(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("benchmarks/frameworks/keras_torch/device.py", "import torch, keras"),
        (
            "benchmarks/frameworks/keras_torch/device.py",
            "from benchmarks.frameworks.torch import SMALL",
        ),
        ("benchmarks/frameworks/jax/device.py", "import jax, keras"),
        ("benchmarks/frameworks/tensorflow/device.py", "import tensorflow, keras"),
        ("benchmarks/frameworks/torch/optimizers.py", "import torch"),
        ("benchmarks/tasks/losses/mse.py", "def keras():\n    from keras import ops"),
        ("benchmarks/frameworks/torch/recorder.py", "from torch.profiler import profile"),
        (
            "benchmarks/worker/phases/epoch.py",
            "from benchmarks.worker.phases._protocol import Built",
        ),
        ("benchmarks/frameworks/torch/device.py", "from benchmarks.frameworks import contracts"),
        ("benchmarks/models/a/torch.py", "from benchmarks.models._resnet.torch import body"),
        ("benchmarks/models/a/torch.py", "from benchmarks.models.a import TASK"),
        (
            "reports/runs/load.py",
            "from benchmarks.results.records import Run\nfrom benchmarks.results import statistics",
        ),
        ("reports/runs/load.py", "from benchmarks import frameworks"),
        ("benchmarks/machine/environment.py", "from profilers import host"),
        ("profilers/sampler.py", "from profilers.gpu import nvml"),
    ],
)
def test_what_is_allowed_is_not_taken_for_a_violation(path: str, source: str) -> None:
    assert violations(source, path) == []


def test_the_packages_themselves_import_nothing() -> None:
    for folder in FOLDERS:
        assert list(imported(SOURCES[f"{folder}/__init__.py"], f"{folder}/__init__.py")) == []


@pytest.mark.parametrize("path", SOURCES)
def test_a_module_says_why_it_exists(path: str) -> None:
    assert ast.get_docstring(ast.parse(SOURCES[path]))


def test_the_whole_stays_within_its_budget() -> None:
    assert sum(source.count("\n") for source in SOURCES.values()) <= MAX_SOURCE_LINES


def _calls(source: str, name: str) -> int:
    return sum(
        isinstance(node, ast.Call) and ast.unparse(node.func) == name
        for node in ast.walk(ast.parse(source))
    )


@pytest.mark.parametrize("path", SOURCES)
def test_only_a_main_prints_and_exits(path: str) -> None:
    if PurePosixPath(path).name != "__main__.py":
        assert _calls(SOURCES[path], "print") == PRINTING.get(path, 0)
        assert _calls(SOURCES[path], "sys.exit") == 0


def test_every_folder_with_code_is_a_package() -> None:
    for path in SOURCES:
        for parent in list(Path(path).parents)[:-1]:
            assert (ROOT / parent / "__init__.py").is_file()


EXECUTING = {
    *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"),
    *("multiprocessing", "concurrent.futures.process"),
}
"""Modules that run what they read, or start processes by a fork."""
LOADING = {"load_model", "unpickle", "fork", "forkpty", "ProcessPoolExecutor"}
"""Calls that do so, whatever they are called on."""
PREFIXED = {"torch.load", "torch.jit.load", "pandas.read_pickle", "pd.read_pickle"}
"""And these by their whole names."""
DATES = {"time.time"}
"""Clocks that can be set, which time nothing: neither called nor handed on as a clock."""


def executing(source: str, path: str) -> list[str]:
    """What in a file would run what a file of others says, fork, or ask the date for a time."""
    found = [
        module
        for module in imported(source, path)
        if module in DATES or any(f"{module}.".startswith(f"{name}.") for name in EXECUTING)
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in DATES:
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            found += [name] if name in PREFIXED or name.rpartition(".")[2] in LOADING else []
            found += [
                f"{name}({each.arg}={ast.unparse(each.value)})"
                for each in node.keywords
                if (each.arg, ast.unparse(each.value))
                in {("allow_pickle", "True"), ("weights_only", "False"), ("safe_mode", "False")}
            ]
    return found


@pytest.mark.parametrize("path", SOURCES)
def test_no_file_that_is_read_can_run_code(path: str) -> None:
    assert executing(SOURCES[path], path) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch\ntorch.load('x.pt')",
        "keras.saving.load_model('x.keras')",
        "import numpy as np\nnp.load('x.npy', allow_pickle=True)",
        "model.load_weights('x', safe_mode=False)",
        "import os\nos.fork()",
        "import multiprocessing",
        "import time\nbegan = time.time()",
        "import time\nnow: Now = time.time",
        "from time import time",
    ],
)
def test_what_would_run_code_is_caught(source: str) -> None:
    assert executing(source, "benchmarks/tasks/stored.py")
