"""A device's health: the errors of its memory, and the processes on it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from fleetfold_contracts.samples import DeviceProcess
from fleetfold_devices import meter
from fleetfold_devices.library.binding import Driver, FirstSupported
from fleetfold_devices.meter import Probe
from fleetfold_devices.vendors.nvidia._places import Place


def probes(nvml: Any, driver: Driver, place: Place) -> Iterator[Probe]:
    """How to read a place's health."""
    yield Probe(meter.PROCESSES, _Processes(nvml, driver, place.handle).read)
    if place.speaks_for_card:
        yield Probe(meter.ECC, partial(driver.ask, _ecc, nvml, place.card))


def _ecc(nvml: Any, card: Any) -> tuple[int, ...]:
    # The volatile counters: since the driver was loaded. The aggregate ones are those of the card's whole life.
    kinds = (nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
    return tuple(nvml.nvmlDeviceGetTotalEccErrors(card, kind, nvml.NVML_VOLATILE_ECC) for kind in kinds)


class _Processes:
    def __init__(self, nvml: Any, driver: Driver, handle: Any) -> None:
        self._nvml = nvml
        self._driver = driver
        self._computing = FirstSupported(
            partial(driver.ask, nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle),
            partial(driver.ask, nvml.nvmlDeviceGetComputeRunningProcesses_v2, handle),
        )
        self._drawing = FirstSupported(
            partial(driver.ask, nvml.nvmlDeviceGetGraphicsRunningProcesses_v3, handle),
            partial(driver.ask, nvml.nvmlDeviceGetGraphicsRunningProcesses_v2, handle),
        )

    def read(self) -> tuple[tuple[DeviceProcess, ...]]:
        # A process of both kinds has the same memory in both lists. For an instance of MIG nothing draws.
        lists: list[Any] = [self._driver.ask_or_none(self._drawing) or (), self._computing()]
        processes = {used.pid: used for each in lists for used in each}
        return (tuple(self._told(used) for used in processes.values()),)

    def _told(self, used: Any) -> DeviceProcess:
        # A process that ended meanwhile has no name.
        command_line = self._driver.ask_or_none(self._nvml.nvmlSystemGetProcessName, used.pid)
        return meter.process(used.pid, meter.program(command_line), used.usedGpuMemory)
