"""What Fleetfold needs of a vendor, and no more: `nvidia.py` and `amd.py` read real GPUs, `simulated.py` needs none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Capabilities, Link
from fleetfold_contracts.samples import DeviceHealth, Sample


class DevicesError(Exception):
    """Something went wrong outside.

    DevicesError
    ├── VendorUnavailableError  a vendor's library or driver is missing, too old, or gone
    ├── DeviceLostError         one device no longer answers
    └── FleetError              a simulated fleet, or links, are described wrongly (`fleet_file.py`)
    """


class VendorUnavailableError(DevicesError):
    """Nothing can be read from a vendor: what is missing, and how to get it."""

    def __init__(self, vendor: str, missing: str, remedy: str) -> None:
        super().__init__(f"{vendor}: {missing}; {remedy}")
        self.vendor = vendor
        self.missing = missing
        self.remedy = remedy


class DeviceLostError(DevicesError):
    """One device no longer answers. It stays inside a source, which tells of it by readings that are absent as lost."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The devices of a source. `problems` says in words which could not be told, and why."""

    devices: tuple[Capabilities, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """What a device reported: the vendor's code, such as `XID 79`, and what it means in words."""

    device_id: DeviceId
    code: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings are wanted beside the cheap ones. What is not wanted is absent as disabled."""

    temperature: bool = True
    power: bool = True
    pcie_throughput: bool = False
    """Some drivers take 40 ms for it."""


USUALLY_WANTED = Wanted()
"""What is wanted where nothing else is said."""


class DeviceSource(Protocol):
    """The devices of one vendor on one node, real or simulated.

    Every call may block, and a call into a wedged driver never returns. No thread can cancel it, so whoever has to go
    on (the agent) makes the calls, opening included, in a thread or, better, a process of their own, with a deadline.
    One call at a time.
    """

    @property
    def name(self) -> str:
        """What to call it in logs, such as `nvidia`."""
        ...

    def discover(self) -> Inventory:
        """Look for devices anew, and ask each one again which readings it has.

        Raises:
            VendorUnavailableError: the driver went away. Close the source and open another.
        """
        ...

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """One set of readings for each device of the last `discover`, in its order, stamped `now` (with a time zone).

        What could not be read is absent with the reason, never a zero.

        Raises:
            VendorUnavailableError: the driver went away. Close the source and open another.
        """
        ...

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """Memory errors and processes of each device of the last `discover`: dearer than a sample, so asked less often.

        Raises:
            VendorUnavailableError: the driver went away. Close the source and open another.
        """
        ...

    def links(self) -> tuple[Link, ...]:
        """The links between the devices of the last `discover`, as they are now.

        Raises:
            VendorUnavailableError: the driver went away. Close the source and open another.
        """
        ...

    def faults(self) -> tuple[Fault, ...]:
        """The faults that devices reported since this was last asked, in their order."""
        ...

    def close(self) -> None:
        """Let the driver go. An open source can keep a driver from being unloaded."""
        ...
