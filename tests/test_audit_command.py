"""The command ``audit``: its journal, what is given to it, its page, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.audit import checks, command, run
from benchmarks.audit.rows import Row
from benchmarks.machine.environment import framework_status
from benchmarks.measure.run import MEANS
from benchmarks.proof import group as proofs
from benchmarks.proof.sides import UsageError
from benchmarks.request.plan import Group
from benchmarks.request.selection import Selection
from benchmarks.results.records import Stack
from benchmarks.results.stored import journal
from benchmarks.worker.process import WorkerProcess
from reports.archives import audit
from reports.runs.load import LoadError
from tests import labelled
from tests.kernel import Kernel
from tests.pipeline import ROOT, TINY

TESTS = Path(__file__).parent
Capture = pytest.CaptureFixture[str]
ROW = Row(model="tiny", stack="null-a", check="batch", word="same")


def test_the_exit_code_is_4_where_frameworks_differ_and_3_where_a_check_failed() -> None:
    failed, refuted = replace(ROW, word="failed"), replace(ROW, word="differs", refutes=True)
    assert command.code([ROW, replace(ROW, word="differs")]) == 0
    assert command.code([ROW, failed]) == 3
    assert command.code([failed, refuted]) == 4


@pytest.fixture
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build no page, which takes a process of its own."""
    monkeypatch.setattr(command, "page", lambda _folder: None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[set[tuple[str, str]]]:
    """What is done already each time that an audit goes through its stacks, which find a row."""
    seen: list[set[tuple[str, str]]] = []

    def audited(
        made: Any, done: set[tuple[str, str]], terms: Any
    ) -> Iterator[tuple[str, str, list[Row]]]:
        del terms
        seen.append(set(done))
        for stack in made.groups[0].stacks:
            if ("tiny", str(stack)) not in done:
                yield "tiny", str(stack), [replace(ROW, stack=str(stack), figure=np.inf)]
                if len(seen) == 1:
                    raise KeyboardInterrupt

    monkeypatch.setattr(run, "audited", audited)
    return seen


def test_an_interrupted_audit_goes_on_where_its_journal_ends(
    told: list[set[tuple[str, str]]], tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "results"
    words = ["audit", *TINY, "--out", str(out)]
    assert main(words) == 130
    assert "--resume" in capsys.readouterr().err
    assert main(["audit", *TINY[:2], "--out", str(out), "--resume", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert told == [set(), {("tiny", "null-a")}]
    assert [row["stack"] for row in document["rows"]] == ["null-a", "null-b"]
    assert document["rows"][0]["figure"] is None
    entries, damaged = journal.read(out / "audits" / "latest" / command.JOURNAL)
    assert [e["kind"] for e in entries] == ["audit", "rows", "rows"]
    assert not damaged
    page = (out / "audits" / "latest" / "audit.html").read_text()
    assert page.count(">not comparable: <") == 2
    assert "2 rows: 2 same" in page


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--resume", "nowhere"), "there is no audit 'nowhere'"),
        (("--resume", "../x"), "there is no audit '../x'"),
        (("--resume", "--models", "mlp"), "leave out --models"),
        (("--models", "nobody"), "nobody"),
        (("--weights", "no/such.npz"), "--weights no/such.npz: there is no such file"),
        (("--weights", __file__), "--weights are those of one model: name it with --models"),
        (("--weights", __file__, "--models", "mlp,lstm"), "name it with --models"),
        (("--preprocess", "unit"), "--preprocess is for the pictures of --data-dir"),
        (("--data-dir", "no/such"), "--data-dir no/such: No such file or directory"),
        (("--data-dir", str(TESTS / "pairs")), "no <class>/<image> in it (.npy, .jpg,"),
    ],
)
def test_what_cannot_be_audited_is_told_in_one_line(
    words: tuple[str, ...], text: str, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["audit", *words, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


@pytest.mark.parametrize("row", [{}, {**run.as_entry([ROW])[0], "figure": "x"}])
def test_no_page_is_made_of_a_row_that_is_none(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot read"):
        audit.write(tmp_path)
    (tmp_path / audit.SUMMARY).write_text(json.dumps({"rows": [row]}))
    with pytest.raises(LoadError, match="not what an audit wrote"):
        audit.write(tmp_path)


@pytest.mark.usefixtures("_no_page")
@pytest.mark.parametrize(
    ("more", "text"),
    [
        ((), "give --data-dir DIR again"),
        (("--data-dir", "other"), "--data-dir is not what the audit was made with"),
        (("--data-dir", "noise", "--preprocess", "tf"), "leave out --preprocess"),
        (("--data-dir", "noise", "--weights", __file__), "was made without --weights"),
        (("--data-dir", "noise"), ""),
    ],
)
def test_an_audit_goes_on_with_the_same_pictures_alone(
    more: tuple[str, ...],
    text: str,
    told: list[set[tuple[str, str]]],
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (labelled.folder(Path("noise")) / "class0" / "notes.txt").write_text("no picture")
    labelled.folder(Path("other"), shape=(3, 3))
    assert main(["audit", *TINY, "--data-dir", "noise", "--preprocess", "unit"]) == 130
    capsys.readouterr()
    code = main(["audit", *TINY[:2], "--resume", "--json", *more])
    out, err = capsys.readouterr()
    if text:
        (line,) = err.splitlines()
        assert (code, len(told)) == (2, 1)
        assert text in line
        return
    assert code == 0
    found = json.loads(out)["accuracy"]
    assert (found["dataset"], found["pictures"], found["stacks"]) == ("noise", 30, [])
    said = "accuracy on 30 pictures of 6 classes (files that are no pictures: 1)"
    assert f"{said}: {found['preprocessing']}" in err
    assert found["preprocessing"].endswith("then from 0 to 1")


@pytest.mark.usefixtures("_no_page")
def test_an_audit_goes_on_with_the_same_weights_alone(
    told: list[set[tuple[str, str]]],
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adopted = []
    monkeypatch.setattr(run, "adopt", lambda *given: adopted.append(given[2]))
    file, words = tmp_path / "w.npz", ["audit", *TINY[:2], "--out", str(tmp_path / "out")]
    file.write_bytes(b"first")
    assert main([*words, *TINY[2:], "--weights", str(file)]) == 130
    assert main([*words, "--resume"]) == 2
    assert "was made with --weights: give it again" in capsys.readouterr().err
    file.write_bytes(b"second")
    assert main([*words, "--resume", "--weights", str(file)]) == 2
    assert "--weights is not what the audit was made with" in capsys.readouterr().err
    file.write_bytes(b"first")
    assert main([*words, "--resume", "--weights", str(file)]) == 0
    assert command.NO_PICTURES in capsys.readouterr().err
    assert (len(told), adopted) == (2, [file, file])


def test_weights_that_fit_no_twin_are_told_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    words = ["audit", *TINY, "--out", str(tmp_path), "--weights", __file__]
    assert main(words, replace(MEANS, start=Kernel().start)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"twinbench: {Path(__file__).name} does not fit: nothing is computed"


class Idle:
    """A worker that is asked for nothing whose answer counts."""

    spawned = 0.0

    def ask(self, *_verb: str, **_told: object) -> dict[str, Any]:
        """Nothing."""
        return {}

    def quit(self) -> None:
        """Nothing runs."""


@pytest.mark.usefixtures("_no_page")
@pytest.mark.slow
def test_twins_that_are_not_one_function_end_with_4(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is real; what it refutes is not held against it as timed."""
    if missing := framework_status(("torch", "tensorflow", "keras")):
        pytest.skip(missing)

    def start(stack: Stack, **more: Any) -> Any:
        return Idle() if more["program"] == run.WORKER else WorkerProcess(stack, **more)

    monkeypatch.setattr(checks, "names", lambda: ("across",))
    monkeypatch.setattr(run, "_unproven", lambda *_: {"torch": {}, "tensorflow": {}})
    wrong = ["--models", "gelu_form", "--models-dir", str(TESTS / "wrong_twins")]
    words = [*wrong, "--stacks", "torch-eager,tensorflow-graph", "--out", str(tmp_path), "--json"]
    assert main(["audit", *words], replace(MEANS, start=start)) == 4
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["stack"] for row in rows] == ["torch-eager", "tensorflow-graph"]
    for row in rows:
        assert (row["check"], row["word"], row["refutes"]) == ("across in float64", "differs", True)
        assert row["reason"].startswith("dense: GELU: tanh against erf")
        assert row["figure"] > row["bound"] == 1e-9


def test_without_a_proof_all_engines_are_matched_at_once_or_each_with_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def handoffs(group: Group, *_: object) -> tuple[dict[str, Any], None]:
        asked.append(len(group.stacks))
        if len(group.stacks) > 1 and group.model == "unlike":
            raise UsageError("they do not match")
        return {stack.framework: {"of": len(group.stacks)} for stack in group.stacks}, None

    monkeypatch.setattr(proofs, "handoffs", handoffs)
    terms = run.Terms(selection=Selection(), threads=1)
    both = labelled.group("torch-eager", "tensorflow-graph")
    assert run._unproven(both, terms) == {"torch": {"of": 2}, "tensorflow": {"of": 2}}
    unlike = replace(both, model="unlike")
    assert run._unproven(unlike, terms) == {"torch": {"of": 1}, "tensorflow": {"of": 1}}
    assert asked == [2, 2, 1, 1]


LINEAR = """
from collections import OrderedDict

from torch import nn


def build(task):
    return nn.Sequential(OrderedDict(flat=nn.Flatten(), dense=nn.Linear(16, 6)))
"""


@pytest.mark.usefixtures("_no_page")
@pytest.mark.slow
def test_weights_of_a_file_predict_labelled_pictures(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing := framework_status(("torch",)):
        pytest.skip(missing)
    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from tests.labelled import TASK\n\n__all__ = ['TASK']\n")
    (folder / "torch.py").write_text(LINEAR)
    weights = labelled.kernel(3)
    held = {"dense.weight": weights.T, "dense.bias": np.zeros(6)}
    np.savez(tmp_path / "w.npz", allow_pickle=False, **held)
    noise = labelled.folder(tmp_path / "noise")
    monkeypatch.setattr(checks, "names", lambda: ("accuracy", "saved"))
    words = ["--models-dir", str(folder.parent), "--models", "linear", "--stacks", "torch-eager"]
    words += ["--weights", str(tmp_path / "w.npz"), "--data-dir", str(noise)]
    out = tmp_path / "out"
    assert main(["audit", *words, "--preprocess", "unit", "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    kept = out / "audits" / "latest" / "predictions" / "linear_torch-eager_noise_top5preds.npy"
    order = np.argsort(-labelled.logits(noise, weights), axis=1)[:, :5]
    assert np.array_equal(np.load(kept), order)
    (one,) = found["accuracy"]["stacks"]
    assert one["top1"] == np.mean(order[:, 0] == np.repeat(np.arange(6), labelled.EACH))
    measured, saved = found["rows"]
    assert (measured["check"], measured["word"]) == ("accuracy", "measured")
    # The model that loads what was saved had other weights before, in spite of the file.
    assert (saved["check"], saved["word"], saved["reason"]) == ("saved", "same", "")


@pytest.mark.heavy
def test_weights_that_keras_saved_predict_the_same_on_both_frameworks(
    tmp_path: Path, capsys: Capture
) -> None:
    if missing := framework_status(("torch", "tensorflow", "keras")):
        pytest.skip(missing)
    save = (
        "from tests.wrong_twins._net import TASK\n"
        "from tests.wrong_twins._net.keras import build\n"
        f"build(TASK).save_weights({str(tmp_path / 'w.weights.h5')!r})\n"
    )
    subprocess.run([sys.executable, "-c", save], check=True, cwd=ROOT, capture_output=True)
    noise = labelled.folder(tmp_path / "noise", shape=(9, 9, 3), count=10)
    words = ["--models", "honest", "--models-dir", str(TESTS / "wrong_twins"), "--json"]
    words += ["--stacks", "torch-eager,tensorflow-graph", "--out", str(tmp_path / "out")]
    given = ["--weights", str(tmp_path / "w.weights.h5"), "--data-dir", str(noise)]
    assert main(["audit", *words, *given]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["accuracy"]["stacks"]
    assert [first["stack"], second["stack"]] == ["torch-eager", "tensorflow-graph"]
    assert (first["top1"], first["top5"]) == (second["top1"], second["top5"])
    (pair,) = found["accuracy"]["pairs"]
    assert (pair["word"], pair["disagree"]) == ("same", 0)
    words_of = {(r["stack"], r["check"]): r["word"] for r in found["rows"]}
    assert words_of["torch-eager", "accuracy against tensorflow-graph"] == "same"
    for stack in ("torch-eager", "tensorflow-graph"):
        assert words_of[stack, "across in float64"] in {"same", "rounding"}
        assert words_of[stack, "saved"] == "same"
