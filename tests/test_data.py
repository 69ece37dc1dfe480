"""What the twins are fed is equal for all, and a damaged file gives one clear line."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.tasks.data import idx, sets
from benchmarks.tasks.data.idx import DataError
from benchmarks.tasks.data.sets import Dataset
from benchmarks.tasks.task import features, image, mask, tokens

SIDE = 28


def _idx(values: NDArray[np.uint8], *, magic: int | None = None) -> bytes:
    magic = 0x0800 | values.ndim if magic is None else magic
    return struct.pack(f">{1 + values.ndim}I", magic, *values.shape) + values.tobytes()


def _fashion(folder: Path, train: int = 6, test: int = 4, *, packed: bool = True) -> Path:
    """A folder with a tiny Fashion-MNIST: image i is filled with i, its label is i."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", train), ("t10k", test)):
        labels = np.arange(count, dtype=np.uint8)
        images = np.broadcast_to(labels[:, None, None], (count, SIDE, SIDE))
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            _write(folder / f"{prefix}-{kind}-ubyte", _idx(values), packed=packed)
    return folder


def _write(path: Path, content: bytes, *, packed: bool = True) -> None:
    if packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(content, mtime=0))
    else:
        path.write_bytes(content)


def _dataset(images: NDArray[np.uint8], scale: float = 16.0) -> Dataset:
    labels = np.zeros(len(images), np.int64)
    return Dataset(
        name="made up",
        x_train=images,
        y_train=labels,
        x_test=images[:1],
        y_test=labels[:1],
        classes=10,
        scale=scale,
    )


@given(count=st.integers(0, 200), seed=st.integers(0, 2**32))
def test_the_order_is_a_permutation_that_the_seed_decides(count: int, seed: int) -> None:
    order = sets.order(count, seed)
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, sets.order(count, seed))


def test_digits_are_split_within_each_class_and_nothing_is_lost() -> None:
    data = sets.load("digits")
    assert data.x_train.shape == (1438, 8, 8, 1)
    assert data.x_test.shape == (359, 8, 8, 1)
    assert data.x_train.dtype == np.uint8
    assert data.x_train.max() == data.scale == 16
    train, test = np.bincount(data.y_train), np.bincount(data.y_test)
    assert len(train) == len(test) == data.classes == 10
    assert np.abs(train / (train + test) - 0.8).max() < 0.003
    from sklearn.datasets import load_digits

    whole = np.concatenate([data.x_train, data.x_test]).astype(float)
    assert whole.sum() == load_digits().images.sum()


def test_the_seed_decides_the_split() -> None:
    first, again, other = (sets.load("digits", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.x_train, again.x_train)
    assert np.array_equal(first.y_test, again.y_test)
    assert not np.array_equal(first.y_test, other.y_test)


def test_the_first_samples_are_no_single_class() -> None:
    data = sets.first(sets.load("digits"), 100, 50)
    assert (len(data.x_train), len(data.y_train)) == (100, 100)
    assert (len(data.x_test), len(data.y_test)) == (50, 50)
    assert set(np.unique(data.y_train)) == set(range(10))


@pytest.mark.parametrize(("train", "test"), [(0, None), (1439, None), (None, 360), (-1, None)])
def test_more_or_fewer_samples_than_there_are_is_an_error(
    train: int | None, test: int | None
) -> None:
    with pytest.raises(DataError, match="1 to"):
        sets.first(sets.load("digits"), train, test)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inside", ["", "fashion-mnist", "FashionMNIST/raw"])
def test_fashion_mnist_is_read_from_files(tmp_path: Path, packed: bool, inside: str) -> None:
    _fashion(tmp_path / inside, packed=packed)
    data = sets.load("fashion-mnist", tmp_path, seed=5)
    assert data.x_train.shape == (6, SIDE, SIDE, 1)
    assert data.x_test.shape == (4, SIDE, SIDE, 1)
    assert data.scale == 255
    assert data.y_train.dtype == np.int64
    assert list(data.y_train) == list(sets.order(6, 5))
    # An image is filled with its own label: shuffling kept the two together.
    assert np.array_equal(data.x_train[:, 3, 9, 0], data.y_train)
    assert np.array_equal(data.x_test[:, 0, 0, 0], data.y_test)


def test_the_package_of_debian_is_found_without_being_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx, "DEBIAN", _fashion(tmp_path))
    assert sets.available()["fashion-mnist"] is None
    assert len(sets.load("fashion-mnist").y_test) == 4


def test_an_unknown_data_set_lists_those_there_are() -> None:
    with pytest.raises(DataError, match="'mnist': choose from digits, fashion-mnist"):
        sets.load("mnist")


def test_missing_files_are_named_with_where_they_were_looked_for(tmp_path: Path) -> None:
    _fashion(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError) as caught:
        sets.load("fashion-mnist", tmp_path)
    text = str(caught.value)
    assert "t10k-labels-idx1-ubyte (plain or .gz) not found" in text
    assert "train-images" not in text
    assert str(tmp_path) in text
    assert sets.available(tmp_path) == {"digits": None, "fashion-mnist": text}


def test_a_missing_library_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "find_spec", lambda _name: None)
    assert sets.available()["digits"] == "scikit-learn is not installed"
    with pytest.raises(DataError, match="needs scikit-learn"):
        sets.load("digits")


def _truncate(content: bytes) -> bytes:
    return content[:-20]


def _flip(content: bytes) -> bytes:
    return content[:12] + bytes(byte ^ 0xFF for byte in content[12:24]) + content[24:]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncate, "the gzip stream ends too early"),
        (_flip, "not a sound gzip file"),
        (lambda _content: b"plain text", "not a sound gzip file"),
        (lambda _content: b"", "0 bytes, shorter than the header of 16"),
    ],
)
def test_a_damaged_gzip_file_is_one_line(
    tmp_path: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = _fashion(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        sets.load("fashion-mnist", tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert words in text
    assert "\n" not in text


IMAGES = np.zeros((6, SIDE, SIDE), np.uint8)
LABELS = np.zeros(6, np.uint8)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("images-idx3", _idx(IMAGES, magic=0x0801), "is 0x00000801, expected 0x00000803"),
        ("images-idx3", _idx(IMAGES, magic=0x0D03), "is 0x00000d03, expected 0x00000803"),
        ("images-idx3", _idx(IMAGES)[:-1], "holds 4703 values, its header says 6 x 28 x 28 = 4704"),
        ("images-idx3", _idx(IMAGES) + b"\0", "holds 4705 values"),
        ("images-idx3", _idx(IMAGES[:, :8, :8]), r"shape is \(6, 8, 8\), expected \(n, 28, 28\)"),
        ("images-idx3", _idx(IMAGES[:0]), "with n >= 1"),
        ("images-idx3", _idx(IMAGES[:5]), "holds 5 images but .* 6 labels"),
        ("labels-idx1", _idx(LABELS + np.uint8(10)), "holds label 10, expected 0 to 9"),
        ("labels-idx1", b"\0\0\x08", "3 bytes, shorter than the header of 8"),
    ],
)
def test_an_inconsistent_file_is_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    _write(_fashion(tmp_path) / f"train-{name}-ubyte", content)
    with pytest.raises(DataError, match=words):
        sets.load("fashion-mnist", tmp_path)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        idx.read_idx(tmp_path / "gone", axes=1)


def test_an_image_is_enlarged_by_a_whole_factor_and_centred() -> None:
    source = np.array([[1, 2], [3, 4]], np.uint8)[None, :, :, None]
    fitted = sets.fit_to(_dataset(source), image(5, 4, 3)).x_train
    plane = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4], [0, 0, 0, 0]]
    assert fitted.dtype == np.uint8
    assert fitted.shape == (1, 5, 4, 3)
    for channel in range(3):
        assert fitted[0, :, :, channel].tolist() == plane


def test_an_image_too_large_is_cropped_around_its_centre() -> None:
    source = np.arange(36, dtype=np.uint8).reshape(1, 6, 6, 1)
    fitted = sets.fit_to(_dataset(source), image(2, 8, 1)).x_train
    assert fitted[0, :, :, 0].tolist() == [
        [0, *range(12, 18), 0],
        [0, *range(18, 24), 0],
    ]


def test_colour_stays_colour() -> None:
    source = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    fitted = sets.fit_to(_dataset(source), image(2, 2, 3))
    assert np.array_equal(fitted.x_train, source)
    with pytest.raises(DataError, match="3 channels cannot become images of 1"):
        sets.fit_to(_dataset(source), image(2, 2, 1))


def test_features_are_the_pixels_of_a_square() -> None:
    source = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8, 1)
    fitted = sets.fit_to(_dataset(source), features(784)).x_train
    assert fitted.dtype == np.uint8
    assert fitted.shape == (1, 784)
    image = fitted.reshape(SIDE, SIDE)
    assert image[2:26, 2:26].tolist() == source[0, :, :, 0].repeat(3, 0).repeat(3, 1).tolist()
    assert image.sum() == 9 * source.sum(dtype=int)
    with pytest.raises(DataError, match="785 features are not a square"):
        sets.fit_to(_dataset(source), features(785))


@pytest.mark.parametrize(
    ("scale", "pixels", "levels"),
    [(16.0, [0, 1, 15, 16], [0, 1, 15, 16]), (255.0, [0, 15, 16, 255], [0, 0, 1, 16])],
)
def test_tokens_are_brightness_levels_in_reading_order(
    scale: float, pixels: list[int], levels: list[int]
) -> None:
    data = _dataset(np.array(pixels, np.uint8).reshape(1, 2, 2, 1), scale)
    longer = sets.fit_to(data, tokens(6, 17))
    assert longer.x_train.dtype == np.int32
    assert longer.x_train.tolist() == [[*levels, 0, 0]]
    assert longer.scale == 1
    assert sets.fit_to(data, tokens(3, 99)).x_test.tolist() == [levels[:3]]
    with pytest.raises(DataError, match="17 levels need a vocabulary above 16, not 16"):
        sets.fit_to(data, tokens(6, 16))
    with pytest.raises(DataError, match="vocabulary above 16, not 0"):
        sets.fit_to(data, tokens(6, 0))
    with pytest.raises(DataError, match="no mask: image, features or tokens"):
        sets.fit_to(data, mask(6))


def test_looking_for_data_imports_no_library() -> None:
    program = (
        "import sys; from benchmarks.tasks.data import sets; sets.available();"
        "sys.exit(bool({'sklearn', 'torch', 'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
