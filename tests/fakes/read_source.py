"""Opens a vendor's source, discovers, and samples once for each further state of the fake library. Prints JSON alone.

    read_source.py VENDOR STATE [STATE...]

The first state holds from before the library is loaded until the devices are discovered.
"""

import os
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.local import ADAPTERS
from fleetfold_devices.port import DeviceSource, VendorUnavailableError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def main(vendor: str, first: str, *others: str) -> None:
    os.environ["FAKE_GPU"] = first
    seen: dict[str, Any] = {"samples": [], "unavailable": None}
    try:
        source = ADAPTERS[Vendor(vendor)]("desk")
        inventory = source.discover()
        seen |= {"devices": inventory.devices, "problems": inventory.problems}
        seen["samples"] += [sampled(source, state) for state in (first, *others)]
        source.close()
    except VendorUnavailableError as error:
        seen["unavailable"] = {"missing": error.missing, "remedy": error.remedy}
    sys.stdout.buffer.write(msgspec.json.encode(seen))


def sampled(source: DeviceSource, state: str) -> Any:
    os.environ["FAKE_GPU"] = state
    return source.sample(NOW)


if __name__ == "__main__":
    main(*sys.argv[1:])
