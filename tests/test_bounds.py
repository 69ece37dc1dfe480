"""What is read is bounded; an error is one line, and never has the code of a finding."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import terminal
from benchmarks.__main__ import main
from benchmarks.machine import environment
from benchmarks.machine.environment import ROOT
from benchmarks.measure.calibration import ceilings, floor
from benchmarks.request import options
from benchmarks.request.selection import Selection
from benchmarks.results import unexpected
from benchmarks.results.stored import files, journal
from benchmarks.results.stored.codec import to_json
from benchmarks.results.stored.journal import Journal
from benchmarks.tasks import stored
from benchmarks.tasks.data import idx
from benchmarks.tasks.task import TaskError
from reports import __main__ as reports
from reports.runs import baselines, store
from tests.pipeline import OURS
from tests.report_series import run
from tests.report_series import store as kept

MIB = 1 << 20
MOST_MIB, MOST_S = 500, 10
Capture = pytest.CaptureFixture[str]


def sealed(body: bytes) -> bytes:
    """A line as ours, but for what it says."""
    return body[:-1] + b',"sum":"%08x"}' % zlib.crc32(body) + b"\n"


def brackets(size: int) -> bytes:
    return b"[" + b"[]," * (size // 3) + b"0]"


def deep(size: int) -> bytes:
    return b"[" * (size // 2) + b"]" * (size // 2)


def numbers(size: int) -> bytes:
    return b"[" + b"1.5," * (size // 4) + b"0]"


def feeds(size: int) -> bytes:
    return b"\n" * size


def short(size: int) -> bytes:
    return b"{}\n" * (size // 3)


def plain(folder: Path, data: bytes) -> None:
    (folder / "x").mkdir()
    (folder / "x" / "run.json").write_bytes(data)


def packed(folder: Path, data: bytes) -> None:
    (folder / "x").mkdir()
    (folder / "x" / "run.json.gz").write_bytes(gzip.compress(data, 1))


def line(name: str) -> Callable[[Path, bytes], None]:
    def write(folder: Path, data: bytes) -> None:
        place = folder / name
        place.parent.mkdir(exist_ok=True)
        body = b'{"kind":"run","run_id":"x","verdict":"failed","format":3,"entry":%s}' % data
        place.write_bytes(sealed(body) + data + b"\n")

    return write


PLACES: dict[str, tuple[Callable[[Path, bytes], None], str]] = {
    "run": (plain, "load.load_run(out / 'x')"),
    "packed": (packed, "load.load_run(out / 'x')"),
    "journal": (line("journal.ndjson"), "journal.read(out / 'journal.ndjson')"),
    "index": (line(store.INDEX), "store.read(out)"),
    "marks": (line(baselines.CHECKS), "baselines.marks(out)"),
}
READ = """
import resource, sys, time
from pathlib import Path
from benchmarks.results.stored import journal
from reports.runs import baselines
from reports.runs import load
from reports.runs import store
out, began = Path(sys.argv[1]), time.process_time()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {call}
except (ValueError, OSError) as error:
    assert "\\n" not in str(error), error
    assert str(out) in str(error), error
else:
    print("read", end=" ")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, time.process_time() - began)
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("made", [brackets, deep, numbers, feeds, short])
def test_a_hostile_file_costs_little_memory_and_time(
    tmp_path: Path, place: str, made: Callable[[int], bytes]
) -> None:
    write, call = PLACES[place]
    write(tmp_path, made(files.MAX_BYTES // 2 - MIB))
    if place == "index":
        kept(tmp_path, run(1))
    done = subprocess.run(
        [sys.executable, "-c", READ.format(call=call), str(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-500:]
    *_, peak, seconds = done.stdout.split()
    assert float(peak) < MOST_MIB
    assert float(seconds) < MOST_S


@pytest.mark.parametrize("depth", [files.MAX_DEPTH + 2, 100_000])
def test_a_deep_line_is_a_damaged_one(tmp_path: Path, depth: int) -> None:
    data = deep(2 * depth)
    with pytest.raises(ValueError, match=r"^nested more than 64 levels deep$"):
        files.parse(data)
    (tmp_path / baselines.CHECKS).write_bytes(data + b"\n")
    assert baselines.marks(tmp_path) == {}


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(idx.MAX_BYTES + 1), 1))
    with pytest.raises(idx.DataError, match=r"ubyte\.gz: larger than 64 MiB"):
        idx.read_idx(path, 3)
    path.with_suffix("").write_bytes(bytes(idx.MAX_BYTES + 1))
    with pytest.raises(idx.DataError, match="ubyte: larger than 64 MiB"):
        idx.read_idx(path.with_suffix(""), 3)
    np.savez_compressed(tmp_path / "w.npz", kernel=np.zeros(40 * MIB, np.float32))
    assert (tmp_path / "w.npz").stat().st_size < MIB
    with pytest.raises(TaskError, match=r"w\.npz cannot be read: .*160 MiB"):
        stored.read(tmp_path / "w.npz")
    np.savez_compressed(tmp_path / "w.npz", kernel=np.zeros(1000))
    assert stored.read(tmp_path / "w.npz").keys() == {"kernel"}


@pytest.mark.parametrize("value", ["Infinity", "NaN", "-1.0", "1e999", '"x"', "[]"])
def test_a_stored_floor_that_is_none_is_made_anew(tmp_path: Path, value: str) -> None:
    chosen = Selection(stacks=("null-a",))
    path = floor._file(tmp_path, chosen)
    path.parent.mkdir()
    path.write_text(f'{{"run": {{"date": "2026-11-27", "logs": [{value}]}}}}')
    assert floor.lookup(tmp_path, chosen) is None
    path.write_text('{"run": {"date": "2026-11-27", "logs": [0.01]}}')
    assert floor.lookup(tmp_path, chosen) is not None
    found = path.with_name("ceiling.json")
    found.write_text(f'{{"flops_per_s": {value}, "bytes_per_s": 1.0}}')
    assert ceilings._read(found) is None


def test_a_stored_floor_that_would_mute_every_verdict_is_made_anew(tmp_path: Path) -> None:
    chosen = Selection(stacks=("null-a",))
    path = floor._file(tmp_path, chosen)
    path.parent.mkdir()
    for log, there in ((floor.FARTHEST, True), (floor.FARTHEST + 0.1, False)):
        path.write_text(f'{{"run": {{"date": "2026-11-27", "logs": [0.01, {log}]}}}}')
        assert (floor.lookup(tmp_path, chosen) is not None) == there


LINES: list[dict[str, Any]] = [
    {"kind": "run"},
    {"kind": "run", "selection": 3, "cases": [], "header": {}},
    {"kind": "end"},
    {
        "kind": "launch",
        "matchup": "tiny.forward.b4.float32.cpu",
        "launch": 0,
        "cases": {"null-a": {}},
    },
    {"kind": "launch", "launch": []},
    {"kind": "proof", "model": "tiny", "parity": []},
    {"kind": "failure", "matchup": "tiny.forward.b4.float32.cpu", "stack": "null-a"},
    {"kind": "settings", "stack": "null-a", "settings": 3},
]


@pytest.mark.parametrize("entry", LINES)
def test_a_sealed_line_that_is_not_ours_is_one_line(
    tmp_path: Path, entry: dict[str, Any], capsys: Capture
) -> None:
    folder = tmp_path / "results" / "20260101T000000Z-dead"
    folder.mkdir(parents=True)
    chosen = Selection(models=("tiny",), phases=("forward",), stacks=("null-a",))
    header = to_json(run(1, environment=environment.describe(), matchups=()))
    entry = {**entry}
    with Journal(folder / "journal.ndjson") as log:
        if entry["kind"] != "run":
            cases = ["tiny.forward.b4.float32.cpu.null-a"]
            log.append("run", selection=options.to_stored(chosen), cases=cases, header=header)
        log.append(entry.pop("kind"), **entry)
    assert main(["run", "--resume", *OURS, "--out", str(folder.parent)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "journal.ndjson: " in told


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"folder": 3},
        {"format": 3, "stamp": 1, "entry": {"folder": "x"}},
        {"format": 3, "entry": []},
        {"cases": {"a": {}}},
        {"ratios": {"a": {"ratio": 1.0, "verdict": "faster", "reason": None, "ci95": [1]}}},
        {"cases": {"a": {"status": "ok", "median_s": 1, "launches_s": "x", "canary_s": [0]}}},
    ],
)
def test_a_line_of_the_index_that_is_not_ours_does_no_harm(
    tmp_path: Path, entry: dict[str, Any], capsys: Capture
) -> None:
    out = kept(tmp_path, run(1), run(2))
    index = out / store.INDEX
    store.read(out)
    lines = index.read_bytes().splitlines()
    record = json.loads(lines[-1])
    del record["sum"]
    changed = (
        entry
        if entry.keys() & {"format"} or not entry
        else record | {"entry": record["entry"] | entry}
    )
    index.write_bytes(
        b"\n".join([*lines[:-1], sealed(json.dumps(changed, separators=(",", ":")).encode())])
    )
    assert len(store.read(out).entries) == 2
    for words in (["check", "--no-rerun"], ["history", "a"]):
        assert reports.main([*words, "--out", str(out)]) in {0, 2, 5}
    assert "Traceback" not in capsys.readouterr().err


def test_what_nobody_foresaw_is_no_regression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("two\nlines")

    monkeypatch.setattr(store, "_run_files", broken)
    assert reports.main(["check", "--out", str(kept(tmp_path, run(1)))]) == 70
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "internal error: KeyError: 'two\\nlines' (test_bounds.py:" in told
    monkeypatch.setenv(unexpected.VARIABLE, "1")
    assert reports.main(["check", "--out", str(tmp_path)]) == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    with terminal.ending() as ending:
        broken()
    assert ending.code == unexpected.CODE == 70


def test_a_stored_text_moves_no_cursor(capsys: Capture) -> None:
    with terminal.ending() as ending:
        raise journal.JournalError("x\x1b[31my\nz")
    assert ending.code == 2
    assert capsys.readouterr().err.count("\x1b") == 0
