"""The locks on what a run measures: two runs at a time would measure each other."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.results.stored import files
from benchmarks.results.stored.journal import JournalError
from profilers.gpu import gpu_state

if TYPE_CHECKING:
    from types import TracebackType

VARIABLE = "TWINBENCH_LOCKS"
"""Names another folder for the locks: of tests, or one that containers share."""
PLACE = Path("/var/tmp")  # noqa: S108 - what is opened there is checked
"""One folder for all users of a machine, whatever their folder for temporary files is."""


class Locked(JournalError):  # noqa: N818  (a state of the device rather than a fault)
    """Another run holds the device; ``owner`` is its pid, or ``None`` where it is not known."""

    def __init__(self, name: str, owner: int | None) -> None:
        who = f"process {owner}" if owner else "another process"
        super().__init__(f"{name} is being measured by {who}: wait for it, or stop it")
        self.owner = owner


@contextmanager
def held_by(device: str) -> Iterator[None]:
    """Hold what a run on ``cpu`` or ``cuda`` uses, for as long as the block lasts.

    A run on a GPU uses the cores, too: it excludes runs on the CPU, and those on the same GPU.

    Raises:
        Locked: another run uses it.
        JournalError: a lock cannot be opened or taken.
    """
    with ExitStack() as held:
        held.enter_context(DeviceLock("cpu", shared=device != "cpu"))
        if device != "cpu":
            held.enter_context(DeviceLock(gpu_state.visible_uuid().value or device))
        yield


class DeviceLock:
    """At most one run measures a device. Never waits; entering raises ``Locked``.

    The kernel frees the lock with its owner, however that ends, so a stale file holds nobody up.

    Args:
        name: ``cpu`` or the UUID of a GPU.
        folder: where the lock file lies; by default the one for all users.
        shared: whether others may hold it that share it, too.
    """

    def __init__(self, name: str, folder: Path | None = None, *, shared: bool = False) -> None:
        slug = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
        place = folder or Path(os.environ.get(VARIABLE) or PLACE)
        self.name, self.shared = name, shared
        self.path = place / f"twinbench-{slug}.lock"
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            fd = _opened(self.path)
        except OSError as error:
            raise JournalError(f"cannot open the lock {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            if os.fstat(fd).st_uid == os.getuid():  # nobody else's file is written to
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(fd, 20, 0)
            os.close(fd)
            raise Locked(self.name, _alive(owner)) from error
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


def _opened(path: Path) -> int:
    """The lock's file: made for all users, of others to be read alone.

    The kernel refuses to open another user's file in a folder for all with O_CREAT.
    """
    for _ in range(2):
        try:
            mine = path.lstat().st_uid == os.getuid()
            return files.opened(path, os.O_RDWR if mine else os.O_RDONLY)
        except FileNotFoundError:
            try:
                fd = files.opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            except FileExistsError:  # by another run, since
                continue
            os.fchmod(fd, 0o644)  # whatever the umask: others must be able to ask for the lock
            return fd
    return files.opened(path)


def _alive(written: bytes) -> int | None:
    """The pid in a lock, where there is such a process."""
    if not written.isdigit():
        return None
    pid = int(written)
    return pid if Path(f"/proc/{pid}").is_dir() else None
