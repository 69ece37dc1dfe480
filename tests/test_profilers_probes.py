"""What is read of a process and its machine: on copies of /proc, and on a real child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profilers.metrics import Lost
from profilers.probes import machine, process
from profilers.probes._protocol import Target, sources

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def put(
    proc: Path, pid: int, *, cpu_s: float = 1.0, children: str = "", tasks: tuple[int, ...] = ()
) -> None:
    """A process with 10 minor and 2 major faults, half its CPU time in the kernel, 100 pages."""
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    half = round(cpu_s * TICKS / 2)
    after = ["S", *["0"] * 6, "10", "0", "2", "0", str(half), str(half), "0", "0", "0", "0", "3"]
    (folder / "stat").write_text(f"{pid} (a ) b) {' '.join([*after, '0', '0', '0', '100'])} 0\n")
    (folder / "status").write_text("VmHWM:\t 2000 kB\n")
    for task in tasks or (pid,):
        inner = folder / "task" / str(task)
        inner.mkdir(parents=True, exist_ok=True)
        (inner / "children").write_text(children if task == pid else "")
        (inner / "status").write_text(
            "voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t5\n"
        )


def values(probe: process.Process | machine.Machine, *, edge: bool = True) -> dict[str, float]:
    return {n: r.value for n, r in probe.read(edge=edge).items() if r.value is not None}


def test_threads_and_children_are_counted(tmp_path: Path) -> None:
    put(tmp_path, 10, cpu_s=1.0, children="11", tasks=(10, 12))
    put(tmp_path, 11, cpu_s=0.5, children="13")
    put(tmp_path, 13, cpu_s=0.25)
    assert values(process.Process(10, tmp_path)) == {
        "cpu.rss_bytes": 300 * PAGE,
        "cpu.threads": 9,
        "cpu.cores_used": pytest.approx(1.75, abs=0.02),
        "cpu.minor_faults": 30,
        "cpu.major_faults": 6,
        "cpu.peak_rss_bytes": 2000 * 1024,
        "cpu.voluntary_switches": 28,
        "cpu.involuntary_switches": 20,
    }


def test_a_child_and_a_thread_that_end_take_nothing_out_of_the_sums(tmp_path: Path) -> None:
    put(tmp_path, 10, cpu_s=1.0, children="11", tasks=(10, 12))
    put(tmp_path, 11, cpu_s=0.5)
    probe = process.Process(10, tmp_path)
    before = values(probe)
    (tmp_path / "11" / "stat").unlink()
    (tmp_path / "10" / "task" / "12" / "status").unlink()
    after = values(probe)
    assert after["cpu.rss_bytes"] == 100 * PAGE
    for name in ("cpu.cores_used", "cpu.minor_faults", "cpu.voluntary_switches"):
        assert after[name] == before[name]


def test_a_number_used_again_is_a_new_owner() -> None:
    sums = process.Sums()
    for value in (5, 9, 2, 4):
        sums.see(1, value)
    assert sums.total == 13


def test_what_costs_more_is_read_at_edges_alone(tmp_path: Path) -> None:
    put(tmp_path, 10)
    between = values(process.Process(10, tmp_path), edge=False)
    assert "cpu.rss_bytes" in between
    assert not {"cpu.peak_rss_bytes", "cpu.voluntary_switches"} & set(between)


def test_a_process_that_ended_is_lost(tmp_path: Path) -> None:
    put(tmp_path, 10)
    probe = process.Process(10, tmp_path)
    assert all(c.reason is None for c in probe.probe().values())
    (tmp_path / "10" / "stat").unlink()
    with pytest.raises(Lost, match="process 10 ended"):
        probe.read(edge=False)
    assert {c.reason for c in process.Process(10, tmp_path).probe().values()} == {
        "process 10 ended"
    }


def test_a_real_child_is_seen_to_work() -> None:
    program = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until:\n"
    program += "  pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        found = values(process.Process(child.pid))
        assert 0.25 < found["cpu.cores_used"] < 5
        assert found["cpu.peak_rss_bytes"] >= 0.9 * found["cpu.rss_bytes"] > 2**20
        assert found["cpu.minor_faults"] > 100
        child.communicate(b"\n")


def test_who_watches_is_no_part_of_what_is_watched(tmp_path: Path) -> None:
    put(tmp_path, 10, children=str(os.getpid()))
    put(tmp_path, os.getpid())
    assert values(process.Process(10, tmp_path))["cpu.threads"] == 3


def rapl(sys_: Path, package: int, micro: int) -> None:
    folder = sys_ / "class" / "powercap" / f"intel-rapl:{package}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{micro}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    (folder.parent / f"intel-rapl:{package}:0").mkdir(exist_ok=True)  # a part of the package


def test_energy_is_summed_over_packages_and_a_wrap_is_counted_through(tmp_path: Path) -> None:
    counter = machine.Rapl(tmp_path)
    rapl(tmp_path, 0, 262_143_000_000)
    rapl(tmp_path, 1, 5_000_000)
    assert counter.read().value == 0
    rapl(tmp_path, 0, 671_150)  # 1 J further on, past the end of its range
    rapl(tmp_path, 1, 7_000_000)
    assert counter.read().value == pytest.approx(3.0)


def test_what_measures_the_whole_machine_is_not_added_to_its_packages(tmp_path: Path) -> None:
    counter = machine.Rapl(tmp_path)
    rapl(tmp_path, 0, 0)
    rapl(tmp_path, 1, 0)
    for zone, name in enumerate(("package-0", "psys")):
        (tmp_path / "class" / "powercap" / f"intel-rapl:{zone}" / "name").write_text(f"{name}\n")
    counter.read()
    rapl(tmp_path, 0, 2_000_000)
    rapl(tmp_path, 1, 9_000_000)
    assert counter.read().value == pytest.approx(2.0)


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    probe = machine.Machine(tmp_path, tmp_path)
    reasons = {name: c.reason or "" for name, c in probe.probe().items()}
    assert "no RAPL" in reasons["env.cpu_energy_j"]
    assert "no cpufreq" in reasons["env.cpu_mhz"]
    assert "No such file" in reasons["env.cpu_pressure"]
    assert probe.read(edge=True) == {}  # what is not there is not sought again


def test_energy_for_root_alone_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rapl(tmp_path, 0, 1)
    read = Path.read_text

    def refuse(path: Path) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert machine.Rapl(tmp_path).read().reason == (
        "RAPL: Permission denied (for root alone since CVE-2020-8694)"
    )


def test_pressure_and_steal_are_read(tmp_path: Path) -> None:
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "cpu").write_text("some avg10=1.0 avg60=0 avg300=0 total=2500000\n")
    (tmp_path / "stat").write_text(f"cpu 1 1 1 1 1 1 1 {3 * TICKS} 0 0\n")
    probe = machine.Machine(tmp_path, tmp_path)
    assert values(probe) == {"env.cpu_pressure": 2.5, "env.steal_cores": 3.0}


def test_every_probe_is_found_by_its_file_and_a_gpu_only_where_one_is_used() -> None:
    started = [source.start(Target(pid=os.getpid())) for source in sources()]
    assert len(started) == 3
    assert sum(probe is None for probe in started) == 1
