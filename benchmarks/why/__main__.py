"""The command line of the profilers: parses and calls."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmarks import terminal
from benchmarks.request import options
from benchmarks.why._shared.command import Command
from benchmarks.why._shared.subjects import subject

FLAGS = (
    "--stacks",
    "--device",
    "--precision",
    "--policy",
    "--batch",
    "--effort",
    "--seed",
    "--timeout",
    "--models-dir",
    "--data",
    "--data-dir",
    "--env",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = terminal.Parser(
        prog="python -m profilers",
        description="Why a model takes the time it takes, and what it needs beside time.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _names():
        module = _load(name)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        command.add_argument("model", metavar="MODEL")
        command.add_argument("phase", metavar="PHASE")
        options.add({flag: options.SELECTION[flag] for flag in FLAGS}, command.add_argument)
        command.add_argument("--out", **options.PLACE["--out"])
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
        module.arguments(command)

    with terminal.ending() as ending:
        asked = parser.parse_args(arguments)
        asked.models, asked.phases = (asked.model,), (asked.phase,)
        chosen = subject(options.selection(terminal.value_of(asked)))
        ending.code = _load(asked.command).main(chosen, asked, terminal.console())
    return ending.code


def _names() -> tuple[str, ...]:
    found = {path.stem for path in Path(__file__).parent.glob("*.py")}
    return tuple(sorted(name for name in found if not name.startswith("_")))


def _load(name: str) -> Command:
    return cast("Command", importlib.import_module(f"benchmarks.why.{name}"))


if __name__ == "__main__":
    sys.exit(main())
