"""The truth of a run on disk: what is finished is never lost, and nothing is ever half-written.

Also what keeps two runs apart: their folders, and the lock on the device they measure.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from benchmarks.results.stored import files
from benchmarks.results.stored.codec import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

SCHEMA = 2
"""Of a journal: what its entry ``run`` says. One that says nothing is older: schema 1."""
LATEST = "latest"
RUN_ID = re.compile(r"\w[\w.-]*", re.ASCII)
Entry = dict[str, Any]
_OWN_KEYS = frozenset({"kind", "at", "sum"})
_SEAL_BYTES = len(b',"sum":"00000000"}')


class JournalError(ValueError):
    """Something could not be written, read or locked; the text is one line and names the file."""


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace a file as a whole: whoever reads it, whenever, finds the old or the new content.

    Raises:
        JournalError: it could not be written; the old file is as it was.
    """
    try:
        files.replace(path, data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error


def store(path: Path, data: bytes | str) -> None:
    """Write a file, and the folder it lies in.

    Raises:
        JournalError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error


class Journal:
    """An append-only file of JSON lines, each with its time and a checksum.

    An entry is on the disk when ``append`` returns. Threads and processes may append at the same
    time: each entry is one ``write`` to a file opened for appending. ``damaged`` counts the lines
    that were moved away when it was opened for going on.
    """

    def __init__(self, path: Path, damaged: int = 0) -> None:
        self.path, self.damaged = path, damaged
        try:
            self._fd = files.opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            files.sync_folder(path.parent)
        except OSError as error:
            raise JournalError(f"cannot open {path}: {error.strerror}") from error

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Open for going on: damaged lines are moved to ``<name>.bad``, the good ones stay.

        The file is rewritten, so no other process may be appending: hold the device's lock.

        Raises:
            JournalError: it cannot be read or written.
        """
        bad = list[bytes]()
        if path.exists() or path.is_symlink():
            lines = _read_lines(path)
            bad = [line.raw for line in lines if line.entry is None]
            if bad:  # quarantined before they are cut: a kill in between doubles, never loses
                _append(path.with_name(f"{path.name}.bad"), b"\n".join(bad) + b"\n")
                good = [line.raw + b"\n" for line in lines if line.entry is not None]
                write_atomic(path, b"".join(good))
        return cls(path, len(bad))

    def append(self, kind: str, /, **data: Any) -> None:
        """Write one entry and wait until it is on the disk.

        Raises:
            JournalError: the disk refused it, the file was removed (all of it is written again), or
                the data is not JSON (NaN and infinity are not).
        """
        if taken := ", ".join(sorted(_OWN_KEYS & data.keys())):
            raise JournalError(f"entry {kind!r}: the journal itself writes {taken}")
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            body = json.dumps(
                {"kind": kind, "at": at, **data}, allow_nan=False, separators=(",", ":")
            )
        except (TypeError, ValueError, RecursionError) as error:
            raise JournalError(f"entry {kind!r} cannot be written as JSON: {error}") from error
        try:
            self._write(_seal(body.encode()) + b"\n")
        except OSError as error:
            raise JournalError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        there = os.fstat(self._fd)
        size = there.st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            line = b"\n" + line  # a write was cut short here: keep the damage to its own line
        if not (there.st_nlink or self.path.exists()):  # what is added without a name is lost
            store(self.path, os.pread(self._fd, size, 0) + line)
            raise JournalError(f"{self.path} was removed meanwhile: all it held is there again")
        written = os.write(self._fd, line)
        if written != len(line):
            raise OSError(0, f"only {written} of {len(line)} bytes fitted")
        os.fsync(self._fd)


def read(path: Path) -> tuple[list[Entry], int]:
    """The good entries in order, and how many lines are damaged; nothing is written.

    Raises:
        JournalError: the file is missing or cannot be read.
    """
    lines = _read_lines(path)
    entries = [line.entry for line in lines if line.entry is not None]
    return entries, len(lines) - len(entries)


def new_run_id(now: datetime) -> str:
    """A name that sorts by time and does not meet another: ``20261121T081500Z-3f2a``.

    Raises:
        ValueError: ``now`` has no time zone.
    """
    if now.tzinfo is None:
        raise ValueError("a run id needs a time with its zone")
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def create_run(out: Path, run_id: str) -> Path:
    """Make the folder of a new run and prove, before anything is measured, that it takes files.

    Raises:
        JournalError: it cannot be made or written, or there is a run of this name.
    """
    if not RUN_ID.fullmatch(run_id) or run_id == LATEST:
        raise JournalError(f"run id {run_id!r}: use letters, digits, '.', '_' and '-'")
    folder = out / run_id
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise JournalError(f"cannot make {folder}: it is there already") from error
    except OSError as error:
        raise JournalError(f"cannot make {folder}: {error.strerror}") from error
    probe = folder / "writable"
    write_atomic(probe, b"yes")
    probe.unlink()
    return folder


def point_latest(out: Path, run_id: str) -> None:
    """Let ``out/latest`` lead to a run.

    It is a relative link, or a file that holds the name where the file system has no links.

    Raises:
        JournalError: neither could be put there.
    """
    link = out / LATEST
    temporary = out / f".{LATEST}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.symlink_to(run_id, target_is_directory=True)
    except OSError:
        write_atomic(link, f"{run_id}\n")
        return
    try:
        temporary.replace(link)
    except OSError as error:
        temporary.unlink()
        raise JournalError(f"cannot point {link} at {run_id}: {error.strerror}") from error


@contextmanager
def understood(path: Path, whose: str, *mended: type[Exception]) -> Iterator[None]:
    """What is made here of a journal's entries is as it was written, or one line says what is not.

    Args:
        path: the journal.
        whose: what it is the journal of.
        mended: errors that a user can mend, which are raised as they are.

    Raises:
        JournalError: something is missing, or of another kind.
    """
    try:
        yield
    except RecordError as error:
        raise JournalError(f"{path}: {error}") from error
    except mended:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise JournalError(f"{path}: not the journal of {whose} ({what})") from error


class _Line(NamedTuple):
    raw: bytes
    entry: Entry | None


def _seal(body: bytes) -> bytes:
    return body[:-1] + b',"sum":"%08x"}' % zlib.crc32(body)


def _read_lines(path: Path) -> list[_Line]:
    try:
        return [_Line(raw, _parse(raw)) for raw in files.lines(path)]
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror}") from error


def _parse(line: bytes) -> Entry | None:
    if _seal(line[:-_SEAL_BYTES] + b"}") != line:
        return None
    try:
        entry: Entry = files.parse(line)
        del entry["sum"]
    except (ValueError, TypeError, KeyError):
        return None  # sealed, yet not by us
    return entry if isinstance(entry.get("kind"), str) else None


def _append(path: Path, data: bytes) -> None:
    try:
        files.append(path, data)
        files.sync_folder(path.parent)
    except OSError as error:
        raise JournalError(f"cannot write {path}: {error.strerror}") from error
