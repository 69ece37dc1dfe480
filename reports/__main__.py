"""The command line of the reports: parses, calls, prints; no logic."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import printable, unexpected, wording
from benchmarks.results.records import Exit
from reports.contents import text
from reports.runs.load import EditedError, LoadError, NoRunError, find, latest, load_run, unedited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import RenderableType

    from benchmarks.results.records import Run
    from reports.runs.store import Entry

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  no other name

AGAIN = (
    ("--models-dir", "DIR", "a folder with models of your own, where the run was made with one"),
    ("--data-dir", "DIR", "where its data lie, where the run was made with that"),
    ("--python", "NAME=INTERPRETER", "an environment that it was made with"),
    ("--env", "NAME", "a variable that its workers got"),
)
"""What a stored run does not decide: flag, value and help. Each is given again to ``check``."""
PIPED_WIDTH = 160  # of a table that goes into a file: folded less than at the usual 80


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is one of ``Exit``."""
    printable.fall_back()
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
        return Exit.NOTHING
    except EditedError as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return Exit.PARITY
    except (LoadError, OSError) as error:
        print(f"error: {_line(error)}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:
        print(unexpected.told(error), file=sys.stderr)
        return unexpected.CODE


def _add_build(commands: _Commands) -> None:
    about = "write report.html, report.md, cases.csv and the pictures into the folder of a run"
    parser = _command(commands, "build", about, _build)
    parser.add_argument(
        "run",
        nargs="?",
        metavar="RUN",
        help="a run folder, a run.json(.gz), or a run id below DIR (default: the latest run)",
    )


def _build(options: argparse.Namespace) -> int:
    from reports.pages.build import build  # imports matplotlib: not needed for --help

    folder = find(options.run, options.out) if options.run else latest(options.out)
    print(build(folder, _loaded(folder, options)))
    return Exit.OK


def _add_history(commands: _Commands) -> None:
    about = "show a case or a ratio over the stored runs, with change points and new versions"
    parser = _command(commands, "history", about, _history)
    parser.add_argument(
        "names",
        nargs="+",
        metavar="ID",
        help="a case; or a matchup and two stacks, for their ratio",
    )
    parser.add_argument("--fingerprint", metavar="F", help="a machine (default: the newest run's)")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw it as well")
    _json_flag(parser)


def _history(options: argparse.Namespace) -> int:
    from benchmarks.results.stored.codec import to_json
    from reports.runs.store import read
    from reports.trends import tables
    from reports.trends.history import history

    entries, skipped = read(options.out)
    _warn(skipped)
    _strictly(entries, options)
    found = history(entries, options.names, options.fingerprint)
    if options.png:
        from reports.trends.timeline import draw

        draw(found, options.png)
    _show({"schema": 1, **to_json(found)} if options.json else tables.history(found))
    return Exit.OK


def _add_compare(commands: _Commands) -> None:
    about = "show what changed between two runs of one machine"
    parser = _command(commands, "compare", about, _compare)
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a run: its folder, file or id")
    _margin_flag(parser, None, "2%%, or the larger A/A floor")
    _json_flag(parser)


def _compare(options: argparse.Namespace) -> int:
    from reports.trends import tables
    from reports.trends.compare import as_json, compare

    a, b = (_loaded(find(name, options.out), options) for name in (options.a, options.b))
    done = compare(a, b, options.margin)
    _show(as_json(done) if options.json else tables.comparison(done))
    return Exit.OK


def _add_check(commands: _Commands) -> None:
    about = "fail if a run is slower than a baseline, after a second look at what is flagged"
    parser = _command(commands, "check", about, _check)
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run (default: the newest)")
    parser.add_argument(
        "--baseline",
        default="latest-ok",
        metavar="RUN",
        help="a run, or latest-ok: the newest before with nothing against it (default)",
    )
    _margin_flag(parser, 0.05, "5%%")
    parser.add_argument("--no-rerun", action="store_true", help="judge by the run alone")
    for flag, metavar, about_it in AGAIN:
        parser.add_argument(flag, action="append", metavar=metavar, help=about_it)
    parser.add_argument("--allow-missing", action="store_true", help="cases may vanish")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="compare nothing: take the run as a baseline, whatever was said of it",
    )
    _json_flag(parser)


def _check(options: argparse.Namespace) -> int:
    from reports.runs import baselines, store
    from reports.trends import check, tables

    if options.strict:
        _strictly(store.read(options.out).entries, options)
    if options.accept:
        run_id = baselines.accept(options.out, options.run)
        print(f"accepted as a baseline: {run_id}", file=sys.stderr)
        return Exit.OK
    given = {flag: vars(options)[flag[2:].replace("-", "_")] or [] for flag in check.AGAIN}
    try:
        done, skipped = check.gate(
            options.out,
            options.run,
            options.baseline,
            options.margin,
            allow_missing=options.allow_missing,
            remeasure=None if options.no_rerun else partial(check.measure_again, given=given),
        )
    except check.RemeasureError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit
    _warn(skipped)
    _show(check.as_json(done) if options.json else tables.check(done))
    return done.exit


def _add_audit(commands: _Commands) -> None:
    parser = _command(commands, "audit", "build the page of an audit again", _audit)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the audit")


def _audit(options: argparse.Namespace) -> int:
    from reports.archives import audit

    _show((f"page: {audit.write(options.folder)}",))
    return Exit.OK


def _add_archive(commands: _Commands) -> None:
    about = "score stored predictions of pretrained models again, without their images"
    parser = _command(commands, "archive", about, _archive)
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="holds <model>_<platform>_<dataset>_top5preds.npy and …_top5probs.npy",
    )
    parser.add_argument(
        "--labels",
        action="append",
        default=[],
        metavar="DATASET=FILE",
        help="the class of each image, one per line or as .npy (default: 50 images of each"
        " class in order, which is how the 50,000 of imagenet stand)",
    )
    _json_flag(parser)


def _archive(options: argparse.Namespace) -> int:
    from reports.archives.archive import as_json, read
    from reports.archives.load import ArchiveError
    from reports.archives.write import as_text, write

    labels: dict[str, Path] = {}
    for given in options.labels:
        dataset, equals, file = given.partition("=")
        if not (dataset and equals and file):
            raise ArchiveError(f"--labels {given}: write DATASET=FILE")
        labels[dataset] = Path(file)
    found = read(options.folder, labels)
    page = write(found, options.out / "archives" / found.name)
    _show(as_json(found) if options.json else (*as_text(found), f"page: {page}"))
    return Exit.OK if found.scored else Exit.NOTHING


def _command(
    commands: _Commands, name: str, about: str, action: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="the folder that holds run folders (default: %(default)s)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit 4 where a run that is read was edited"
    )
    parser.set_defaults(action=action)
    return parser


def _loaded(path: Path, options: argparse.Namespace) -> Run:
    """A run; a line says so where it was edited.

    Raises:
        EditedError: it was, and the command is strict.
    """
    run = load_run(path)
    if options.strict:
        unedited(run)
    _warn([wording.edited(run.run_id)] if run.edited else [])
    return run


def _strictly(entries: Iterable[Entry], options: argparse.Namespace) -> None:
    """Let every entry be, or those that were not edited where the command is strict.

    Raises:
        EditedError: it is, and one was; the first is named.
    """
    for entry in entries if options.strict else ():
        unedited(entry)


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def _margin_flag(parser: argparse.ArgumentParser, default: float | None, words: str) -> None:
    parser.add_argument(
        "--margin",
        type=_fraction,
        default=default,
        metavar="M",
        help=f"what an interval must clear, as 5%% or 0.05 (default: {words})",
    )


def _fraction(written: str) -> float:
    try:
        number = float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{written!r} is no margin: write 5% or 0.05")
    return number


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"warning: {_line(line)}", file=sys.stderr)


def _show(document: dict[str, Any] | tuple[RenderableType, ...]) -> None:
    """Names are shown as they are: neither markup nor emoji."""
    if isinstance(document, dict):
        print(json.dumps(document, allow_nan=False))
        return
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    console = Console(markup=False, emoji=False, highlight=False, width=width)
    for part in document:
        console.print(part, soft_wrap=isinstance(part, str))


def _line(words: object) -> str:
    return " ".join(text.clean(str(words)).split())


COMMANDS = (_add_build, _add_history, _add_compare, _add_check, _add_archive, _add_audit)

if __name__ == "__main__":
    sys.exit(main())
