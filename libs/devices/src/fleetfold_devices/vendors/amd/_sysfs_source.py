"""AMD's GPUs behind the port, read from the files of the kernel's driver amdgpu: nothing else has to be installed."""

from datetime import datetime
from itertools import combinations
from pathlib import Path

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.inventory import Capabilities, Link, LinkKind
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices import meter
from fleetfold_devices.host import ROOT
from fleetfold_devices.kernel.devcoredump import CoreDumps
from fleetfold_devices.kernel.fdinfo import Clients
from fleetfold_devices.kernel.sysfs import link_name, matching, text_or_none
from fleetfold_devices.library import pcie
from fleetfold_devices.meter import Meter
from fleetfold_devices.port import USUALLY_WANTED, Fault, Inventory, VendorUnavailableError, Wanted
from fleetfold_devices.vendors.amd._places import card_id, hexadecimal
from fleetfold_devices.vendors.amd._smi import NAME
from fleetfold_devices.vendors.amd._sysfs_card import DRIVER, Card

REMEDY = "load the driver amdgpu (modprobe amdgpu); a container needs /sys"


def is_amdgpu_loaded(root: Path) -> bool:
    """Whether the driver has a card."""
    return bool(_devices(root))


class AmdgpuSource:
    """All GPUs of this host that have the driver amdgpu. `root` is where /sys, /proc and /usr hang.

    `node_id` helps to name cards that have no serial number. A card that is split into partitions is one device here.

    Raises:
        VendorUnavailableError: there is none.
    """

    name = NAME

    def __init__(self, node_id: NodeId, wanted: Wanted = USUALLY_WANTED, *, root: Path = ROOT) -> None:
        self._node_id = node_id
        self._wanted = wanted
        self._root = root
        self._clients = Clients(root)
        self._dumps = CoreDumps(root)
        self._gpus: tuple[tuple[DeviceId, Card, Meter], ...] = ()
        self._driven()

    def discover(self) -> Inventory:
        """See `DeviceSource`."""
        found, self._gpus = meter.inventory(NAME, self._driven(), self._identified)
        return found

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`. A card that is asleep is left asleep."""
        return tuple(card_meter.sample(now) for _, _, card_meter in self._gpus)

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """See `DeviceSource`. Errors of the memory are counted since the driver was loaded."""
        self._clients.refresh()
        return tuple(card_meter.health(now) for _, _, card_meter in self._gpus)

    def links(self) -> tuple[Link, ...]:
        """See `DeviceSource`. How fast XGMI is, the kernel does not tell."""
        return tuple(
            _link(first, second)
            for first, second in combinations([(device_id, card) for device_id, card, _ in self._gpus], 2)
        )

    def faults(self) -> tuple[Fault, ...]:
        """See `DeviceSource`. The GPUs that hung are told."""
        return self._dumps.faults({card.device: device_id for device_id, card, _ in self._gpus})

    def close(self) -> None:
        """See `DeviceSource`. Nothing is held open."""

    def _driven(self) -> list[Path]:
        devices = _devices(self._root)
        if not devices:
            raise VendorUnavailableError(NAME, "no GPU has the driver amdgpu", REMEDY)
        return devices

    def _identified(self, device: Path) -> tuple[Capabilities, tuple[DeviceId, Card, Meter]]:
        card = Card(device, self._root, self._clients)
        serial, model = (hexadecimal(text_or_none(device / name) or "") for name in ("unique_id", "device"))
        told = card.capabilities(card_id(self._node_id, serial, card.pci_address, model))
        return told, (
            told.device_id,
            card,
            card.meter(told.device_id, self._wanted, unified_memory=told.unified_memory),
        )


def _devices(root: Path) -> list[Path]:
    cards = matching(root, "sys/class/drm/card*/device")
    return sorted({device.resolve() for device in cards if link_name(device / "driver") == DRIVER})


def _link(first: tuple[DeviceId, Card], second: tuple[DeviceId, Card]) -> Link:
    (first_id, first_card), (second_id, second_card) = first, second
    if first_card.hive_id and first_card.hive_id == second_card.hive_id:
        return Link(ends=(first_id, second_id), kind=LinkKind.XGMI)
    bandwidth_gbps = pcie.slower_gbps(first_card.slot_gbps, second_card.slot_gbps)
    return Link(ends=(first_id, second_id), kind=LinkKind.PCIE, bandwidth_gbps=bandwidth_gbps)
