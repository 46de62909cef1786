"""A device's health: the errors of its memory, and the processes on it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from fleetfold_contracts.samples import DeviceProcess
from fleetfold_devices import meter
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.meter import Probe
from fleetfold_devices.vendors.amd._identity import text
from fleetfold_devices.vendors.amd._places import Place


def probes(smi: Any, driver: Driver, place: Place) -> Iterator[Probe]:
    """How to read a place's health."""
    yield Probe(meter.PROCESSES, partial(driver.ask, _processes, smi, place.handle))
    if place.speaks_for_card:
        yield Probe(meter.ECC, partial(driver.ask, _ecc, smi, place.handle))


def _ecc(smi: Any, handle: Any) -> tuple[int, ...]:
    counts = smi.amdsmi_get_gpu_total_ecc_count(handle)
    return counts["correctable_count"], counts["uncorrectable_count"]


def _processes(smi: Any, handle: Any) -> tuple[tuple[DeviceProcess, ...]]:
    return (tuple(_told(used) for used in smi.amdsmi_get_gpu_process_list(handle)),)


def _told(used: dict[str, Any]) -> DeviceProcess:
    return meter.process(used["pid"], meter.program(text(used["name"])), used["memory_usage"]["vram_mem"])
