"""The readings of a sample, each by a call to NVML, in our units."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from fleetfold_contracts.samples import Absence, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.host import ROOT
from fleetfold_devices.kernel.sysfs import shared_memory
from fleetfold_devices.library.binding import Driver, FirstSupported
from fleetfold_devices.meter import AbsentError, Probe
from fleetfold_devices.vendors.nvidia._places import Place

GPU_SENSOR = 0

Read = Callable[[Any, Any], tuple[object, ...]]
Reads = dict[tuple[str, ...], tuple[Read, ...]]
"""By the readings that they give: calls of which older drivers lack the first."""


class FalseZeros:
    """The utilization of a GPU with unified memory. Some say 0 whatever they do.

    So 0 is believed only of one that has said something else before.
    """

    def __init__(self) -> None:
        self._has_moved = False

    def utilization(self, nvml: Any, handle: Any) -> tuple[int]:
        """The reading.

        Raises:
            AbsentError: it cannot be believed.
        """
        (percent,) = _utilization(nvml, handle)
        self._has_moved |= percent != 0
        if not self._has_moved:
            raise AbsentError(Absence.UNSUPPORTED, "it has never said anything but 0")
        return (percent,)


def probes(nvml: Any, driver: Driver, place: Place, unified_memory: FalseZeros | None) -> Iterator[Probe]:
    """How to read a place. What else is known of a GPU with unified memory is given for one."""
    own = _OWN
    if unified_memory:
        own = {meter.MEMORY: (_host_memory,), meter.UTILIZATION: (unified_memory.utilization,)}
    if place.is_instance:
        own = {meter.MEMORY: own[meter.MEMORY]}
    of_card = _OF_EACH | (_OF_CARD if place.speaks_for_card else {})
    for handle, reads in ((place.handle, own), (place.card, of_card)):
        for readings, calls in reads.items():
            yield Probe(readings, _first_supported(nvml, driver, handle, calls))


def usable_memory_bytes(nvml: Any, driver: Driver, handle: Any) -> int:
    """The memory that programs can use.

    Raises:
        AbsentError: as unsupported where there is none of its own.
    """
    _, usable_bytes = _first_supported(nvml, driver, handle, _OWN[meter.MEMORY])()
    if usable_bytes is None:
        raise AbsentError(Absence.ERROR, "it says that it has no memory")
    return usable_bytes


def _first_supported(nvml: Any, driver: Driver, handle: Any, calls: Iterable[Read]) -> FirstSupported:
    return FirstSupported(*(partial(driver.ask, call, nvml, handle) for call in calls))


def _memory_v2(nvml: Any, handle: Any) -> tuple[object, ...]:
    # What the driver keeps for itself no program can have, so that it is taken off the total.
    info = nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    return meter.memory(info.used, info.total - info.reserved)


def _memory_v1(nvml: Any, handle: Any) -> tuple[object, ...]:
    # What the driver keeps for itself is counted as used.
    info = nvml.nvmlDeviceGetMemoryInfo(handle)
    return meter.memory(info.used, info.total)


def _host_memory(_nvml: Any, _handle: Any) -> tuple[object, ...]:
    return shared_memory(ROOT)


def _utilization(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetUtilizationRates(handle).gpu,)


def _power(nvml: Any, handle: Any) -> tuple[float]:
    return (nvml.nvmlDeviceGetPowerUsage(handle) / 1000,)  # from milliwatts


def _power_limit(nvml: Any, handle: Any) -> tuple[float]:
    return (nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,)  # from milliwatts


def _temperature_v1(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetTemperatureV(handle, GPU_SENSOR),)


def _temperature(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetTemperature(handle, GPU_SENSOR),)


def _clock(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),)


def _memory_clock(nvml: Any, handle: Any) -> tuple[int]:
    return (nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),)


def _pcie_throughput(nvml: Any, handle: Any) -> tuple[float, ...]:
    # From kilobytes a second, as the GPU sees it: it receives what is sent to it.
    counters = (nvml.NVML_PCIE_UTIL_RX_BYTES, nvml.NVML_PCIE_UTIL_TX_BYTES)
    return tuple(nvml.nvmlDeviceGetPcieThroughput(handle, counter) * 8 / 1000 for counter in counters)


REASONS = {
    0x001: ThrottleReason.IDLE,
    0x002: ThrottleReason.SETTING,  # the clocks that an administrator set for applications
    0x004: ThrottleReason.POWER,
    0x008: ThrottleReason.HARDWARE,  # heat, the power brake, or too much current: other bits may tell which
    0x010: ThrottleReason.SYNC,
    0x020: ThrottleReason.HEAT,  # slowed down by the driver
    0x040: ThrottleReason.HEAT,  # slowed down by the hardware
    0x080: ThrottleReason.HARDWARE,  # the power brake
    0x100: ThrottleReason.SETTING,  # the clocks that a display needs
}
"""By the bits of NVML's "clocks event reasons" (nvml.h, nvmlClocksEventReasons)."""


def _event_reasons(nvml: Any, handle: Any) -> tuple[object, ...]:
    return _throttling(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))


def _throttle_reasons(nvml: Any, handle: Any) -> tuple[object, ...]:
    return _throttling(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _throttling(bits: int) -> tuple[object, ...]:
    found = {reason for bit, reason in REASONS.items() if bits & bit}
    if bits & ~sum(REASONS):
        found.add(ThrottleReason.OTHER)
    return meter.throttling(found)


_OWN: Reads = {
    meter.MEMORY: (_memory_v2, _memory_v1),
    meter.UTILIZATION: (_utilization,),
}
_OF_EACH: Reads = {
    meter.TEMPERATURE: (_temperature_v1, _temperature),
    meter.CLOCK: (_clock,),
    meter.MEMORY_CLOCK: (_memory_clock,),
    meter.THROTTLING: (_event_reasons, _throttle_reasons),
}
"""What is a card's, and true of each of its instances."""
_OF_CARD: Reads = {
    meter.POWER: (_power,),
    meter.POWER_LIMIT: (_power_limit,),
    meter.PCIE_THROUGHPUT: (_pcie_throughput,),
}
"""What is counted for a card."""
