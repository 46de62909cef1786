"""AMD's GPUs behind the port, read through AMD SMI."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.inventory import Link
from fleetfold_devices.host import ROOT
from fleetfold_devices.library.source import LibrarySource
from fleetfold_devices.meter import Finds, Meter, always_there
from fleetfold_devices.port import USUALLY_WANTED, DeviceLostError, Wanted
from fleetfold_devices.vendors.amd import _health, _readings
from fleetfold_devices.vendors.amd._faults import FaultWatch
from fleetfold_devices.vendors.amd._identity import capabilities
from fleetfold_devices.vendors.amd._links import links
from fleetfold_devices.vendors.amd._places import Gpu, Place, card_id, cards, hexadecimal
from fleetfold_devices.vendors.amd._smi import NAME, close, driver, metrics, opened, reopen
from fleetfold_devices.vendors.amd._throttling import APU_TABLES, Residencies


class AmdSource(LibrarySource[Gpu]):
    """All AMD GPUs of this host that the driver shows to this process.

    `node_id` helps to name cards that have no serial number. `root` is where /sys hangs.

    Raises:
        VendorUnavailableError: no driver, no library, no binding, or one too old.
    """

    name = NAME

    def __init__(self, node_id: NodeId, wanted: Wanted = USUALLY_WANTED, *, root: Path = ROOT) -> None:
        self._smi = opened()
        self._driver = driver(self._smi)
        self._node_id = node_id
        self._wanted = wanted
        self._root = root
        self._residencies: defaultdict[DeviceId, Residencies] = defaultdict(Residencies)
        super().__init__()

    def links(self) -> tuple[Link, ...]:
        """See `DeviceSource`."""
        return links(self._smi, self._driver, self._gpus)

    def _new_watch(self) -> FaultWatch:
        return FaultWatch(self._smi, self._driver)

    def _reopen(self) -> None:
        reopen(self._smi)

    def _let_go(self) -> None:
        close(self._smi)

    def _look(self) -> Finds[Gpu]:
        finds = Finds[Gpu]()
        places: list[Place] = []
        for index, handle in enumerate(self._driver.ask(self._smi.amdsmi_get_processor_handles)):
            with finds.looking_at(_what(index)):
                places.append(self._place(index, handle))
        for of_card in cards(places):
            for place in of_card:
                with finds.looking_at(_what(place.index)):
                    self._add(place, of_card[0], finds)
        return finds

    def _place(self, index: int, handle: Any) -> Place:
        told: dict[str, Any] = self._driver.ask_or_none(self._smi.amdsmi_get_gpu_kfd_info, handle) or {}
        partition = told.get("current_partition_id")
        pci_address = self._driver.ask(self._smi.amdsmi_get_gpu_device_bdf, handle)
        return Place(handle, index, pci_address, partition if isinstance(partition, int) else None)

    def _add(self, place: Place, first_of_card: Place, finds: Finds[Gpu]) -> None:
        smi, ask = self._smi, self._driver
        asic = ask.ask(smi.amdsmi_get_gpu_asic_info, first_of_card.handle)
        serial, model = hexadecimal(asic["asic_serial"]), hexadecimal(asic["device_id"])
        card = card_id(self._node_id, serial, first_of_card.pci_address, model)
        table = ask.ask_or_none(metrics, smi, place.handle)
        unified_memory = table is not None and table.common_header.format_revision in APU_TABLES
        told = capabilities(smi, ask, place, card, unified_memory=unified_memory)
        residencies = self._residencies[told.device_id]
        meter = Meter(
            told.device_id,
            tuple(_readings.probes(smi, ask, place, residencies, unified_memory=unified_memory)),
            tuple(_health.probes(smi, ask, place)),
            wanted=self._wanted,
            gate=self._gate(place),
        )
        finds.add(_what(place.index), told, Gpu(told.device_id, place, meter))

    def _gate(self, place: Place) -> Callable[[], None]:
        # To the library a card that is gone looks like one that lacks everything.
        there = self._root / "sys/bus/pci/devices" / place.pci_address

        def check_there() -> None:
            if not there.exists():
                raise DeviceLostError(f"{there} is gone")

        return check_there if there.exists() else always_there


def _what(index: int) -> str:
    return f"{NAME} GPU {index}"
