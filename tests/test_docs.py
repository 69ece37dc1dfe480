"""README and docs: every command is one that the programs take, and every link leads somewhere."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from benchmarks.pair import command as pairs
from benchmarks.request import discovery, options, plan
from benchmarks.request.selection import SelectionError
from benchmarks.tasks import words
from docs import generated
from tests.pipeline import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = [README, ROOT / "CONTRIBUTING.md", *PAGES]
LONGEST = 120
"""Lines of the README."""
SHELL = {"sh", "console"}
OTHER = {"text", "python", "yaml"}
"""Languages of fenced blocks that hold no command line, but for the ``run`` steps of ``yaml``."""
ALLOWED = {"test", "pytest-benchmark", "pytest"}
"""Programs that are not ours; each is looked at below."""
EXTRAS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
FENCE = re.compile(r"^(`{3,})(.*?)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\[[^\]]*\]\(([^)\s]+)\)")


class Command(NamedTuple):
    """A command line of a page, in words, without variables that stand before it."""

    page: str
    argv: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.argv)}"


def fences(path: Path) -> list[tuple[str, str]]:
    """Language and text of every fenced block."""
    return [(head.strip(), body) for _, head, body in FENCE.findall(path.read_text())]


def command_lines(path: Path) -> Iterator[str]:
    """Every command line of a page: of its fenced blocks, and those of ours within its text."""
    for language, body in fences(path):
        lines = body.replace("\\\n", " ").splitlines()
        if language == "sh":
            yield from lines
        elif language == "console":
            yield from (line.removeprefix("$ ") for line in lines if line.startswith("$ "))
        elif language == "yaml":
            yield from re.findall(r"- run: (.+)", body)
    prose = FENCE.sub("", path.read_text())
    for code in re.findall(r"`([^`]+)`", prose):
        if re.match(r"(python -m (benchmarks|profilers|reports|nox|pip)\b|pytest |nox -s )", code):
            yield " ".join(code.split())


def commands(path: Path) -> Iterator[Command]:
    """The commands of a page; those joined by ``||`` are two."""
    for line in command_lines(path):
        told = shlex.split(line.replace("$?", "0"), comments=True)
        while told:
            end = told.index("||") if "||" in told else len(told)
            one, told = told[:end], told[end + 1 :]
            while one and re.fullmatch(r"[A-Z_]+=\S*", one[0]):
                one.pop(0)
            yield Command(path.name, tuple(one))


COMMANDS = sorted({command for path in TEXTS for command in commands(path)})
OURS = [c for c in COMMANDS if c.argv[1:2] == ("-m",) and c.argv[2] not in {"nox", "pip", "venv"}]
NOX = [c for c in COMMANDS if "nox" in {c.argv[0], *c.argv[2:3]} and "install" not in c.argv]
PIP = [c for c in COMMANDS if "install" in c.argv]
REST = [
    c for c in COMMANDS if c not in {*OURS, *NOX, *PIP} and c.argv[1:] != ("-m", "venv", ".venv")
]


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the pages name: a user's models in ``models``."""
    monkeypatch.chdir(tmp_path)
    discovery.create("my_model", tmp_path / "models")
    return tmp_path


def parsed(argv: tuple[str, ...]) -> tuple[str, argparse.Namespace]:
    """The program and the arguments of a command of ours, read by the parser of that program."""
    program = f"python -m {argv[2]}"
    parser = generated.parser_of(generated.PROGRAMS[program])
    return program, parser.parse_args(argv[3:])


def planned(asked: argparse.Namespace) -> None:
    """Make the plan of what was asked, as its command would before it starts anything."""
    value_of = vars(asked).get
    chosen = options.selection(lambda flag: value_of(flag.lstrip("-").replace("-", "_")))
    # Environments of other interpreters are not here; a user's trainers are in no page's command.
    stacks = tuple(re.sub(r"@\w+|\+mine", "", stack) for stack in chosen.stacks)
    plan.make(dataclasses.replace(chosen, variants=(), stacks=tuple(dict.fromkeys(stacks))))


def test_there_are_commands_to_look_at() -> None:
    assert len(OURS) > 40
    assert len(NOX) > 10
    assert len(PIP) > 1


@pytest.mark.parametrize("command", OURS, ids=str)
@pytest.mark.usefixtures("somewhere")
def test_a_command_of_ours_is_one_that_its_program_takes(command: Command) -> None:
    if "--help" in command.argv:
        with pytest.raises(SystemExit, match=r"^0$"), contextlib.redirect_stdout(None):
            parsed(command.argv)
        return
    program = f"python -m {command.argv[2]}"
    there = generated.commands_of(generated.parser_of(generated.PROGRAMS[program]))
    if there and len(command.argv) <= len(("python", "-m", program, "command")):
        assert set(command.argv[3:]) <= there.keys()  # named within a sentence
        return
    program, asked = parsed(command.argv)
    if program == "python -m benchmarks":
        if asked.command == "pair":
            words.task(asked.input, asked.target or (), asked.loss, asked.optimizer)
            assert asked.engine in pairs.ENGINES
        elif asked.command not in {"new", "doctor"}:
            planned(asked)
    elif program == "python -m profilers":
        asked.models, asked.phases = (asked.model,), (asked.phase,)
        planned(asked)


@pytest.mark.parametrize("command", NOX, ids=str)
@pytest.mark.usefixtures("somewhere")
def test_a_session_of_nox_exists_and_takes_what_stands_behind_it(command: Command) -> None:
    defined = re.findall(
        r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE
    )
    told = command.argv[command.argv.index("nox") + 1 :]
    given = told[told.index("--") + 1 :] if "--" in told else ()
    sessions = told[1 : told.index("--") if "--" in told else len(told)]
    assert not told or told[0] == "-s"
    assert set(sessions) <= set(defined)
    match sessions[:1]:
        case ("bench",):
            parser = argparse.ArgumentParser(exit_on_error=False)
            options.add(options.SELECTION | options.PLACE, parser.add_argument)
            asked, left = parser.parse_known_args(given)
            planned(asked)
            assert all(word.startswith("--benchmark-compare") for word in left)
        case ("verify",):
            planned(parsed(("python", "-m", "benchmarks", "verify", *given))[1])
        case ("report",):
            parsed(("python", "-m", "reports", "build", *given))
        case ("versions",):
            flags = [word for word in given if "==" not in word]
            assert len(given) - len(flags) > 1
            planned(parsed(("python", "-m", "benchmarks", "run", *flags))[1])
        case ("tests",):
            assert given in {(), ("-m", "heavy")}
        case ("docs",):
            assert given in {(), ("--external",)}
        case _:
            assert given == ()


@pytest.mark.parametrize("command", PIP, ids=str)
def test_what_is_installed_is_declared(command: Command) -> None:
    given = command.argv[command.argv.index("install") + 1 :]
    for word in given:
        if found := re.fullmatch(r"\.\[(.+)\]", word):
            assert set(found[1].split(",")) <= EXTRAS.keys()
        elif word.endswith(".txt"):
            assert (ROOT / word).is_file()
        else:
            assert word in {"-c", "-e", "nox", "."}


@pytest.mark.parametrize("command", REST, ids=str)
def test_any_other_command_is_one_that_people_have(command: Command) -> None:
    program, *given = command.argv
    assert program in ALLOWED
    if program == "pytest":
        assert all((ROOT / word).is_file() for word in given)
    if program == "pytest-benchmark":
        cli = importlib.import_module("pytest_benchmark.cli")
        assert cli.make_parser().parse_args(given).command == given[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words_", [("benchmarks", "list"), ("benchmarks", "doctor"), ("profilers", "--help")], ids=str
)
def test_the_quick_ones_run(words_: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words_], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_command_that_no_program_takes_is_found(somewhere: Path) -> None:
    page = somewhere / "page.md"
    page.write_text("```sh\npython -m benchmarks run --modles mlp \\\n  --json  # why\n```\n")
    (command,) = commands(page)
    assert command.argv == ("python", "-m", "benchmarks", "run", "--modles", "mlp", "--json")
    with pytest.raises(SelectionError, match="--modles"):
        parsed(command.argv)
    page.write_text(
        "```console\n$ A=1 python -m benchmarks run --models mlpp || test $? -eq 5\n```\n"
    )
    first, second = commands(page)
    assert second.argv[0] == "test"
    with pytest.raises(discovery.UnknownNameError, match="mlpp"):
        planned(parsed(first.argv)[1])


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_block_says_what_language_it_is_in(path: Path) -> None:
    for language, _ in fences(path):
        assert language in SHELL | OTHER or language == "{toctree}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_an_example_in_python_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # what it writes stays there
    for language, body in fences(path):
        if language == "python":
            if "import torch" in body:
                pytest.importorskip("torch")
            names: dict[str, Any] = {}
            exec(compile(body, path.name, "exec"), names)  # noqa: S102 - our own page
            assert {"TASK", "objectives"} & names.keys()


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST


def test_it_is_said_which_options_run_code_of_others() -> None:
    assert "which are code and are run" in options.SELECTION["--models-dir"]["help"]
    assert "`pair` and `--models-dir` run the code" in " ".join(README.read_text().split())
    trusted = (ROOT / "SECURITY.md").read_text().partition("## What is not trusted")[0]
    for words_ in ("`--models-dir`", "`pair TORCH KERAS`", "`--python`"):
        assert words_ in trusted


def test_the_readme_shows_the_stored_run() -> None:
    text = README.read_text()
    assert generated.ratios() in text
    assert "results-public/cpu-2-cores/forest.png" in text


def test_the_readme_says_first_among_its_limits_what_holds_for_cuda() -> None:
    limits = README.read_text().partition("## Limits\n")[2].strip()
    assert limits.startswith("- **CUDA")


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    text = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """The anchors of a page."""
    text = FENCE.sub("", generated.fill(path.read_text()) if path.parent == DOCS else "")
    text = text or FENCE.sub("", path.read_text())
    return {slug(h) for h in re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_relative_link_leads_to_a_file_and_to_a_heading_in_it(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", path.read_text())):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.is_file(), link
        assert there.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(there), link


def test_the_index_leads_to_every_page() -> None:
    listed = [
        line
        for language, body in fences(DOCS / "index.md")
        if language == "{toctree}"
        for line in body.split()
        if not line.startswith(":") and line.isascii()
    ]
    assert {page.stem for page in PAGES} - {"index"} <= set(listed)


def test_the_architecture_names_files_and_folders_that_are_there() -> None:
    text = (DOCS / "architecture.md").read_text()
    (drawing,) = (body for language, body in fences(DOCS / "architecture.md") if language == "text")
    named = re.findall(r"[\w/]+\.py\b|\b[a-z/]+/(?= |$)", drawing, re.MULTILINE)
    assert len(named) > 25
    for name in named:
        assert (ROOT / "benchmarks" / name).exists(), name
    text = text.partition("## Folders\n")[2].partition("\n## ")[0]
    table = re.findall(r"^\| `([\w/-]+/)` \|", text, re.MULTILINE)
    assert {"benchmarks/", "profilers/", "reports/", "docs/", "tests/"} <= set(table)
    for name in set(table) - {"results/"}:
        assert (ROOT / name).is_dir(), name


def test_the_options_name_every_flag_of_every_command() -> None:
    text = generated.options()
    for program, module in generated.PROGRAMS.items():
        parser = generated.parser_of(module)
        assert f"## {program}\n" in text
        for name, command in generated.commands_of(parser).items():
            section = text.partition(f"### {program.rpartition(' ')[2]} {name}\n")[2]
            section = section.partition("\n## ")[0].partition("\n### ")[0]
            flags = {word for a in generated.flags_of(command) for word in a.option_strings}
            assert flags
            assert flags <= set(re.findall(r"--[\w-]+", section))
    assert len(generated.commands_of(generated.parser_of("benchmarks.__main__"))) > 5


def test_the_reference_names_every_field_of_every_record() -> None:
    text = generated.reference()
    for kind in generated.record_types():
        section = text.partition(f"## {kind.__name__}\n")[2].partition("\n## ")[0]
        for one in dataclasses.fields(kind):
            assert f"| `{one.name}` |" in section, f"{kind.__name__}.{one.name}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_page_names_no_folder_of_a_machine(path: Path) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|work|usr/local|opt|Users)/", path.read_text())
