"""The command ``pair`` from files to a report, its weights and its folder; and ``new``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.machine.environment import framework_status
from benchmarks.measure.launches import watching
from benchmarks.pair import folder
from benchmarks.pair.files import Pair
from benchmarks.request import discovery, selection
from benchmarks.request.selection import EFFORTS
from benchmarks.results.stored.codec import read_run
from benchmarks.tasks import stored, weights
from benchmarks.tasks.task import TaskError
from tests.pipeline import ROOT, SHORT, WITHOUT_CALIBRATION

PAIRS = ROOT / "tests" / "pairs"
CHAR = (
    f"{PAIRS}/char_torch.py:CharModel",
    f"{PAIRS}/char_keras.py:same",
    *("--input", "x=tokens:40:vocabulary=57", "--target", "y=classes:57"),
)
REGRESSION = (
    f"{PAIRS}/regression_torch.py:model",
    f"{PAIRS}/regression_keras.py:same",
    *("--input", "x=features:20", "--target", "y=values:1", "--loss", "mse"),
)
TASK = {"inputs": ["x=features:4"], "targets": ["y=classes:3"], "loss": None, "optimizer": "sgd"}
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def frameworks() -> None:
    missing = framework_status(("torch", "tensorflow", "keras"))
    if missing:
        pytest.skip(missing)


def _pair(place: Path, **more: Any) -> Pair:
    return Pair(torch="net_torch.py:Net", keras="net_keras.py:net", task=TASK, folder=place, **more)


def _written(place: Path) -> Pair:
    (place / "net_torch.py").write_text("import helper\nclass Net: pass\n")
    (place / "helper.py").write_text("from more import thing\n")
    (place / "more").mkdir()
    (place / "more" / "__init__.py").write_text("thing = 1\n")
    (place / "unused.py").touch()
    (place / "net_keras.py").write_text("def net(): return 1\n")
    return _pair(place)


def test_a_folder_holds_the_files_and_what_they_import(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    folder.write(_written(tmp_path / "here"), tmp_path / "models" / "mine", batch=7)
    made = tmp_path / "models" / "mine"
    copied = sorted(p.name for p in (made / "torch_files").iterdir())
    assert copied == ["helper.py", "more", "net_torch.py"]
    task = discovery.task("mine", tmp_path / "models")
    assert task.inputs["x"].shape == (4,)
    assert (task.targets["y"].count, task.size("quick").batch) == (3, 7)
    folder.write(_pair(tmp_path / "here"), made, batch=0)  # again, over the old one
    assert "batch=0" in (made / "__init__.py").read_text()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(TaskError, match="holds something else"):
        folder.write(_written(tmp_path), tmp_path / "mine", batch=0)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_an_installed_module_is_imported_from_where_it_is(tmp_path: Path) -> None:
    pair = Pair(torch="json.decoder:JSONDecoder", keras="json:loads", task=TASK, folder=tmp_path)
    folder.write(pair, tmp_path / "m", batch=0)
    assert "import json.decoder as module" in (tmp_path / "m" / "torch.py").read_text()
    assert not (tmp_path / "m" / "torch_files").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--weights", "no/such.npz"), "--weights no/such.npz: there is no such file"),
        (("--optimizer", "lion"), "there is no optimizer 'lion'"),
    ],
)
def test_bad_input_is_told_in_one_line(words: tuple[str, ...], text: str, capsys: Capture) -> None:
    assert main(["pair", *CHAR, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_a_file_of_weights_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.ones((2, 3)), allow_pickle=False)
    held = stored.read(path)
    held.pop("allow_pickle", None)
    stored.check(path, held, {"a": (2, 3)}, "PyTorch")
    for shapes, text in (
        ({"a": (3, 2)}, "a is 2x3 in the file and 3x2 in the model"),
        ({"a": (2, 3), "b": (1,)}, "it lacks b"),
        ({}, "the model has no a"),
    ):
        with pytest.raises(TaskError, match=text):
            stored.check(path, held, shapes, "PyTorch")


@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.pt", "w.h5"])
def test_a_damaged_or_foreign_file_of_weights_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04nonsense")
    with pytest.raises(TaskError, match=name):
        stored.read(tmp_path / name)


class Trap:
    """Makes a folder where its pickle is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_pickle_in_a_file_of_weights_is_never_loaded(tmp_path: Path) -> None:
    path, sprung = tmp_path / "w.npz", tmp_path / "sprung"
    np.savez(path, a=np.array([Trap(sprung)], dtype=object))
    with pytest.raises(TaskError, match="cannot be read"):
        stored.read(path)
    assert not sprung.exists()


def test_stored_weights_take_the_place_of_drawn_ones() -> None:
    drawn = {"a.kernel": np.zeros((2, 2))}
    kept = weights.overlaid(drawn, {"a.kernel": np.ones((2, 2), np.float32)})
    assert kept["a.kernel"].sum() == 4
    with pytest.raises(TaskError, match=r"a\.kernel is 3 there and 2x2 here"):
        weights.overlaid(drawn, {"a.kernel": np.ones(3)})
    with pytest.raises(TaskError, match=r"the model has no b\.bias"):
        weights.overlaid(drawn, {"b.bias": np.ones(3)})


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_weights_of_either_side_are_carried_to_the_other(tmp_path: Path) -> None:
    """Files are made by each framework itself, in a process of its own; Keras runs on PyTorch."""
    pytest.importorskip("safetensors")
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); os.environ['KERAS_BACKEND'] = 'torch'\n"
        "import numpy as np; from safetensors.torch import save_file\n"
        "import regression_keras, regression_torch\n"
        "made = regression_torch.model().state_dict()\n"
        "save_file(made, 'w.safetensors'); np.savez('w.npz', **made)\n"
        "regression_keras.same().save_weights('w.weights.h5')\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(PAIRS)], check=True, cwd=tmp_path
    )
    one, other = (stored.read(tmp_path / name) for name in ("w.safetensors", "w.npz"))
    assert weights.digest(one) == weights.digest(other)
    digests = set()
    for name in ("w.safetensors", "w.weights.h5"):
        place = tmp_path / "models" / name.partition(".")[2].replace(".", "_")
        words = ("--prove-only", "--engine", "keras_torch", "--weights", str(tmp_path / name))
        assert main(["pair", *REGRESSION, *words, "--save", str(place)]) == 0
        digests.add(weights.digest(stored.read(place / stored.CANONICAL)))
    assert len(digests) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("frameworks")
def test_a_pair_is_timed_and_its_report_named(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EFFORTS, "quick", SHORT["release"])  # one launch
    monkeypatch.setitem(watching.WATCH_S, "quick", 0.0)
    monkeypatch.setattr(selection, "BUDGET_S", 0.0)
    place = ("--save", str(tmp_path / "models" / "houses"), "--out", str(tmp_path / "results"))
    done = main(["pair", *REGRESSION, *place, "--json"], WITHOUT_CALIBRATION)
    told = capsys.readouterr()
    found = json.loads(told.out)
    run = read_run(json.loads((tmp_path / "results" / found["run"] / "run.json").read_text()))
    assert "report: " in told.err
    assert (found["parity"]["status"], run.exit, done) == ("proven", done, done)
    assert {r.matchup.phase for r in run.matchups} == {"forward", "backward", "train_step"}
    assert {c.stack for r in run.matchups for c in r.cases} == {
        "torch-eager",
        "tensorflow-graph",
    }
    forward = next(r for r in run.matchups if r.matchup.phase == "forward")
    assert [c.status for c in forward.cases] == ["ok", "ok"]


@pytest.mark.parametrize("name", ["two words", "_hidden", "1st"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", name, "--models-dir", str(tmp_path)]) == 2
    assert "is no name for a model" in capsys.readouterr().err


def test_a_model_that_is_there_is_not_written_over(tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", "mine", "--models-dir", str(tmp_path)]) == 0
    assert main(["new", "mine", "--models-dir", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
