"""NVIDIA's GPUs behind the port."""

from collections import defaultdict

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Link
from fleetfold_devices.library.source import LibrarySource
from fleetfold_devices.meter import Finds, Meter
from fleetfold_devices.port import USUALLY_WANTED, Wanted
from fleetfold_devices.vendors.nvidia import _health, _readings
from fleetfold_devices.vendors.nvidia._faults import FaultWatch
from fleetfold_devices.vendors.nvidia._identity import capabilities
from fleetfold_devices.vendors.nvidia._links import links
from fleetfold_devices.vendors.nvidia._nvml import NAME, close, driver, opened, reopen
from fleetfold_devices.vendors.nvidia._places import Gpu, Place, places
from fleetfold_devices.vendors.nvidia._readings import FalseZeros


class NvidiaSource(LibrarySource[Gpu]):
    """All NVIDIA GPUs of this host that the driver shows to this process. A device is known by its UUID.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """

    name = NAME

    def __init__(self, wanted: Wanted = USUALLY_WANTED) -> None:
        self._nvml = opened()
        self._driver = driver(self._nvml)
        self._wanted = wanted
        self._false_zeros: defaultdict[DeviceId, FalseZeros] = defaultdict(FalseZeros)
        super().__init__()

    def links(self) -> tuple[Link, ...]:
        """See `DeviceSource`."""
        return links(self._nvml, self._driver, self._gpus)

    def _new_watch(self) -> FaultWatch:
        return FaultWatch(self._nvml, self._driver)

    def _reopen(self) -> None:
        reopen(self._nvml)

    def _let_go(self) -> None:
        close(self._nvml)

    def _look(self) -> Finds[Gpu]:
        finds = Finds[Gpu]()
        for index in range(self._driver.ask(self._nvml.nvmlDeviceGetCount)):
            what = f"{self.name} GPU {index}"
            with finds.looking_at(what):
                card = self._driver.ask(self._nvml.nvmlDeviceGetHandleByIndex, index)
                self._look_into(what, list(places(self._nvml, self._driver, card)), finds)
        return finds

    def _look_into(self, what: str, found: list[Place], finds: Finds[Gpu]) -> None:
        if not found:
            finds.problems.append(f"{what} is split by MIG, and no instance was made")
        for place in found:
            with finds.looking_at(what):
                self._add(what, place, finds)

    def _add(self, what: str, place: Place, finds: Finds[Gpu]) -> None:
        told = capabilities(self._nvml, self._driver, place)
        unified_memory = self._false_zeros[told.device_id] if told.unified_memory else None
        meter = Meter(
            told.device_id,
            tuple(_readings.probes(self._nvml, self._driver, place, unified_memory)),
            tuple(_health.probes(self._nvml, self._driver, place)),
            wanted=self._wanted,
        )
        finds.add(what, told, Gpu(told.device_id, place, told.pci_address, meter))
