"""The command line of the reports: parses, calls, prints; no logic."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from reports.load import LoadError, NoRunError, latest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE, NOTHING = 2, 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for what cannot be done, 5 where there is no run."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(argv)
    action: Callable[[argparse.Namespace], int] = options.action
    try:
        return action(options)
    except NoRunError as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return NOTHING
    except (LoadError, OSError) as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return USAGE


def _add_build(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "write report.html, report.md, cases.csv and the pictures into the folder of a run"
    parser = commands.add_parser("build", help=about, description=about)
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run folder, a run.json(.gz), or a run id below DIR (default: the latest run)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="the folder that holds run folders (default: %(default)s)",
    )
    parser.set_defaults(action=_build)


def _build(options: argparse.Namespace) -> int:
    from reports.build import build  # imports matplotlib: not needed for --help

    print(build(find(options.run, options.out)))
    return 0


def find(run: str | None, out: Path) -> Path:
    """The run a user named: by path, by id below ``out``, or the latest."""
    if run is None:
        return latest(out)
    below = out / run
    return below if below.exists() and not Path(run).exists() else Path(run)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


COMMANDS = (_add_build,)

if __name__ == "__main__":
    sys.exit(main())
