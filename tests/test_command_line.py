"""What a user types is understood, or answered in one line; text and data do not mix."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main
from benchmarks.machine import environment
from benchmarks.request import discovery, options
from benchmarks.request.selection import DEVICES, SelectionError
from tests.pipeline import MODELS, ROOT, TINY, Pipeline

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nope"], r"unknown model 'nope'; there are: .*mlp"),
        (["--data", "nope", "--phases", "epoch"], "'nope'.*digits.*fashion-mnist"),
        (
            ["--batch", "many"],
            "argument --batch: 'many' is no list of whole numbers, for example 32 or 1,8,32",
        ),
        (
            ["--stacks", "null-a@x", "--python", "x=python3", "--python", "x=python3"],
            "--python x is given twice: a name is one environment's$",
        ),
        (["--shard", "half"], r"argument --shard: 'half' is not i/n, for example 1/4"),
        (["--resume", "no-such-run"], "there is no run 'no-such-run' to resume in "),
        (["--resume"], "there is no run 'latest' to resume in "),
        (
            ["--resume", "x", "--models", "mlp", "--seed", "1"],
            "--resume goes on with the run's own selection: leave out --models, --seed$",
        ),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_bad_input_is_one_line_and_a_code(
    pipeline: Pipeline, capsys: Capture, arguments: list[str], message: str
) -> None:
    """What the plan refuses, of which this holds one, is tested there."""
    assert pipeline.call(*arguments).code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("twinbench: ")
    assert re.search(message, line)
    assert pipeline.groups == []
    assert not pipeline.out.exists()


def test_no_command_is_one_line_that_names_the_commands(capsys: Capture) -> None:
    assert main([]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "COMMAND" in line
    assert main(["dance"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for command in COMMANDS:
        assert command in line


def test_help_names_every_flag_once(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for flag in (*options.SELECTION, *options.PLACE, "--json"):
        assert text.count(f"\n  {flag} ") == 1


def test_a_users_broken_model_is_answered_in_one_line(
    pipeline: Pipeline, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "hollow").mkdir(parents=True)
    (tmp_path / "mine" / "hollow" / "__init__.py").touch()
    selection = ("--models-dir", str(tmp_path / "mine"), "--models", "hollow")
    assert pipeline.call(*selection).code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "twinbench: model 'hollow': its __init__.py must define TASK, a Task"


def test_list_says_how_to_get_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(discovery, "framework_status", lambda needs: f"{needs[0]} is not installed")
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["stacks"]
    assert found["jax-xla"] == "jax is not installed: pip install jax keras"
    assert found["torch-eager"] == "torch is not installed: pip install torch"


def test_where_nothing_can_run_one_line_says_why(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(discovery, "unsupported", lambda *_: "no CUDA device: no driver")
    assert pipeline.call("--device", "cuda").code == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "twinbench: nothing can run here: no CUDA device: no driver"
    assert pipeline.groups == []


def test_a_name_that_is_nearly_right_is_offered(pipeline: Pipeline, capsys: Capture) -> None:
    assert pipeline.call("--phases", "foward").code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown phase 'foward' (did you mean 'forward'?); there are: " in line


def test_list_shows_everything_there_is(capsys: Capture) -> None:
    assert main(["list", "--json", "--models-dir", str(MODELS)]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert tuple(found["models"]) == discovery.names("models", MODELS)
    assert found["models"]["tiny"] == "of your own"  # its folder is not imported
    assert tuple(found["phases"]) == discovery.names("phases")
    assert tuple(found["stacks"]) == tuple(map(str, discovery.stacks()))
    assert tuple(found["devices"]) == DEVICES
    assert "digits" in found["data"]


def test_names_are_listed_as_they_are(capsys: Capture, tmp_path: Path) -> None:
    folder = tmp_path / "[red]x[nope] :smile:"
    folder.mkdir()
    (folder / "__init__.py").touch()
    assert main(["list", "--models-dir", str(tmp_path)]) == 0
    assert folder.name in capsys.readouterr().err


def test_list_says_what_would_be_skipped_and_why(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "framework_status", lambda requires: f"no {requires[0]}")
    assert main(["list"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no torch" in shown.err
    assert "no tensorflow" in shown.err


def test_doctor_describes_the_machine(capsys: Capture) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cores"] == environment.usable_cores()
    assert {row["state"] for row in found["noise"]} <= {"ok", "warn", "unknown"}
    assert {"load", "governor"} <= {row["check"] for row in found["noise"]}
    watchable = {row["metric"]: row for row in found["telemetry"]}
    assert watchable["cpu.rss_bytes"]["value"] > 2**20
    assert watchable["cpu.cores_used"]["reason"] is None
    assert {"gpu.energy_j", "gpu.sm_active_pct", "env.cpu_energy_j"} <= set(watchable)


def test_verify_proves_and_checks_and_times_nothing(pipeline: Pipeline, capsys: Capture) -> None:
    assert main(["verify", "--json", "--out", str(pipeline.out), *TINY], pipeline.means) == 0
    shown = capsys.readouterr()
    (row,) = json.loads(shown.out)
    assert (row["model"], row["adapter"]) == ("tiny", "null")
    assert row["parity"]["status"] == "partial"
    assert row["parity"]["parameters"] == 16 * 10 + 10
    assert {check["stack"] for check in row["parity"]["timed"]} == {"null-a", "null-b"}
    assert "tiny: partial" in shown.err
    assert json.loads((pipeline.out / "verify.json").read_text()) == [row]
    assert pipeline.journals() == []
    assert pipeline.survivors() == []


def test_verify_refuses_a_stack_that_computes_something_else(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINBENCH_NULL", json.dumps({"fault": "wrong"}))
    assert main(["verify", "--out", str(pipeline.out), *TINY]) == 4


def test_what_verify_tells_of_a_model_moves_no_cursor(
    pipeline: Pipeline, capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "loud").mkdir(parents=True)
    (tmp_path / "mine" / "loud" / "__init__.py").write_text("from tests.models.tiny import TASK\n")
    (tmp_path / "mine" / "loud" / "null.py").write_text("raise ValueError('\\x1b[31mred')\n")
    words = ["--models-dir", str(tmp_path / "mine"), "--models", "loud", "--stacks", "null-a"]
    assert main(["verify", "--out", str(pipeline.out), *words], pipeline.means) == 3
    told = capsys.readouterr().err
    assert "red" in told
    assert "\x1b" not in told


def test_verify_without_any_framework_is_a_code_of_its_own(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(discovery, "framework_status", lambda requires: f"no {requires}")
    assert main(["verify", "--json", "--out", str(tmp_path), "--models", "mlp"]) == 5
    shown = capsys.readouterr()
    assert json.loads(shown.out) == []
    assert "no installed framework has a twin" in shown.err


def test_the_module_exits_with_the_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", "--models", "nope"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words", [(), TINY, ("--shard", "1/3", "--batch", "5", "--timeout", "2.5", "--only", "a,b")]
)
def test_a_selection_is_written_as_the_flags_that_make_it(words: tuple[str, ...]) -> None:
    given = dict(zip(words[::2], words[1::2], strict=True))

    def value_of(flag: str) -> object:
        kind = options.SELECTION[flag].get("type", str)
        return kind(given[flag]) if flag in given else None

    chosen = options.selection(value_of)
    again = options.as_command(chosen)
    assert dict(zip(again[::2], again[1::2], strict=True)) == given
    if given:
        with pytest.raises(SelectionError, match="leave out ") as caught:
            options.check_resume(lambda flag: "latest" if flag == "--resume" else value_of(flag))
        told = set(str(caught.value).partition("leave out ")[2].split(", "))
        assert told == set(given) - set(options.GIVEN_AGAIN)
    options.check_resume(lambda flag: None if flag == "--resume" else value_of(flag))


def test_a_command_starts_without_what_few_need() -> None:
    """Each would take most of the time of ``list``."""
    spared = {"scipy", "pandas", "matplotlib", "sklearn", "torch", "tensorflow", "keras", "jax"}
    code = f"import sys, benchmarks.__main__\nassert not {spared!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
