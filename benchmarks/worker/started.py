"""Workers that several threads start, which can all be ended at once."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet

from benchmarks.worker.process import Start, WorkerProcess


class Started:
    """Starts workers as ``start`` does, and remembers each as long as anybody has it."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._workers = WeakSet[WorkerProcess]()
        self._lock, self._ended = threading.Lock(), False

    def __call__(self, *given: Any, **told: Any) -> WorkerProcess:
        """A new worker, for the same arguments as ``start``.

        Raises:
            RuntimeError: all were ended.
        """
        worker = self._start(*given, **told)
        with self._lock:
            if not self._ended:
                self._workers.add(worker)
                return worker
        worker.kill()
        raise RuntimeError("no worker is started once all were ended")

    def end(self) -> None:
        """Kill all workers, whatever they do; none is started from here on."""
        with self._lock:
            self._ended = True
            workers = list(self._workers)
        for worker in workers:
            worker.kill()
