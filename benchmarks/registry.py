"""What there is, found by file name: no table to edit, and nothing imported to list names."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from benchmarks.environment import framework_status
from benchmarks.records import Stack

if TYPE_CHECKING:
    from benchmarks.adapters._protocol import Adapter
    from benchmarks.models._spec import ModelSpec

Kind = Literal["adapters", "models", "phases"]
HERE = Path(__file__).parent
USER_MODELS = "twinbench_user_models"
HIDDEN = frozenset({"null"})  # measures nothing: it is there to test the pipeline


class UnknownNameError(ValueError):
    """A name that is not there; the text says which names are."""


class BadModelError(TypeError):
    """A model's folder does not hold what a model needs; the text says what is missing."""


def names(kind: Kind, models_dir: Path | None = None) -> tuple[str, ...]:
    """Sorted names: files of ``adapters`` and ``phases``, folders of ``models``.

    A user's models join ours; names with an underscore in front are shared parts, not models.
    """
    if kind != "models":
        found = {path.stem for path in (HERE / kind).glob("*.py")}
    else:
        folders = [HERE / kind, *([models_dir] if models_dir else [])]
        found = {path.parent.name for f in folders for path in f.glob("*/__init__.py")}
    return tuple(sorted(n for n in found if not n.startswith("_")))


def check(kind: str, name: str, allowed: tuple[str, ...]) -> str:
    """The name itself.

    Raises:
        UnknownNameError: it is not allowed.
    """
    if name not in allowed:
        raise UnknownNameError(f"unknown {kind} {name!r}; there are: {', '.join(allowed)}")
    return name


def load(kind: Kind, name: str) -> ModuleType:
    """Import the module of an adapter or a phase.

    Raises:
        UnknownNameError: there is none of that name.
    """
    check(kind.removesuffix("s"), name, names(kind))
    return importlib.import_module(f"benchmarks.{kind}.{name}")


def adapter(name: str) -> type[Adapter]:
    """The class of an adapter; its framework is not imported."""
    return cast("type[Adapter]", load("adapters", name).ADAPTER)


def spec(name: str, models_dir: Path | None = None) -> ModelSpec:
    """The SPEC of a model.

    Raises:
        UnknownNameError: there is no such model.
        BadModelError: its folder holds no ModelSpec of the name SPEC.
    """
    from benchmarks.models._spec import ModelSpec

    check("model", name, names("models", models_dir))
    found: Any = getattr(_model_package(name, models_dir), "SPEC", None)
    if not isinstance(found, ModelSpec):
        raise BadModelError(f"model {name!r}: its __init__.py must define SPEC, a ModelSpec")
    return found


def twin(name: str, dialect: str, models_dir: Path | None = None) -> ModuleType:
    """The twin of a model in a dialect; this imports the framework.

    Raises:
        ModuleNotFoundError: the model has no twin in that dialect.
    """
    package = _model_package(name, models_dir)
    return importlib.import_module(f"{package.__name__}.{dialect}")


def has_twin(name: str, dialect: str, models_dir: Path | None = None) -> bool:
    """Whether the model's folder holds a twin in that dialect."""
    return (_model_folder(name, models_dir) / f"{dialect}.py").is_file()


def stacks(*, hidden: bool = False) -> tuple[Stack, ...]:
    """Every stack there could be, of installed frameworks or not; a framework's own dialect first.

    The first stack of a pair is the one a verdict speaks about: PyTorch against Keras on something.
    """
    found = [name for name in names("adapters") if hidden or name not in HIDDEN]
    found.sort(key=lambda name: adapter(name).dialect != name)
    return tuple(Stack(name, mode) for name in found for mode in adapter(name).modes)


def default_stacks() -> tuple[Stack, ...]:
    """The stacks of a run that names none."""
    return tuple(s for s in stacks() if adapter(s.adapter).modes[s.mode])


def plain_stacks() -> tuple[Stack, ...]:
    """One stack per adapter: its first mode, which changes the model least."""
    first: dict[str, Stack] = {}
    for stack in default_stacks():
        first.setdefault(stack.adapter, stack)
    return tuple(first.values())


def unsupported(stack: Stack, device: str, python: str | None = None) -> str | None:
    """Why a stack cannot run here, or in the environment of another interpreter, or ``None``."""
    requires = adapter(stack.adapter).requires
    missing = _status_in(python, requires) if python else framework_status(requires)
    if missing or device == "cpu":
        return missing
    from profilers.nvml import devices

    found, reason = devices()
    return None if found else f"no CUDA device: {reason}"


def _status_in(python: str, requires: tuple[str, ...]) -> str | None:
    """``framework_status`` as another interpreter would give it."""
    names = (*requires, "numpy", "psutil", "scipy")  # a worker needs these of its environment
    program = (
        "import sys; from importlib.util import find_spec as f;"
        "print(*(n for n in sys.argv[1:] if (s := f(n)) is None or s.origin is None))"
    )
    try:
        done = subprocess.run(
            [python, "-I", "-c", program, *names],
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{python} does not run: {type(error).__name__}"
    missing = done.stdout.split()
    return f"not installed there: {', '.join(missing)}" if missing else None


def _model_folder(name: str, models_dir: Path | None) -> Path:
    if models_dir and (models_dir / name / "__init__.py").is_file():
        return models_dir / name
    return HERE / "models" / name


@cache
def _model_package(name: str, models_dir: Path | None) -> ModuleType:
    folder = _model_folder(name, models_dir)
    if folder.parent == HERE / "models":
        return importlib.import_module(f"benchmarks.models.{name}")
    # A package of its own keeps a user's `resnet50` apart from ours and leaves sys.path alone.
    qualified = f"{USER_MODELS}_{name}"
    location = importlib.util.spec_from_file_location(
        qualified, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if location is None or location.loader is None:
        raise UnknownNameError(f"cannot load the model {name!r} from {folder.name}")
    module = importlib.util.module_from_spec(location)
    sys.modules[qualified] = module
    location.loader.exec_module(module)
    return module
