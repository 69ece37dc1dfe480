"""What the kernel says is read to the digit, and what it does not say is a reason, never 0."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from profilers import host
from profilers.host import Reading

TICK = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1024**2


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("read", "files", "value"),
    [
        (host.peak_rss_bytes, {"self/status": "VmPeak:\t9 kB\nVmHWM:\t  12 kB\n"}, 12 * 1024),
        (host.rss_bytes, {"self/status": "VmHWM:\t12 kB\nVmRSS:\t  11 kB\n"}, 11 * 1024),
        (host.swap_used_bytes, {"meminfo": "SwapTotal: 10 kB\nSwapFree: 4 kB\n"}, 6 * 1024),
        (
            host.cpu_pressure,
            {"pressure/cpu": "some avg10=1.50 avg300=0.17 total=2500000\nfull avg10=9\n"},
            host.Pressure(avg10_percent=1.5, total_s=2.5),
        ),
        (host.steal_s, {"stat": "cpu  1 2 4 8 16 32 64 128 256 512\n"}, 128 * TICK),
        (
            host.cpu_times,
            {"stat": "cpu  1 2 4 8 16 32 64 128 1 1\ncpu0 9\ncpu3 9\nintr 7\n"},
            host.CpuTimes(cpus=2, idle_s=24 * TICK, steal_s=128 * TICK),
        ),
        (host.load_average, {"loadavg": "1.25 0.50 0.25 2/345 6789\n"}, 1.25),
    ],
)
def test_a_figure_of_proc_is_read(
    tmp_path: Path, read: Callable[..., Reading[Any]], files: dict[str, str], value: Any
) -> None:
    found = read(proc=_tree(tmp_path, files)).value
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (host.peak_rss_bytes, "self/status"),
        (host.rss_bytes, "self/status"),
        (host.swap_used_bytes, "meminfo"),
        (host.cpu_pressure, "pressure/cpu"),
        (host.steal_s, "stat"),
        (host.cpu_times, "stat"),
        (host.load_average, "loadavg"),
        (lambda proc: host.oom_kills(proc, proc), "vmstat"),
    ],
)
def test_a_file_that_is_absent_or_strange_is_a_reason(
    tmp_path: Path, read: Callable[..., Reading[Any]], name: str
) -> None:
    absent = read(proc=tmp_path)
    assert absent.value is None
    assert absent.reason == f"{tmp_path / name}: No such file or directory"
    strange = read(proc=_tree(tmp_path, {name: "cpu few\n"}))
    assert strange.value is None
    assert "not in the form" in str(strange.reason)


def test_a_kernel_that_refuses_to_read_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "pressure" / "cpu").mkdir(parents=True)  # reading a folder fails with an OSError
    assert "Is a directory" in str(host.cpu_pressure(tmp_path).reason)


def test_a_kernel_without_steal_has_no_steal(tmp_path: Path) -> None:
    assert host.steal_s(_tree(tmp_path, {"stat": "cpu  1 2 4 8 16 32 64\n"})).value is None


def test_the_delay_of_all_threads_is_summed(tmp_path: Path) -> None:
    _tree(
        tmp_path,
        {"7/task/7/schedstat": "5 1000000000 2\n", "7/task/8/schedstat": "0 500000000 1\n"},
    )
    assert host.run_queue_delay_s(7, tmp_path) == Reading(1.5)


def test_a_thread_that_ends_while_being_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _tree(tmp_path, {"7/task/7/schedstat": "5 1000000000 2\n"})
    folder = tmp_path / "7" / "task"
    monkeypatch.setattr(Path, "iterdir", lambda _self: iter([folder / "7", folder / "8"]))
    assert host.run_queue_delay_s(7, tmp_path) == Reading(1.0)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "No such file"),
        ({"7/task/7/schedstat": "0 0 0\n"}, "does not account scheduling"),
        ({"7/task/7/schedstat": "1\n"}, "not in the form"),
        ({"7/task/7/comm": "x\n"}, "No such file"),
    ],
)
def test_a_delay_that_is_not_counted_is_no_zero(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    reading = host.run_queue_delay_s(7, _tree(tmp_path, files))
    assert reading.value is None
    assert words in str(reading.reason)


def test_governor_and_clock_of_all_cpus(tmp_path: Path) -> None:
    cpu = "devices/system/cpu"
    _tree(
        tmp_path,
        {
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance\n",
            f"{cpu}/cpu10/cpufreq/scaling_governor": "performance\n",
            f"{cpu}/cpu0/cpufreq/scaling_cur_freq": "2000000\n",
            f"{cpu}/cpu1/cpufreq/scaling_cur_freq": "3000000\n",
        },
    )
    assert host.cpu_governor(tmp_path) == Reading("performance, powersave")
    assert host.frequency_mhz(tmp_path) == Reading(2500.0)


def test_a_virtual_machine_shows_no_governor_clock_or_turbo(tmp_path: Path) -> None:
    for read in (host.cpu_governor, host.frequency_mhz, host.turbo):
        reading = read(tmp_path)
        assert reading.value is None
        assert "virtual machine" in str(reading.reason)


@pytest.mark.parametrize(
    ("name", "text", "on"),
    [
        ("intel_pstate/no_turbo", "0\n", True),
        ("intel_pstate/no_turbo", "1\n", False),
        ("cpufreq/boost", "1\n", True),
        ("cpufreq/boost", "0\n", False),
    ],
)
def test_turbo_has_two_switches_of_opposite_sense(
    tmp_path: Path, name: str, text: str, on: bool
) -> None:
    assert host.turbo(_tree(tmp_path, {f"devices/system/cpu/{name}": text})) == Reading(on)


V2 = {"proc/self/cgroup": "0::/box/inner\n", "sys/fs/cgroup/cgroup.controllers": "cpu\n"}
V1 = {"proc/self/cgroup": "4:memory:/m\n3:cpu,cpuacct:/box/inner\n2:name=systemd:/\n0::/\n"}
CPU_V1 = "sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        (V2 | {"sys/fs/cgroup/box/inner/cpu.max": "150000 100000\n"}, 1.5),
        (
            V2
            | {
                "sys/fs/cgroup/box/inner/cpu.max": "max 100000\n",
                "sys/fs/cgroup/box/cpu.max": "50000 100000\n",
            },
            0.5,
        ),
        (V2 | {"sys/fs/cgroup/box/inner/cpu.max": "max 100000\n"}, math.inf),
        (V2, math.inf),
        # A container's own root carries the quota; the group of its /proc is not in its /sys.
        (V2 | {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2.0),
        (
            V1
            | {
                f"{CPU_V1}/box/inner/cpu.cfs_quota_us": "-1\n",
                f"{CPU_V1}/box/inner/cpu.cfs_period_us": "100000\n",
                f"{CPU_V1}/box/cpu.cfs_quota_us": "300000\n",
                f"{CPU_V1}/box/cpu.cfs_period_us": "100000\n",
            },
            3.0,
        ),
        (
            V1
            | {
                f"{CPU_V1}/cpu.cfs_quota_us": "-1\n",
                f"{CPU_V1}/cpu.cfs_period_us": "100000\n",
            },
            math.inf,
        ),
    ],
)
def test_the_tightest_quota_holds(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    _tree(tmp_path, files)
    assert host.cgroup_cpu_quota(tmp_path / "proc", tmp_path / "sys") == Reading(cores)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "No such file"),
        ({"proc/self/cgroup": "0::/\n"}, "no control group of the CPU"),
        (V2 | {"sys/fs/cgroup/cpu.max": "some\n"}, "not in the form"),
    ],
)
def test_an_unknown_quota_is_a_reason(tmp_path: Path, files: dict[str, str], words: str) -> None:
    _tree(tmp_path, files)
    reading = host.cgroup_cpu_quota(tmp_path / "proc", tmp_path / "sys")
    assert reading.value is None
    assert words in str(reading.reason)


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        (V2 | {"sys/fs/cgroup/box/inner/memory.events": "low 0\noom 9\noom_kill 2\n"}, 2),
        (V1 | {"sys/fs/cgroup/memory/m/memory.oom_control": "under_oom 0\noom_kill 3\n"}, 3),
        (V2, 7),
        # Kernels before 4.13 list no kills in the group.
        (V1 | {"sys/fs/cgroup/memory/m/memory.oom_control": "under_oom 0\n"}, 7),
    ],
)
def test_kills_are_counted_by_the_group_or_the_machine(
    tmp_path: Path, files: dict[str, str], kills: int
) -> None:
    _tree(tmp_path, {"proc/vmstat": "pgfault 1\noom_kill 7\n"} | files)
    assert host.oom_kills(tmp_path / "proc", tmp_path / "sys") == Reading(kills)


def test_the_peak_of_this_process_rises_and_can_be_reset() -> None:
    # A process of its own: this one's allocator may keep what it freed.
    program = """
import mmap
from profilers import host
block = mmap.mmap(-1, 64 << 20)
for page in range(0, 64 << 20, 4096):
    block[page] = 1
block.close()
print(host.peak_rss_bytes().value, host.reset_peak_rss(), host.peak_rss_bytes().value)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    before, reset, after = done.stdout.split()
    if reset != b"True":
        pytest.skip("this kernel has no clear_refs")
    assert int(before) - int(after) > 56 * MIB


def test_resetting_a_peak_that_cannot_be_reset_says_so(tmp_path: Path) -> None:
    assert host.reset_peak_rss(tmp_path) is False


def test_the_live_kernel_answers_for_this_process() -> None:
    resident = host.rss_bytes().value
    assert resident is not None
    assert 5 * MIB < resident < 4096 * MIB
    assert host.rss_bytes(os.getpid()).value is not None
    times, delay = host.cpu_times(), host.run_queue_delay_s()
    assert times.value is not None
    assert times.value.cpus == os.cpu_count()
    assert times.value.idle_s > 0
    assert (delay.value is None) == (delay.reason is not None)


def test_a_waiting_thread_is_counted_by_the_live_kernel() -> None:
    if host.run_queue_delay_s().value is None:
        pytest.skip("this kernel has no schedstat")
    program = """
import os, threading, time
from profilers import host
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
child = os.fork()
if child == 0:
    end = time.monotonic() + 0.3
    while time.monotonic() < end: pass
    os._exit(0)
end = time.monotonic() + 0.3
before = host.run_queue_delay_s().value
while time.monotonic() < end: pass
print(host.run_queue_delay_s().value - before)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert 0.05 < float(done.stdout) < 0.4  # two loops on one CPU: each waits half the time


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, 4096 * 1024),
        (V2 | {"sys/fs/cgroup/box/inner/memory.max": "1048576\n"}, 1048576),
        (V2 | {"sys/fs/cgroup/box/inner/memory.max": "max\n"}, 4096 * 1024),
        (V1 | {"sys/fs/cgroup/memory/m/memory.limit_in_bytes": "2097152\n"}, 2097152),
        (V1 | {"sys/fs/cgroup/memory/m/memory.limit_in_bytes": f"{1 << 62}\n"}, 4096 * 1024),
        (V2 | {"sys/fs/cgroup/box/inner/memory.max": "much\n"}, 4096 * 1024),
    ],
)
def test_the_tightest_limit_of_memory_holds(
    tmp_path: Path, files: dict[str, str], limit: int
) -> None:
    _tree(tmp_path, {"proc/meminfo": "MemTotal:     4096 kB\n"} | files)
    assert host.memory_limit_bytes(tmp_path / "proc", tmp_path / "sys") == Reading(limit)


def test_a_machine_that_tells_no_limit_of_memory_has_a_reason(tmp_path: Path) -> None:
    found = host.memory_limit_bytes(tmp_path, tmp_path)
    assert (found.value, found.reason) == (None, "the machine tells no limit")
    assert (host.memory_limit_bytes().value or 0) > 0


def test_time_asleep_is_what_one_clock_counts_and_the_other_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = {time.CLOCK_BOOTTIME: 500.0, time.CLOCK_MONOTONIC: 480.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    assert host.suspended_s() == Reading(20.0)
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert host.suspended_s().reason == "the system has no CLOCK_BOOTTIME"
