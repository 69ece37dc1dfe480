"""The readers of what lies in a store of runs: runs, journal, index, marks, caches and locks."""

from __future__ import annotations

import contextlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.machine import environment
from benchmarks.machine.locks import DeviceLock, Locked
from benchmarks.measure import session
from benchmarks.measure.calibration import ceilings, floor
from benchmarks.request.selection import Selection
from benchmarks.results import statistics
from benchmarks.results.machine import Ceiling
from benchmarks.results.records import Exit
from benchmarks.results.stored import journal
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.journal import Journal, JournalError
from reports import __main__ as reports
from reports.runs import baselines, store
from reports.runs.load import LoadError, NoRunError, cases_frame, load_run
from tests import report_series
from tests.fuzz import inputs, samples
from tests.fuzz.inputs import Inputs
from tests.fuzz.reader import Reader, documented
from tests.pipeline import MODELS

Started = tuple[Inputs, Callable[[bytes], object]]
GIVEN = Selection(models_dir=MODELS)
CHOSEN = Selection(stacks=("null-a",))
COMMANDS = (
    ("history", report_series.CASE_A, report_series.RATIO),
    ("check", "x", "--no-rerun"),
    ("compare", report_series.run(1).run_id, "x"),
    ("compare", "x", "x"),
)
BUILD = ("build", "x")
FINE = {*Exit} - {Exit.INTERRUPTED}


def _runs(folder: Path, make: Callable[[dict[str, Any]], dict[str, Any]]) -> Started:
    out = folder / "store"
    file = out / "x" / "run.json"
    file.parent.mkdir(parents=True)

    def read(data: bytes) -> None:
        file.write_bytes(data)
        (out / store.INDEX).unlink(missing_ok=True)
        with documented(LoadError):
            cases_frame(load_run(file))
        with documented(NoRunError):
            _points(store.read(out))

    return inputs.documents(*map(make, samples.runs())), read


def run(folder: Path) -> Started:
    """run.json as it is written now."""
    return _runs(folder, lambda one: one)


def run_of_schema_1(folder: Path) -> Started:
    """run.json as the first version wrote it."""
    return _runs(folder, samples.of_schema_1)


def _points(found: store.Stored) -> None:
    for entry in found.entries:
        for key in (*entry.cases, *entry.ratios):
            point = store.point(entry, key)
            assert point is not None
            assert point.value is None or math.isfinite(point.value)


def _commands(folder: Path, every: tuple[tuple[str, ...], ...]) -> Started:
    """Two sound runs, and one that is changed, as the commands of ``reports`` read them."""
    out = report_series.store(folder / "store", report_series.run(1), report_series.run(2))
    file = out / "x" / "run.json"
    file.parent.mkdir()

    def read(data: bytes) -> None:
        file.write_bytes(data)
        for written in (store.INDEX, baselines.CHECKS):
            (out / written).unlink(missing_ok=True)
        for words in every:
            place = () if words is BUILD else ("--out", str(out))
            named = (words[0], str(file.parent)) if words is BUILD else words
            text = io.StringIO()
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                code = reports.main([*named, *place])
            assert code in FINE, f"{' '.join(words)}: exit {code}: {text.getvalue()[-500:]}"

    third = to_json(report_series.run(3))
    return inputs.documents(third), read


def commands(folder: Path) -> Started:
    """``history``, ``check`` and ``compare`` on a store with a hostile run."""
    return _commands(folder, COMMANDS)


def page(folder: Path) -> Started:
    """``reports build`` on a hostile run."""
    return _commands(folder, (BUILD,))


def log(folder: Path) -> Started:
    """The journal, as it is read and as it is taken up, beside a quarantine of any bytes."""
    path = folder / "journal.ndjson"
    bad = path.with_name(f"{path.name}.bad")

    def read(data: bytes) -> None:
        path.write_bytes(data)
        bad.write_bytes(data[::-1][:50])
        with documented(JournalError):
            entries, damaged = journal.read(path)
            Journal.resume(path).close()
            assert journal.read(path) == (entries, 0)
            assert bad.read_bytes().startswith(data[::-1][:50])
            assert damaged or path.read_bytes() == data

    return inputs.lines(samples.entries(), seal=inputs.sealed), read


def resumed(folder: Path) -> Started:
    """The journal, as ``run --resume`` takes a run up."""
    path = folder / "store" / "r" / session.JOURNAL
    path.parent.mkdir(parents=True)
    here = environment.describe(threads=environment.usable_cores())  # which takes its time
    errors = session.usage_errors()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with mock.patch.object(environment, "describe", return_value=here), documented(*errors):
            session.reopen(folder / "store", "r", GIVEN)

    sound = samples.entries()
    read(b"".join(inputs.sealed(inputs.dumped(one)) + b"\n" for one in sound))
    return inputs.lines(sound, seal=inputs.sealed), read


def index(folder: Path) -> Started:
    """The index beside the runs: whatever it holds, the runs are told of."""
    out = report_series.store(folder / "store", report_series.run(1), report_series.run(2))
    store.read(out)
    path = out / store.INDEX
    lines = [json.loads(line) for line in path.read_bytes().splitlines() if line]
    for one in lines:
        del one["sum"]

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = store.read(out)
        assert len(found.entries) == len(lines)
        _points(found)

    return inputs.lines(lines, seal=inputs.sealed), read


def marks(folder: Path) -> Started:
    """What was said of runs."""
    path = folder / baselines.CHECKS

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with documented(OSError):
            found = baselines.marks(folder)
            assert all(isinstance(one, str) for pair in found.items() for one in pair)

    sound = [{"run_id": f"r{i}", "verdict": "accepted", "at": "2026-01-01"} for i in range(3)]
    return inputs.lines(sound, seal=lambda line: line), read


def floors(folder: Path) -> Started:
    """The A/A floor that is kept."""
    path = floor._file(folder, CHOSEN)
    path.parent.mkdir()

    def read(data: bytes) -> None:
        path.write_bytes(data)
        with mock.patch.object(floor, "_file", return_value=path):  # to name it takes longer
            found = floor.lookup(folder, CHOSEN)
        if found is not None:
            assert found.value is not None
            assert found.value >= 0
            assert math.isfinite(statistics.margin(found.value))

    shown = {"date": "2026-11-27", "logs": [0.01, 0.002, 0.03]}
    return inputs.documents({"a": shown, "b": shown}), read


def peaks(folder: Path) -> Started:
    """The ceilings that are kept."""
    path = folder / "ceiling.json"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = ceilings._read(path)
        if found is not None:
            for one in (found.flops_per_s, found.bytes_per_s):
                assert one is not None
                assert math.isfinite(one)
                assert one > 0

    return inputs.documents(to_json(Ceiling(flops_per_s=1e11, bytes_per_s=1e10))), read


def lock(folder: Path) -> Started:
    """The file of a lock that is held: who holds it is told, or not known."""
    holder = DeviceLock("cpu", folder).__enter__()

    def read(data: bytes) -> None:
        holder.path.write_bytes(data)
        with documented(Locked):
            with DeviceLock("cpu", folder):
                pass
            raise AssertionError("a lock that is held was taken")

    return inputs.files(b"1", b"4194304", b"99999999999999999999"), read


READERS = (
    Reader(name="run.json", start=run, share=11_000),
    Reader(name="run.json, schema 1", start=run_of_schema_1, share=8_000),
    Reader(name="run.json, by history, check, compare", start=commands, share=1_200),
    Reader(name="run.json, by build", start=page, share=100),
    Reader(name="journal and quarantine", start=log, share=8_000),
    Reader(name="journal, by --resume", start=resumed, share=2_000),
    Reader(name="index", start=index, share=10_000),
    Reader(name="marks", start=marks, share=6_000),
    Reader(name="A/A floor", start=floors, share=6_000),
    Reader(name="ceilings", start=peaks, share=4_000),
    Reader(name="lock", start=lock, share=2_000),
)
