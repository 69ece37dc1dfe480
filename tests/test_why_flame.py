"""The command for flame graphs, from the door to the files, on workers that only sleep."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.why import flame
from benchmarks.why.__main__ import main
from benchmarks.worker.commands import Worker
from benchmarks.worker.process import WorkerProcess
from profilers.flames import folded, pyspy
from tests.pipeline import MODELS, Pipeline
from tests.pipeline import ROOT as CHECKOUT

Capture = pytest.CaptureFixture[str]
ID = "tiny.train_step.b4.float32.cpu"
SEEN = """#!/bin/sh
trap 'printf "%s" "$TWINBENCH_SEEN" > $9; exit 0' INT
echo Sampling
while :; do sleep 0.02; done
"""
ROOT = (
    "m (/x/lib/python3.11/m.py);Worker.sustain (benchmarks/worker/commands.py);"
    "turn (benchmarks/worker/clock.py)"
)


def _flame(pipeline: Pipeline, *arguments: str) -> int:
    place = ("--models-dir", str(MODELS), "--out", str(pipeline.out))
    small = ("--stacks", "null-a,null-b", "--seconds", "0.3")
    return main(["flame", "tiny", "train_step", *place, *small, *arguments])


def _fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str = SEEN, **seen: int) -> None:
    path = tmp_path / "py-spy"
    path.write_text(text)
    path.chmod(0o755)
    monkeypatch.setattr(pyspy, "find", lambda: (str(path),))
    lines = [f"{ROOT};{frame} (torch/{frame}.py) {count}\n" for frame, count in seen.items()]
    monkeypatch.setenv("TWINBENCH_SEEN", "".join(lines) + "waits (threading.py) 50\n")


def _document(capsys: Capture) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_each_stack_gets_its_files_and_two_get_their_difference(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    _fake(monkeypatch, tmp_path, sums=3, waits=1)
    assert _flame(pipeline, "--json") == 0
    document = _document(capsys)
    assert document["matchup"] == ID
    for profile in document["profiles"]:
        assert (profile["samples"], profile["elsewhere"], profile["reason"]) == (4, 50, None)
        for pace in (profile["alone"], profile["watched"]):
            assert pace["iterations"] > 10
            assert 0.006 <= pace["median_s"] < 0.1
        files = {kind: Path(path) for kind, path in profile["files"].items()}
        assert {p.parent for p in files.values()} == {pipeline.out / "profiles" / ID}
        text = files["folded"].read_text()
        assert folded.read(text) == {("sums (torch/sums.py)",): 3, ("waits (torch/waits.py)",): 1}
        assert f"{profile['name']}</text>" in files["svg"].read_text()
        weights = json.loads(files["speedscope"].read_text())["profiles"][0]["weights"]
        assert sum(weights) == pytest.approx(profile["alone"]["mean_s"])
        for path in files.values():
            assert "/x/" not in path.read_text()
    (difference,) = document["differences"]
    assert (difference["a"], difference["b"], difference["unit"]) == ("null-a", "null-b", "s")
    assert "more time in null-b" in Path(difference["file"]).read_text()


def test_py_spy_is_let_in_by_this_process_alone_and_shut_out_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _fake(monkeypatch, tmp_path, sums=3)
    ask, told, let_in = WorkerProcess.ask, list[int](), list[int]()

    def heard(worker: WorkerProcess, verb: str, **arguments: Any) -> dict[str, Any]:
        told.extend([arguments["by"]] if verb == "watched" else [])
        return ask(worker, verb, **arguments)

    monkeypatch.setattr(WorkerProcess, "ask", heard)
    assert _flame(pipeline, "--stacks", "null-a") == 0
    assert told == [os.getpid(), 0]
    monkeypatch.setattr(pyspy, "allow", let_in.append)
    for pid in told:
        Worker().watched(by=pid)
    assert let_in == told


def test_paths_are_printed_where_no_document_is_asked(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    _fake(monkeypatch, tmp_path, sums=3)
    assert _flame(pipeline, "--native") == 0
    shown = capsys.readouterr()
    paths = [Path(line) for line in shown.out.splitlines()]
    assert len(paths) == 9
    assert all(path.is_file() for path in paths)
    assert all(".native." in path.name for path in paths)
    assert "Under py-spy: median" in " ".join(shown.err.split())


def test_an_earlier_run_is_compared_with(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    _fake(monkeypatch, tmp_path, sums=3)
    assert _flame(pipeline, "--json", "--stacks", "null-b") == 0
    kept = Path(_document(capsys)["profiles"][0]["files"]["folded"])
    _fake(monkeypatch, tmp_path, waits=3)
    assert _flame(pipeline, "--json", "--against", str(kept)) == 0
    two, earlier = _document(capsys)["differences"]
    assert (two["a"], two["b"]) == ("null-a", "null-b")
    assert (earlier["a"], earlier["b"], earlier["unit"]) == ("null-b before", "null-b", "s")
    drawn = Path(earlier["file"]).read_text()
    assert 'class="box less4"' in drawn  # sums is gone
    assert 'class="box more4"' in drawn  # waits is new

    alone = tmp_path / "elsewhere.folded"
    shutil.copy(kept, alone)
    assert _flame(pipeline, "--json", "--against", str(alone)) == 0
    assert _document(capsys)["differences"][1]["unit"] == "share"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\necho 'Permission Denied: no'; exit 1\n", "may not look into the worker"),
        (SEEN.replace("$TWINBENCH_SEEN", ""), "saw nothing of the phase"),
    ],
)
def test_what_cannot_be_profiled_is_named_and_costs_itself_alone(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Capture,
    text: str,
    reason: str,
) -> None:
    _fake(monkeypatch, tmp_path, text, sums=3)
    assert _flame(pipeline, "--json") == 3
    for profile in _document(capsys)["profiles"]:
        assert reason in profile["reason"]
        assert profile["samples"] is None
        assert profile["alone"]["iterations"] > 10
    assert not (pipeline.out / "profiles").exists()


def test_a_worker_that_dies_leaves_the_other_its_profile(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    _fake(monkeypatch, tmp_path, sums=3)
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "segv", "at": "train_step"}))
    assert _flame(pipeline, "--json") == 3
    good, bad = _document(capsys)["profiles"]
    assert good["reason"] is None
    assert bad["reason"].startswith("crash: the worker died of SIGSEGV")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "--seconds is 0.0; it must be more than 0"),
        (["--rate", "-5"], "--rate is -5; it must be more than 0"),
        (["--against", "nope.folded"], "--against nope.folded: .*No such file"),
        (["--against", __file__], "is no folded stack"),
    ],
)
def test_bad_input_is_one_line(
    pipeline: Pipeline, capsys: Capture, arguments: list[str], message: str
) -> None:
    assert _flame(pipeline, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(line)


def test_py_spy_itself_sees_a_worker_at_work(pipeline: Pipeline, capsys: Capture) -> None:
    if not pyspy.find():
        pytest.skip("py-spy is not installed")
    code = _flame(pipeline, "--json", "--stacks", "null-a", "--seconds", "1")
    (profile,) = _document(capsys)["profiles"]
    if code and "may not look" in profile["reason"]:
        pytest.skip(profile["reason"])
    assert profile["reason"] is None
    text = Path(profile["files"]["folded"]).read_text()
    assert "Program.step (tests/frameworks/null/program.py)" in text
    assert "sustain" not in text.replace("Worker.sustain (benchmarks/worker/commands.py) ", "")
    assert str(CHECKOUT) not in text
    assert profile["samples"] > 20


@pytest.mark.parametrize(
    ("unreadable", "told"),
    [
        (0, None),
        (4, "4 samples (3.8%) came without frames"),
        (25, "25 samples (20.0%) came without frames, which is more than 5%: record again"),
    ],
)
def test_samples_without_frames_are_told(unreadable: int, told: str | None) -> None:
    pace = flame.Pace(iterations=1, median_s=0.1, mean_s=0.1)
    line = flame._told(
        flame.Profile(
            name="torch-eager",
            matchup="m",
            mode="without stopping",
            stacks={("main",): 80},
            elsewhere=20,
            unreadable=unreadable,
            alone=pace,
            watched=pace,
        )
    )
    assert told in line if told else "without frames" not in line
