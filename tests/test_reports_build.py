"""Files and command line: whole or not at all, inert, and with the promised exit codes."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmarks.results.stored.files import replace
from reports.__main__ import main
from reports.charts import svg
from reports.pages import build as build_module
from reports.pages import markdown
from reports.pages.build import build, cases_csv
from reports.runs.load import load_run
from tests import report_samples as samples

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = samples.write(tmp_path_factory.mktemp("results") / "a", samples.failing_run())
    assert build(folder) == folder / "report.html"
    return folder


def test_build_writes_every_file_and_leaves_nothing_else(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        *("cases.csv", "cold_start.png", "forest.png", "memory.png"),
        *("report.html", "report.md", "run.json"),
    ]
    assert (built / "forest.png").read_bytes().startswith(b"\x89PNG")
    assert (built / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_run_of_96_cases_with_profiles_makes_a_small_page_in_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Figure] = []
    save = Figure.savefig

    def counted(figure: Figure, *args: object, **options: object) -> None:
        saved.append(figure)
        save(figure, *args, **options)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(Figure, "savefig", counted)
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "results-public" / "cpu-2-cores", folder)
    run = load_run(folder)
    assert sum(len(result.cases) for result in run.matchups) == 96
    assert sum(bool(result.profile) for result in run.matchups) == 16
    assert len(build(folder).read_bytes()) < 2_000_000
    # The time goes into these: 55 figures of 150 panels, laid out by matplotlib, took 13.8 s.
    assert len(saved) <= 45
    assert sum(len(figure.axes) for figure in saved) <= 90
    assert all(figure.get_layout_engine() is None for figure in saved)
    assert all(svg.DPI * figure.get_figheight() <= 1000 for figure in saved)


def test_the_csv_has_every_case(built: Path) -> None:
    with (built / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 64
    assert float(rows[0]["median_s"]) > 0
    failed = next(row for row in rows if row["status"] == "timeout")
    assert (failed["median_s"], failed["reason"]) == ("", "what timeout says")


def test_a_picture_that_no_longer_applies_is_removed(tmp_path: Path) -> None:
    folder = samples.write(tmp_path / "a", samples.run(()))
    (folder / "forest.png").write_bytes(b"old")
    build(folder / "run.json")
    assert not (folder / "forest.png").exists()
    assert (folder / "report.html").exists()


def test_hostile_names_make_no_files_and_no_formulas(tmp_path: Path) -> None:
    folder = samples.write(tmp_path / "deep" / "a", samples.hostile_run())
    build(folder)
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {folder}
    rows = list(csv.reader(io.StringIO((folder / "cases.csv").read_text(encoding="utf-8"))))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if re.match(r"[=+@\t]|-\D", cell)]
    assert any(cell == "'=cmd|' /C calc'!A0" for row in rows for cell in row)


def test_the_table_alone_is_csv() -> None:
    assert cases_csv(samples.run(())).count("\n") == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.html"
    target.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_bytes() == b"old"


def test_markdown_gives_the_verdicts_and_the_command() -> None:
    words = markdown.render(samples.failing_run())
    assert len(words) < 60_000
    lines = words.splitlines()
    heads = [line for line in lines if line.startswith("## On this machine")]
    assert "of 12 comparable matchups: torch-eager faster in" in heads[0]
    assert "python -m benchmarks run --models 'mlp, cnn' --effort quick" in lines
    assert "broken\\_crash\\.train" not in words  # a dot needs no escape
    assert any("broken\\_crash" in line and "what crash says" in line for line in lines)


def test_markdown_tables_keep_their_columns_whatever_the_names() -> None:
    lines = markdown.render(samples.hostile_run()).splitlines()
    tables: list[list[int]] = []
    for line in lines:
        if line.startswith("|"):
            width = len(re.findall(r"(?<!\\)\|", line))
            if set(line) <= set("| -") or (tables and lines[lines.index(line) - 1].startswith("|")):
                tables[-1].append(width)
            else:
                tables.append([width])
    assert tables
    assert all(len(set(widths)) == 1 for widths in tables)
    body = "\n".join(lines[: lines.index("## Run it again")])
    assert "<img" not in body.replace("\\<img", "")
    assert "pipe\\|char" in body


def test_markdown_is_cut_below_the_limit_and_says_so() -> None:
    words = markdown.render(samples.large_run(4000, 7))
    assert len(words) < 60_000
    assert words.endswith("the rest stands in report.html._\n")


def test_the_command_line_builds_the_latest_or_the_named_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("20260101-a", "20260201-b"):
        samples.write(tmp_path / name, samples.run(()))
    out = ["--out", str(tmp_path)]
    for arguments, name in (
        (["build", *out], "20260201-b"),
        (["build", "20260101-a", *out], "20260101-a"),
        (["build", str(tmp_path / "20260101-a" / "run.json")], "20260101-a"),
    ):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"{tmp_path / name / 'report.html'}\n"


def test_errors_are_one_line_with_their_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build", "--out", str(tmp_path)]) == 5
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["build", str(tmp_path / "nothing")]) == 2
    message = capsys.readouterr()
    assert message.err.startswith("error: ")
    assert message.err.count("\n") == 1
    assert message.out == ""


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, _data: bytes) -> None:
        raise PermissionError(13, "Permission denied", "report.html")

    monkeypatch.setattr(build_module, "replace", refuse)
    assert main(["build", str(samples.write(tmp_path / "a", samples.run(())))]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_the_reports_import_no_framework_and_little_of_ours() -> None:
    code = (
        "import sys, reports.__main__, reports.pages.build\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'torch', 'tensorflow', 'keras', 'jax'}, loaded\n"
        "allowed = {'benchmarks.frameworks', 'benchmarks.frameworks.about', 'profilers.ops',\n"
        "    'profilers.ops.rows', 'profilers.roofline'}  # the records' types\n"
        "ours = {n for n in sys.modules if n.startswith(('benchmarks.', 'profilers.'))}\n"
        "ours = {n for n in ours if not n.startswith('benchmarks.results')}\n"
        "assert ours <= allowed, ours\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_markdown_neither_calls_people_nor_links_issues() -> None:
    assert markdown.escape("@alice #12 <b> www.x") == r"\@alice \#12 \<b\> www\.x"


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_who_may_read_a_report_is_what_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        replace(tmp_path / "report.html", b"new")
        (tmp_path / "any").write_bytes(b"new")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~umask}
