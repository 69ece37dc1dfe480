"""Runs are read whole or refused in one line."""

from __future__ import annotations

import dataclasses
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.results.records import Launch
from benchmarks.results.stored import files
from benchmarks.results.stored.codec import to_json
from reports.runs import load
from reports.runs.load import LoadError, NoRunError, cases_frame, latest, load_run
from tests import report_samples as samples

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_comes_back_from_folder_file_and_gzip(tmp_path: Path) -> None:
    run = samples.failing_run()
    folder = samples.write(tmp_path / "a", run)
    assert load_run(folder) == run
    assert load_run(folder / "run.json") == run
    packed = tmp_path / "b" / "run.json.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress((folder / "run.json").read_bytes()))
    assert load_run(packed) == run
    assert load_run(packed.parent) == run


def _valid() -> dict[str, Any]:
    data = to_json(samples.healthy_run(("mlp",), ("forward",)))
    assert isinstance(data, dict)
    return data


def _broken() -> dict[str, tuple[bytes, str]]:
    text = json.dumps(_valid())
    missing = {key: value for key, value in _valid().items() if key != "command"}
    wrong = json.dumps(_valid()).replace('"samples_s": [', '"samples_s": ["x", ', 1)
    return {
        "truncated": (text[:-7].encode(), "truncated or not JSON"),
        "empty": (b"", "truncated or not JSON"),
        "NaN": (text.replace('"seed": 0', '"seed": NaN').encode(), "truncated or not JSON"),
        "not UTF-8": (b'{"schema": 1, "run_id": "\xff"}', "truncated or not JSON"),
        "huge integer": (b'{"schema": ' + b"9" * 5000 + b"}", "schema: Integer value out of range"),
        "list": (b"[1, 2]", "not a run"),
        "newer": (json.dumps(_valid() | {"schema": 999}).encode(), "schema 999 is newer"),
        "field missing": (json.dumps(missing).encode(), "missing required field `command`"),
        "wrong type": (wrong.encode(), "samples_s[0]: Expected `float`, got `str`"),
        "deep": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    }


@pytest.mark.parametrize("kind", _broken())
def test_a_broken_file_is_refused_in_one_line_that_names_it(kind: str, tmp_path: Path) -> None:
    data, words = _broken()[kind]
    (tmp_path / "run.json").write_bytes(data)
    with pytest.raises(LoadError) as caught:
        load_run(tmp_path)
    message = str(caught.value)
    assert words in message
    assert "run.json" in message
    assert "\n" not in message


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no such run"):
        load_run(tmp_path / "nothing")
    with pytest.raises(LoadError, match=r"holds no run\.json"):
        load_run(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "run.json.gz"])
def test_a_file_above_the_limit_is_not_read_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.read, "__defaults__", (2**20,))
    data = b" " * (2**20 + 1)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(LoadError, match="larger than 1 MiB"):
        load_run(tmp_path)


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(_valid()).encode())
    (tmp_path / "run.json.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(LoadError, match="truncated or damaged"):
        load_run(tmp_path)


def test_latest_follows_the_link_else_takes_the_last_name(tmp_path: Path) -> None:
    run = samples.run(())
    for name in ("20260101-a", "20260301-b", "20260201-c"):
        samples.write(tmp_path / name, run)
    (tmp_path / "99999999-unfinished").mkdir()
    assert latest(tmp_path).name == "20260301-b"
    (tmp_path / "latest").symlink_to("20260101-a")
    assert latest(tmp_path).name == "20260101-a"
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to("gone")
    assert latest(tmp_path).name == "20260301-b"


def test_latest_of_nothing_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(NoRunError, match="benchmarks run"):
        latest(tmp_path / "results")


def test_the_frame_has_a_row_per_case_with_its_figures() -> None:
    run = samples.failing_run()
    frame = cases_frame(run).set_index("case")
    assert len(frame) == sum(len(result.cases) for result in run.matchups)
    case = run.matchups[0].cases[0]
    row = frame.loc[case.id]
    assert row["median_s"] == case.median_s
    assert row["throughput_per_s"] == pytest.approx(8 / row["median_s"])
    assert row["flops_per_s"] == pytest.approx(row["flops_per_iteration"] / row["median_s"])
    assert (row["launches"], row["samples"], row["stack"]) == (3, 60, "torch-eager")
    assert row["peak_rss_bytes"] == case.memory.peak_rss_bytes
    failed = frame.loc["broken_crash.train_step.b8.float32.cpu.tensorflow-graph"]
    assert (failed["status"], failed["reason"]) == ("crash", "what crash says")
    assert failed[["median_s", "min_s", "throughput_per_s"]].isna().all()
    assert frame["device_peak_bytes"].isna().all()


def test_samples_that_are_no_times_enter_no_figure() -> None:
    run = samples.healthy_run(("mlp",), ("forward",))
    nan, inf = float("nan"), float("inf")
    bad = Launch(index=0, samples_s=(nan, inf, -1.0, 0.0, 0.5, 0.7))
    case = dataclasses.replace(run.matchups[0].cases[0], launches=(bad,))
    result = dataclasses.replace(run.matchups[0], cases=(case,))
    row = cases_frame(samples.run((result,))).iloc[0]
    assert (row["median_s"], row["min_s"], row["samples"]) == (0.6, 0.5, 2)


def test_an_empty_run_is_an_empty_frame() -> None:
    assert list(cases_frame(samples.run(())).columns) == list(load.COLUMNS)
