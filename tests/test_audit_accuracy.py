"""Labelled pictures: read once, predicted by each stack, counted, compared, and kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from benchmarks.audit import accuracy
from benchmarks.audit.rows import Row
from benchmarks.results.accuracy import wilson
from benchmarks.results.stored.journal import JournalError
from benchmarks.tasks.data import pictures
from benchmarks.tasks.data.idx import DataError
from benchmarks.tasks.task import Task, classes, features, image, values
from reports.__main__ import main as reports
from reports.archives import audit
from tests.labelled import CLASSES, EACH, TASK, Linear, audited, folder, group, kernel, labelled
from tests.labelled import logits as logits_of

COUNT = CLASSES * EACH
STACKS = ("torch-eager", "keras_torch-eager")


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A folder of labelled noise whose name must be changed for a file's."""
    return folder(tmp_path / "my_noise")


@pytest.fixture
def document(noise: Path, tmp_path: Path) -> dict[str, Any]:
    """What two stacks with different weights predict."""
    of = labelled(noise, tmp_path)
    for seed, stack in enumerate(STACKS):
        audited(of, Linear(TASK, kernel(seed)), stack)
    return of.document([group(*STACKS)])


def test_classes_sorted_by_name_give_the_labels_and_other_files_are_counted(
    noise: Path, tmp_path: Path
) -> None:
    (noise / "class2b").mkdir()  # a class without pictures is one all the same
    (noise / "class0" / "notes.txt").write_text("no picture")
    (noise / "class0" / ".hidden.npy").write_text("passed over")
    (noise / ".cache").mkdir()
    (noise / "list.txt").write_text("no class")
    Image.new("L", (5, 5)).save(noise / "class5" / "z.PNG")
    found = pictures.find(noise)
    assert found.classes == ("class0", "class1", "class2", "class2b", "class3", "class4", "class5")
    assert found.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [4] * 5 + [5] * 5 + [6] * 6
    assert found.names[0] == "class0/0.npy"
    assert found.names[-1] == "class5/z.PNG"
    assert found.left_out == 1
    other = folder(tmp_path / "other")
    assert pictures.find(other).digest != found.digest
    assert pictures.find(other).digest == pictures.find(other).digest


def test_a_coded_picture_is_the_array_that_was_coded(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(colours).save(tmp_path / "rgb.png")
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.bmp")
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "alpha.png")
    np.save(tmp_path / "plane.npy", colours[..., 0])
    assert np.array_equal(pictures.read(tmp_path / "rgb.png"), colours)
    assert np.array_equal(pictures.read(tmp_path / "alpha.png"), colours)
    for name in ("grey.bmp", "plane.npy"):
        assert np.array_equal(pictures.read(tmp_path / name), colours[..., :1])


@pytest.mark.parametrize("size", [(40, 28), (300, 500), (64, 64)])
def test_resizing_is_that_of_pillow_and_the_centre_is_cut_out(size: tuple[int, int]) -> None:
    held = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    got = pictures.sized(held, (56, 56, 3))
    shorter = min(size)
    tall, wide = (round(64 * side / shorter) for side in size)
    larger = Image.fromarray(held).resize((wide, tall), Image.Resampling.BILINEAR)
    top, left = (tall - 56) // 2, (wide - 56) // 2
    expected = np.asarray(larger)[top : top + 56, left : left + 56]
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_a_picture_of_the_models_size_is_left_as_it_is_and_channels_are_fitted() -> None:
    held = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(pictures.sized(held, (8, 8, 3)), held)
    grey = np.asarray(Image.fromarray(held).convert("L"), int)
    assert np.abs(pictures.sized(held, (8, 8, 1))[..., 0] - grey).max() <= 1
    again = pictures.sized(held[..., :1], (8, 8, 3))
    assert all(np.array_equal(again[..., c], held[..., 0]) for c in range(3))


def test_bytes_are_scaled_as_the_words_say() -> None:
    held = np.array([[[[255, 0, 51]]]], np.uint8)
    expected = {
        "torch": [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225],
        "caffe": [51 - 103.939, -116.779, 255 - 123.68],
        "tf": [1, -1, 51 / 127.5 - 1],
        "unit": [1, 0, 0.2],
        "none": [255, 0, 51],
    }
    assert expected.keys() == pictures.SCALINGS.keys()
    for name, one in pictures.SCALINGS.items():
        assert one.scaled(held).ravel() == pytest.approx(expected[name], abs=1e-5), name
        assert one.fits(1) == (name not in {"torch", "caffe"})


def _spoil(path: Path, how: str) -> None:
    held = np.zeros((4, 4), np.uint8)
    if how == "huge":
        np.save(path, held)
        path.write_bytes(path.read_bytes().replace(b"(4, 4), ", b"(9999999, 9999999), "[:8]))
    elif how == "text":
        path.write_text("no array")
    elif how == "pickled":
        np.save(path, np.array([{}], object), allow_pickle=True)
    elif how == "floats":
        np.save(path, held / 1.0)
    elif how == "empty":
        np.save(path, held[:0])
    else:
        np.save(path, np.zeros((4, 4, 2), np.uint8))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("text", "cannot be read"),
        ("huge", "cannot be read"),
        ("pickled", "cannot be read"),
        ("floats", "float64 of shape (4, 4, 1), not uint8"),
        ("empty", "uint8 of shape (0, 4, 1), not uint8 of shape (height, width)"),
        ("planes", "uint8 of shape (4, 4, 2), not uint8"),
    ],
)
def test_an_array_that_is_no_picture_is_one_line_that_names_it(
    how: str, said: str, noise: Path, tmp_path: Path
) -> None:
    _spoil(noise / "class3" / "2.npy", how)
    with pytest.raises(DataError) as error:
        labelled(noise, tmp_path)
    (line,) = str(error.value).splitlines()
    assert str(noise / "class3" / "2.npy") in line
    assert said in line


def test_arrays_that_cannot_be_written_are_one_line(noise: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write x\.npy: No such file"):
        pictures.prepare(pictures.find(noise), (4, 4, 1), tmp_path / "none" / "x.npy")


def test_a_picture_is_read_in_the_format_of_its_name_alone(tmp_path: Path) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "is.png")
    (tmp_path / "is.png").rename(tmp_path / "named.jpg")
    with pytest.raises(DataError, match=r"named\.jpg: cannot be read"):
        pictures.read(tmp_path / "named.jpg")
    (tmp_path / "cut.png").write_bytes((tmp_path / "named.jpg").read_bytes()[:40])
    with pytest.raises(DataError, match=r"cut\.png: cannot be read"):
        pictures.read(tmp_path / "cut.png")


def test_without_pillow_arrays_can_be_read_and_pictures_are_named(
    noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda _name: None)
    assert len(pictures.find(noise).paths) == COUNT
    (noise / "class1" / "0.jpeg").write_bytes(b"")
    with pytest.raises(DataError, match=r"0\.jpeg: reading it needs the package pillow"):
        pictures.find(noise)


def test_accuracy_is_that_of_the_rows_and_batches_are_always_whole(
    noise: Path, tmp_path: Path
) -> None:
    of, worker = labelled(noise, tmp_path), Linear(TASK, kernel(0))
    (row,) = audited(of, worker, STACKS[0])
    order = np.argsort(-logits_of(noise, kernel(0)), axis=1)[:, :5]
    hits = order == np.repeat(np.arange(CLASSES), EACH)[:, None]
    top1, top5 = int(hits[:, 0].sum()), int(hits.any(axis=1).sum())
    assert (row.word, row.check) == ("measured", "accuracy")
    low, high = wilson(top1, COUNT)
    assert row.reason == (
        f"top-1 {100 * top1 / COUNT:.2f} % [{100 * low:.2f}, {100 * high:.2f}], top-5"
        f" {accuracy.share(top5, COUNT)}, of {COUNT} pictures as 4x4x1"
    )
    assert set(worker.sizes) == {4}
    kept = np.load(of.folder / "linear_torch-eager_my-noise_top5preds.npy")
    assert np.array_equal(kept, order)


def test_two_stacks_are_compared_picture_by_picture(document: dict[str, Any], noise: Path) -> None:
    labels = np.repeat(np.arange(CLASSES), EACH)
    first, second = (logits_of(noise, kernel(seed)).argmax(axis=1) for seed in (0, 1))
    (pair,) = document["pairs"]
    a_alone = int(((first == labels) & (second != labels)).sum())
    b_alone = int(((second == labels) & (first != labels)).sum())
    assert (pair["a"], pair["b"]) == STACKS
    assert (pair["a_alone"], pair["b_alone"]) == (a_alone, b_alone)
    assert pair["share"] == pytest.approx((a_alone - b_alone) / COUNT)
    assert pair["p"] == pytest.approx(binomtest(a_alone, a_alone + b_alone).pvalue)
    differ = np.flatnonzero(first != second)
    assert pair["disagree"] == len(differ) > accuracy.SHOWN == len(pair["on"])
    for place, one in zip(differ, pair["on"], strict=False):
        assert one == {
            "picture": f"class{labels[place]}/{place % EACH}.npy",
            "a": f"class{first[place]}",
            "b": f"class{second[place]}",
        }
    (row,) = accuracy.rows(document)
    assert (row.stack, row.check) == (STACKS[0], f"accuracy against {STACKS[1]}")
    assert row.word == pair["word"] == "not told apart"
    names = ", ".join(one["picture"] for one in pair["on"][:3])
    assert row.reason.endswith(f"they disagree on {names} and {len(differ) - 3} more")
    assert not row.refutes


def test_stacks_that_really_differ_are_told_and_equal_ones_are_the_same(
    noise: Path, tmp_path: Path
) -> None:
    of = labelled(noise, tmp_path)
    right = np.repeat(np.arange(CLASSES), EACH)
    for stack, first in (("a-a", right), ("a-b", (right + 1) % CLASSES), ("a-c", right)):
        rows = [[(f + k) % CLASSES for k in range(5)] for f in first]
        of.keep("linear", group(stack).stacks[0], rows, [[0.2] * 5] * COUNT)
    found = of.document([group("a-a", "a-b", "a-c", "a-missing")])
    assert [one["top1"] for one in found["stacks"]] == [1.0, 0.0, 1.0]
    words = {(one["a"], one["b"]): one["word"] for one in found["pairs"]}
    assert words == {
        ("a-a", "a-b"): "differs",
        ("a-a", "a-c"): "same",
        ("a-b", "a-c"): "differs",
    }
    assert [row.reason for row in accuracy.rows(found) if row.word == "same"] == [
        "the same class first for every picture"
    ]


def test_the_archive_counts_again_what_an_audit_kept(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["archive", str(tmp_path / "predictions"), "--json", "--out", str(tmp_path / "out")]
    assert reports(words) == 0
    (dataset,) = json.loads(capsys.readouterr().out)["datasets"]
    assert (dataset["dataset"], dataset["images"]) == ("my-noise", COUNT)
    again = {one["platform"]: one for one in dataset["models"]}
    assert again.keys() == {"torch-eager", "keras-torch-eager"}
    for one in document["stacks"]:
        counted = again[one["stack"].replace("_", "-")]
        assert counted["model"] == "linear"
        assert (counted["top1"], counted["top5"]) == (one["top1"], one["top5"])
        assert counted["ci95"] == pytest.approx(one["top1_ci95"])
        assert counted["tied"] == 0
    (same,) = dataset["namesakes"]
    (pair,) = document["pairs"]
    assert {same["a_alone"], same["b_alone"]} == {pair["a_alone"], pair["b_alone"]}
    assert same["p"] == pytest.approx(pair["p"])
    names = (tmp_path / "predictions" / "my-noise_pictures.txt").read_text().splitlines()
    assert names[:2] == ["class0/0.npy", "class0/1.npy"]
    assert len(names) == COUNT


def test_labels_that_are_given_go_before_those_of_the_archive(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert document["pictures"] == COUNT
    (tmp_path / "none").write_text("77\n" * COUNT)
    words = ["--labels", f"my-noise={tmp_path / 'none'}", "--out", str(tmp_path / "out")]
    assert reports(["archive", str(tmp_path / "predictions"), "--json", *words]) == 0
    (dataset,) = json.loads(capsys.readouterr().out)["datasets"]
    assert {one["top1"] for one in dataset["models"]} == {0.0}


LABEL = {"label": classes(CLASSES)}


@pytest.mark.parametrize(
    ("task", "scaling", "said"),
    [
        (Task(inputs={"a": features(3)}, targets=LABEL), "unit", "it takes features, no picture"),
        (
            Task(inputs={"a": image(4, 4, 3)}, targets={"label": classes(7)}),
            "unit",
            "it has 7 classes, and my_noise 6",
        ),
        (Task(inputs={"a": image(4, 4, 3)}, targets={"x": values(2)}), "unit", "labelled samples"),
        (TASK, "torch", "--preprocess torch is for 3 channels, and it takes 1"),
    ],
)
def test_a_model_that_the_pictures_do_not_fit_is_told_why(
    task: Task, scaling: str, said: str, noise: Path, tmp_path: Path
) -> None:
    of = labelled(noise, tmp_path, task, scaling)
    (row,) = audited(of, Linear(TASK, kernel(0)), STACKS[0], task)
    assert (row.word, row.check) == ("unsupported", "accuracy")
    assert said in row.reason
    assert of.arrays == {}
    assert of.document([group(*STACKS)])["stacks"] == []


def test_predictions_of_fewer_than_five_classes_are_not_kept(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "two" / name).mkdir(parents=True)
        np.save(tmp_path / "two" / name / "0.npy", np.zeros((4, 4), np.uint8))
    task = replace(TASK, targets={"label": classes(2)})
    of = labelled(tmp_path / "two", tmp_path, task)
    assert of.unfit(task) == "predictions are kept of 5 classes, and it has 2"


def test_the_best_are_in_order_equal_ones_by_class_and_what_is_no_number_refused() -> None:
    order, shares = accuracy.best(np.array([[0.0, 2.0, 2.0, 1.0, -1.0, 5.0]]), 6)
    assert order.tolist() == [[5, 1, 2, 3, 0]]
    powers = np.exp([5, 2, 2, 1, 0])
    assert shares[0] == pytest.approx(powers / (powers.sum() + np.exp(-1)))
    with pytest.raises(NotImplementedError, match=r"its output has shape \(2, 3\), not \(n, 6\)"):
        accuracy.best(np.zeros((2, 3)), 6)
    with pytest.raises(ValueError, match="not finite"):
        accuracy.best(np.full((1, 6), np.nan), 6)


def test_kept_predictions_that_are_none_are_refused(noise: Path, tmp_path: Path) -> None:
    of = labelled(noise, tmp_path)
    audited(of, Linear(TASK, kernel(0)), STACKS[0])
    (kept,) = of.folder.glob("linear_*preds.npy")
    np.save(kept, np.zeros((3, 5), np.int64))
    with pytest.raises(JournalError, match=r"int64 of shape \(3, 5\), not ours"):
        of.document([group(STACKS[0])])
    for damaged in (b"nothing", b"\x93NUMPY\x01\x00\x0a\x00{'d6,), }  "):
        kept.write_bytes(damaged)
        with pytest.raises(JournalError, match=r"^[^\n]* cannot be read: [^\n]*$"):
            of.document([group(STACKS[0])])
    elsewhere = tmp_path / "elsewhere.npy"
    np.save(elsewhere, np.zeros((COUNT, 5), np.int64))
    kept.unlink()
    kept.symlink_to(elsewhere)
    with pytest.raises(JournalError, match="is a link, which is not followed"):
        of.document([group(STACKS[0])])


def test_the_page_shows_accuracies_and_the_pictures_on_which_stacks_disagree(
    document: dict[str, Any], tmp_path: Path
) -> None:
    row = Row(model="linear", stack="torch-eager", check="batch", word="same")
    told = {"model": row.model, "stack": row.stack, "check": row.check, "word": row.word}
    rows = [told | {"figure": None, "bound": None, "reason": ""}]
    document["pairs"][0]["on"][0]["picture"] = "<b>class0/0"
    made = {"audit": "a", "rows": rows, "accuracy": document}
    (tmp_path / audit.SUMMARY).write_text(json.dumps(made))
    page = audit.write(tmp_path).read_text()
    (pair,) = document["pairs"]
    for one in document["stacks"]:
        low, high = one["top1_ci95"]
        assert f">{100 * one['top1']:.2f}<" in page
        assert f">{100 * low:.2f} to {100 * high:.2f}<" in page
    assert f">{pair['a_alone']} against {pair['b_alone']}<" in page
    assert f">{pair['disagree']}<" in page
    assert "&lt;b&gt;class0/0" in page
    assert all(f">{one['picture']}<" in page for one in pair["on"][1:])
    assert "over (0.229, 0.224, 0.225)" not in page
    assert "then from 0 to 1" in page
    (tmp_path / audit.SUMMARY).write_text(json.dumps(made | {"accuracy": None}))
    assert "It was not asked for." in audit.write(tmp_path).read_text()
