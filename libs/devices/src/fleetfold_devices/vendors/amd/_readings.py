"""The readings of a sample, each by a call to AMD SMI, in our units."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fleetfold_contracts.samples import Absence
from fleetfold_devices import meter
from fleetfold_devices.host import ROOT
from fleetfold_devices.kernel.sysfs import shared_memory
from fleetfold_devices.library.binding import Driver, FirstSupported
from fleetfold_devices.meter import AbsentError, Probe
from fleetfold_devices.vendors.amd._places import Place
from fleetfold_devices.vendors.amd._smi import MIB, NOT_READ, figure, metrics
from fleetfold_devices.vendors.amd._throttling import NOT_TOLD, RESIDENCIES, Residencies, by_status

Read = Callable[[Any, Any], tuple[object, ...]]


def probes(
    smi: Any, driver: Driver, place: Place, residencies: Residencies, *, unified_memory: bool
) -> Iterator[Probe]:
    """How to read a place. `residencies` are those of its card, and outlive a discovery."""
    own_memory = partial(driver.ask, _memory, smi, place)
    yield Probe(meter.MEMORY, partial(shared_memory, ROOT) if unified_memory else own_memory)
    yield Probe(meter.THROTTLING, partial(driver.ask, _throttling, smi, place.handle, residencies))
    for readings, calls in (_OF_EACH | (_OF_CARD if place.speaks_for_card else {})).items():
        yield Probe(readings, FirstSupported(*(partial(driver.ask, call, smi, place.handle) for call in calls)))


def usable_memory_bytes(smi: Any, place: Place) -> int:
    """The memory of a place.

    Raises:
        AbsentError: it tells none.
    """
    _, total_bytes = _memory(smi, place)
    if total_bytes is None:
        raise AbsentError(Absence.ERROR, "it says that it has no memory")
    return total_bytes


def _memory(smi: Any, place: Place) -> tuple[int | None, int | None]:
    usage = smi.amdsmi_get_gpu_vram_usage(place.handle)
    used_mib, total_mib = figure(usage["vram_used"]), figure(usage["vram_total"])
    if place.is_partition and _is_whole_card(smi, place.handle, total_mib):
        # An even share, so that the partitions together have what the card has.
        used_mib, total_mib = used_mib // place.partitions, total_mib // place.partitions
    return meter.memory(used_mib * MIB, total_mib * MIB)


def _is_whole_card(smi: Any, handle: Any, total_mib: int) -> bool:
    # Most versions tell the whole card's memory for each of its partitions. A partition has half of it at most. Where
    # the card's is not told, the worse is taken for true: memory must not be promised twice.
    try:
        card_mib = smi.amdsmi_get_gpu_vram_info(handle)["vram_size"]
    except smi.AmdSmiException:
        return True
    return card_mib in NOT_READ or total_mib * 2 > card_mib


def _utilization(smi: Any, handle: Any) -> tuple[int]:
    return (figure(smi.amdsmi_get_gpu_activity(handle)["gfx_activity"]),)


def _power(smi: Any, handle: Any) -> tuple[int]:
    # Which of the three a card has depends on its generation. All are in watts.
    info = smi.amdsmi_get_power_info(handle)
    kinds = ("current_socket_power", "average_socket_power", "socket_power")
    return (figure(*(info.get(kind, "N/A") for kind in kinds)),)


def _power_limit(smi: Any, handle: Any) -> tuple[float]:
    # In microwatts. 0 stands for a card that cannot be limited.
    return (figure(smi.amdsmi_get_power_cap_info(handle)["power_cap"] or "N/A") / 1_000_000,)


def _edge_temperature(smi: Any, handle: Any) -> tuple[int]:
    return _temperature(smi, handle, smi.AmdSmiTemperatureType.EDGE)


def _hotspot_temperature(smi: Any, handle: Any) -> tuple[int]:
    # The newer accelerators have no sensor at the edge.
    return _temperature(smi, handle, smi.AmdSmiTemperatureType.HOTSPOT)


def _temperature(smi: Any, handle: Any, sensor: Any) -> tuple[int]:
    return (smi.amdsmi_get_temp_metric(handle, sensor, smi.AmdSmiTemperatureMetric.CURRENT),)


def _clock(smi: Any, handle: Any) -> tuple[int]:
    return (figure(smi.amdsmi_get_clock_info(handle, smi.AmdSmiClkType.GFX)["clk"]),)


def _memory_clock(smi: Any, handle: Any) -> tuple[int]:
    return (figure(smi.amdsmi_get_clock_info(handle, smi.AmdSmiClkType.MEM)["clk"]),)


def _pcie_throughput(smi: Any, handle: Any) -> tuple[float, ...]:
    # It counts packets for a second, and tells the size of the largest: this is the most that it can have been.
    counted = smi.amdsmi_get_gpu_pci_throughput(handle)
    packet_megabits = figure(counted["max_pkt_sz"]) * 8 / 1_000_000
    return tuple(figure(counted[way]) * packet_megabits for way in ("received", "sent"))


def _throttling(smi: Any, handle: Any, residencies: Residencies) -> tuple[object, ...]:
    table = metrics(smi, handle)
    if table.indep_throttle_status != NOT_TOLD:
        return by_status(table.indep_throttle_status)
    return residencies.readings({name: getattr(table, name) for name in RESIDENCIES})


_OF_EACH: dict[tuple[str, ...], tuple[Read, ...]] = {
    meter.UTILIZATION: (_utilization,),
    meter.TEMPERATURE: (_edge_temperature, _hotspot_temperature),
    meter.CLOCK: (_clock,),
    meter.MEMORY_CLOCK: (_memory_clock,),
}
_OF_CARD: dict[tuple[str, ...], tuple[Read, ...]] = {
    meter.POWER: (_power,),
    meter.POWER_LIMIT: (_power_limit,),
    meter.PCIE_THROUGHPUT: (_pcie_throughput,),
}
"""What is counted for a card."""
