"""Temporary folders that go with the process that made them, at the latest when the next run comes.

A folder is locked (``flock``) while it is in use, which the kernel ends with its process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.results.stored.journal import JournalError

PREFIX = "twinbench-run-"


class Folder:
    """A folder that only this user may enter; ``close`` removes it.

    Raises:
        JournalError: it cannot be made.
    """

    def __init__(self, kind: str) -> None:
        while True:  # until it is locked before a sweep has found it
            try:
                self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-"))
                self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                why = f"{error.strerror}: TMPDIR can name another place"
                raise JournalError(f"cannot make a temporary folder: {why}") from error
            with suppress(OSError):  # a file system without locks: it is not swept either
                fcntl.flock(self._fd, fcntl.LOCK_SH)
            if self.path.exists():
                return
            os.close(self._fd)

    def close(self) -> None:
        """Remove it; what cannot be removed stays for the next sweep. Again does nothing."""
        if self._fd >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._fd)
            self._fd = -1


@contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A folder for as long as the block lasts."""
    made = Folder(kind)
    try:
        yield made.path
    finally:
        made.close()


def sweep() -> None:
    """Remove the folders that processes of this user left behind when they were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # no folder, another user's, or in use
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_uid == os.getuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(fd)
