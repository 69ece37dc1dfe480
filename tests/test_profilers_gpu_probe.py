"""The GPU probe on a fake NVML: exact energy, every refusal, a lost device, MIG, GPM's pairs."""

from __future__ import annotations

import math

import pynvml
import pytest

from profilers.host import Reading
from profilers.metrics import Capability, Lost, Point, Summary, Window, summary
from profilers.probes import nvml
from profilers.probes._protocol import Target
from tests.fake_nvml import GIB, FakeGpu
from tests.watched_nvml import HIGH_W, LOW_W, PERIOD_S, PID, WatchedNvml, square_mean

CODES = (3, 15, 999)
"""Errors of NVML: not supported, the GPU is lost, unknown."""

UUID = FakeGpu().uuid
CALLS = {
    "gpu.kernel_resident_pct": "nvmlDeviceGetUtilizationRates",
    "gpu.memory_used_bytes": "nvmlDeviceGetMemoryInfo_v2",
    "gpu.energy_j": "nvmlDeviceGetTotalEnergyConsumption",
    "gpu.sm_clock_mhz": "nvmlDeviceGetClockInfo",
    "gpu.clock_events": "nvmlDeviceGetCurrentClocksEventReasons",
    "gpu.temperature_c": "nvmlDeviceGetTemperature",
}
SECOND = 1_000_000_000


def started(fake: WatchedNvml, monkeypatch: pytest.MonkeyPatch, uuid: str = UUID) -> nvml.Gpu:
    fake.install(monkeypatch)
    probe = nvml.start(Target(pid=PID, gpu_uuid=uuid))
    assert isinstance(probe, nvml.Gpu)
    probe._now = fake.now
    probe._slow_s = fake.now_s
    return probe


def watched(
    fake: WatchedNvml, probe: nvml.Gpu, seconds: float, hz: float = 10
) -> tuple[dict[str, list[Point]], dict[str, Capability]]:
    """Readings for so long, both ends edges."""
    able, found = probe.probe(), dict[str, list[Point]]()
    began_s, ticks = fake.now_s, round(seconds * hz)
    for tick in range(ticks + 1):
        fake.now_s = began_s + tick / hz
        for name, reading in probe.read(edge=tick in {0, ticks}).items():
            if reading.value is not None:
                point = Point(round(fake.now_s * SECOND), reading.value)
                found.setdefault(name, []).append(point)
    return found, able


def figure(name: str, found: dict[str, list[Point]], able: dict[str, Capability]) -> Summary:
    (metric,) = (m for m in nvml.METRICS if m.name == name)
    return summary(metric, able[name], found.get(name, []), [Window(0, 10**15)])


def test_energy_of_a_square_wave_is_exact_and_its_mean_power_within_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = WatchedNvml(now_s=70.0)
    found, able = watched(fake, started(fake, monkeypatch), 10 * PERIOD_S)
    energy = figure("gpu.energy_j", found, able)["value"]
    assert energy == pytest.approx(10 * PERIOD_S * square_mean(), abs=0.002)
    power = figure("gpu.power_w", found, able)
    assert power["mean"] == pytest.approx(square_mean(), abs=(HIGH_W - LOW_W) * 0.1 / PERIOD_S)
    assert (power["min"], power["max"], power["note"]) == (LOW_W, HIGH_W, "instantaneous")


def test_every_figure_is_told_in_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    found, able = watched(fake, started(fake, monkeypatch), 6)
    assert figure("gpu.kernel_resident_pct", found, able)["mean"] == 87
    assert figure("gpu.memory_used_bytes", found, able)["max"] == 2 * GIB  # less what is reserved
    assert figure("gpu.process_memory_bytes", found, able) == {"value": 2 * GIB, "start": 2 * GIB}
    assert figure("gpu.sm_clock_mhz", found, able)["p50"] == 1980
    assert figure("gpu.clock_events", found, able) == {"value": ["software power cap"]}
    assert figure("gpu.temperature_c", found, able)["max"] == 61
    assert figure("gpu.sm_active_pct", found, able)["mean"] == 2
    assert figure("gpu.tensor_active_pct", found, able)["mean"] == 5
    assert figure("gpu.dram_pct", found, able)["mean"] == 10
    assert figure("gpu.pcie_sent_bytes_per_s", found, able)["mean"] == 20 * 1024**2


@pytest.mark.parametrize("counts_reserved", [True, False])
def test_memory_in_use_is_the_same_whether_a_driver_counts_the_reserved_or_not(
    monkeypatch: pytest.MonkeyPatch, counts_reserved: bool
) -> None:
    probe = started(WatchedNvml(counts_reserved=counts_reserved), monkeypatch)
    probe.probe()
    assert probe.read(edge=True)["gpu.memory_used_bytes"].value == 2 * GIB


def test_what_the_device_did_before_a_phase_is_not_of_the_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is idle for a second, and then a phase begins in which it works."""
    fake = WatchedNvml(gpm_factor=0.0)
    probe = started(fake, monkeypatch)
    able, found = probe.probe(), list[Point]()
    for tick in range(21):
        fake.now_s += 1.0 if tick == 0 else 0.11
        reading = probe.read(edge=tick in {0, 20})["gpu.sm_active_pct"]
        fake.gpm_factor = 30.0
        found.append(Point(round(fake.now_s * SECOND), float(reading.value or 0)))
    (metric,) = (m for m in nvml.METRICS if m.name == "gpu.sm_active_pct")
    phase = Window(found[0].at_ns, found[-1].at_ns)
    told = summary(metric, able[metric.name], found, [phase])
    assert (told["min"], told["mean"], told["max"]) == (60, 60, 60)


def test_a_pair_does_not_span_the_edge_of_a_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    probe = started(fake, monkeypatch)
    probe.probe()
    for after_s, edge in ((0.06, False), (0.02, True), (0.06, False), (0.06, False)):
        fake.now_s += after_s
        probe.read(edge=edge)
    assert fake.gpm_pairs == [pytest.approx(0.12)]


def test_a_figure_that_is_no_number_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml(gpm_factor=math.nan)
    probe = started(fake, monkeypatch)
    probe.probe()
    fake.now_s += 1
    assert probe.read(edge=True)["gpu.dram_pct"] == Reading(None, "GPM: not a number")


def test_the_list_of_processes_is_asked_at_edges_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    watched(fake, started(fake, monkeypatch), 6)
    assert fake.called.count("nvmlDeviceGetComputeRunningProcesses_v3") == 2 * 2  # size, then list


def test_a_process_that_the_driver_does_not_list_has_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = WatchedNvml(pids=(1,))
    probe = started(fake, monkeypatch)
    probe.probe()
    reading = probe.read(edge=True)["gpu.process_memory_bytes"]
    assert reading.value is None
    assert "does not list the process" in str(reading.reason)


def test_pairs_lie_a_tenth_of_a_second_apart_and_are_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    probe = started(fake, monkeypatch)
    watched(fake, probe, 1.5, hz=20)
    assert len(fake.gpm_pairs) >= 10
    assert min(fake.gpm_pairs) >= 0.1 - 1e-9
    probe.close()
    assert fake.sampled_s == {}
    assert fake.called[-1] == "nvmlShutdown"


def test_before_hopper_pcie_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml(hopper=False)
    found, able = watched(fake, started(fake, monkeypatch), 6.05, hz=20)
    assert "Hopper" in str(able["gpu.sm_active_pct"].reason)
    sent = figure("gpu.pcie_sent_now_bytes_per_s", found, able)
    assert sent["mean"] == 5_000_000
    assert len(found["gpu.pcie_sent_now_bytes_per_s"]) in {5, 6}


def test_with_gpm_the_slow_calls_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    found, able = watched(fake, started(fake, monkeypatch), 3)
    assert able["gpu.pcie_sent_now_bytes_per_s"].reason == "GPM tells it of all the time"
    assert "gpu.pcie_sent_now_bytes_per_s" not in found


@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ({pynvml.NVML_FI_DEV_POWER_INSTANT}, "average over 1 s"),
        (
            {pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_FI_DEV_POWER_AVERAGE},
            "nvmlDeviceGetPowerUsage: an average over 1 s on most GPUs since Ampere",
        ),
    ],
)
def test_the_kind_of_power_is_told(
    monkeypatch: pytest.MonkeyPatch, missing: set[int], note: str
) -> None:
    fake = WatchedNvml(no_field=frozenset(missing))
    found, able = watched(fake, started(fake, monkeypatch), 6)
    assert figure("gpu.power_w", found, able)["note"] == note


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(("name", "function"), CALLS.items())
def test_every_code_of_every_call_becomes_a_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, function: str, code: int
) -> None:
    fake = WatchedNvml(errors={function: code})
    able = started(fake, monkeypatch).probe()
    assert f"({code})" in str(able[name].reason)
    others = [able[other].reason for other in CALLS if other != name]
    assert others == [None] * len(others)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetHandleByUUID", "nvmlInitWithFlags", "nvmlGpmQueryDeviceSupport"]
)
def test_every_code_at_the_start_becomes_a_reason(
    monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    WatchedNvml(errors={function: code}).install(monkeypatch)
    probe = nvml.start(Target(pid=PID, gpu_uuid=UUID))
    assert probe is not None
    able = probe.probe()
    assert f"({code})" in str(able["gpu.dram_pct"].reason)
    assert set(able) == {metric.name for metric in nvml.METRICS}
    probe.close()


def test_a_call_that_an_older_driver_lacks_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml(absent=frozenset({"nvmlDeviceGetMemoryInfo_v2"}))
    able = started(fake, monkeypatch).probe()
    assert "FunctionNotFound" in str(able["gpu.memory_used_bytes"].reason)


@pytest.mark.parametrize("code", sorted(nvml.GONE))
@pytest.mark.parametrize("function", ["nvmlDeviceGetTemperature", "nvmlGpmSampleGet"])
def test_a_device_lost_on_the_way_ends_the_series(
    monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    fake = WatchedNvml()
    probe = started(fake, monkeypatch)
    probe.probe()
    assert probe.read(edge=True)
    fake.errors[function] = code
    fake.now_s += 1
    with pytest.raises(Lost, match=rf"\({code}\)"):
        probe.read(edge=False)
    probe.close()


def test_a_refusal_on_the_way_costs_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    probe = started(fake, monkeypatch)
    probe.probe()
    fake.errors["nvmlDeviceGetTemperature"] = 999
    found = probe.read(edge=True)
    assert found["gpu.temperature_c"].value is None
    assert "NVMLError_Unknown (999)" in str(found["gpu.temperature_c"].reason)
    assert found["gpu.sm_clock_mhz"].value == 1980


def test_a_counter_that_starts_anew_gives_no_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = WatchedNvml()
    probe = started(fake, monkeypatch)
    before, able = watched(fake, probe, 3)
    fake.energy_offset_j = -fake.energy_j  # the driver was loaded again
    after, _ = watched(fake, probe, 3)
    together = {name: [*before[name], *after.get(name, [])] for name in before}
    assert figure("gpu.energy_j", together, able) == {
        "value": None,
        "reason": "the counter went backwards",
    }


@pytest.mark.parametrize("split", [True, False])
def test_an_instance_has_its_memory_and_nothing_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, split: bool
) -> None:
    uuid = UUID if split else "MIG-1"
    fake = WatchedNvml(gpus=(FakeGpu(uuid=uuid),), mig=split)
    able = started(fake, monkeypatch, uuid).probe()
    told = {name for name, capability in able.items() if capability.reason is None}
    assert told == {"gpu.memory_used_bytes", "gpu.process_memory_bytes"}
    assert {c.reason for c in able.values()} == {None, nvml.MIG}


def test_the_device_is_described_without_its_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    about = started(WatchedNvml(), monkeypatch).about()
    assert about["name"] == "NVIDIA Fake 100"
    assert about["driver"] == "580.00.01"
    assert about["binding"]
    assert UUID not in str(about)
