"""The lock on the device that a run measures: two runs at a time would measure each other."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.results import files
from benchmarks.results.journal import JournalError

if TYPE_CHECKING:
    from types import TracebackType


class Locked(JournalError):  # noqa: N818  (a state of the device rather than a fault)
    """Another run holds the device; ``owner`` is its pid, or ``None`` where it is not known."""

    def __init__(self, name: str, owner: int | None) -> None:
        who = f"process {owner}" if owner else "another process"
        super().__init__(f"{name} is being measured by {who}: wait for it, or stop it")
        self.owner = owner


class DeviceLock:
    """At most one run of this user measures a device. Never waits; entering raises ``Locked``.

    The kernel frees the lock with its owner, however that ends, so a stale file holds nobody up.

    Args:
        name: ``cpu`` or the UUID of a GPU.
        folder: where the lock file lies; the folder for temporary files by default.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        slug = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
        self.name = name
        self.path = (folder or Path(tempfile.gettempdir())) / f"twinbench-{os.getuid()}-{slug}.lock"
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            fd = files.opened(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(f"cannot open the lock {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(fd, 20, 0)
            os.close(fd)
            raise Locked(self.name, int(owner) if owner.isdigit() else None) from error
        except OSError as error:
            os.close(fd)
            raise JournalError(f"cannot take the lock {self.path}: {error.strerror}") from error
        self._fd = fd
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)
        self._fd = -1
