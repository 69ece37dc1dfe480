"""Writes the parts of the documentation that are made from the sources, as Markdown.

A page holds a line ``<!-- generated: NAME -->``; the build puts the text of ``PARTS[NAME]`` there.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, get_args
from unittest import mock

from benchmarks.request import discovery
from benchmarks.results import machine, observed, profiles, records, statistics
from benchmarks.results.stored import codec
from profilers import roofline

ROOT = Path(__file__).parent.parent
RUN_SCHEMA = ROOT / "docs" / "run.schema.json"
PUBLIC_RUN = ROOT / "results-public" / "cpu-2-cores" / "run.json.gz"
PROGRAMS = {
    "python -m benchmarks": "benchmarks.__main__",
    "python -m profilers": "benchmarks.why.__main__",
    "python -m reports": "reports.__main__",
    "python -m benchmarks.selfcheck": "benchmarks.selfcheck.__main__",
    "python -m benchmarks.selfcheck.turns": "benchmarks.selfcheck.turns",
    "python -m benchmarks.selfcheck.sharing": "benchmarks.selfcheck.sharing",
    "python -m benchmarks.selfcheck.public": "benchmarks.selfcheck.public",
}
"""Every program of the project, and the module whose ``main`` parses its arguments."""
PAIRS = (("torch-eager", "tensorflow-graph"), ("torch-compile", "tensorflow-xla"))
PHASES = ("forward", "backward", "train_step", "dataload", "epoch")
_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


class _ParsedError(BaseException):
    """Carries the parser of a program out of its ``main``; no ``except Exception`` catches it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that a program builds: its ``main`` is run as far as ``parse_args``."""

    def stop(parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        raise _ParsedError(parser)

    try:
        with mock.patch.object(argparse.ArgumentParser, "parse_args", stop):
            importlib.import_module(module).main([])
    except _ParsedError as found:
        return found.parser
    raise LookupError(f"{module}.main parses no arguments")


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a program's commands by name; empty where it has no commands."""
    for action in parser._actions:  # noqa: SLF001 - argparse offers no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            return dict(action.choices)
    return {}


def flags_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The flags and arguments of a parser, without ``--help`` and the choice of a command."""
    hidden = (argparse._HelpAction, argparse._SubParsersAction)  # noqa: SLF001 - the same
    return [action for action in parser._actions if not isinstance(action, hidden)]  # noqa: SLF001


def options() -> str:
    """A section for each command of each program, with a table of its flags."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for program, module in PROGRAMS.items():
        parser = parser_of(module)
        yield f"## {program}\n"
        if parser.description:
            yield _sentence(parser.description) + "\n"
        commands = commands_of(parser)
        if not commands:
            yield _flag_table(parser)
        for name, command in commands.items():
            yield f"### {program.rpartition(' ')[2]} {name}\n"
            if command.description:
                yield _sentence(command.description) + "\n"
            yield _flag_table(command)


def _sentence(text: str) -> str:
    first = " ".join(text.strip().split("\n\n")[0].split()).rstrip(".")
    return first[:1].upper() + first[1:] + "."


def _flag_table(parser: argparse.ArgumentParser) -> str:
    rows = ["| flag or argument | what it does |", "| --- | --- |"]
    for action in flags_of(parser):
        value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
        name = "/".join(action.option_strings) or str(value)
        shown = f"{name} {value}" if action.option_strings and value else name
        told = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
        rows.append(f"| `{_cell(shown)}` | {_cell(told)} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def models() -> str:
    """A table for each family of models, from their tasks."""
    lines = []
    for name, members in discovery.families().items():
        lines += [f"## {name.capitalize()}\n", "| model | title | parameters | MAC | quick |"]
        lines += ["| --- | --- | ---: | ---: | --- |"]
        for member in members:
            task = discovery.task(member)
            macs = f"{task.published.macs / 1e6:,.1f} M" if task.published.macs else ""
            quick = ", ".join(f"{k} {v}" for k, v in task.size("quick").settings.items())
            parameters = f"{task.published.parameters:,}"
            lines.append(f"| `{member}` | {task.title} | {parameters} | {macs} | {quick} |")
        lines.append("")
    return "\n".join(lines)


def record_types() -> list[type]:
    """The record classes of each module, in the order of their definition."""
    return [
        kind
        for module in (records, machine, observed, roofline, profiles)
        for kind in vars(module).values()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
        if kind.__module__ == module.__name__
    ]


def reference() -> str:
    """A section for each record: what it is, and a table of its fields."""
    sections = []
    for kind in record_types():
        rows = ["| field | type | default |", "| --- | --- | --- |"]
        rows += [
            f"| `{one.name}` | `{_cell(str(one.type))}` | {_default(one)} |"
            for one in dataclasses.fields(kind)
        ]
        sections += [f"## {kind.__name__}\n", inspect.cleandoc(kind.__doc__ or "") + "\n"]
        sections += ["\n".join(rows) + "\n", *_derived(kind)]
    return "\n".join(sections)


def _derived(kind: type) -> Iterator[str]:
    found = {n: p for n, p in vars(kind).items() if isinstance(p, property)}
    if found:
        yield "Computed from the fields:\n"
        yield "\n".join(
            f"- `{name}`: {_sentence(prop.__doc__ or '')}" for name, prop in found.items()
        )
        yield ""


def _default(one: dataclasses.Field[Any]) -> str:
    if not one.init:
        return "derived"
    if one.default is not dataclasses.MISSING:
        return f"`{one.default!r}`"
    if one.default_factory is not dataclasses.MISSING:
        return f"`{one.default_factory()!r}`"
    return "required"


def words_of_values() -> str:
    """The values that a status, a verdict and a proof may have, and every exit code."""
    lines = [
        f"- {name}: " + ", ".join(f"`{word}`" for word in get_args(kind))
        for name, kind in (
            ("`Status` of a case", records.Status),
            ("`VerdictWord` of a verdict", records.VerdictWord),
            ("`ProofStatus` of a proof", records.ProofStatus),
        )
    ]
    lines += ["- `Exit`: " + ", ".join(f"`{e.value}` {e.name.lower()}" for e in records.Exit)]
    return "\n".join(lines)


def ratios() -> str:
    """The ratios of the stored run as a table: a row per model and pair, a column per phase."""
    run = codec.decode_run(gzip.decompress(PUBLIC_RUN.read_bytes()))
    verdicts = {
        (result.matchup.model, result.matchup.phase, v.a, v.b): v
        for result in run.matchups
        for v in result.verdicts
    }
    models = sorted({result.matchup.model for result in run.matchups})
    rows = ["| model | pair | " + " | ".join(f"`{p}`" for p in PHASES) + " |"]
    rows.append("| --- | --- |" + " --- |" * len(PHASES))
    for model in models:
        for (a, b), name in zip(PAIRS, ("plain", "compiled"), strict=True):
            cells = (_ratio(verdicts[model, phase, a, b]) for phase in PHASES)
            rows.append(f"| `{model}` | {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _ratio(verdict: records.Verdict) -> str:
    """A ratio with its interval, bold where there is a call by the rule as it is today."""
    if verdict.ratio is None or verdict.ci95 is None:
        return "no interval"
    low, high = verdict.ci95
    value = f"{verdict.ratio:.2f}"
    found = statistics.Estimate(verdict.ratio, verdict.ci95, verdict.launches, verdict.freedom)
    word, _ = statistics.judge(found, verdict.margin)
    called = value if verdict.busy or word == "no call" else f"**{value}**"
    return f"{called} [{low:.2f}–{high:.2f}]"


PARTS: dict[str, Callable[[], str]] = {
    "options": options,
    "reference": reference,
    "values": words_of_values,
    "models": models,
    "ratios": lambda: f":::{{container}} ratios\n\n{ratios()}\n\n:::",
}


def fill(page: str) -> str:
    """A page with every generated part in its place.

    Raises:
        KeyError: the page names a part that does not exist.
    """
    return _MARK.sub(lambda found: PARTS[found.group(1)](), page)


if __name__ == "__main__":
    RUN_SCHEMA.write_text(json.dumps(codec.schema(), indent=1) + "\n")
