"""What a timing was taken on and under: the machine and the noise on it.

A ratio without these is hearsay. Nothing here names a host, a user or a folder, so that a result
can be published as it is; and no framework is imported.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks import frameworks
from benchmarks.machine import variables
from benchmarks.results.machine import Environment, Gpu
from profilers import host, neighbours
from profilers.gpu import nvml

Value = TypeVar("Value")

ROOT = Path(__file__).resolve().parents[2]
GIB = 1024**3
PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "nvidia-ml-py",
    "psutil",
    "py-spy",
    "pytest-benchmark",
    "twinbench",
)
"""What a run records the versions of, beside what the frameworks need."""
BUSY_LOAD = 0.25  # of the cores
BUSY_PRESSURE_PERCENT = 5.0
BUSY_STEAL = 0.02  # of the cores
BUSY_FOREIGN = 0.1  # of one core, all foreign processes together
BUSY_SWAP_BYTES = GIB // 16
NAMED_PROCESSES = 3


def describe(threads: int | None = None) -> Environment:
    """The machine and the software; ``threads`` are what the workers were told."""
    devices, gpu_reason = nvml.devices()
    gpus = tuple(_gpu(device) for device in devices)
    cpu, cores, memory_bytes = _cpu(), usable_cores(), psutil.virtual_memory().total
    governor, turbo, commit = host.cpu_governor(), host.turbo(), _commit()
    why = {"governor": governor.reason, "turbo": turbo.reason, "commit": commit.reason}
    return Environment(
        fingerprint=_fingerprint(cpu, cores, memory_bytes, gpus),
        cpu=cpu,
        cores=cores,
        threads=threads,
        memory_bytes=memory_bytes,
        gpu=gpus or None,
        gpu_reason=gpu_reason,
        os=_os(),
        kernel=platform.release(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        versions={name: _version(names) for name, names in packages().items()},
        governor=governor.value,
        turbo=turbo.value,
        commit=commit.value,
        reasons={name: reason for name, reason in why.items() if reason},
    )


def packages() -> dict[str, tuple[str, ...]]:
    """What a run records the versions of, each with the names that it may be installed by."""
    needed = {name: package.names for name, package in frameworks.packages().items()}
    return needed | {name: (name,) for name in PACKAGES}


def key(of: Iterable[str], *settings: str) -> str:
    """The name under which a figure of this machine is kept, beside others of its kind.

    It holds all that the figure depends on: the machine's fingerprint, the settings, and a digest
    of the frameworks ``of`` with the versions of the packages that they need and of the variables
    that workers get.
    """
    versions = [
        (name, need.module, _version(need.names))
        for name in sorted(set(of))
        for need in frameworks.facts(name).needs
    ]
    digest = hashlib.sha256(json.dumps([sorted(set(of)), versions]).encode()).hexdigest()[:12]
    more = variables.digest(variables.recorded())
    return "-".join((describe().fingerprint, *settings, digest, *([more] if more else [])))


def usable_cores(proc: Path = host.PROC, sys: Path = host.SYS) -> int:
    """CPUs that this process may run on at once: its affinity, cut to the control group's quota."""
    quota = host.cgroup_cpu_quota(proc, sys).value
    return max(1, math.floor(min(_affinity(), math.inf if quota is None else quota)))


def framework_status(requires: tuple[str, ...]) -> str | None:
    """``None`` where all modules are installed, else which are not; nothing is imported."""
    # A folder left behind by an uninstall is found too, but has no origin.
    specs = {name: find_spec(name.partition(".")[0]) for name in requires}
    missing = [name for name, spec in specs.items() if spec is None or spec.origin is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"


def noise(
    interval_s: float = 0.5, proc: Path = host.PROC, sys: Path = host.SYS
) -> list[dict[str, str]]:
    """What on this machine will blur a timing, each with a remedy; takes ``interval_s``.

    Returns: one ``{check, state, detail, fix}`` per check; the state is ``ok``, ``warn`` or, where
    the kernel does not say, ``unknown`` with its reason as the detail.
    """
    return [*_activity(interval_s, proc, usable_cores(proc, sys)), *_configuration(proc, sys)]


def _activity(interval_s: float, proc: Path, cores: int) -> list[dict[str, str]]:
    """Who else uses the machine at this moment."""
    stolen = host.steal_s(proc)
    foreign = _foreign_cores(interval_s)
    steal = _share(stolen, host.steal_s(proc), interval_s * cores)
    return [
        _judged(
            "load",
            host.load_average(proc),
            lambda load: load > BUSY_LOAD * cores,
            lambda load: f"{load:.2f} tasks over one minute on {cores} cores",
            "Wait until other work has ended; the average takes a minute to fall.",
        ),
        _judged(
            "cpu pressure",
            host.cpu_pressure(proc),
            lambda pressure: pressure.avg10_percent > BUSY_PRESSURE_PERCENT,
            lambda pressure: f"tasks waited for a CPU {pressure.avg10_percent:.1f}% of 10 s",
            "Stop other work, or leave it cores of its own.",
        ),
        _judged(
            "steal",
            steal,
            lambda share: share > BUSY_STEAL,
            lambda share: f"the hypervisor gave away {share:.1%} of the CPU time",
            "Use a machine with dedicated cores: nothing inside this one can prevent it.",
        ),
        _judged(
            "foreign processes",
            foreign,
            lambda shares: sum(shares.values()) > BUSY_FOREIGN,
            _busiest,
            "Stop them, or start the benchmark under taskset on cores that they do not use.",
        ),
    ]


def _configuration(proc: Path, sys: Path) -> list[dict[str, str]]:
    """How the machine is set up, whoever uses it."""
    affinity = _affinity()
    return [
        _judged(
            "governor",
            host.cpu_governor(sys),
            lambda governor: governor != "performance",
            str,
            "As root: cpupower frequency-set --governor performance.",
        ),
        _judged(
            "turbo",
            host.turbo(sys),
            bool,
            lambda on: "on: the clock follows the temperature" if on else "off",
            "As root: write 1 to intel_pstate/no_turbo or 0 to cpufreq/boost in /sys.",
        ),
        _judged(
            "cpu quota",
            host.cgroup_cpu_quota(proc, sys),
            lambda quota: quota < affinity,
            lambda quota: "no limit" if quota == math.inf else f"{quota:g} of {affinity} cores",
            "Give the container whole cores (cpuset) in place of a share: a quota pauses it.",
        ),
        _judged(
            "swap",
            host.swap_used_bytes(proc),
            lambda used: used > BUSY_SWAP_BYTES,
            lambda used: f"{used / GIB:.2f} GiB in use",
            "Free memory, then as root: swapoff --all && swapon --all.",
        ),
    ]


def _judged(
    check: str,
    reading: host.Reading[Value],
    bad: Callable[[Value], bool],
    show: Callable[[Value], str],
    fix: str,
) -> dict[str, str]:
    value = reading.value
    if value is None:
        return {"check": check, "state": "unknown", "detail": reading.reason or "", "fix": fix}
    state = "warn" if bad(value) else "ok"
    return {"check": check, "state": state, "detail": show(value), "fix": fix}


def _share(
    before: host.Reading[float], after: host.Reading[float], whole: float
) -> host.Reading[float]:
    if before.value is None or after.value is None:
        return host.Reading(None, before.reason or after.reason)
    return host.Reading((after.value - before.value) / whole)


def _busiest(shares: dict[str, float]) -> str:
    top = sorted(shares, key=lambda name: -shares[name])[:NAMED_PROCESSES]
    named = ", ".join(f"{name} {shares[name]:.0%}" for name in top) or "none"
    return f"{sum(shares.values()):.0%} of one core in all; busiest: {named}"


def _foreign_cores(interval_s: float) -> host.Reading[dict[str, float]]:
    """Cores that each program outside our own process tree kept busy, by name."""
    before = neighbours.Snapshot.take()
    time.sleep(interval_s)
    return neighbours.cores_since(before)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _fingerprint(cpu: str, cores: int, memory_bytes: int, gpus: Sequence[Gpu]) -> str:
    """What keys the history: nothing that changes from one run to the next on one machine."""
    names = sorted(gpu.name for gpu in gpus)
    drivers = sorted({gpu.driver for gpu in gpus if gpu.driver})
    facts = json.dumps([cpu, cores, round(memory_bytes / GIB), names, drivers])
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _gpu(device: nvml.Device) -> Gpu:
    """All but the UUID, which is a serial number, and the index."""
    capability = device.compute_capability
    return Gpu(
        name=device.name,
        driver=device.driver,
        memory_total_bytes=device.memory_total_bytes,
        compute_capability="{}.{}".format(*capability) if capability else None,
    )


def _cpu(proc: Path = host.PROC) -> str:
    try:
        lines = (proc / "cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _commit(root: Path = ROOT) -> host.Reading[str]:
    """The commit of the checkout, with ``-dirty`` where tracked files were changed."""
    git = shutil.which("git")
    if git is None:
        return host.Reading(None, "git is not installed")
    if not (root / ".git").exists():  # git would answer for a repository further up
        return host.Reading(None, "not a git checkout")
    # Inside a hook these variables name another repository; locks could disturb the user's git.
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            [git, "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            check=True,
            text=True,
            timeout=30,
            env=variables | {"GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return host.Reading(None, "git does not answer for this checkout")
    return host.Reading(done.stdout.strip())
