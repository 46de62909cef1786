"""What the sources have in common whose GPUs the Linux kernel tells of in files: no library, nothing held open."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.inventory import Capabilities, Link
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices import meter
from fleetfold_devices.host import ROOT
from fleetfold_devices.kernel.counters import Counters
from fleetfold_devices.kernel.devcoredump import CoreDumps
from fleetfold_devices.kernel.fdinfo import Clients
from fleetfold_devices.meter import Meter
from fleetfold_devices.port import USUALLY_WANTED, Fault, Inventory, VendorUnavailableError, Wanted


class KernelSource(ABC):
    """A `DeviceSource`. `root` is where /sys, /proc and /dev hang; `clock_ns` never goes back.

    Raises:
        VendorUnavailableError: there is no device with a driver.
    """

    name: str
    without_driver: str
    """What is missing where there is no device."""
    remedy: str
    programs: bool = True
    """Whether the driver tells what programs use (`fdinfo.py`)."""

    def __init__(
        self,
        node_id: NodeId,
        wanted: Wanted = USUALLY_WANTED,
        *,
        root: Path = ROOT,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._node_id = node_id
        self._wanted = wanted
        self._root = root
        self._clock_ns = clock_ns
        self._clients = Clients(root, clock_ns=clock_ns)
        self._counters: dict[Path, Counters] = {}
        self._dumps = CoreDumps(root)
        self._meters: tuple[Meter, ...] = ()
        self._device_ids: dict[Path, DeviceId] = {}
        self._there()

    @abstractmethod
    def _devices(self) -> list[Path]:
        """The directories of the devices in sysfs, without symbolic links."""

    @abstractmethod
    def _identified(self, device: Path, counters: Counters) -> tuple[Capabilities, Meter]:
        """One of them, asked anew which readings it has. Raises AbsentError where it does not tell what it is."""

    def discover(self) -> Inventory:
        """See `DeviceSource`."""
        self._device_ids = {}
        found, self._meters = meter.inventory(self.name, self._there(), self._remembered)
        return replace(found, problems=found.problems + self._hidden())

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`."""
        self._look_at_programs()
        return tuple(device_meter.sample(now) for device_meter in self._meters)

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """See `DeviceSource`. Errors of the memory are not told."""
        self._look_at_programs()
        return tuple(device_meter.health(now) for device_meter in self._meters)

    def links(self) -> tuple[Link, ...]:
        """See `DeviceSource`. None are told."""
        return ()

    def faults(self) -> tuple[Fault, ...]:
        """See `DeviceSource`. GPUs that hung, where the driver leaves a dump."""
        return self._dumps.faults(self._device_ids)

    def close(self) -> None:  # noqa: B027  # what it is for all of them, and no hook
        """See `DeviceSource`. Nothing is held open."""

    def _there(self) -> list[Path]:
        devices = self._devices()
        if not devices:
            raise VendorUnavailableError(self.name, self.without_driver, self.remedy)
        return devices

    def _remembered(self, device: Path) -> tuple[Capabilities, Meter]:
        counters = self._counters.setdefault(device, Counters(self._clock_ns))
        capabilities, device_meter = self._identified(device, counters)
        self._device_ids[device] = capabilities.device_id
        return capabilities, device_meter

    def _look_at_programs(self) -> None:
        if self.programs:
            self._clients.refresh()

    def _hidden(self) -> tuple[str, ...]:
        self._look_at_programs()
        hidden = self._clients.hidden
        return (f"{self.name}: what programs use is not told: {hidden}",) if hidden else ()
