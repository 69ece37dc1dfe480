"""Which NVIDIA GPUs are there, through NVML; the only file that knows its binding.

NVML fails in many ordinary ways (no driver, a driver updated but not reloaded, a container without
permission, a lost GPU). Each becomes a reason that names NVML's own error; nothing here raises
but ``session``, and that only ``Unavailable``.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, TypeVar

Value = TypeVar("Value")

DEPRECATED = (
    "the deprecated package 'pynvml' is installed: uninstall it, 'nvidia-ml-py' provides the module"
)
CLOCK_EVENTS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "power brake",
    0x100: "display clocks",
}
"""Why a clock is lower than it could be (nvml.h, nvmlClocksEventReasons)."""
HINTS = {
    9: "load the NVIDIA kernel module",
    12: "no NVIDIA driver is installed",
    18: "the driver was updated: reboot or reload it",
}


class Unavailable(Exception):  # noqa: N818 - it is a state of the machine, not a fault
    """NVML cannot be used; the text names NVML's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One GPU. ``index`` is NVML's (PCI) order, which need not be CUDA's: select by ``uuid``."""

    index: int
    uuid: str
    name: str
    driver: str | None
    memory_total_bytes: int | None
    compute_capability: tuple[int, int] | None


@contextmanager
def session() -> Iterator[ModuleType]:
    """The NVML binding, initialised and shut down again; sessions may nest.

    Raises:
        Unavailable: the binding is missing, NVML cannot start, or a call in the body failed.
    """
    nvml = _binding()
    try:
        nvml.nvmlInit()
        try:
            yield nvml
        finally:
            with suppress(nvml.NVMLError):  # the body's own error must not be hidden
                nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise Unavailable(reason_of(error)) from error


def devices() -> tuple[tuple[Device, ...], str | None]:
    """Every GPU that answers, and why something is missing (``None``: nothing is).

    A GPU that gives no name or UUID is left out; a lesser figure that it refuses is ``None``. Both
    stand in the reason.
    """
    missing: list[str] = []
    found: list[Device] = []
    try:
        with session() as nvml:
            driver = _ask(nvml, "driver version", missing, nvml.nvmlSystemGetDriverVersion)
            count = nvml.nvmlDeviceGetCount()
            for index in range(count):
                device = _device(nvml, index, driver, missing)
                found += [device] if device else []
            if count == 0:
                missing.append("NVML runs but counts no GPU")
    except Unavailable as error:
        missing.append(str(error))
    if not found and (notice := binding_notice()):
        missing.append(notice)
    return tuple(found), "; ".join(missing) or None


def binding_notice() -> str | None:
    """What to tell the user where the deprecated package of the same name is installed."""
    return DEPRECATED if _version("pynvml") else None


def binding_version() -> str | None:
    """The version of nvidia-ml-py; ``None`` where another package provides its module."""
    return _version("nvidia-ml-py")


def reason_of(error: Any) -> str:
    """An ``NVMLError`` in words: its class, code, NVML's text and, where there is one, a remedy."""
    text = f"{type(error).__name__} ({error.value}): {error}"
    hint = HINTS.get(error.value)
    return f"{text}; {hint}" if hint else text


def _device(nvml: ModuleType, index: int, driver: str | None, missing: list[str]) -> Device | None:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        missing.append(f"GPU {index}: {reason_of(error)}")
        return None
    label = f"GPU {index}"
    memory = _ask(nvml, f"{label} memory", missing, nvml.nvmlDeviceGetMemoryInfo, handle)
    return Device(
        index=index,
        uuid=uuid,
        name=name,
        driver=driver,
        memory_total_bytes=None if memory is None else memory.total,
        compute_capability=_ask(
            nvml,
            f"{label} compute capability",
            missing,
            nvml.nvmlDeviceGetCudaComputeCapability,
            handle,
        ),
    )


def _ask(
    nvml: ModuleType, what: str, missing: list[str], call: Callable[..., Value], *arguments: Any
) -> Value | None:
    try:
        return call(*arguments)
    except nvml.NVMLError as error:
        missing.append(f"{what}: {reason_of(error)}")
        return None


def _binding() -> ModuleType:
    try:
        with warnings.catch_warnings():
            # The deprecated package warns at every import; binding_notice says it once.
            warnings.simplefilter("ignore", FutureWarning)
            return import_module("pynvml")
    except ImportError:
        raise Unavailable("the package nvidia-ml-py is not installed") from None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
