"""The machine is described without saying whose it is, and its noise and inequalities are named."""

import json
import math
import os
import platform
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import environment
from benchmarks.machine.environment import describe, framework_status, noise, usable_cores
from benchmarks.results.fairness import fairness
from benchmarks.results.machine import Check, Environment, Gpu
from benchmarks.results.stored.codec import from_json, to_json
from profilers import host, neighbours
from profilers.host import Reading
from tests.fake_nvml import GIB, FakeGpu, FakeNvml

NO_LIBRARY = {"nvmlInitWithFlags": 12}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """A machine without a driver, whatever this one has."""
    return FakeNvml(errors=NO_LIBRARY).install(monkeypatch)


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.usefixtures("no_gpu")
def test_every_key_is_there_and_absence_has_a_reason() -> None:
    facts = describe(threads=2)
    assert facts.threads == 2
    assert facts.gpu is None
    assert str(facts.gpu_reason).startswith("NVMLError_LibraryNotFound (12)")
    for key in ("governor", "turbo", "commit"):
        assert (getattr(facts, key) is None) == (key in facts.reasons)
    assert facts.cpu
    assert facts.fingerprint
    assert facts.python.endswith(platform.python_version())
    assert facts.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert from_json(Environment, to_json(facts)) == facts


@pytest.mark.usefixtures("no_gpu")
def test_nothing_tells_whose_machine_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "secret-host")
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    for variable in ("HOME", "USER", "LOGNAME"):
        monkeypatch.setenv(variable, "/secret-user")
    text = json.dumps(to_json(describe()))
    assert "secret" not in text
    assert str(environment.ROOT) not in text


def test_a_gpu_is_described_without_its_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml().install(monkeypatch)
    facts = describe()
    assert facts.gpu == (
        Gpu(
            name="NVIDIA Fake 100",
            driver="580.00.01",
            memory_total_bytes=80 * GIB,
            compute_capability="9.0",
        ),
    )
    assert facts.gpu_reason is None
    assert "GPU-0000" not in json.dumps(to_json(facts))


def test_the_fingerprint_follows_the_machine_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fingerprint() -> str:
        return describe().fingerprint

    FakeNvml(errors=NO_LIBRARY).install(monkeypatch)
    bare = fingerprint()
    assert len(bare) == 12
    monkeypatch.setattr(host, "cpu_governor", lambda: Reading("powersave"))
    monkeypatch.setattr(environment, "_commit", lambda: Reading("0123456789ab"))
    assert fingerprint() == bare
    seen = {bare}
    for fake in (
        FakeNvml(),
        FakeNvml(gpus=(FakeGpu(), FakeGpu())),
        FakeNvml(gpus=(FakeGpu(name="NVIDIA Fake 200"),)),
        FakeNvml(driver="590.00.01"),
    ):
        fake.install(monkeypatch)
        assert fingerprint() not in seen
        seen.add(fingerprint())
    FakeNvml(errors=NO_LIBRARY).install(monkeypatch)
    for name, value in (("usable_cores", 999), ("_cpu", "Abacus")):
        with monkeypatch.context() as patch:
            patch.setattr(environment, name, lambda value=value: value)
            assert fingerprint() not in seen
            seen.add(fingerprint())
    assert fingerprint() == bare


@pytest.mark.parametrize(("memory", "same"), [(16.1, True), (15.9, True), (17.0, False)])
def test_memory_counts_in_whole_gibibytes(memory: float, same: bool) -> None:
    whole = environment._fingerprint("x", 2, 16 * GIB, [])
    assert (environment._fingerprint("x", 2, int(memory * GIB), []) == whole) is same


def test_versions_are_those_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"numpy": "2.1.0", "tensorflow-cpu": "2.20.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    versions = describe().versions
    assert versions["numpy"] == "2.1.0"
    assert versions["tensorflow"] == "2.20.0"  # whichever of its two packages is there
    assert versions["torch"] is None
    assert {"keras", "jax", "nvidia-ml-py", "pytest-benchmark", "twinbench"} <= set(versions)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_says_whether_tracked_files_were_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as a hook would
    variables = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@localhost"]
        done = subprocess.run(
            [*command, *arguments], check=True, capture_output=True, text=True, env=variables
        )
        return done.stdout.strip()

    assert environment._commit(tmp_path) == Reading(None, "not a git checkout")
    git("init", "--quiet")
    assert environment._commit(tmp_path).value is None
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "--quiet", "--no-gpg-sign", "--message", "first")
    git("tag", "v1")
    (tmp_path / "untracked").write_text("")
    head = git("rev-parse", "--short=12", "HEAD")
    assert environment._commit(tmp_path) == Reading(head)
    (tmp_path / "file").write_text("2")
    assert environment._commit(tmp_path) == Reading(f"{head}-dirty")
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert environment._commit(tmp_path) == Reading(None, "git is not installed")


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("1600000 100000", 8)],
)
def test_cores_are_the_affinity_cut_to_the_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    _tree(tmp_path, {"self/cgroup": "0::/\n", "fs/cgroup/cpu.max": quota})
    assert usable_cores(tmp_path, tmp_path) == cores


QUIET = {
    "loadavg": "0.10 0.10 0.10 1/100 1\n",
    "pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "stat": "cpu  1 2 4 8 16 32 64 128 0 0\n",
    "meminfo": "SwapTotal: 8388608 kB\nSwapFree: 8388608 kB\n",
    "self/cgroup": "0::/\n",
    "fs/cgroup/cpu.max": "max 100000\n",
    "devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "devices/system/cpu/intel_pstate/no_turbo": "1\n",
}
CHECKS = [
    "load",
    "cpu pressure",
    "steal",
    "foreign processes",
    "governor",
    "turbo",
    "cpu quota",
    "swap",
]


def _noise(root: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    monkeypatch.setattr(environment, "_affinity", lambda: 2)
    monkeypatch.setattr(environment, "_foreign_cores", lambda _interval_s: Reading({"idle": 0.01}))
    checks = noise(0.5, root, root)
    assert [check["check"] for check in checks] == CHECKS
    assert all(check["fix"].endswith(".") for check in checks)
    assert all(check["detail"] for check in checks)
    return {check["check"]: check for check in checks}


def test_a_quiet_machine_is_ok_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = _noise(_tree(tmp_path, QUIET), monkeypatch)
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert checks["load"]["detail"] == "0.10 tasks over one minute on 2 cores"
    assert checks["foreign processes"]["detail"] == "1% of one core in all; busiest: idle 1%"


@pytest.mark.parametrize(
    ("check", "file", "text", "detail"),
    [
        ("load", "loadavg", "0.51 0 0 1/1 1\n", "0.51 tasks"),
        ("cpu pressure", "pressure/cpu", "some avg10=54.00 total=1\n", "54.0%"),
        (
            "governor",
            "devices/system/cpu/cpu0/cpufreq/scaling_governor",
            "powersave\n",
            "powersave",
        ),
        ("turbo", "devices/system/cpu/intel_pstate/no_turbo", "0\n", "on"),
        ("cpu quota", "fs/cgroup/cpu.max", "150000 100000\n", "1.5 of 2 cores"),
        ("swap", "meminfo", "SwapTotal: 8388608 kB\nSwapFree: 6291456 kB\n", "2.00 GiB"),
    ],
)
def test_one_disturbance_warns_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    file: str,
    text: str,
    detail: str,
) -> None:
    checks = _noise(_tree(tmp_path, QUIET | {file: text}), monkeypatch)
    assert [name for name, found in checks.items() if found["state"] == "warn"] == [check]
    assert detail in checks[check]["detail"]


def test_steal_is_what_the_interval_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tree(tmp_path, QUIET)
    stolen = iter([Reading(10.0), Reading(10.1)])
    monkeypatch.setattr(host, "steal_s", lambda _proc: next(stolen))
    steal = _noise(tmp_path, monkeypatch)["steal"]
    assert steal["state"] == "warn"  # 0.1 s of the 0.5 s that two cores had each
    assert "10.0%" in steal["detail"]


def test_what_the_kernel_does_not_say_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = _noise(tmp_path, monkeypatch)
    foreign = checks.pop("foreign processes")
    assert foreign["state"] == "ok"
    assert {check["state"] for check in checks.values()} == {"unknown"}
    assert "No such file" in checks["load"]["detail"]


def test_a_busy_process_of_others_is_named_and_our_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import time; print(flush=True); end = time.time() + 20\nwhile time.time() < end: pass"
    )
    python = tmp_path / "busy-program"  # a process is named after the link that started it
    python.symlink_to(sys.executable)
    with subprocess.Popen([python, "-I", "-c", program], stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            tree = {process.pid: process for process in neighbours._own_tree()}
            assert {os.getpid(), os.getppid(), busy.pid} <= set(tree)
            ours = environment._foreign_cores(0.3).value
            monkeypatch.setattr(neighbours, "_own_tree", lambda: {tree[os.getpid()]})
            theirs = environment._foreign_cores(0.3).value
        finally:
            busy.kill()
    assert ours is not None
    assert theirs is not None
    assert "busy-program" not in ours
    assert 0.1 < theirs["busy-program"] < 1.3


def test_only_the_busiest_are_named() -> None:
    shares = {"a": 0.1, "b": 0.4, "c": 0.2, "d": 0.3}
    assert environment._busiest(shares) == "100% of one core in all; busiest: b 40%, d 30%, c 20%"
    assert environment._busiest({}) == "0% of one core in all; busiest: none"


STACKS: dict[str, dict[str, Any]] = {
    "torch-eager": {"threads": 2, "tf32": False, "layout": "channels_first"},
    "tensorflow-graph": {"threads": 2, "tf32": False, "layout": "channels_last"},
    "jax-xla": {"threads": 2, "tf32": None, "layout": "channels_last"},
}


def _checks(**changes: dict[str, Any]) -> dict[str, Check]:
    settings = {stack: values | changes.get(stack, {}) for stack, values in STACKS.items()}
    return {row.check: row for row in fairness(settings)}


def test_equal_settings_are_equal_among_those_that_report_them() -> None:
    checks = _checks()
    assert checks["threads"].state == "equal"
    assert checks["threads"].detail == "2: torch-eager, tensorflow-graph, jax-xla"
    assert checks["tf32"].state == "equal"
    assert checks["tf32"].detail == "off: torch-eager, tensorflow-graph; not reported: jax-xla"


def test_one_stack_apart_is_unequal_and_named() -> None:
    checks = _checks(**{"torch-eager": {"threads": 1}})
    assert checks["threads"].state == "unequal"
    assert checks["threads"].detail == "1: torch-eager; 2: tensorflow-graph, jax-xla"


def test_what_differs_by_intent_is_explained() -> None:
    layout = _checks()["layout"]
    assert layout.state == "info"
    assert layout.detail == (
        "channels_first: torch-eager; channels_last: tensorflow-graph, jax-xla "
        "(each framework runs in the layout its users get)"
    )
    same = _checks(**{"torch-eager": {"layout": "channels_last"}})["layout"]
    assert same.state == "equal"


@pytest.mark.parametrize(
    ("a", "b", "state"),
    [
        (0.01, 0.009999999776482582, "equal"),  # the same in float32
        (0.01, 0.0101, "unequal"),
        (1, True, "unequal"),
        (1, 1.0, "equal"),
        ("on", True, "unequal"),
        (math.nan, math.nan, "unequal"),
        (None, None, "info"),
        (None, 1, "info"),
    ],
)
def test_values_are_compared_by_meaning(a: Any, b: Any, state: str) -> None:
    (row,) = fairness({"x-a": {"new setting": a}, "y-b": {"new setting": b}})
    assert row.check == "new setting"
    assert row.state == state
    assert row.detail


def test_fewer_than_two_stacks_cannot_be_unequal() -> None:
    assert fairness({}) == []
    assert fairness({"x-a": {"threads": 2}}) == [
        Check(check="threads", state="info", detail="2: x-a")
    ]


def test_an_installed_framework_is_told_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shell_of_one").mkdir()  # what an uninstall may leave behind
    (tmp_path / "present_one.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert framework_status(("present_one", "present_one.inside")) is None
    assert framework_status(("absent_one",)) == "absent_one is not installed"
    assert framework_status(("shell_of_one",)) == "shell_of_one is not installed"
    assert framework_status(("absent_one", "present_one", "other.one")) == (
        "absent_one and other.one are not installed"
    )


def test_describing_imports_no_framework() -> None:
    program = (
        "import sys; from benchmarks.machine import environment; environment.describe();"
        "environment.framework_status(('torch', 'tensorflow', 'keras'));"
        "sys.exit(bool({'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
