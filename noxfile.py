"""Everything a person or a CI does with twinbench; `nox -l` lists it."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
CONSTRAINTS = ("-c", "constraints.txt")
TESTS = (
    *("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"),
    *("-m", "not heavy", "--durations", "30"),
)
"""One process more than cores: what only waits for a delay leaves its core to another."""
COMPARED = """
import sys
from benchmarks.request import discovery
stack, names = discovery.compared(sys.argv[1])
print(stack, *names)
"""
"""Prints the stack in which a package's releases are compared, and all names of the package."""


def device() -> str:
    """`cuda` where an NVIDIA driver is there; TWINBENCH_DEVICE=cpu or cuda overrides."""
    found = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
    return os.environ.get("TWINBENCH_DEVICE") or ("cuda" if found else "cpu")


def by_framework() -> dict[str, str]:
    """The extra that installs each framework for the device."""
    parts = {extra: extra.partition("-") for extra in EXTRAS}
    return {name: extra for extra, (name, _, on) in parts.items() if on in {"", device()}}


def extras(session: nox.Session) -> str:
    """The frameworks to install; TWINBENCH_FRAMEWORKS=torch,tensorflow,jax adds JAX."""
    asked = os.environ.get("TWINBENCH_FRAMEWORKS", "torch,tensorflow").split(",")
    named = by_framework()
    chosen = [name.strip() for name in asked if name.strip()]
    for name in chosen:
        if name not in named:
            session.error(f"TWINBENCH_FRAMEWORKS: no {name!r}; there are: {', '.join(named)}")
    return ",".join(named[name] for name in chosen)


def groups(*names: str) -> list[str]:
    """The requirements of dependency groups."""
    return [r for name in names for r in nox.project.dependency_groups(PROJECT, name)]


@nox.session
def bench(session: nox.Session) -> None:
    """Prove, measure, store and report: `nox -s bench -- --models resnet50 --device cuda`."""
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]")
    session.run("pytest", "benchmarks", "--benchmark-autosave", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; those of a framework that is not installed skip with the reason.

    What takes minutes is left out: `python -m nox -s tests -- -m heavy` runs that.
    """
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]", *groups("tests"))
    session.run("pytest", *(session.posargs or TESTS))


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Run the tests and require that they cover what needs no GPU.

    Processes that the tests start are followed. Tracing takes nearly twice the CPU time.
    """
    wanted = groups("tests", "coverage")
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]", *wanted)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or TESTS))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(default=False, python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests that need no framework on every supported Python."""
    session.install(*CONSTRAINTS, "-e", ".", *groups("tests"))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting, and which folder imports which."""
    session.install(*CONSTRAINTS, *groups("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check types; no framework is needed."""
    session.install(*CONSTRAINTS, "-e", ".", "nox", *groups("types", "tests"))
    session.run("mypy")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation into build/docs; a warning is an error, and so is a broken link.

    Links to the web are asked only by `python -m nox -s docs -- --external`.
    """
    session.install(*CONSTRAINTS, "-e", ".", *groups("docs"))
    build = ("sphinx-build", "-q", "-W", "-n", "--keep-going", "docs")
    session.run(*build, "build/docs", "-b", "html")
    ours = () if "--external" in session.posargs else ("-D", "linkcheck_ignore=https?://.*")
    session.run(*build, "build/links", "-b", "linkcheck", *ours)


@nox.session(default=False)
def verify(session: nox.Session) -> None:
    """Prove the twins identical, and time nothing."""
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]")
    session.run("python", "-m", "benchmarks", "verify", *session.posargs)


@nox.session(default=False)
def selfcheck(session: nox.Session) -> None:
    """Hold twinbench beside the tools people use: false calls, detection, cost."""
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]", *groups("selfcheck"))
    session.run("python", "-m", "benchmarks.selfcheck", *session.posargs)


@nox.session(default=False)
def versions(session: nox.Session) -> None:
    """Time releases against each other: `nox -s versions -- torch==2.13.0 torch==2.12.1`."""
    specs = [a for a in session.posargs if "==" in a and not a.startswith("-")]
    flags = [a for a in session.posargs if a not in specs]
    if len(specs) <= 1:
        session.error("name two releases, for example torch==2.13.0 torch==2.12.1")
    session.install(*CONSTRAINTS, "-e", ".")
    stacks: list[str] = []
    for spec in specs:
        package, _, version = spec.partition("==")
        told = session.run("python", "-c", COMPARED, package, silent=True, stderr=None)
        stack, *same = str(told).split()
        label = version if f"@{version}" not in "".join(stacks) else f"{version}_{len(stacks)}"
        extra = by_framework()[stack.partition("-")[0]]
        others = [re.split("[<>=!~; ]", r)[0] for r in EXTRAS[extra]]
        wanted = [spec, *(o for o in others if o.partition("[")[0] not in same)]
        python = environment(session, wanted, package, label)
        flags += ["--python", f"{label}={python}"]
        stacks.append(f"{stack}@{label}")
    session.run("python", "-m", "benchmarks", "run", "--stacks", ",".join(stacks), *flags)


def unpinned(pins: str, package: str) -> str:
    """Constraints without a package's own, however its name is written."""

    def named(line: str) -> str:
        return re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower()

    return "".join(line for line in pins.splitlines(keepends=True) if named(line) != named(package))


def environment(session: nox.Session, wanted: list[str], package: str, label: str) -> Path:
    """A virtual environment with what is wanted, all but one package as pinned."""
    folder = Path(session.create_tmp()).parent / f"{package}-{label}"
    python = folder / "bin" / "python"
    pins = folder.with_suffix(".txt")
    pins.write_text(unpinned(Path("constraints.txt").read_text(), package))
    session.run("python", "-m", "venv", str(folder))
    pip = [str(python), "-m", "pip", "install", "-q", "-c", str(pins), "-e", "."]
    session.run(*pip, *wanted, external=True)
    return python.absolute()


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Make 2,000 launches with faults and kills, and see what they leave behind."""
    session.install(*CONSTRAINTS, "-e", ".", *groups("tests"))
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Give every reader of a stored or foreign file its share of 100,000 hostile inputs."""
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]", *groups("tests"))
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session(default=False)
def hostile(session: nox.Session) -> None:
    """Give `pair` 200 generated modules that do what no model should."""
    session.install(*CONSTRAINTS, "-e", f".[{extras(session)}]", *groups("tests"))
    session.run("python", "-m", "tests.hostile", *session.posargs)


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Build the report of a stored run again: `nox -s report -- RUN`."""
    session.install(*CONSTRAINTS, "-e", ".")
    session.run("python", "-m", "reports", "build", *session.posargs)
