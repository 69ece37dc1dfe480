"""The files of the MNIST family (IDX), found and read without a framework and without trust.

Format: two zero bytes, the type (8: unsigned byte), the number of axes, each axis as a big-endian
32-bit integer, then the values (LeCun, Cortes, Burges: The MNIST database of handwritten digits).
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNSIGNED_BYTE = 8
MAX_BYTES = 64 << 20
"""The largest file of Fashion-MNIST has 45 MiB."""
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where dataset-fashion-mnist puts its files
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class DataError(ValueError):
    """A data set is unknown, missing, damaged, or does not fit the model; the text is one line."""


def read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """The array in a plain or gzip-compressed (``.gz``) IDX file of unsigned bytes.

    Raises:
        DataError: the file cannot be read, has another magic number, or is shorter or longer than
            its own header says.
    """
    content = _content(path)
    expected = UNSIGNED_BYTE << 8 | axes
    header = 4 * (1 + axes)
    if len(content) < header:
        raise DataError(f"{path}: {len(content)} bytes, shorter than the header of {header}")
    magic, *shape = struct.unpack(f">{1 + axes}I", content[:header])
    if magic != expected:
        raise DataError(f"{path}: magic number is {magic:#010x}, expected {expected:#010x}")
    found, promised = len(content) - header, math.prod(shape)
    if found != promised:
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{path}: holds {found} values, its header says {sizes} = {promised}")
    values = np.frombuffer(content, np.uint8, offset=header)
    try:
        return values.reshape(shape)
    except ValueError:  # no values, and lengths beyond what an array may have
        raise DataError(f"{path}: no array can be {' x '.join(map(str, shape))}") from None


def read_labelled(
    images: Path, labels: Path, classes: int = 10, side: int = 28
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, side, side) and their labels (n,).

    Raises:
        DataError: a file is damaged, the two do not belong together, or a label is too large.
    """
    x, y = read_idx(images, axes=3), read_idx(labels, axes=1)
    if x.shape[1:] != (side, side) or not len(x):
        raise DataError(f"{images}: shape is {x.shape}, expected (n, {side}, {side}) with n >= 1")
    if len(x) != len(y):
        raise DataError(f"{images} holds {len(x)} images but {labels} {len(y)} labels")
    if y.max() >= classes:
        raise DataError(f"{labels}: holds label {y.max()}, expected 0 to {classes - 1}")
    return x, y


def locate(data_dir: Path | None) -> list[Path]:
    """The four files of Fashion-MNIST in the order of ``FILES``, plain or compressed.

    They all come from one folder: ``data_dir``, or one that a loader of its own would have made
    in it; without it, Debian's.

    Raises:
        DataError: files are missing; the text names them and every folder looked in.
    """
    folders = [DEBIAN]
    if data_dir is not None:
        folders = [data_dir, data_dir / "fashion-mnist", data_dir / "FashionMNIST" / "raw"]
    missing: tuple[str, ...] = FILES
    for folder in folders:
        found = {name: _either(folder / name) for name in FILES}
        files = [path for path in found.values() if path is not None]
        if len(files) == len(FILES):
            return files
        lost = tuple(name for name, path in found.items() if path is None)
        missing = min(missing, lost, key=len)
    raise DataError(
        f"fashion-mnist: {', '.join(missing)} (plain or .gz) not found in "
        f"{', '.join(map(str, folders))}; Debian's package is dataset-fashion-mnist"
    )


def _either(plain: Path) -> Path | None:
    packed = plain.with_name(f"{plain.name}.gz")
    return next((path for path in (plain, packed) if path.is_file()), None)


def _content(path: Path) -> bytes:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            content: bytes = stream.read(MAX_BYTES + 1)
    except EOFError:
        raise DataError(f"{path}: the gzip stream ends too early; copy the file again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a sound gzip file ({error})") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES >> 20} MiB, which no file of this kind is")
    return content
