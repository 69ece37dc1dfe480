"""What the Linux kernel says about memory, interference and clocks, read from /proc and /sys.

A library that hides these files reports 0 for what a container or a virtual machine does not show.
Here a figure that cannot be had is ``None`` with the reason, and nothing raises.

Formats: proc(5), Documentation/accounting/psi.rst and Documentation/admin-guide/cgroup-v2.rst.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

PROC = Path("/proc")
SYS = Path("/sys")
KIB = 1024
NANO = 1e-9
MICRO = 1e-6

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Reading(Generic[Value]):
    """A figure, or ``None`` and why it could not be had."""

    value: Value | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """How long some task waited for a CPU: a 10 s average in percent, and seconds since boot."""

    avg10_percent: float
    total_s: float


def peak_rss_bytes(pid: int | str = "self", proc: Path = PROC) -> Reading[int]:
    """Largest resident set since the program started or ``reset_peak_rss`` (VmHWM).

    Not ``ru_maxrss``: that one is inherited through exec from whatever started the process.
    """
    return _kib(proc / str(pid) / "status", "VmHWM")


def rss_bytes(pid: int | str = "self", proc: Path = PROC) -> Reading[int]:
    """Resident set at this moment (VmRSS)."""
    return _kib(proc / str(pid) / "status", "VmRSS")


def available_bytes(proc: Path = PROC) -> Reading[int]:
    """What the machine can still give without swapping (MemAvailable of proc_meminfo(5))."""
    return _kib(proc / "meminfo", "MemAvailable")


def reset_peak_rss(proc: Path = PROC) -> bool:
    """Start the peak of this process anew; whether the kernel took it."""
    try:
        (proc / "self" / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def swap_used_bytes(proc: Path = PROC) -> Reading[int]:
    """Swap space in use on the whole machine."""
    total, free = (_kib(proc / "meminfo", key) for key in ("SwapTotal", "SwapFree"))
    if total.value is None or free.value is None:
        return Reading(None, total.reason or free.reason)
    return Reading(total.value - free.value)


def run_queue_delay_s(pid: int | str = "self", proc: Path = PROC) -> Reading[float]:
    """Time the threads of a process stood ready to run but waited for a CPU.

    Summed over the threads alive now: a thread takes its share with it when it ends, so compare
    two readings only where no thread ended between them.
    """
    folder = proc / str(pid) / "task"
    ran, waited = 0, 0
    try:
        for task in folder.iterdir():
            try:
                fields = (task / "schedstat").read_text().split()
            except (FileNotFoundError, ProcessLookupError):
                if task.exists():
                    raise  # the kernel keeps no such file; a thread that just ended is no fault
                continue
            ran, waited = ran + int(fields[0]), waited + int(fields[1])
    except (OSError, ValueError, IndexError) as error:
        return Reading(None, _why(folder, error))
    if ran == 0:  # a process that reads this has run, so the kernel is not counting
        return Reading(None, "the kernel does not account scheduling (schedstat is all zeros)")
    return Reading(waited * NANO)


def cpu_pressure(proc: Path = PROC) -> Reading[Pressure]:
    """Pressure stall information of the CPU, "some" line: at least one task was waiting."""

    def parse(text: str) -> Pressure:
        line = next(line for line in text.splitlines() if line.startswith("some "))
        fields = dict(field.split("=") for field in line.split()[1:])
        return Pressure(float(fields["avg10"]), int(fields["total"]) * MICRO)

    return _parsed(proc / "pressure" / "cpu", parse)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU seconds since boot, summed over so many CPUs.

    In ``idle_s`` a CPU had nothing to run, or only what waited for a disk; ``steal_s`` the
    hypervisor gave to others. What is left of the time was spent by somebody on this machine.
    """

    cpus: int
    idle_s: float
    steal_s: float


def cpu_times(proc: Path = PROC) -> Reading[CpuTimes]:
    """Idle and stolen time, from one look at the kernel's counters; their step is 10 ms.

    Not the busy counters beside them: most kernels give each tick to whoever runs at that moment,
    while idle time is taken from a clock. Beside two threads that rest every millisecond, what
    others took in 0.1 s is off by 10 ms (SD) by the busy counters, and by 5 ms by idle time.
    """

    def parse(text: str) -> CpuTimes:
        cpus = sum(line.startswith("cpu") for line in text.splitlines()) - 1
        _user, _nice, _system, idle, iowait, _irq, _softirq, steal, *_ = _ticks(text)
        return CpuTimes(cpus, idle + iowait, steal)

    return _parsed(proc / "stat", parse)


def steal_s(proc: Path = PROC) -> Reading[float]:
    """CPU time since boot that the hypervisor gave to others, summed over the CPUs."""
    return _parsed(proc / "stat", lambda text: _ticks(text)[7])


def suspended_s() -> Reading[float]:
    """Time since the machine started in which it was suspended (clock_gettime(2)).

    CLOCK_MONOTONIC, by which everything is timed, stands still then, and no change of the date
    moves it; CLOCK_BOOTTIME goes on.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    if boot is None:
        return Reading(None, "the system has no CLOCK_BOOTTIME")
    return Reading(time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC))


def load_average(proc: Path = PROC) -> Reading[float]:
    """Tasks running or waiting, averaged over one minute."""
    return _parsed(proc / "loadavg", lambda text: float(text.split()[0]))


def cpu_governor(sys: Path = SYS) -> Reading[str]:
    """The frequency governor; several, comma-separated, where CPUs differ."""
    return _cpufreq(sys, "scaling_governor", lambda texts: ", ".join(sorted(set(texts))))


def frequency_mhz(sys: Path = SYS) -> Reading[float]:
    """Clock at this moment, averaged over the CPUs.

    The figure in /proc/cpuinfo is no substitute: under a hypervisor it is the nominal clock.
    """
    return _cpufreq(sys, "scaling_cur_freq", lambda texts: sum(map(int, texts)) / len(texts) / 1000)


def turbo(sys: Path = SYS) -> Reading[bool]:
    """Whether the CPU may run above its nominal clock."""
    cpu = sys / "devices" / "system" / "cpu"
    for path, on in ((cpu / "intel_pstate" / "no_turbo", "0"), (cpu / "cpufreq" / "boost", "1")):
        if path.exists():
            text = _parsed(path, str.strip)
            return Reading(None if text.value is None else text.value == on, text.reason)
    return Reading(None, "no turbo switch in /sys (virtual machine or other driver)")


def cgroup_cpu_quota(proc: Path = PROC, sys: Path = SYS) -> Reading[float]:
    """CPUs that the control group may use per period; ``inf`` where it is not limited.

    The tightest limit from the group up to the root holds, in version 1 and 2.
    """
    quotas = []
    try:
        for folder in _groups(proc, sys, "cpu"):
            if (folder / "cpu.max").is_file():
                quota, period = (folder / "cpu.max").read_text().split()
            elif (folder / "cpu.cfs_quota_us").is_file():
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text()
            else:
                continue
            quotas.append(math.inf if quota in {"max", "-1"} else int(quota) / int(period))
        # The root of version 2 has no cpu.max, because nothing limits it.
        unlimited = (sys / "fs" / "cgroup" / "cgroup.controllers").is_file()
    except (OSError, ValueError, ZeroDivisionError) as error:
        return Reading(None, _why(sys / "fs" / "cgroup", error))
    if not quotas and not unlimited:
        return Reading(None, "no control group of the CPU is mounted")
    return Reading(min(quotas, default=math.inf))


def memory_limit_bytes(proc: Path = PROC, sys: Path = SYS) -> Reading[int]:
    """What this process and its children may hold: the machine's memory, or less in a group."""
    limits = [limit] if (limit := _kib(proc / "meminfo", "MemTotal").value) else []
    names = ("memory.max", "memory.limit_in_bytes")
    try:
        there = [folder / name for folder in _groups(proc, sys, "memory") for name in names]
        texts = (path.read_text().strip() for path in there if path.is_file())
        limits += [int(text) for text in texts if text != "max"]
    except (OSError, ValueError):
        pass  # the machine's own limit is left
    return Reading(min(limits)) if limits else Reading(None, "the machine tells no limit")


def oom_kills(proc: Path = PROC, sys: Path = SYS) -> Reading[int]:
    """Processes that the kernel killed for lack of memory, in this control group if it counts.

    A counter: only a difference between two readings says something about what ran between them.
    """
    try:
        for folder in _groups(proc, sys, "memory"):
            for name in ("memory.events", "memory.oom_control"):
                if (folder / name).is_file():
                    return Reading(_counter((folder / name).read_text(), "oom_kill"))
    except (OSError, ValueError, LookupError):
        pass  # the machine's own counter is left
    return _parsed(proc / "vmstat", lambda text: _counter(text, "oom_kill"))


def _groups(proc: Path, sys: Path, controller: str) -> Iterator[Path]:
    """Folders that may hold a controller's files, from this process's group up to the root.

    In a container /proc names a group that its /sys does not show, but the root there is its own.
    """
    mount = sys / "fs" / "cgroup"
    for line in (proc / "self" / "cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            roots = [mount / controllers, mount / controller]
        elif not controllers:
            roots = [mount / "unified", mount]
        else:
            continue
        root = next((root for root in roots if root.is_dir()), mount)
        here = Path(group.lstrip("/"))
        for part in dict.fromkeys((here, *here.parents)):
            yield root / part


def _counter(text: str, key: str) -> int:
    return int(dict(line.split() for line in text.splitlines())[key])


def _ticks(text: str) -> list[float]:
    hertz = os.sysconf("SC_CLK_TCK")
    return [int(field) / hertz for field in text.splitlines()[0].split()[1:]]


def _kib(path: Path, key: str) -> Reading[int]:
    def parse(text: str) -> int:
        line = next(line for line in text.splitlines() if line.startswith(f"{key}:"))
        return int(line.split()[1]) * KIB

    return _parsed(path, parse)


def _cpufreq(sys: Path, name: str, parse: Callable[[list[str]], Value]) -> Reading[Value]:
    folder = sys / "devices" / "system" / "cpu"
    try:
        texts = [path.read_text().strip() for path in folder.glob(f"cpu[0-9]*/cpufreq/{name}")]
        if not texts:
            return Reading(None, "no cpufreq in /sys (virtual machine or container)")
        return Reading(parse(texts))
    except (OSError, ValueError) as error:
        return Reading(None, _why(folder, error))


def _parsed(path: Path, parse: Callable[[str], Value]) -> Reading[Value]:
    try:
        return Reading(parse(path.read_text()))
    except (OSError, ValueError, LookupError, StopIteration) as error:
        return Reading(None, _why(path, error))


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{path}: {error.strerror or error}"
    return f"{path}: not in the form this kernel file is known to have"
