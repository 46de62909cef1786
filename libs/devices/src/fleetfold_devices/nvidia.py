"""NVIDIA's GPUs, read through NVML by the binding `pynvml` (the package nvidia-ml-py).

A GPU that is split by MIG is told as one device, and has no utilization.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from fleetfold_contracts.ids import token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices import meter
from fleetfold_devices.binding import Driver, loading
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.meter import AbsentError, Meter, Probe
from fleetfold_devices.port import DeviceLostError, Inventory, VendorUnavailableError

NAME = Vendor.NVIDIA.value
REMEDY = (
    "install NVIDIA's driver, which brings libnvidia-ml.so.1, and the package nvidia-ml-py; "
    "a container needs the NVIDIA Container Toolkit and its GPUs handed in"
)

CORES_PER_MULTIPROCESSOR = {
    (5, 0): 128, (5, 2): 128, (5, 3): 128,
    (6, 0): 64, (6, 1): 128, (6, 2): 128,
    (7, 0): 64, (7, 2): 64, (7, 5): 64,
    (8, 0): 64, (8, 6): 128, (8, 7): 128, (8, 9): 128,
    (9, 0): 128, (10, 0): 128, (10, 3): 128, (11, 0): 128, (12, 0): 128, (12, 1): 128,
}  # fmt: skip
"""By compute capability: 32-bit floating-point cores, from the CUDA C++ Programming Guide, "Compute Capabilities"."""

GPU_SENSOR = 0


class NvidiaSource:
    """All NVIDIA GPUs of this host that the driver shows to this process.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """

    name = NAME

    def __init__(self) -> None:
        self._nvml = _opened()
        self._driver = Driver(self._nvml.NVMLError, partial(_meaning, self._nvml))
        self._meters: tuple[Meter, ...] = ()

    def discover(self) -> Inventory:
        """See `DeviceSource`. A device is known by its UUID, which stays with the card."""
        count = self._driver.ask(self._nvml.nvmlDeviceGetCount)
        found, self._meters = meter.inventory(NAME, range(count), self._identified)
        return found

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`."""
        return tuple(device_meter.sample(now) for device_meter in self._meters)

    def close(self) -> None:
        """See `DeviceSource`."""
        # A driver that is gone cannot be let go, and need not be.
        with contextlib.suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _identified(self, index: int) -> tuple[Capabilities, Meter]:
        nvml, driver = self._nvml, self._driver
        handle = driver.ask(nvml.nvmlDeviceGetHandleByIndex, index)
        device_id = driver.ask(lambda: token(nvml.nvmlDeviceGetUUID(handle)))
        probes = [Probe(readings, partial(driver.ask, read, nvml, handle)) for readings, read in _READS.items()]
        return _capabilities(nvml, driver, handle, device_id), Meter(device_id, probes)


def _opened() -> Any:
    with loading(NAME, REMEDY):
        import pynvml as nvml  # noqa: PLC0415  # a host without the driver must not pay for it, nor fail by it
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise VendorUnavailableError(NAME, str(error), REMEDY) from error
    return nvml


def _meaning(nvml: Any, error: Any) -> Exception:
    match error.value:
        case nvml.NVML_ERROR_NOT_SUPPORTED | nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            return AbsentError(Absence.UNSUPPORTED, str(error), for_good=True)
        case nvml.NVML_ERROR_GPU_IS_LOST | nvml.NVML_ERROR_RESET_REQUIRED | nvml.NVML_ERROR_GPU_NOT_FOUND:
            return DeviceLostError(str(error))
        case (
            nvml.NVML_ERROR_UNINITIALIZED | nvml.NVML_ERROR_DRIVER_NOT_LOADED | nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
        ):
            return VendorUnavailableError(NAME, str(error), REMEDY)
        case _:
            return AbsentError(Absence.ERROR, str(error))


def _capabilities(nvml: Any, driver: Driver, handle: Any, device_id: str) -> Capabilities:
    ask = driver.ask_or_none
    device_name = driver.ask(nvml.nvmlDeviceGetName, handle)
    capability = ask(nvml.nvmlDeviceGetCudaComputeCapability, handle)
    own_memory_bytes = _own_memory_bytes(nvml, driver, handle)
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.CUDA,
        device_name=device_name,
        vendor=Vendor.NVIDIA,
        # A GPU without memory of its own works in the host's.
        max_memory_bytes=own_memory_bytes or host_memory_bytes(),
        labels={} if own_memory_bytes else {"memory": "unified"},
        compute_units=ask(_multiprocessors, nvml, handle, capability),
        memory_bandwidth_gbps=ask(_memory_bandwidth_gbps, nvml, handle),
        driver_version=ask(nvml.nvmlSystemGetDriverVersion),
        supports_fp64=None if capability is None else capability >= (1, 3),
        supports_tensor_cores=has_tensor_cores(capability, device_name),
        model=short_name(device_name),
    )


def _own_memory_bytes(nvml: Any, driver: Driver, handle: Any) -> int | None:
    try:
        _, usable_bytes = driver.ask(_used_and_usable_bytes, nvml, handle)
    except AbsentError as error:
        if error.reason is not Absence.UNSUPPORTED:
            raise
        return None
    return usable_bytes


def _multiprocessors(nvml: Any, handle: Any, capability: tuple[int, int] | None) -> int | None:
    # NVML counts cores. A core means little across vendors; a multiprocessor is what others call a compute unit.
    cores = nvml.nvmlDeviceGetNumGpuCores(handle)
    each = CORES_PER_MULTIPROCESSOR.get(capability) if capability else None
    return cores // each if each else None


def has_tensor_cores(capability: tuple[int, int] | None, device_name: str) -> bool | None:
    """Whether a GPU has tensor cores: all since Volta (7.0) but Turing's GTX cards (7.5). None: it cannot be told."""
    if capability is None:
        return None
    if capability != (7, 5):
        return capability >= (7, 0)
    if "GTX" in device_name:
        return False
    return True if "RTX" in device_name or "T4" in device_name.split() else None


def _memory_bandwidth_gbps(nvml: Any, handle: Any) -> float:
    """The most that the memory can move, in GB/s: its clock, times 2 for both edges, times the bus width in bytes.

    From NVIDIA's "How to Implement Performance Metrics in CUDA C/C++", theoretical bandwidth.
    """
    bus_width_bits = nvml.nvmlDeviceGetMemoryBusWidth(handle)
    clock_mhz = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM)
    return clock_mhz * 2 * bus_width_bits / 8 / 1000


def _newest(nvml: Any, newer: Callable[[], Any], older: Callable[[], Any]) -> Any:
    # Drivers of some years ago do not have the newer call, or refuse it.
    try:
        return newer()
    except (nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NotSupported, nvml.NVMLError_ArgumentVersionMismatch):
        return older()


def _used_and_usable_bytes(nvml: Any, handle: Any) -> tuple[int, int]:
    """Memory used, and memory that programs can use at all.

    The newer call tells apart what the driver keeps for itself: no program can have that, so it is taken off the total.
    The older call counts it as used.
    """
    info = _newest(
        nvml,
        lambda: nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2),
        lambda: nvml.nvmlDeviceGetMemoryInfo(handle),
    )
    return info.used, info.total - getattr(info, "reserved", 0)


def _memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    return meter.memory(*_used_and_usable_bytes(nvml, handle))


def _utilization(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetUtilizationRates(handle).gpu,)


def _power(nvml: Any, handle: Any) -> tuple[float]:
    return (nvml.nvmlDeviceGetPowerUsage(handle) / 1000,)  # from milliwatts


def _temperature(nvml: Any, handle: Any) -> tuple[int]:
    celsius = _newest(
        nvml,
        lambda: nvml.nvmlDeviceGetTemperatureV(handle, GPU_SENSOR),
        lambda: nvml.nvmlDeviceGetTemperature(handle, GPU_SENSOR),
    )
    return (celsius,)


def _clock(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),)


def _throttled(nvml: Any, handle: Any) -> tuple[bool]:
    """Whether heat or failing power holds the clock down.

    Running at the power cap does not count: that is how a healthy card works under full load.
    """
    reasons = _newest(
        nvml,
        lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
        lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle),
    )
    counted = (
        nvml.nvmlClocksEventReasonHwSlowdown
        | nvml.nvmlClocksEventReasonSwThermalSlowdown
        | nvml.nvmlClocksEventReasonHwThermalSlowdown
        | nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
    )
    return (bool(reasons & counted),)


_READS: dict[tuple[str, ...], Callable[[Any, Any], tuple[object, ...]]] = {
    meter.MEMORY: _memory,
    meter.UTILIZATION: _utilization,
    meter.POWER: _power,
    meter.TEMPERATURE: _temperature,
    meter.CLOCK: _clock,
    meter.THROTTLED: _throttled,
}
