"""What a process does with freed memory: each answer in a process of its own, as it lasts."""

import json
import subprocess
import sys

import pytest

from benchmarks.machine import allocator
from tests.pipeline import ROOT

STEPS = """
import ctypes, json, resource, sys
from benchmarks.machine import allocator
if sys.argv[1] == "keep":
    allocator.keep()
told = allocator.freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes, library.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
def step():  # what a training step does: some blocks of a few megabytes, freed at its end
    blocks = [library.malloc(3 << 20) for _ in range(30)]
    for block in blocks:
        ctypes.memset(block, 1, 3 << 20)
    for block in blocks:
        library.free(block)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(json.dumps([told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]))
"""
PAGES = 30 * (3 << 20) // 4096


def _steps(how: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", STEPS, how], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told, faults = json.loads(done.stdout)
    return told, faults


@pytest.mark.skipif(allocator.freed_memory() is None, reason="the C library has no heap to ask")
def test_a_step_that_keeps_its_memory_faults_no_page_in_again() -> None:
    told, faults = _steps("keep")
    assert told == "kept"
    assert faults < PAGES / 100


@pytest.mark.skipif(
    allocator.freed_memory() != "given back", reason="this C library keeps it anyway"
)
def test_what_is_given_back_is_told_and_faulted_in_again() -> None:
    told, faults = _steps("leave")
    assert told == "given back"
    assert faults > PAGES / 4
