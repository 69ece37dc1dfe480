"""A worker of a run: ``python -m benchmarks.worker READING WRITING``, two file descriptors."""

import sys

from benchmarks.worker import protocol
from benchmarks.worker.commands import Worker

if __name__ == "__main__":
    protocol.work(Worker(), *map(int, sys.argv[1:3]))
