"""Resident memory over time, and the end of a process that holds too much."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from profilers import host, rss

MIB = 2**20
GROWING = "import time\nheld = []\nfor _ in range({0}): held.append(b'x' * 2**20); time.sleep({1})"


@contextmanager
def _child(code: str) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_what_a_process_holds_is_seen_to_grow() -> None:
    with _child(GROWING.format(60, 0.01)) as child:
        watcher = rss.Watcher(child.pid).start()
        child.wait(60)
        watcher.stop()
    times, held = zip(*watcher.timeline, strict=True)
    assert list(times) == sorted(times)
    assert watcher.peak_bytes == max(held)
    assert max(held) > min(held) + 30 * MIB
    assert not watcher.over


def test_a_process_over_its_limit_is_ended() -> None:
    with _child(GROWING.format(100_000, 0.002)) as child:
        watcher = rss.Watcher(child.pid, 80 * MIB).start()
        assert child.wait(60) == -9
        watcher.stop()
    assert watcher.over
    assert watcher.peak_bytes is not None
    assert 80 * MIB < watcher.peak_bytes < 160 * MIB


def test_a_process_within_its_limit_is_left_alone() -> None:
    with _child(GROWING.format(5, 0.01)) as child:
        watcher = rss.Watcher(child.pid, 4096 * MIB).start()
        assert child.wait(60) == 0
        watcher.stop()
    assert not watcher.over


def test_a_process_that_is_gone_leaves_an_empty_timeline() -> None:
    with _child("") as child:
        child.wait(60)
        watcher = rss.Watcher(child.pid, 1).start()
        time.sleep(0.05)
        watcher.stop()
    assert watcher.timeline == []
    assert watcher.peak_bytes is None
    assert not watcher.over


def test_one_request_beyond_the_guard_fails_at_once() -> None:
    with _child("import sys; sys.stdin; import time; time.sleep(0.3); bytearray(2**30)") as child:
        assert rss.forbid_more(child.pid, 512 * MIB)
        assert resource.prlimit(child.pid, resource.RLIMIT_DATA)[0] == 512 * MIB
        assert child.wait(60) == 1
        assert child.stderr
        assert b"MemoryError" in child.stderr.read()
    assert not rss.forbid_more(child.pid, 512 * MIB)


def test_the_machine_says_what_is_free() -> None:
    free = host.available_bytes().value
    assert free is not None
    assert free > MIB
