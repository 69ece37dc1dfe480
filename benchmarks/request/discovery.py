"""What there is, found by file name: no table to edit, and no framework imported to list names."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from benchmarks import frameworks
from benchmarks.machine import variables
from benchmarks.machine.environment import framework_status
from benchmarks.request import reading
from benchmarks.results.records import Stack, Status
from benchmarks.tasks import plain
from benchmarks.tasks.stored import CANONICAL
from benchmarks.tasks.task import Task, TaskError
from benchmarks.tasks.task import check as task_check

Kind = Literal["models", "phases"]
HERE = Path(__file__).parent.parent
PLACES: Mapping[Kind, str] = {"models": "models", "phases": "worker/phases"}
"""The folder of each kind, below ``benchmarks``."""
USER_MODELS = "twinbench_user_models"
TEMPLATE = "_new"
MODEL = "[!_]*/__init__.py"
"""Pattern of the file that makes a folder a model."""
USER_TRAINERS = "twinbench_user_trainers"


class UnknownNameError(ValueError):
    """A name that is not there; the text says which names are."""


class BadModelError(TypeError):
    """A model cannot be had from its folder; the text says why, ``status`` what became of it."""

    def __init__(self, text: str, status: Status = "error") -> None:
        super().__init__(text)
        self.status: Status = status


def names(kind: Kind, models_dir: Path | None = None) -> tuple[str, ...]:
    """Sorted names: files of ``phases``, folders of ``models``.

    A user's models join ours; names with an underscore in front are shared parts, not models. Ours
    that lie in the folder of a family are left out: see ``zoo``.
    """
    if kind != "models":
        found = {path.stem for path in (HERE / PLACES[kind]).glob("*.py")}
    else:
        found = {path.parent.name for path in (HERE / "models").glob(MODEL)}
        found -= {folder.name for folder in _families()}
        found |= {path.parent.name for path in models_dir.glob(MODEL)} if models_dir else set()
    return tuple(sorted(n for n in found if not n.startswith("_")))


def models(models_dir: Path | None = None) -> tuple[str, ...]:
    """Every model: those that run where none is named, and then those of families."""
    first = names("models", models_dir)
    return (*first, *(name for name in zoo() if name not in first))


@cache
def zoo() -> Mapping[str, str]:
    """Our models that run only where they are named, and the family whose folder each lies in."""
    found = {path.parent.name: family.name for family in _families() for path in family.glob(MODEL)}
    return {name: found[name] for name in sorted(found, key=lambda n: (found[n], n))}


def family(name: str, models_dir: Path | None = None) -> str:
    """What a model is listed under: its folder's family, or what its task says; "" for a user's.

    Raises:
        BadModelError: its folder holds no sound Task of the name TASK.
    """
    if users(name, models_dir):
        return ""
    return zoo().get(name) or imported(name).family


def families() -> dict[str, tuple[str, ...]]:
    """Our models by the family that they are listed under; those of no family are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for name in models():
        found[family(name)] = (*found.get(family(name), ()), name)
    return {key: found[key] for key in sorted(found) if key}


def selected(words: Sequence[str], models_dir: Path | None = None) -> tuple[str, ...]:
    """The models that words name: a name, ``all``, ``family:NAME``, or a pattern such as ``vgg*``.

    A pattern is held against each name, and against the name behind its family: ``images/*``.

    Raises:
        UnknownNameError: a word names none.
    """
    every = models(models_dir)
    found: dict[str, None] = {}
    for word in words:
        if word == "all":
            fits = list(every)
        elif word.startswith("family:") or set(word) & set("*?["):
            pattern = f"{word.removeprefix('family:')}/*" if ":" in word else word
            fits = [
                name
                for name in every
                if fnmatchcase(name, pattern)
                or fnmatchcase(f"{family(name, models_dir)}/{name}", pattern)
            ]
        else:
            fits = [check("model", word, every)]
        if not fits:
            known = ", ".join(families())
            raise UnknownNameError(f"there is no model {word!r}; there are families: {known}")
        found |= dict.fromkeys(fits)
    return tuple(found)


def _families() -> tuple[Path, ...]:
    """The folders of our models that hold models themselves."""
    found = (HERE / "models").glob("[!_]*/")
    return tuple(sorted(folder for folder in found if any(folder.glob(MODEL))))


def check(kind: str, name: str, allowed: tuple[str, ...]) -> str:
    """The name itself.

    Raises:
        UnknownNameError: it is not allowed.
    """
    if name not in allowed:
        near = difflib.get_close_matches(name, allowed, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UnknownNameError(f"unknown {kind} {name!r}{hint}; there are: {', '.join(allowed)}")
    return name


def load(kind: Kind, name: str) -> ModuleType:
    """Import the module of a phase.

    Raises:
        UnknownNameError: there is none of that name.
    """
    check(kind.removesuffix("s"), name, names(kind))
    return importlib.import_module(f"benchmarks.{PLACES[kind].replace('/', '.')}.{name}")


def users(name: str, models_dir: Path | None = None) -> bool:
    """Whether a model is a user's own, whose code is imported in workers alone."""
    return HERE / "models" not in _model_folder(name, models_dir).parents


@cache
def task(name: str, models_dir: Path | None = None, passed: tuple[str, ...] = ()) -> Task:
    """The TASK of a model; a user's is read in a process of its own.

    ``passed`` are names of variables that this process gets of ours beside the usual ones.

    Raises:
        UnknownNameError: there is no such model.
        BadModelError: its folder holds no sound Task of the name TASK, or cannot be imported.
    """
    check("model", name, models(models_dir))
    if models_dir is None or not users(name, models_dir):
        return imported(name)
    try:
        return plain.task(reading.read(name, models_dir, passed))
    except reading.ReadingError as error:
        raise BadModelError(_of(name, error), error.status) from None
    except ValueError as error:
        raise BadModelError(_of(name, error)) from None


def _of(name: str, error: Exception) -> str:
    named = f"model {name!r}: "
    return named + str(error).removeprefix(named)


def imported(name: str, models_dir: Path | None = None) -> Task:
    """The TASK of a model, imported here: in a worker, where it is a user's.

    Raises:
        UnknownNameError: there is no such model.
        BadModelError: its folder holds no sound Task of the name TASK.
    """
    check("model", name, models(models_dir))
    found: Any = getattr(_model_package(name, models_dir), "TASK", None)
    if not isinstance(found, Task):
        raise BadModelError(f"model {name!r}: its __init__.py must define TASK, a Task")
    try:
        task_check(found)
    except TaskError as error:
        raise BadModelError(f"model {name!r}: {error}") from None
    return found


def create(name: str, models_dir: Path) -> Path:
    """Write a new model's folder; it is proven as it stands.

    Raises:
        UnknownNameError: the name is no Python name, or there is such a folder already.
    """
    if not name.isidentifier() or name.startswith("_"):
        raise UnknownNameError(f"{name!r} is no name for a model: letters, digits and underscores")
    folder = models_dir / name
    if folder.exists():
        raise UnknownNameError(f"{folder} is there already")
    folder.mkdir(parents=True)
    for path in (HERE / "models" / TEMPLATE).glob("*.py"):
        text = path.read_text().replace("--models NAME", f"--models {name}")
        (folder / path.name).write_text(
            text.replace("--models-dir DIR", f"--models-dir {models_dir}")
        )
    return folder


def roots(name: str, models_dir: Path | None = None) -> tuple[Path, ...]:
    """The folders below which a user's own ``layers`` and ``losses`` lie: the model's, and all."""
    folder = _model_folder(name, models_dir)
    return (folder, models_dir) if models_dir and folder.parent == models_dir else ()


def shared_sources() -> tuple[Path, ...]:
    """Our own Python files but for those of single models, in order."""
    return tuple(
        path
        for path in sorted(HERE.rglob("*.py"))
        if HERE / "models" not in path.parents or _shared(path)
    )


def model_sources(name: str) -> tuple[Path, ...]:
    """The Python files of one of our models, in order; what it shares is in ``shared_sources``."""
    return tuple(sorted(_model_folder(name, None).rglob("*.py")))


def _shared(path: Path) -> bool:
    """Whether a file of the models lies in a folder of shared parts."""
    return any(part.startswith("_") for part in path.parent.relative_to(HERE / "models").parts)


def weights(name: str, models_dir: Path | None = None) -> Path | None:
    """The file of a model's own weights, by canonical key; ``None`` where they are drawn."""
    path = _model_folder(name, models_dir) / CANONICAL
    return path if path.is_file() else None


def trainers(framework: str, models_dir: Path | None = None) -> tuple[str, ...]:
    """The names of a framework's trainers: ours, and a user's in ``trainers/<framework>``."""
    folders = [frameworks.folders()[framework] / "trainers"]
    folders += [models_dir / "trainers" / framework] if models_dir else []
    found = {path.stem for folder in folders for path in folder.glob("[!_]*.py")}
    return tuple(sorted(found))


def trainer(framework: str, name: str, folders: tuple[Path, ...] = ()) -> ModuleType:
    """A trainer's module; this imports its framework. A user's goes before ours.

    Raises:
        UnknownNameError: there is none of that name.
    """
    for root in folders:
        path = root / "trainers" / framework / f"{name}.py"
        if path.is_file():
            return _module(f"{USER_TRAINERS}_{framework}_{name}", path)
    check(f"trainer of {framework}", name, trainers(framework))
    return frameworks.part(framework, f"trainers.{name}")


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


def defines(name: str, function: str, models_dir: Path | None = None) -> bool:
    """Whether every twin of a model defines a function; none is imported."""
    twins = [_model_folder(name, models_dir) / f"{dialect}.py" for dialect in dialects()]
    return all(_defines(path, function) for path in twins if path.is_file())


def dialects() -> tuple[str, ...]:
    """The dialects of all frameworks."""
    return tuple(dict.fromkeys(found.dialect for found in frameworks.every().values()))


def _defines(path: Path, function: str) -> bool:
    try:
        body = ast.parse(path.read_text()).body
    except (SyntaxError, ValueError):  # what imports it will say so
        return False
    return any(isinstance(one, ast.FunctionDef) and one.name == function for one in body)


def stacks(*, hidden: bool = False) -> tuple[Stack, ...]:
    """Every stack there could be, of installed frameworks or not; a framework's own dialect first.

    The first stack of a pair is the one a verdict speaks about: PyTorch against Keras on something.
    """
    found = {name: frameworks.facts(name) for name in frameworks.names()}
    shown = [name for name, facts in found.items() if hidden or not facts.hidden]
    shown.sort(key=lambda name: found[name].dialect != name)
    return tuple(Stack(name, mode) for name in shown for mode in found[name].modes)


def default_stacks() -> tuple[Stack, ...]:
    """The stacks of a run that names none."""
    return tuple(s for s in stacks() if frameworks.facts(s.framework).modes[s.mode])


def plain_stacks() -> tuple[Stack, ...]:
    """One stack per framework: its first mode, which changes the model least."""
    first: dict[str, Stack] = {}
    for stack in default_stacks():
        first.setdefault(stack.framework, stack)
    return tuple(first.values())


def compared(package: str) -> tuple[Stack, tuple[str, ...]]:
    """The stack in which releases of a package are compared, and all names it is installed by.

    Raises:
        UnknownNameError: no framework needs it.
    """
    for name, found in frameworks.every().items():
        for need in found.needs:
            if package in need.names:
                return Stack(name, next(iter(found.modes))), need.names
    there = (name for need in frameworks.packages().values() for name in need.names)
    raise UnknownNameError(f"no stack is known for {package!r}; there are: {', '.join(there)}")


def unsupported(stack: Stack, device: str, python: str | None = None) -> str | None:
    """Why a stack cannot run here, or in the environment of another interpreter, or ``None``."""
    requires = frameworks.facts(stack.framework).packages
    missing = _status_in(python, requires) if python else framework_status(requires)
    if missing or device == "cpu":
        return missing
    from profilers.gpu.nvml import devices

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
            env=variables.passed_on(),
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
    ours = HERE / "models"
    return ours / zoo()[name] / name if name in zoo() else ours / name


@cache
def _model_package(name: str, models_dir: Path | None) -> ModuleType:
    folder = _model_folder(name, models_dir)
    if not users(name, models_dir):
        below = ".".join(folder.relative_to(HERE).parts)
        return importlib.import_module(f"benchmarks.{below}")
    # A package of its own keeps a user's `resnet50` apart from ours and leaves sys.path alone.
    return _module(f"{USER_MODELS}_{name}", folder / "__init__.py")


def _module(qualified: str, path: Path) -> ModuleType:
    inside = [str(path.parent)] if path.name == "__init__.py" else None
    location = importlib.util.spec_from_file_location(
        qualified, path, submodule_search_locations=inside
    )
    if location is None or location.loader is None:
        raise UnknownNameError(f"cannot load {path.name} from {path.parent.name}")
    module = importlib.util.module_from_spec(location)
    sys.modules[qualified] = module
    location.loader.exec_module(module)
    return module
