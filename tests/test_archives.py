"""Stored predictions are scored without their images, and held against what was published."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.results import accuracy
from reports.__main__ import main
from reports.archives import archive, load, published, scores
from reports.archives.load import ArchiveError, Key
from reports.archives.write import as_page

IMAGES, CLASSES = 60, 10
LABELS = np.arange(IMAGES) % CLASSES
Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def predictions(seed: int = 0, right: int = 40, images: int = IMAGES) -> Arrays:
    """Five classes and their probabilities per image; the first ``right`` have theirs on top."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % CLASSES
    preds = np.stack([(labels + shift) % CLASSES for shift in range(5)], axis=1)
    probs = np.tile([0.4, 0.2, 0.1, 0.08, 0.05], (images, 1))
    for image in range(images):
        if image >= right:
            preds[image] = (preds[image] + 1 + image % 5) % CLASSES
        order = rng.permutation(5)
        preds[image], probs[image] = preds[image][order], probs[image][order]
    return preds.astype(np.int64), probs.astype(np.float32)


def put(folder: Path, model: str, arrays: Arrays, platform: str = "pytorch") -> Path:
    """Write a model's two files; the folder."""
    place = folder / f"{platform}_tens"
    place.mkdir(parents=True, exist_ok=True)
    for what, array in zip(("preds", "probs"), arrays, strict=True):
        np.save(place / f"{model}_{platform}_tens_top5{what}.npy", array)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive of three models on two platforms, with its labels."""
    put(tmp_path / "kept", "good_net", predictions(1, 54))
    put(tmp_path / "kept", "poor_net", predictions(2, 20))
    put(tmp_path / "kept", "goodnet", predictions(3, 51), "keras")
    np.save(tmp_path / "labels.npy", LABELS)
    return tmp_path / "kept"


def scored(folder: Path) -> archive.Scored:
    (found,) = archive.read(folder, {"tens": folder.parent / "labels.npy"}).scored
    return found


def test_accuracy_is_counted_from_the_rows_whatever_their_order(folder: Path) -> None:
    rows = scored(folder).rows
    assert [(r.score.key.model, r.score.top1, r.rank) for r in rows] == [
        ("good_net", 54, 1),
        ("goodnet", 51, 2),
        ("poor_net", 20, 3),
    ]
    for row in rows:
        top5 = sum(
            LABELS[i] in line
            for i, line in enumerate(
                np.load(next(folder.rglob(f"{row.score.key.model}_*preds.npy")))
            )
        )
        assert row.score.top5 == top5
    best, _, poor = rows
    assert best.score.interval[0] < 54 / 60 < best.score.interval[1]
    assert [key.model for key in best.like] == ["goodnet"]
    assert poor.like == ()


def test_equal_probabilities_count_the_first_and_are_told(tmp_path: Path) -> None:
    preds, probs = predictions(right=IMAGES)
    probs[:3] = 0.2  # the first class in the file counts, whichever it is
    put(tmp_path, "net", (preds, probs.astype(np.float16)))
    np.save(tmp_path / "l.npy", LABELS)
    (found,) = archive.read(tmp_path, {"tens": tmp_path / "l.npy"}).scored
    (row,) = found.rows
    assert row.score.tied == 3
    assert row.score.top1 == IMAGES - 3 + int((preds[:3, 0] == LABELS[:3]).sum())


def test_wilsons_interval_is_that_of_its_formula_and_stays_within_0_and_1() -> None:
    z = NormalDist().inv_cdf(0.975)
    for hits, count in ((0, 10), (10, 10), (7, 10), (40_000, 50_000)):
        low, high = accuracy.wilson(hits, count)
        for end in (low, high):  # where the share lies z standard errors off
            share = hits / count
            if 1e-9 < end < 1 - 1e-9:
                assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / count))
        assert 0 <= low <= hits / count <= high <= 1


@pytest.mark.parametrize(("a", "b"), [(0, 0), (3, 3), (10, 2), (1, 15), (300, 240)])
def test_mcnemars_test_is_a_binomial_one(a: int, b: int) -> None:
    expected = binomtest(a, a + b, 0.5).pvalue if a + b else 1.0
    assert accuracy.mcnemar(a, b) == pytest.approx(expected, abs=1e-12)


def test_holms_correction_stops_at_the_first_pair_that_fails() -> None:
    keys = [Key("d", "p", name) for name in "abcd"]

    def differ(i: int, j: int, p: float) -> scores.Difference:
        return scores.Difference(
            a=keys[i], b=keys[j], a_alone=1, b_alone=0, share=0.1, ci95=(0.0, 0.2), p=p
        )

    every = [differ(0, 1, 0.001), differ(0, 2, 0.03), differ(1, 2, 0.04)]
    assert scores.undecided(every) == {frozenset((keys[0], keys[2])), frozenset((keys[1], keys[2]))}
    assert scores.undecided([differ(0, 1, 0.04)]) == set()
    assert scores.undecided([]) == set()


def test_namesakes_are_compared_on_the_same_images(folder: Path) -> None:
    (same,) = scored(folder).namesakes
    assert {same.a.platform, same.b.platform} == {"keras", "pytorch"}
    assert same.share == pytest.approx((same.a_alone - same.b_alone) / IMAGES)
    assert same.ci95[0] < same.share < same.ci95[1]


def benchmark(folder: Path, name: str, *rows: str) -> None:
    place = folder / "tens_benchmarks"
    place.mkdir(exist_ok=True)
    text = "\n".join(["Platform,Model,Acc@1,cAcc@1,Acc@5", *rows, ""])
    (place / name).write_text(text)


def test_a_published_table_is_compared_exactly_and_one_of_other_images_left_out(
    folder: Path,
) -> None:
    good, _, poor = scored(folder).rows
    benchmark(
        folder,
        "all.csv",
        f"PyTorch 1.0,good_net,{54 / 60!r},0.1,{good.score.top5 / 60!r}",
        f"PyTorch 1.0,poor_net,{21 / 60!r},0.1,{poor.score.top5 / 60!r}",
    )
    benchmark(folder, "some.csv", "PyTorch 1.0,good_net,0.8765,0.1,0.9")
    found = archive.read(folder, {"tens": folder.parent / "labels.npy"})
    (told,) = found.scored
    assert [row.equal for row in told.rows] == [True, None, False]
    assert "1 of 2 published rows are exactly these, not poor_net (pytorch)" in told.line
    assert found.notes == ("some.csv: left out, its shares are not of 60 images",)


def test_without_labels_a_data_set_is_left_out_and_the_way_told(folder: Path) -> None:
    found = archive.read(folder)
    assert found.scored == ()
    assert found.notes == ("tens: left out, give its labels with --labels tens=FILE",)


def test_images_of_imagenet_stand_in_class_order() -> None:
    found = load.labels("imagenet", 50_000, None)
    assert found is not None
    assert [int(found[i]) for i in (0, 49, 50, 49_999)] == [0, 0, 1, 999]
    assert load.labels("imagenet", 49_999, None) is None


def _columns(preds: Any, probs: Any) -> Arrays:
    return preds[:, :4], probs


def _floats(preds: Any, probs: Any) -> Arrays:
    return preds.astype(float), probs


def _pickled(preds: Any, probs: Any) -> Arrays:
    return np.array([[{}] * 5] * len(preds), dtype=object), probs


def _by_columns(preds: Any, probs: Any) -> Arrays:
    return np.asfortranarray(preds), probs


def _uneven(preds: Any, probs: Any) -> Arrays:
    return preds, probs[:-1]


def _with(what: int, row: int, column: Any, value: Any) -> Callable[[Any, Any], Arrays]:
    """The same arrays with a value put into one of them; of the classes it is a column's."""

    def made(preds: Any, probs: Any) -> Arrays:
        arrays = (preds, probs)
        arrays[what][row, column] = value
        return arrays

    return made


def _twice(preds: Any, probs: Any) -> Arrays:
    preds[9, 1] = preds[9, 0]
    return preds, probs


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_pickled, "holds pickled objects, which are never read"),
        (_columns, "int64 of shape (60, 4), not integers of shape (n, 5)"),
        (_floats, "float64 of shape (60, 5), not integers"),
        (_with(1, 7, 2, np.nan), "image 7: nan is no probability"),
        (_with(1, 7, 2, 1.5), "image 7: 1.5 is no probability"),
        (_with(1, 7, slice(None), 0.5), "image 7: its probabilities add up to 2.500"),
        (_twice, "image 9: a class twice"),
        (_with(0, 9, 1, -1), "image 9: class -1"),
        (_uneven, "different numbers of images"),
        (_by_columns, "stored by columns"),
    ],
)
def test_values_that_cannot_be_are_one_line_that_names_the_file(
    tmp_path: Path,
    spoil: Callable[[Any, Any], Arrays],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = put(tmp_path / "kept", "net", spoil(*predictions()))
    assert said in refused(folder, capsys)


def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The line by which an archive is refused; nothing is written."""
    np.save(folder.parent / "l.npy", LABELS)
    words = ["archive", str(folder), "--labels", f"tens={folder.parent / 'l.npy'}"]
    assert main([*words, "--out", str(folder.parent / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert not (folder.parent / "out").exists()
    return str(line)


def _short(first: Path, second: Path) -> None:
    del second
    first.write_bytes(first.read_bytes()[:-8])


def _half(first: Path, second: Path) -> None:
    del first
    second.unlink()


def _again(first: Path, second: Path) -> None:
    del second
    (first.parent / "other").mkdir()
    shutil.copy(first, first.parent / "other")


def _text(first: Path, second: Path) -> None:
    del second
    first.write_text("not an array")


def _link(first: Path, second: Path) -> None:
    del second
    first.rename(first.parent / "elsewhere")
    first.symlink_to(first.parent / "elsewhere")


def _other_images(first: Path, second: Path) -> None:
    del second
    put(first.parent.parent, "second", predictions(images=IMAGES - 1))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_short, "shorter or longer than its header says"),
        (_half, "its other half, …_top5probs.npy, is missing"),
        (_again, "is there twice"),
        (_text, "not an array of NumPy"),
        (_link, "its other half, …_top5preds.npy, is missing"),
        (_other_images, "the models saw different images: net 60, second 59"),
    ],
)
def test_files_that_cannot_be_used_are_one_line_that_names_them(
    tmp_path: Path,
    spoil: Callable[[Path, Path], None],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = put(tmp_path / "kept", "net", predictions())
    spoil(next(folder.rglob("*preds.npy")), next(folder.rglob("*probs.npy")))
    assert said in refused(folder, capsys)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tens", "write DATASET=FILE"),
        ("ones={labels}", "no predictions on ones"),
        ("tens={missing}", "No such file"),
        ("tens={words}", "not one integer on each line"),
        ("tens={few}", "59 labels for 60 images"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, given: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words").write_text("one\ntwo\n")
    (tmp_path / "few").write_text("\n".join(map(str, LABELS[:-1])))
    places = {n: tmp_path / n for n in ("missing", "words", "few")} | {
        "labels": tmp_path / "labels.npy"
    }
    words = ["archive", str(folder), "--labels", given.format(**places)]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


def test_an_array_that_claims_to_be_huge_is_refused_by_its_header(tmp_path: Path) -> None:
    folder = put(tmp_path, "net", predictions())
    path = next(folder.rglob("*preds.npy"))
    header = path.read_bytes().replace(b"(60, 5)", b"(9" + b"0" * 10 + b", 5)")
    path.write_bytes(header)
    began = time.monotonic()
    with pytest.raises(ArchiveError, match=r"images, where 1 to|not an array"):
        archive.read(folder)
    assert time.monotonic() - began < 60


def test_everything_is_written_and_names_are_inert(folder: Path, tmp_path: Path) -> None:
    put(folder, "<b>=1+1", predictions(4, 30))
    labels = f"tens={folder.parent / 'labels.npy'}"
    out = tmp_path / "out"
    assert main(["archive", str(folder), "--labels", labels, "--out", str(out)]) == 0
    written = out / "archives" / "kept"
    names = {"archive.html", "archive.md", "models.csv", "accuracy1.png"}
    assert {path.name for path in written.iterdir()} == names
    page = (written / "archive.html").read_text()
    assert "<b>=1+1" not in page
    assert "&lt;b&gt;=1+1" in page
    assert "Content-Security-Policy" in page
    assert "\\<b\\>" in (written / "archive.md").read_text()
    assert (written / "models.csv").read_text().count("\n") == 5


def test_the_document_has_every_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--labels", f"tens={folder.parent / 'labels.npy'}", "--out", str(folder.parent / "o")]
    assert main(["archive", str(folder), *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (dataset,) = told["datasets"]
    assert [row["model"] for row in dataset["models"]] == ["good_net", "goodnet", "poor_net"]
    assert dataset["models"][0]["top1"] == 0.9
    assert dataset["models"][0]["authors"] is None


def test_what_authors_published_covers_both_platforms() -> None:
    known = published.of_authors()
    assert {key.platform for key in known} == {"keras", "pytorch"}
    assert all(0.5 < one.top1 < (one.top5 or 1) <= 1 for one in known.values())


def test_the_page_holds_a_picture_of_many_models(tmp_path: Path) -> None:
    for index in range(45):
        put(tmp_path, f"net{index}", predictions(index, 10 + index))
    np.save(tmp_path / "l.npy", LABELS)
    found = archive.read(tmp_path, {"tens": tmp_path / "l.npy"})
    page = as_page(found)
    assert page.count("<svg") == 2  # at most 40 rows each
