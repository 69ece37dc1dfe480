"""Opens and reads stored files without trust: no link is followed, nothing too large is taken in.

What a store holds may come from elsewhere. Whoever reads or adds to one of its files does it here.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

MAX_BYTES = 64 << 20
"""What a stored file may hold at most, unpacked: the largest runs are a tenth of it."""
MAX_WEIGHT = 160 << 20
"""Bytes that a document may take in memory at most, as ``weight`` estimates them."""
MAX_DEPTH = 64
_LARGE = re.compile(rb"\d{300}|[eE]\+?\d{3}")
"""What a number has that may be larger than any float."""
PER_CONTAINER, PER_ITEM = 64, 40
"""Bytes that CPython takes for an empty list or dict, and for a number and the place it has."""
PER_LINE = 100
"""The same for a line by itself; the shortest of ours is as long, so that this refuses none."""


def opened(path: Path, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
    """The descriptor of a regular file; one to write to must have no other name (hard link).

    Raises:
        OSError: it cannot be opened, or is a link, or no file.
    """
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(path, "is a link, which is not followed") from None
        if error.errno == errno.ENXIO:  # a socket, or a pipe that nobody reads
            raise _refused(path, "is not a regular file") from None
        raise
    found = os.fstat(fd)
    odd = None if stat.S_ISREG(found.st_mode) else "is not a regular file"
    if odd is None and flags & os.O_ACCMODE != os.O_RDONLY and found.st_nlink > 1:
        odd = "has other names (hard links) that would be written to as well"
    if odd:
        os.close(fd)
        raise _refused(path, odd)
    return fd


def read(path: Path, most: int = MAX_BYTES) -> bytes:
    """All of a regular file; one whose name ends in ``.gz`` is unpacked.

    Raises:
        OSError: it cannot be read, is damaged, is no file, or is larger than ``most`` bytes.
    """
    with os.fdopen(opened(path), "rb") as stream:
        data = _unpacked(stream, path, most) if path.suffix == ".gz" else stream.read(most + 1)
    if len(data) > most:
        raise _refused(path, f"larger than {most >> 20} MiB", errno.EFBIG)
    return data


def lines(path: Path) -> list[bytes]:
    """The lines of a regular file of JSON documents, those left out that hold nothing.

    Raises:
        OSError: as ``read``; or the documents would take too much memory.
    """
    data = read(path)
    if weight(data) + PER_LINE * data.count(b"\n") > MAX_WEIGHT:
        raise _refused(path, f"would take more than {MAX_WEIGHT >> 20} MiB of memory", errno.EFBIG)
    return [line for line in data.split(b"\n") if line]


def replace(path: Path, data: bytes) -> None:
    """Write a file as a whole: whoever reads it, whenever, finds the old or the new content.

    Who may read it is as the umask has it.

    Raises:
        OSError: it could not be written; the old file is as it was, and no other is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def append(path: Path, data: bytes) -> None:
    """Add to a regular file in one write, and wait until it is on the disk.

    Raises:
        OSError: it cannot be written, or only in part; or it is no file.
    """
    fd = opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        written = os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    if written != len(data):
        raise OSError(0, f"only {written} of {len(data)} bytes fitted", str(path))


def weight(data: bytes) -> int:
    """About how many bytes a JSON document takes once it is read; strings count as their length."""
    containers = data.count(b"[") + data.count(b"{")
    return len(data) + PER_CONTAINER * containers + PER_ITEM * data.count(b",")


def parse(data: bytes) -> Any:
    """A JSON document.

    Raises:
        ValueError: it is none (NaN and infinity are not), too deeply nested, or too large in
            memory; the text is one line.
    """
    if weight(data) > MAX_WEIGHT:
        raise ValueError(f"it would take more than {MAX_WEIGHT >> 20} MiB of memory")
    try:
        hook = _finite if _LARGE.search(data) else None  # the parser's own is faster
        found = json.loads(data, parse_constant=_constant, parse_float=hook)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from None
    if _deeper(found, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return found


def _unpacked(stream: Iterable[bytes], path: Path, most: int) -> bytes:
    """The content of a gzip file, of which no more than ``most + 1`` bytes are ever held."""
    import gzip

    assert isinstance(stream, io.BufferedReader)  # noqa: S101 - what ``fdopen`` gives
    try:
        with gzip.GzipFile(fileobj=stream) as packed:
            return packed.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _refused(path, f"truncated or damaged ({error})") from error


def _deeper(data: Any, limit: int) -> bool:
    """Whether containers nest deeper; level by level, so that depth costs no stack."""
    level = [data]
    for _ in range(limit + 1):
        below: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node
            below += [child for child in children if isinstance(child, dict | list)]
        if not below:
            return False
        level = below
    return True


def _constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant[:20]} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _constant(text)


def _refused(path: Path, why: str, number: int = errno.EINVAL) -> OSError:
    return OSError(number, why, str(path))
