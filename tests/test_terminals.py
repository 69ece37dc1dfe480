"""Every command works where a terminal knows ASCII alone, no colour, and 40 columns."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.results import printable
from docs.generated import PROGRAMS
from tests.pipeline import OURS, ROOT, TINY, WITHOUT
from tests.report_series import CASE_A, MATCHUP, A, B, failed, run, store

POOR = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "NO_COLOR": "1",
    "COLUMNS": "40",
    "TERM": "dumb",
}
STACKS = "null-a,null-b"
OUT = "OUT"
"""Stands for the store of the test."""
RUNS = (run(1).run_id, run(2).run_id)
COMMANDS: dict[str, tuple[int, list[str]]] = {
    "list": (0, ["benchmarks", "list"]),
    "doctor": (0, ["benchmarks", "doctor"]),
    "new": (0, ["benchmarks", "new", "mine", "--models-dir", f"{OUT}/models"]),
    "verify": (0, ["tests.pipeline", WITHOUT, "verify", *TINY, "--out", OUT]),
    "run": (
        0,
        [
            *("tests.pipeline", WITHOUT, "run", *TINY, "--out", OUT, "--stacks", "null-a"),
            *("--phases", "forward", "--effort", "release"),
        ],
    ),
    "selftest": (
        0,
        [
            *("tests.pipeline", WITHOUT, "selftest", *TINY, "--out", OUT, "--stacks", "null-a"),
            *("--phases", "forward", "--effort", "release", "--inject", "5"),
        ],
    ),
    "pair": (2, ["benchmarks", "pair", "grün.py:Net", "x.py:y", "--input", "x=image:8x8x3"]),
    "a model that is not there": (2, ["benchmarks", "run", "--models", "grün×", "--out", OUT]),
    "build": (0, ["reports", "build", RUNS[0], "--out", OUT]),
    "history of a ratio": (0, ["reports", "history", MATCHUP.id, A, B, "--out", OUT]),
    "history of a case": (0, ["reports", "history", CASE_A, "--out", OUT]),
    "compare": (0, ["reports", "compare", *RUNS, "--out", OUT]),
    "check": (3, ["reports", "check", "--no-rerun", "--out", OUT]),
}
COMMANDS |= {f"help of {module}": (0, [module, "--help"]) for module in PROGRAMS.values()}
COMMANDS |= {
    name: (0, ["profilers", name, "tiny", "train_step", *OURS, "--stacks", STACKS, "--out", OUT])
    for name in ("memory", "ops", "trace")
}
"""``flame`` and ``batch`` take most of a minute and write nothing that these do not."""


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_works_on_a_poor_terminal(tmp_path: Path, name: str) -> None:
    out = store(tmp_path / "results", run(1), run(2), failed(run(3)))
    code, words = COMMANDS[name]
    done = subprocess.run(
        [sys.executable, "-m", *(word.replace(OUT, str(out)) for word in words)],
        cwd=ROOT,
        env=os.environ | POOR | {"TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, told.decode(errors="replace")[-2000:]
    assert told.isascii()
    assert b"Traceback" not in told
    assert b"UnicodeEncodeError" not in told
    assert b"internal error" not in told
    assert b"\x1b" not in told


@pytest.mark.parametrize(
    ("encoding", "words", "written"),
    [
        ("ascii", "1.23× [1.18–1.29] → ±2 µs …", b"1.23x [1.18-1.29] -> +-2 us ..."),
        ("ascii", "grün\N{SNOWMAN}", b"gr\\xfcn\\u2603"),
        ("latin-1", "grün × –", b"gr\xfcn \xd7 -"),
        ("utf-8", "grün × \udcff", "grün × \\udcff".encode()),
    ],
)
def test_what_cannot_be_written_has_a_counterpart_or_is_an_escape(
    monkeypatch: pytest.MonkeyPatch, encoding: str, words: str, written: bytes
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    printable.fall_back()
    sys.stdout.write(words)
    sys.stdout.flush()
    assert raw.getvalue() == written
