"""What Fleetfold needs of a vendor, and no more: `nvidia.py` and `amd.py` read real GPUs, `simulated.py` needs none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fleetfold_contracts.inventory import Capabilities, Link
from fleetfold_contracts.samples import Sample


class DevicesError(Exception):
    """Something went wrong outside.

    DevicesError
    ├── VendorUnavailableError  a vendor's library or driver is missing, too old, or gone
    ├── DeviceLostError         one device no longer answers
    └── FleetError              a simulated fleet is described wrongly (`fleet_file.py`)
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
    """The devices of a source and the links between them. `problems` says in words which could not be told, and why."""

    devices: tuple[Capabilities, ...] = ()
    links: tuple[Link, ...] = ()
    problems: tuple[str, ...] = ()


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

    def close(self) -> None:
        """Let the driver go. An open source can keep a driver from being unloaded."""
        ...
