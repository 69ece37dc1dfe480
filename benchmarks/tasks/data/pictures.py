"""Labelled pictures in a folder, ``DIR/<class>/<image>``: decoded once, the same for every stack.

Nothing is left to a framework: decoding is Pillow's, and sizing and scaling are NumPy's, here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from benchmarks.tasks.data.idx import DataError

Shape = tuple[int, int, int]
"""Height, width and channels."""
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".ppm": "PPM",
    ".pgm": "PPM",
}
"""What Pillow is asked to read, by the end of the name: some of its other formats run programs."""
ARRAY = ".npy"
SPARE = 8 / 7
"""By how much the shorter side is larger than what is cut out: 256 for 224."""
GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""
SIZED = (
    "a picture of the model's size as it is, any other resized (bilinear, antialiased) with its"
    " shorter side 8/7 of that, and cut to its centre"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What a folder holds: ``paths``, their ``names`` (``class/file``) and ``labels``, in order.

    A label is the place of its class in ``classes``, which are sorted by name. ``left_out`` files
    are no pictures. ``digest`` is a SHA-256 of names and sizes.
    """

    name: str
    classes: tuple[str, ...]
    paths: tuple[Path, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    left_out: int
    digest: str


def find(folder: Path) -> Pictures:
    """The pictures of a folder; none is read. Names that begin with a dot are passed over.

    Raises:
        DataError: there are none, or reading them needs Pillow; one line says so.
    """
    try:
        classes = sorted(one for one in folder.iterdir() if _shown(one) and one.is_dir())
        files = [sorted(filter(_shown, one.iterdir())) for one in classes]
        kept = [[p for p in of if p.suffix.lower() in {ARRAY, *FORMATS}] for of in files]
        paths = tuple(path for of in kept for path in of)
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise DataError(f"--data-dir {folder}: {error.strerror}") from None
    if not paths:
        raise DataError(f"--data-dir {folder}: no <class>/<image> in it ({', '.join(_suffixes())})")
    coded = [path for path in paths if path.suffix.lower() != ARRAY]
    if coded and find_spec("PIL") is None:
        raise DataError(f"{coded[0]}: reading it needs the package pillow")
    names = tuple(_told(f"{path.parent.name}/{path.name}") for path in paths)
    counts = [len(of) for of in kept]
    return Pictures(
        name=_told(folder.resolve().name),
        classes=tuple(_told(one.name) for one in classes),
        paths=paths,
        names=names,
        labels=np.repeat(np.arange(len(classes)), counts).astype(np.int64),
        left_out=sum(map(len, files)) - len(paths),
        digest=hashlib.sha256(json.dumps([names, sizes]).encode()).hexdigest(),
    )


def _shown(path: Path) -> bool:
    return not path.name.startswith(".")


def _suffixes() -> tuple[str, ...]:
    return (ARRAY, *FORMATS)


def _told(name: str) -> str:
    """A name of the file system as one line that can be written."""
    return " ".join(name.encode("utf-8", "replace").decode().split())


def prepare(pictures: Pictures, shape: Shape, path: Path) -> None:
    """Write all of them in a model's shape to ``path``: bytes of shape (n, *shape), as ``.npy``.

    Raises:
        DataError: one cannot be read, or the disk is full.
    """
    try:
        with path.open("wb") as stream:
            described = {
                "descr": "|u1",
                "fortran_order": False,
                "shape": (len(pictures.paths), *shape),
            }
            npy.write_array_header_1_0(stream, described)
            for one in pictures.paths:
                stream.write(sized(read(one), shape).tobytes())
    except OSError as error:
        raise DataError(f"cannot write {path.name}: {error.strerror}") from None


def read(path: Path) -> NDArray[np.uint8]:
    """One picture: bytes of shape (height, width, channels) with 1 channel or 3 (RGB).

    Raises:
        DataError: it cannot be read, or is none; one line names it.
    """
    try:
        held = _array(path) if path.suffix.lower() == ARRAY else _decoded(path)
    except Exception as error:  # the decoders have error classes of their own
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{path}: cannot be read: {what}") from None
    held = held[..., None] if held.ndim == 2 else held  # noqa: PLR2004 - rows and columns
    if held.dtype != np.uint8 or held.ndim != 3 or held.shape[-1] not in {1, 3} or not held.size:  # noqa: PLR2004
        raise DataError(
            f"{path}: {held.dtype} of shape {held.shape}, not uint8 of shape (height, width),"
            " (height, width, 1) or (height, width, 3)"
        )
    return held


def _array(path: Path) -> NDArray[Any]:
    # Mapped, so that a header that claims too much is refused and not given memory.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def _decoded(path: Path) -> NDArray[Any]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=(FORMATS[path.suffix.lower()],)) as image:
            return np.asarray(image if image.mode in {"L", "RGB"} else image.convert("RGB"))


def sized(image: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """A picture in the shape of a model's input, as ``SIZED`` says."""
    height, width, channels = shape
    rows, columns, _ = image.shape
    if (rows, columns) != (height, width):
        factor = SPARE * max(height / rows, width / columns)
        tall, wide = max(height, round(rows * factor)), max(width, round(columns * factor))
        top, left = (tall - height) // 2, (wide - width) // 2
        down = _filter(rows, tall)[top : top + height]
        across = _filter(columns, wide)[left : left + width]
        made = np.einsum("hr,rwc->hwc", down, image.astype(np.float32), optimize=True)
        made = np.einsum("wk,hkc->hwc", across, made, optimize=True)
        image = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    if image.shape[-1] == channels:
        return image
    if channels == 1:
        grey = np.rint(image.astype(np.float32) @ np.array(GREY, np.float32))
        return grey.astype(np.uint8)[..., None]
    return image.repeat(channels, axis=-1)


@functools.lru_cache(maxsize=64)
def _filter(size: int, wanted: int) -> NDArray[np.float32]:
    """The weight of each of ``size`` pixels in each of those ``wanted``: shape (wanted, size).

    A triangle, as wide as two pixels of the coarser grid; centres of pixels lie at halves.
    """
    reach = max(size / wanted, 1.0)
    centres = (np.arange(wanted) + 0.5) * size / wanted
    weights = np.clip(1 - np.abs(np.arange(size) + 0.5 - centres[:, None]) / reach, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


@dataclass(frozen=True, slots=True)
class Scaling:
    """``(x - less) / over`` of bytes, by channel; ``words`` say it, ``bgr`` turns RGB around."""

    words: str
    less: tuple[float, ...]
    over: tuple[float, ...]
    bgr: bool = False

    def fits(self, channels: int) -> bool:
        """Whether it is one of so many channels."""
        return len(self.less) in {1, channels}

    def scaled(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bytes (n, height, width, channels) as a model takes them."""
        turned = images[..., ::-1] if self.bgr else images
        less, over = (np.array(held, np.float32) for held in (self.less, self.over))
        return np.asarray((turned.astype(np.float32) - less) / over, np.float32)


SCALINGS: Mapping[str, Scaling] = {
    "torch": Scaling(
        "RGB from 0 to 1, less (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)",
        less=(123.675, 116.28, 103.53),
        over=(58.395, 57.12, 57.375),
    ),
    "caffe": Scaling(
        "BGR from 0 to 255, less (103.939, 116.779, 123.68)",
        less=(103.939, 116.779, 123.68),
        over=(1.0, 1.0, 1.0),
        bgr=True,
    ),
    "tf": Scaling("from -1 to 1", less=(127.5,), over=(127.5,)),
    "unit": Scaling("from 0 to 1", less=(0.0,), over=(255.0,)),
    "none": Scaling("from 0 to 255", less=(0.0,), over=(1.0,)),
}
"""The first three by the names that Keras has for them."""
