"""AMD's GPUs, read through AMD SMI by the binding `amdsmi`, which needs ROCm's library libamd_smi.so.

Whether the clock is held down is not read: the one call that tells it on every card takes a tenth of a second a device.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from fleetfold_contracts.ids import NodeId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices import meter
from fleetfold_devices.binding import Driver, loading, on_one_line
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.meter import AbsentError, Meter, Probe
from fleetfold_devices.port import DeviceLostError, Inventory, VendorUnavailableError

NAME = Vendor.AMD.value
REMEDY = (
    "install ROCm's amd-smi-lib, no older than the package amdsmi, set ROCM_PATH if it is not in /opt/rocm, "
    "and load the driver amdgpu; a container needs /dev/kfd and /dev/dri"
)

MIB = 1024**2
"""The library says MB, and means this."""

NOT_READ = frozenset({0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF})
"""What the library hands out for a figure that it does not have, where the binding does not make it "N/A"."""
NO_SERIAL = frozenset({"N/A", "0x0000000000000000", "0xFFFFFFFFFFFFFFFF"})

MATRIX_CORES = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
"""Architectures with matrix instructions, since CDNA and RDNA 3 (LLVM, "User Guide for AMDGPU Backend")."""


class AmdSource:
    """All AMD GPUs of this host that the driver shows to this process.

    `node_id` helps to name cards that have no serial number.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """

    name = NAME

    def __init__(self, node_id: NodeId) -> None:
        self._smi = _opened()
        self._driver = Driver(self._smi.AmdSmiException, partial(_meaning, self._smi.amdsmi_wrapper))
        self._node_id = node_id
        self._meters: tuple[Meter, ...] = ()

    def discover(self) -> Inventory:
        """See `DeviceSource`. A device is known by its UUID, without a serial number by its slot in the node."""
        handles = self._driver.ask(self._smi.amdsmi_get_processor_handles)
        found, self._meters = meter.inventory(NAME, handles, self._identified)
        return found

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`."""
        return tuple(device_meter.sample(now) for device_meter in self._meters)

    def close(self) -> None:
        """See `DeviceSource`."""
        # A driver that is gone cannot be let go, and need not be.
        with contextlib.suppress(self._smi.AmdSmiException):
            self._smi.amdsmi_shut_down()

    def _identified(self, handle: Any) -> tuple[Capabilities, Meter]:
        smi, driver = self._smi, self._driver
        asic = driver.ask(smi.amdsmi_get_gpu_asic_info, handle)
        device_id = driver.ask(_device_id, smi, handle, asic["asic_serial"], self._node_id)
        probes = [Probe(readings, partial(driver.ask, read, smi, handle)) for readings, read in _READS.items()]
        return _capabilities(smi, driver, handle, asic, device_id), Meter(device_id, probes)


def _opened() -> Any:
    with loading(NAME, REMEDY):
        import amdsmi as smi  # noqa: PLC0415  # without its library the import itself fails
    try:
        smi.amdsmi_init()
    except smi.AmdSmiException as error:
        raise VendorUnavailableError(NAME, on_one_line(error), REMEDY) from error
    return smi


def _meaning(status: Any, error: Any) -> Exception:
    match getattr(error, "err_code", None):
        case status.AMDSMI_STATUS_NOT_SUPPORTED | status.AMDSMI_STATUS_NOT_YET_IMPLEMENTED:
            return AbsentError(Absence.UNSUPPORTED, on_one_line(error), for_good=True)
        case status.AMDSMI_STATUS_NOT_FOUND:
            return DeviceLostError(on_one_line(error))
        case status.AMDSMI_STATUS_NOT_INIT | status.AMDSMI_STATUS_DRIVER_NOT_LOADED:
            return VendorUnavailableError(NAME, on_one_line(error), REMEDY)
        case _:
            return AbsentError(Absence.ERROR, on_one_line(error))


def _device_id(smi: Any, handle: Any, serial: str, node_id: NodeId) -> str:
    # The library makes the UUID from the serial number. Without one, equal cards have equal UUIDs.
    if serial in NO_SERIAL:
        return token(f"{node_id}-{smi.amdsmi_get_gpu_device_bdf(handle)}")
    return token(f"AMD-{smi.amdsmi_get_gpu_device_uuid(handle)}")


def _capabilities(smi: Any, driver: Driver, handle: Any, asic: dict[str, Any], device_id: str) -> Capabilities:
    usage = driver.ask(smi.amdsmi_get_gpu_vram_usage, handle)
    device_name = _text(asic["market_name"]) or "AMD GPU"
    architecture: str = asic["target_graphics_version"]
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.ROCM,
        device_name=device_name,
        vendor=Vendor.AMD,
        max_memory_bytes=driver.ask(_figure, usage["vram_total"]) * MIB,
        compute_units=driver.ask_or_none(_figure, asic["num_compute_units"]),
        memory_bandwidth_gbps=driver.ask_or_none(_memory_bandwidth_gbps, smi, handle),
        driver_version=driver.ask_or_none(lambda: _text(smi.amdsmi_get_gpu_driver_info(handle)["driver_version"])),
        supports_fp64=True,  # as has every architecture that ROCm runs on
        supports_tensor_cores=architecture.startswith(MATRIX_CORES),
        model=short_name(device_name),
    )


def _text(value: str) -> str | None:
    return None if value in {"", "N/A"} else value


def _figure(*candidates: object) -> Any:
    """The first that is a figure."""
    for value in candidates:
        if not isinstance(value, str) and value not in NOT_READ:
            return value
    raise AbsentError(Absence.UNSUPPORTED)


def _memory_bandwidth_gbps(smi: Any, handle: Any) -> float | None:
    # The library counts in GB/s, and gives 0 where it does not know.
    return _figure(smi.amdsmi_get_gpu_vram_info(handle)["vram_max_bandwidth"]) or None


def _memory(smi: Any, handle: Any) -> tuple[int | None, int | None]:
    usage = smi.amdsmi_get_gpu_vram_usage(handle)
    return meter.memory(_figure(usage["vram_used"]) * MIB, _figure(usage["vram_total"]) * MIB)


def _utilization(smi: Any, handle: Any) -> tuple[int]:
    return (_figure(smi.amdsmi_get_gpu_activity(handle)["gfx_activity"]),)


def _power(smi: Any, handle: Any) -> tuple[int]:
    # Which of the three a card has depends on its generation. All are in watts.
    info = smi.amdsmi_get_power_info(handle)
    kinds = ("current_socket_power", "average_socket_power", "socket_power")
    return (_figure(*(info.get(kind, "N/A") for kind in kinds)),)


def _temperature(smi: Any, handle: Any) -> tuple[int]:
    read = partial(smi.amdsmi_get_temp_metric, handle)
    current = smi.AmdSmiTemperatureMetric.CURRENT
    try:
        return (read(smi.AmdSmiTemperatureType.EDGE, current),)
    except smi.AmdSmiLibraryException as error:
        # The newer accelerators have no sensor at the edge.
        if error.err_code != smi.amdsmi_wrapper.AMDSMI_STATUS_NOT_SUPPORTED:
            raise
        return (read(smi.AmdSmiTemperatureType.HOTSPOT, current),)


def _clock(smi: Any, handle: Any) -> tuple[int]:
    return (_figure(smi.amdsmi_get_clock_info(handle, smi.AmdSmiClkType.GFX)["clk"]),)


_READS: dict[tuple[str, ...], Callable[[Any, Any], tuple[object, ...]]] = {
    meter.MEMORY: _memory,
    meter.UTILIZATION: _utilization,
    meter.POWER: _power,
    meter.TEMPERATURE: _temperature,
    meter.CLOCK: _clock,
}
