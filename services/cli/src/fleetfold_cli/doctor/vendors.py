"""Each vendor's GPUs on this machine, looked at as the agent does: in a process that can be killed."""

import asyncio
from collections import Counter
from collections.abc import Iterator

from fleetfold_cli.doctor.findings import Finding, State
from fleetfold_cli.render.words import count
from fleetfold_contracts.inventory import Capabilities, Vendor
from fleetfold_devices.host import host_node
from fleetfold_devices.isolation.isolated import IsolatedSource, VendorProcessError, vendor_command
from fleetfold_devices.isolation.look import Question
from fleetfold_devices.local import ADAPTERS
from fleetfold_devices.port import USUALLY_WANTED, Inventory, VendorUnavailableError

FOUND_WITHIN_S = 30.0
"""A driver may have to wake all GPUs."""


async def vendor_findings() -> list[Finding]:
    """What there is of each vendor, side by side."""
    found = await asyncio.gather(*map(_findings, ADAPTERS))
    return [finding for of_vendor in found for finding in of_vendor]


async def _findings(vendor: Vendor) -> list[Finding]:
    source = IsolatedSource(vendor, vendor_command(vendor, host_node().node_id, USUALLY_WANTED))
    try:
        look = await source.look(Question(topology=True), within_s=FOUND_WITHIN_S)
    except VendorUnavailableError as error:
        return [Finding(part=vendor, state=State.NOTICE, found=error.missing, remedy=error.remedy)]
    except VendorProcessError as error:
        remedy = "reset the GPU, or reboot; an agent goes on without it meanwhile"
        return [Finding(part=vendor, state=State.BROKEN, found=str(error), remedy=remedy)]
    finally:
        await source.close()
    return list(_told(vendor, look.inventory or Inventory()))


def _told(vendor: Vendor, inventory: Inventory) -> Iterator[Finding]:
    yield Finding(part=vendor, state=State.GOOD, found=_devices(inventory.devices))
    for problem in inventory.problems:
        yield Finding(part=vendor, state=State.NOTICE, found=problem)


def _devices(devices: tuple[Capabilities, ...]) -> str:
    names = Counter(device.device_name for device in devices)
    kinds = ", ".join(name if number == 1 else f"{number} x {name}" for name, number in names.items())
    return f"{count(len(devices), 'device')}: {kinds}" if devices else "the driver answers, and has no device"
