"""The sampler as a process of its own: phases, ends of every kind, a GPU from a compiled stub."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from profilers.sampler import main
from profilers.telemetry import POINTS, Course, SamplerError, Telemetry
from tests.pipeline import ROOT, alive, until

BUSY = "import time\nwhile True: sum(range(1000))"
UUID = "GPU-stub"
STUB = r"""
#include <string.h>
#include <time.h>
typedef unsigned long long u64;
static double now(void) {
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec;
}
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *out, unsigned n) { strncpy(out, "570.1", n); return 0; }
int nvmlDeviceGetName(void *d, char *out, unsigned n) { strncpy(out, "Stub 1", n); return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **out) {
  *out = (void *)1; return strcmp(uuid, "GPU-stub") ? 6 : 0;
}
int nvmlDeviceGetUtilizationRates(void *d, unsigned out[2]) { out[0] = 42; out[1] = 7; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *d, u64 *out) { *out = 250e3 * now(); return 0; }
int nvmlDeviceGetClockInfo(void *d, int kind, unsigned *out) { *out = 1755; return 0; }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *out) {
  static int asked = 0; *out = 50; return ++asked > LOST_AFTER ? 15 : 0;
}
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that keeps a core busy."""
    with subprocess.Popen([sys.executable, "-c", BUSY]) as process:
        yield process
        process.kill()


def stub(folder: Path, lost_after: int = 10**6) -> Path:
    """A compiled NVML with one GPU that takes 250 W."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = folder / "stub.c"
    source.write_text(STUB.replace("LOST_AFTER", str(lost_after)))
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-o", library, source],
        check=True,
    )
    return folder


def test_marks_cut_the_course_into_phases(busy: subprocess.Popen[bytes]) -> None:
    with Telemetry(busy.pid, hz=20) as telemetry:
        telemetry.mark("warmup")
        time.sleep(0.3)
        telemetry.mark("steady")
        time.sleep(0.4)
        telemetry.pause()
        time.sleep(0.5)
        telemetry.mark("steady")
        time.sleep(0.3)
    found = telemetry.result()
    json.dumps(found, allow_nan=False)
    assert found["schema"] == 1
    assert set(found["phases"]) == {"warmup", "steady"}
    steady = found["phases"]["steady"]
    assert 0.7 <= steady["seconds"] < 0.95 < found["series"]["at_s"][-1]
    assert 0.1 < steady["cpu.cores_used"]["value"] < 1.2
    assert steady["cpu.rss_bytes"]["mean"] > 2**20
    assert steady["cpu.peak_rss_bytes"]["value"] >= 0.9 * steady["cpu.rss_bytes"]["max"]
    assert found["device"] == {"value": None, "reason": "no GPU was watched"}
    assert all(v for v in found["capabilities"].values())


def test_there_is_a_reading_at_the_start_and_at_the_end_always(
    busy: subprocess.Popen[bytes],
) -> None:
    began_ns = time.monotonic_ns()
    with Telemetry(busy.pid, hz=1) as telemetry:
        ready_ns = time.monotonic_ns()
    points = telemetry.course().points["cpu.rss_bytes"]
    assert len(points) == 2
    assert began_ns < points[0].at_ns < ready_ns < points[-1].at_ns < time.monotonic_ns()


def test_the_anchor_ties_both_clocks(busy: subprocess.Popen[bytes]) -> None:
    with Telemetry(busy.pid) as telemetry:
        pass
    anchor = telemetry.course().anchor
    drift_ns = (time.time_ns() - time.monotonic_ns()) - (anchor["unix_ns"] - anchor["mono_ns"])
    assert abs(drift_ns) < 50_000_000


def test_a_watched_process_that_ends_leaves_its_reason(busy: subprocess.Popen[bytes]) -> None:
    with Telemetry(busy.pid, hz=20) as telemetry:
        telemetry.mark("steady")
        time.sleep(0.3)
        busy.kill()
        busy.wait()
        time.sleep(0.2)
    steady = telemetry.result()["phases"]["steady"]
    assert steady["cpu.rss_bytes"]["reason"] == f"process {busy.pid} ended"
    assert steady["cpu.rss_bytes"]["max"] > 2**20
    assert "reason" not in steady["env.steal_cores"]


def test_a_sampler_that_dies_is_named(busy: subprocess.Popen[bytes]) -> None:
    with Telemetry(busy.pid) as telemetry:
        telemetry.mark("steady")
        assert telemetry._process
        telemetry._process.kill()
        telemetry._process.wait()
        with pytest.raises(SamplerError, match="the sampler ended with -9"):
            telemetry.mark("more")


def test_a_sampler_that_cannot_start_says_why(
    busy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SamplerError, match="cannot start: No such file"), Telemetry(busy.pid):
        pass


def test_one_that_hangs_is_given_up(
    busy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Telemetry(busy.pid) as telemetry:
        assert telemetry._process
        monkeypatch.setattr("profilers.telemetry.PATIENCE_S", 0.3)
        os.kill(telemetry._process.pid, signal.SIGSTOP)
        with pytest.raises(SamplerError, match=r"did not answer within 0\.3 s"):
            telemetry.mark("steady")
    assert telemetry._process.returncode == -signal.SIGKILL


def test_a_killed_parent_ends_the_sampler(busy: subprocess.Popen[bytes]) -> None:
    program = (
        "import sys, time\nfrom profilers.telemetry import Telemetry\n"
        f"with Telemetry({busy.pid}) as t:\n t.mark('steady')\n"
        " print(t._process.pid, flush=True)\n time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        sampler = psutil.Process(int(parent.stdout.readline()))
        assert alive(sampler)
        parent.kill()
    until(lambda: not alive(sampler))


def test_it_imports_little() -> None:
    program = (
        "import sys, profilers.sampler\nfrom profilers.probes._protocol import metrics\nmetrics()\n"
        "heavy = {'numpy', 'pandas', 'psutil', 'pynvml', 'rich', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.mark.parametrize("hz", ["0", "21", "-1", "much"])
def test_a_rate_that_would_disturb_is_refused(hz: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--pid", "1", "--hz", hz])
    assert left.value.code == 2
    assert "is not a rate up to 20 Hz" in capsys.readouterr().err


def test_telemetry_refuses_the_same_rates() -> None:
    with pytest.raises(ValueError, match="up to 20 times"):
        Telemetry(1, hz=50)


def test_a_result_stays_small() -> None:
    lines: list[dict[str, Any]] = [
        {"able": {"cpu.rss_bytes": {"reason": None, "note": None}}, "device": {}, "anchor": {}},
        {"phase": "steady", "at": 0},
        *({"t": i * 10**8, "w": 1, "v": {"cpu.rss_bytes": i}} for i in range(5000)),
        {"phase": None, "at": 5000 * 10**8},
    ]
    course = Course.of(lines).series()
    assert len(course["at_s"]) == len(course["cpu.rss_bytes"]) == POINTS
    assert course["cpu.rss_bytes"][-1] == 4999


def test_counters_count_from_a_moment_and_keep_what_was_read_before() -> None:
    lines: list[dict[str, Any]] = [
        {"able": {"cpu.rss_bytes": {"reason": None, "note": None}}, "device": {}, "anchor": {}},
        *({"t": at, "w": 1, "v": {"cpu.rss_bytes": at // 10}} for at in (100, 200, 300, 400)),
    ]
    assert Course.of(lines).counters(250) == {"cpu.rss_bytes": [(0, 20), (50, 30), (150, 40)]}
    assert Course.of(lines[:1]).counters(250) == {}


def test_a_refusal_that_passes_leaves_no_reason() -> None:
    first: dict[str, Any] = {"able": {}, "device": {}, "anchor": {}}
    refused: dict[str, Any] = {"t": 0, "w": 1, "v": {}, "no": {"cpu.rss_bytes": "not yet"}}
    had = {"t": 1, "w": 1, "v": {"cpu.rss_bytes": 5}}
    assert Course.of([first, refused]).ended == {"cpu.rss_bytes": "not yet"}
    assert Course.of([first, refused, had]).ended == {}


def test_a_gpu_is_read_through_the_whole_chain(
    busy: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stub(tmp_path)))
    with Telemetry(busy.pid, UUID) as telemetry:
        telemetry.mark("steady")
        time.sleep(0.6)
    first, *_, last = telemetry.course().points["gpu.energy_j"]
    seconds = (last.at_ns - first.at_ns) * 1e-9
    assert last.value - first.value == pytest.approx(250 * seconds, rel=0.05)
    found = telemetry.result()
    steady = found["phases"]["steady"]
    assert steady["gpu.energy_j"]["reason"].startswith("window 0.")
    assert steady["gpu.kernel_resident_pct"]["value"] is None
    assert steady["gpu.sm_clock_mhz"]["p50"] == 1755
    assert "FunctionNotFound" in steady["gpu.sm_active_pct"]["reason"]
    assert found["device"]["name"] == "Stub 1"
    assert UUID not in json.dumps(found)


def test_a_gpu_lost_on_the_way_leaves_the_rest(
    busy: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(stub(tmp_path, lost_after=4)))
    with Telemetry(busy.pid, UUID, hz=20) as telemetry:
        telemetry.mark("steady")
        time.sleep(0.5)
    steady = telemetry.result()["phases"]["steady"]
    assert "NVMLError_GpuIsLost (15)" in steady["gpu.sm_clock_mhz"]["reason"]
    assert steady["gpu.sm_clock_mhz"]["p50"] == 1755
    assert steady["cpu.cores_used"]["value"] > 0.1
