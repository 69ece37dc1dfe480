"""A run states the SHA-256 of its content: one that was edited is named, and counts for nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results.records import EDITED, Exit, Run
from benchmarks.results.stored.codec import decode_run, encode, to_json
from docs.generated import PUBLIC_RUN
from reports.__main__ import main
from reports.pages import html, markdown
from reports.runs import store as stores
from reports.runs.load import load_run
from tests import report_samples as samples
from tests.report_series import MATCHUP, A, B, run, store

Capture = pytest.CaptureFixture[str]
HISTORY = ("history", MATCHUP.id, A, B)


def edited(data: bytes) -> bytes:
    """The same run with one sample doubled."""
    found = json.loads(data)
    found["matchups"][0]["cases"][0]["launches"][0]["samples_s"][0] *= 2
    return json.dumps(found).encode()


def edit(out: Path, made: Run) -> Path:
    """Change a stored run; returns its folder."""
    file = out / made.run_id / "run.json"
    file.write_bytes(edited(file.read_bytes()))
    return file.parent


def words(made: Run) -> str:
    return f"{made.run_id} was edited: its content does not have the SHA-256 that it states"


def test_a_run_is_whole_as_it_was_written() -> None:
    made = samples.failing_run()
    back = decode_run(encode(made))
    assert back == made
    assert (len(back.sha256), back.edited) == (64, False)
    assert to_json(made)["sha256"] == back.sha256
    assert decode_run(encode(back)).sha256 == back.sha256  # of all else, and not of itself


REWRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "compact": lambda data: json.dumps(json.loads(data), separators=(",", ":")).encode(),
    "indented": lambda data: json.dumps(json.loads(data), indent=4).encode(),
    "not in ASCII": lambda data: json.dumps(json.loads(data), ensure_ascii=False).encode(),
    "with other line ends": lambda data: data.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("how", REWRITTEN)
def test_a_run_that_another_program_wrote_anew_is_whole(how: str) -> None:
    made = samples.run((), command=("python", "grün", "\N{SNOWMAN}"), seconds=1e-7)
    assert not decode_run(REWRITTEN[how](encode(made))).edited


def changed(**fields: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps(json.loads(data) | fields).encode()


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "a sample": edited,
    "the exit code": changed(exit=0),
    "a field that nobody reads": changed(more=1),
    "the digest": changed(sha256="0" * 64),
    "no digest at all": changed(sha256="x"),
    "a field that is gone": lambda data: json.dumps(
        {k: v for k, v in json.loads(data).items() if k != "effort"}
    ).encode(),
    "the digest of another": lambda data: json.dumps(
        json.loads(data) | {"sha256": json.loads(encode(run(2)))["sha256"]}
    ).encode(),
    "a second time the same field": lambda data: data.rstrip()[:-1] + b', "exit": 0}',
}


@pytest.mark.parametrize("how", EDITS)
def test_a_run_that_was_edited_is_known(how: str) -> None:
    back = decode_run(EDITS[how](encode(samples.failing_run())))
    assert (back.sha256, back.edited) == (EDITED, True)


def test_no_digit_can_be_changed() -> None:
    data = encode(run(1))
    first = data.index(b": ")  # without the name of the digest a run is as one of before
    digits = [at for at in range(first, len(data)) if chr(data[at]).isdigit()]
    assert len(digits) > 1000
    for at in digits[::41]:
        other = b"%d" % ((data[at] - ord("0") + 1) % 10)
        changed = data[:at] + other + data[at + 1 :]
        try:
            same = json.loads(changed) == json.loads(data)  # the last of 17 digits may say nothing
            assert decode_run(changed).edited or same, data[at - 40 : at + 1]
        except ValueError:
            pass  # no JSON any more, or of a schema that there is not


def test_a_run_of_before_is_accepted(tmp_path: Path) -> None:
    found = json.loads(encode(run(1)))
    del found["sha256"]
    back = decode_run(json.dumps(found).encode())
    assert (back.sha256, back.edited, back) == ("", False, run(1))
    public = decode_run(gzip.decompress(PUBLIC_RUN.read_bytes()))
    assert (public.sha256, public.edited) == ("", False)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "run.json").write_text(json.dumps(found))
    entries, skipped = stores.read(tmp_path)
    assert ([e.edited for e in entries], skipped) == ([False], ())


def test_the_pages_of_an_edited_run_say_so_first(tmp_path: Path) -> None:
    made = samples.healthy_run(("mlp",), ("forward",))
    data = encode(made)
    (tmp_path / "run.json").write_bytes(data)
    assert "was edited" not in html.render(load_run(tmp_path))
    (tmp_path / "run.json").write_bytes(edited(data))
    found = load_run(tmp_path)
    assert words(made) in html.render(found).partition("<main>")[0]
    assert markdown.escape(words(made)) in markdown.render(found)


def test_an_edited_run_is_no_point_of_a_history(tmp_path: Path, capsys: Capture) -> None:
    out = store(tmp_path, *(run(number) for number in (1, 2, 3)))
    edit(out, run(2))
    assert main([*HISTORY, "--out", str(out), "--json"]) == Exit.OK
    told = capsys.readouterr()
    assert [row["run_id"] for row in json.loads(told.out)["rows"]] == [
        run(1).run_id,
        run(3).run_id,
    ]
    assert told.err == f"warning: left out: {words(run(2))}\n"
    assert main([*HISTORY, "--out", str(out), "--strict"]) == Exit.PARITY
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {words(run(2))}"
    store(out, run(2))
    assert main([*HISTORY, "--out", str(out), "--strict"]) == Exit.OK


def test_what_the_index_knows_is_not_hashed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = store(tmp_path, run(1), run(2))
    edit(out, run(1))
    before = stores.read(out)
    assert [entry.edited for entry in before.entries] == [True, False]

    def refuse(*_: object) -> None:
        raise AssertionError("a run was read")

    monkeypatch.setattr(stores, "load", refuse)
    assert stores.read(out) == before


def test_an_edited_run_is_no_baseline(tmp_path: Path, capsys: Capture) -> None:
    out = store(tmp_path, *(run(number) for number in (1, 2, 3)))
    edit(out, run(2))
    check = ["check", "--no-rerun", "--out", str(out), "--json"]
    assert main(check) == Exit.OK
    told = capsys.readouterr()
    assert json.loads(told.out)["baseline"] == run(1).run_id
    assert words(run(2)) in told.err
    for more in (["--strict"], ["--baseline", run(2).run_id], [run(2).run_id]):
        assert main([*check, *more]) == Exit.PARITY
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {words(run(2))}"
    assert main(["check", run(2).run_id, "--accept", "--out", str(out)]) == Exit.PARITY


def test_the_newest_run_is_not_passed_over_by_a_gate(tmp_path: Path, capsys: Capture) -> None:
    out = store(tmp_path, run(1), run(2))
    edit(out, run(2))
    assert main(["check", "--no-rerun", "--out", str(out)]) == Exit.PARITY
    assert words(run(2)) in capsys.readouterr().err


def test_an_edited_run_is_compared_with_a_warning(tmp_path: Path, capsys: Capture) -> None:
    out = store(tmp_path, run(1), run(2))
    edit(out, run(2))
    compare = ["compare", run(1).run_id, run(2).run_id, "--out", str(out)]
    assert main(compare) == Exit.OK
    assert f"warning: {words(run(2))}\n" in capsys.readouterr().err
    assert main([*compare, "--strict"]) == Exit.PARITY


@pytest.mark.slow
def test_an_edited_run_is_built_with_a_warning(tmp_path: Path, capsys: Capture) -> None:
    folder = edit(store(tmp_path, run(1)), run(1))
    assert main(["build", str(folder), "--strict"]) == Exit.PARITY
    assert not (folder / "report.html").exists()
    capsys.readouterr()
    assert main(["build", str(folder)]) == Exit.OK
    assert words(run(1)) in capsys.readouterr().err
    assert words(run(1)) in (folder / "report.html").read_text()
