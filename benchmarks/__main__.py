"""The command line: parses and calls. Text goes to stderr, data to stdout."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import frameworks, terminal
from benchmarks.audit import command as audits
from benchmarks.audit.rows import Row
from benchmarks.machine import environment, locks, names
from benchmarks.measure import progress, session
from benchmarks.measure.calibration import detection, floor, side
from benchmarks.measure.means import Means
from benchmarks.measure.run import MEANS, carry_out
from benchmarks.pair import command as pairs
from benchmarks.pair.files import prove
from benchmarks.proof.verification import Verified, verified
from benchmarks.request import discovery, options, plan
from benchmarks.request.selection import DEVICES
from benchmarks.results import wording
from benchmarks.results.records import Exit, Parity, Run, Stack
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import to_json
from benchmarks.tasks.data import sets
from benchmarks.tasks.stored import CANONICAL
from benchmarks.why._shared.of_runs import PROFILER
from profilers import inventory


def main(arguments: Sequence[str] | None = None, means: Means = MEANS) -> int:
    """Run one command and return its exit code; ``means`` is what a run is carried out with."""
    parser = terminal.Parser(
        prog="python -m benchmarks",
        description="PyTorch or Keras/TensorFlow: which runs this model faster here, and how sure.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (function, flags, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        for group in flags:
            options.add(group, command.add_argument)
        command.add_argument("--json", action="store_true", help="one JSON document on stdout")
        command.set_defaults(function=function, means=means)

    with terminal.ending() as ending:
        asked = parser.parse_args(arguments)
        ending.code = int(asked.function(asked, terminal.console()))
    return ending.code


def run(asked: argparse.Namespace, console: Console) -> int:
    """Measure, and build the report."""
    options.check_resume(terminal.value_of(asked))
    if asked.resume:
        given = options.selection(terminal.value_of(asked))
        prepared = session.reopen(asked.out, asked.resume, given)
    else:
        made = session.check(plan.make(options.selection(terminal.value_of(asked))))
        prepared = session.prepare(session.require_able(made), asked.out)
    with _resumable(prepared):
        done = carry_out(prepared, progress.Telling(console), PROFILER, asked.means)
    _show(done, prepared, console, asked.means)
    if asked.json:
        print(json.dumps(to_json(done), allow_nan=False))
    return done.exit


@contextmanager
def _resumable(prepared: session.Prepared) -> Iterator[None]:
    """A file that cannot be written ends a run, which may go on once that is mended."""
    try:
        yield
    except locks.Locked:
        raise
    except journal.JournalError as error:
        if not prepared.folder.exists():  # it was not begun
            raise
        raise terminal.UnfinishedError(f"{error}; go on with: {prepared.resume_command}") from error


def _show(done: Run, prepared: session.Prepared, console: Console, means: Means) -> None:
    """Build the report, and end with the table and what to do next."""
    page = means.report(prepared.folder)
    console.print(*progress.summary(done, console), sep="\n")
    if done.exit == Exit.INTERRUPTED:
        console.print(f"interrupted; go on with: {prepared.resume_command}", soft_wrap=True)
    console.print(f"report: {page or 'could not be built'}", highlight=False, soft_wrap=True)


def verify(asked: argparse.Namespace, console: Console) -> int:
    """Prove the twins of each model identical, in float64 and then as they would be timed."""
    chosen = options.selection(terminal.value_of(asked))
    every = discovery.names("models", chosen.models_dir)
    made = plan.make(
        replace(
            chosen,
            models=chosen.models or every,
            phases=("forward",),
            stacks=chosen.stacks or tuple(map(str, discovery.plain_stacks())),
        )
    )
    failed, proofs, seconds, kept = False, dict[str, Parity](), dict[str, float](), list[str]()
    cores, start = environment.usable_cores(), asked.means.start
    for one in verified(made, cores, start, store=asked.out, again=asked.again):
        failed = failed or bool(one.error or one.failures)
        for line in _verified_lines(one):
            console.print(wording.plain(line), soft_wrap=True)
        if one.parity:
            proofs[one.name], seconds[one.name] = one.parity, one.seconds
        kept += [one.since] if one.since else []
    if table := progress.proof_table(proofs, seconds):
        console.print(table)
    if kept:
        many, since = wording.plural(len(kept), "verification"), min(kept)
        console.print(f"{many} kept, since {since}; --again makes them anew", highlight=False)
    rows = [
        {"model": model, "adapter": adapter, "parity": to_json(found)}
        for model, found in proofs.items()
        for adapter in found.adapters
    ]
    text = json.dumps(names.hidden(rows, options.words(chosen)), allow_nan=False)
    journal.store(asked.out / "verify.json", text + "\n")
    if asked.json:
        print(text)
    if not proofs and not failed:
        console.print("no installed framework has a twin of what was selected", highlight=False)
        return Exit.NOTHING
    refused = any(p.status == "failed" or not all(c.ok for c in p.timed) for p in proofs.values())
    return Exit.PARITY if refused else Exit.INCOMPLETE if failed else Exit.OK


def _verified_lines(one: Verified) -> list[str]:
    """What is told of a model: its proof, or why there is none, and what could not be checked."""
    if one.error or one.parity is None:
        return [f"{one.name}: {one.error.status}: {one.error.reason}"] if one.error else []
    failures = [f"  {name}: {e.status}: {e.reason}" for name, e in one.failures.items()]
    return [*wording.proof_lines(one.name, one.parity), *failures]


def pair(asked: argparse.Namespace, console: Console) -> int:
    """Prove two files of anybody's one function and time them, or say where and why they part."""
    one = pairs.asked_for(asked)
    kept = pairs.place(asked, one) / CANONICAL if asked.save or not asked.prove_only else None
    proof = prove(one, kept)
    for line in pairs.told(proof):
        console.print(wording.plain(line), soft_wrap=True)
    code: int = pairs.code(proof)
    run_id: str | None = None
    if asked.save or not asked.prove_only:
        chosen = pairs.selection(asked, one)
        if code == Exit.OK and not asked.prove_only:
            made = session.require_able(session.check(plan.make(chosen)))
            prepared = session.prepare(made, asked.out)
            run_id = prepared.folder.name
            with _resumable(prepared):
                done = carry_out(prepared, progress.Telling(console), PROFILER, asked.means)
            _show(done, prepared, console, asked.means)
            code = done.exit
    if asked.json:
        print(json.dumps(proof.document() | {"run": run_id}, allow_nan=False))
    return code


def audit(asked: argparse.Namespace, console: Console) -> int:
    """Check that models are reproducible, on each stack and across frameworks; time nothing."""
    value_of = terminal.value_of(asked)
    options.check_resume(value_of)
    given = audits.given(value_of)
    prepared = (
        audits.reopen(given, asked.out, asked.resume)
        if asked.resume
        else audits.prepare(given, asked.out)
    )
    session.require_able(prepared.plan)

    def tell(rows: list[Row]) -> None:
        for row in rows:
            console.print(wording.plain(audits.line(row)), soft_wrap=True)

    try:
        with locks.DeviceLock(prepared.lock):
            found = audits.carry_out(prepared, tell, asked.means.start)
    except KeyboardInterrupt:
        console.print(f"interrupted; go on with: {prepared.resume_command}", soft_wrap=True)
        raise
    rows: list[Row] = found["rows"]
    document = json.dumps(found | {"rows": [to_json(row) for row in rows]}, allow_nan=False)
    journal.store(prepared.folder / audits.SUMMARY, document + "\n")
    console.print(audits.table(rows))
    console.print(audits.pictures_line(prepared, found["accuracy"]), soft_wrap=True)
    console.print(f"report: {audits.page(prepared.folder) or 'could not be built'}", soft_wrap=True)
    if asked.json:
        print(document)
    return audits.code(rows)


def new(asked: argparse.Namespace, console: Console) -> int:
    """Write the folder of a model that is proven as it stands, to be changed."""
    folder = discovery.create(asked.name, asked.models_dir or DEFAULT_MODELS)
    words = f"--models-dir {folder.parent} --models {folder.name}"
    console.print(f"{folder}: torch.py and keras.py are one model", soft_wrap=True)
    console.print(f"prove it with: python -m benchmarks verify {words}", soft_wrap=True)
    if asked.json:
        print(json.dumps({"folder": str(folder)}))
    return Exit.OK


def selftest(asked: argparse.Namespace, console: Console) -> int:
    """Measure stacks against themselves and against slowed copies of them; keep the A/A floor.

    They are judged as a run would judge them: by the floor that the machine had shown before.
    """
    made = session.check(plan.make(options.selection(terminal.value_of(asked))))
    stacks = made.selection.stacks or tuple(map(str, discovery.plain_stacks()))
    known = floor.lookup(asked.out, made.selection)
    runs = [
        side.measured(
            floor.selection(made.selection, [Stack.parse(name)], asked.inject),
            asked.out / floor.FOLDER,
            progress.Telling(console),
            asked.means,
            known,
        )
        for name in stacks
        if not made.unsupported.get(name)
    ]
    if not runs:
        console.print("none of these stacks can run here")
        return Exit.NOTHING
    found = detection.summarise(runs, asked.inject)
    stored = floor.store(asked.out, made.selection, runs)
    console.print(detection.table(found))
    console.print(f"A/A floor: {stored.how}", soft_wrap=True)
    if asked.json:
        print(json.dumps(to_json(found) | {"floor": to_json(stored)}, allow_nan=False))
    broken = [r.exit for r in runs if r.exit]
    return Exit.PARITY if found.called else broken[0] if broken else Exit.OK


def listing(asked: argparse.Namespace, console: Console) -> int:
    """Show what there is, and what would be skipped here and why."""
    families = {f: {n: _title(n) for n in ns} for f, ns in discovery.families().items()}
    found = {
        "models": {
            n: OWN if discovery.users(n, asked.models_dir) else _title(n)
            for n in discovery.names("models", asked.models_dir)
        },
        "phases": {
            n: _first_line(discovery.load("phases", n).__doc__) for n in discovery.names("phases")
        },
        "stacks": {
            str(s): _missing(s) or ("default" if s in discovery.default_stacks() else "on request")
            for s in discovery.stacks()
        },
        "devices": {d: _device(d) for d in DEVICES},
        "data": {n: reason or "found" for n, reason in sets.available(asked.data_dir).items()},
    }
    if asked.json:
        print(json.dumps(found | {"families": families}, allow_nan=False))
        return 0
    found |= {f"family:{name}": rows for name, rows in families.items()}
    for kind, rows in found.items():
        table = _table(kind, "")
        for name, text in rows.items():
            table.add_row(name, text)
        console.print(table)
    return 0


def _title(model: str) -> str:
    return discovery.task(model).title


def _missing(stack: Stack) -> str | None:
    """Why a stack cannot run here, and how to get what it needs."""
    reason = discovery.unsupported(stack, "cpu")
    needs = frameworks.facts(stack.framework).needs
    return reason and f"{reason}: pip install {' '.join(need.names[0] for need in needs)}"


def doctor(asked: argparse.Namespace, console: Console) -> int:
    """Show the machine, what is unequal or noisy here, and how to mend it."""
    machine = to_json(environment.describe(threads=environment.usable_cores()))
    noise, watchable = environment.noise(), inventory.take()
    if asked.json:
        print(
            json.dumps(
                {"machine": machine, "noise": noise, "telemetry": watchable}, allow_nan=False
            )
        )
        return 0
    facts = _table("machine", "")
    for key, value in machine.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items() if v)  # noqa: PLW2901 - shown form
        facts.add_row(key, str(value))
    console.print(facts)
    checks = _table("check", "state", "detail", "how to mend it")
    for row in noise:
        checks.add_row(
            row["check"], row["state"], row["detail"], row["fix"] if row["state"] != "ok" else ""
        )
    console.print(checks)
    metrics = _table("telemetry", "", "meaning")
    reason = None
    for each in watchable:
        value = "available" if each["value"] is None else f"{each['value']:,.10g}"
        words = "the same" if each["reason"] and each["reason"] == reason else each["reason"]
        metrics.add_row(each["metric"], words or value, each["note"] or each["meaning"])
        reason = each["reason"]
    console.print(metrics)
    return 0


def _device(device: str) -> str:
    reasons = {discovery.unsupported(s, device) for s in discovery.default_stacks()}
    return "ready" if None in reasons else next(iter(filter(None, reasons)))


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


OWN = "of your own"
"""What is listed of a model whose folder is not imported to be listed."""
_DIRS = {flag: options.SELECTION[flag] for flag in ("--models-dir", "--data-dir")}
_PROOF = {
    f: k
    for f, k in options.SELECTION.items()
    if f
    in {
        *("--models", "--stacks", "--precision", "--seed", "--timeout", "--equalize"),
        *("--size", "--batch"),
        *("--models-dir", "--env"),
    }
}
_AGAIN = {
    "--again": {
        "action": "store_true",
        "help": "prove anew what was proven before, though nothing that it rests on has changed",
    }
}
_SELFTEST = {
    f: k
    for f, k in options.SELECTION.items()
    if f
    not in {
        "--python",
        "--shard",
        "--precision",
        "--only",
        # What is compared with itself needs no why.
        "--profile",
        "--no-telemetry",
        # A floor is kept for its effort, and must be made with that effort's launches.
        "--launches",
        "--until-ci",
        "--budget",
    }
} | {
    "--inject": {
        "type": detection.shares,
        "default": detection.INJECTED,
        "metavar": "P,P",
        "help": "per cent by which copies are slowed (default: 1,2,5,10)",
    }
}
DEFAULT_MODELS = Path("models")
_NEW = {
    "--models-dir": options.SELECTION["--models-dir"]
    | {"help": f"the folder that holds your models (default: {DEFAULT_MODELS})"}
}
COMMANDS: dict[
    str, tuple[Callable[[argparse.Namespace, Console], int], tuple[dict[str, Any], ...], str]
] = {
    "list": (
        listing,
        (_DIRS,),
        "show models, phases, stacks, devices, and what would be skipped and why",
    ),
    "run": (
        run,
        (options.SELECTION, options.PLACE),
        "prove the twins identical, time them, write the report",
    ),
    "verify": (
        verify,
        (_PROOF, _AGAIN, {"--out": options.PLACE["--out"]}),
        "prove the twins identical in float64, then check each as timed; time nothing",
    ),
    "pair": (
        pair,
        (pairs.FLAGS, pairs.TIMED, {"--out": options.PLACE["--out"]}),
        "run two files: prove a PyTorch module and a Keras model identical and time them",
    ),
    "audit": (
        audit,
        (audits.FLAGS, options.PLACE),
        "check that models are reproducible, on each stack and across frameworks; time nothing",
    ),
    "new": (
        new,
        ({"name": {"metavar": "NAME", "help": "of the model"}}, _NEW),
        "write the folder of a model of your own, which is proven as it stands",
    ),
    "selftest": (
        selftest,
        (_SELFTEST, {"--out": options.PLACE["--out"]}),
        "time stacks against themselves and against slowed copies; keep the A/A floor",
    ),
    "doctor": (doctor, ({},), "show the machine, what is noisy on it, and how to mend it"),
}

if __name__ == "__main__":
    sys.exit(main())
