"""A vendor's process whose devices do what a file says: read anew at each look, so that a test can change it.

    scripted_vendor.py FILE

The file is JSON, as `Script` has it.
"""

import os
import sys
import threading
from datetime import datetime
from pathlib import Path

import msgspec

from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, Sample
from fleetfold_devices.isolation.child import serve
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import Fault, Inventory, VendorUnavailableError

GIB = 1024**3


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the devices do."""

    devices: list[str] = []
    lost: list[str] = []
    faults: list[Fault] = []
    driver_version: str = "1"
    unavailable: bool = False
    wedged: bool = False
    crash: bool = False
    fault: bool = False
    """Fall over something that nobody has thought of."""
    chatter: bool = False
    """Print, as a binding does, and as a library in C does."""


class ScriptedSource:
    """See `DeviceSource`."""

    name = "scripted"

    def __init__(self, script: Path) -> None:
        self._script = script
        self._devices: list[str] = []
        self._read()

    def discover(self) -> Inventory:
        script = self._read()
        self._devices = script.devices
        return Inventory(tuple(capabilities(device, script.driver_version) for device in script.devices))

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        lost = self._read().lost
        return tuple(
            lost_sample(device, now) if device in lost else good_sample(device, now) for device in self._devices
        )

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        return tuple(DeviceHealth(device_id=device, timestamp=now, processes=()) for device in self._devices)

    def links(self) -> tuple[Link, ...]:
        ends = zip(self._devices, self._devices[1:], strict=False)
        return tuple(Link(ends=pair, kind=LinkKind.NVLINK) for pair in ends)

    def faults(self) -> tuple[Fault, ...]:
        return tuple(self._read().faults)

    def close(self) -> None:
        pass

    def _read(self) -> Script:
        script = msgspec.json.decode(self._script.read_bytes(), type=Script)
        if script.chatter:
            print("a word of a binding")  # noqa: T201
            os.write(1, b"a word of a library")
        if script.crash:
            os.abort()
        if script.fault:
            raise ZeroDivisionError
        if script.wedged:
            threading.Event().wait()
        if script.unavailable:
            raise VendorUnavailableError("scripted", "driver not loaded", "install it")
        return script


def capabilities(device_id: str, driver_version: str = "1") -> Capabilities:
    """What a device is."""
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.CUDA,
        device_name="Scripted GPU",
        vendor=Vendor.NVIDIA,
        max_memory_bytes=40 * GIB,
        driver_version=driver_version,
    )


def good_sample(device_id: str, now: datetime) -> Sample:
    """What a device that works reads."""
    return Sample(device_id=device_id, timestamp=now, memory_used_bytes=GIB, memory_total_bytes=40 * GIB)


def lost_sample(device_id: str, now: datetime) -> Sample:
    """What is read of a lost device."""
    return Sample(device_id=device_id, timestamp=now, absent=dict.fromkeys(READINGS, Absence.LOST))


if __name__ == "__main__":
    serve(lambda: ScriptedSource(Path(sys.argv[1])))
