"""Which GPUs there are, on a fake NVML: every way in which the real one fails is a reason."""

import subprocess
import sys
import warnings
from importlib import metadata

import pynvml
import pytest

from profilers.gpu import nvml
from tests.fake_nvml import GIB, FakeGpu, FakeNvml

TWO = (FakeGpu(uuid="GPU-a", name="First"), FakeGpu(uuid="GPU-b", name="Second"))


def test_every_figure_of_a_gpu_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(gpus=TWO).install(monkeypatch)
    found, reason = nvml.devices()
    assert reason is None
    assert [device.index for device in found] == [0, 1]
    assert found[1] == nvml.Device(
        index=1,
        uuid="GPU-b",
        name="Second",
        driver="580.00.01",
        memory_total_bytes=80 * GIB,
        compute_capability=(9, 0),
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "NVMLError_DriverNotLoaded (9): Driver Not Loaded; load the NVIDIA kernel module"),
        (12, "no NVIDIA driver is installed"),
        (18, "reboot"),
        (999, "NVMLError_Unknown (999): Unknown Error"),
        (77, "NVMLError (77): NVML Error with code 77"),
    ],
)
def test_the_reason_says_what_to_do(monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    FakeNvml(errors={"nvmlInitWithFlags": code}).install(monkeypatch)
    found, reason = nvml.devices()
    assert found == ()
    assert words in str(reason)


def test_a_machine_without_the_library_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> None:
        raise OSError("libnvidia-ml.so.1: cannot open shared object file")

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "CDLL", refuse)
    found, reason = nvml.devices()
    assert found == ()
    assert str(reason).startswith("NVMLError_LibraryNotFound (12)")


def test_a_lost_gpu_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(gpus=TWO, errors={"nvmlDeviceGetUUID:0": 15}).install(monkeypatch)
    found, reason = nvml.devices()
    assert [(device.index, device.name) for device in found] == [(1, "Second")]
    assert reason == "GPU 0: NVMLError_GpuIsLost (15): GPU is lost"


@pytest.mark.parametrize(
    ("function", "attribute", "label"),
    [
        ("nvmlDeviceGetMemoryInfo", "memory_total_bytes", "GPU 0 memory"),
        ("nvmlDeviceGetCudaComputeCapability", "compute_capability", "GPU 0 compute capability"),
        ("nvmlSystemGetDriverVersion", "driver", "driver version"),
    ],
)
@pytest.mark.parametrize(
    ("errors", "error"),
    [(True, "NVMLError_NotSupported (3)"), (False, "NVMLError_FunctionNotFound (13)")],
)
def test_a_refused_figure_is_none_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    attribute: str,
    label: str,
    errors: bool,
    error: str,
) -> None:
    fake = FakeNvml(errors={function: 3}) if errors else FakeNvml(absent=frozenset({function}))
    fake.install(monkeypatch)
    (device,), reason = nvml.devices()
    assert getattr(device, attribute) is None
    assert device.name == "NVIDIA Fake 100"
    assert str(reason).startswith(f"{label}: {error}: ")


def test_no_gpu_counted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(gpus=()).install(monkeypatch)
    assert nvml.devices() == ((), "NVML runs but counts no GPU")


def test_a_session_shuts_down_after_an_error_in_its_body(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeNvml(errors={"nvmlShutdown": 999}).install(monkeypatch)
    with pytest.raises(nvml.Unavailable, match="NVMLError_NotFound"), nvml.session() as binding:
        binding.nvmlDeviceGetHandleByUUID("GPU-elsewhere")
    assert fake.called == ["nvmlInitWithFlags", "nvmlDeviceGetHandleByUUID", "nvmlShutdown"]


def test_a_device_is_found_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(gpus=TWO).install(monkeypatch)
    with nvml.session() as binding:
        handle = binding.nvmlDeviceGetHandleByUUID("GPU-b")
        assert binding.nvmlDeviceGetName(handle) == "Second"


def test_a_missing_binding_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert nvml.devices() == ((), "the package nvidia-ml-py is not installed")


def test_the_deprecated_package_is_named_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeNvml(errors={"nvmlInitWithFlags": 12}).install(monkeypatch)
    assert nvml.binding_notice() is None
    monkeypatch.setattr(metadata, "version", {"pynvml": "13.0.1"}.__getitem__)
    assert nvml.binding_notice() == nvml.DEPRECATED
    assert str(nvml.devices()[1]).endswith(nvml.DEPRECATED)


def test_the_warning_of_the_deprecated_package_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(_name: str) -> object:
        warnings.warn("The pynvml package is deprecated.", FutureWarning, stacklevel=2)
        return pynvml

    monkeypatch.setattr(nvml, "import_module", load)
    FakeNvml().install(monkeypatch)
    assert len(nvml.devices()[0]) == 1  # warnings are errors here


def test_the_binding_is_not_imported_before_it_is_needed() -> None:
    program = "import sys, profilers.gpu.nvml; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_binding_of_another_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nvml.binding_version() == metadata.version("nvidia-ml-py")

    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    assert nvml.binding_version() is None
