"""The GPUs of this machine, whoever made them."""

from collections.abc import Callable
from dataclasses import dataclass

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.amd import AmdSource
from fleetfold_devices.nvidia import NvidiaSource
from fleetfold_devices.port import DeviceSource, VendorUnavailableError


def _nvidia(_: NodeId) -> DeviceSource:
    return NvidiaSource()


ADAPTERS: dict[Vendor, Callable[[NodeId], DeviceSource]] = {Vendor.NVIDIA: _nvidia, Vendor.AMD: AmdSource}
"""How to open each vendor's source, given the node's id. Opening raises VendorUnavailableError, and may block."""


@dataclass(frozen=True, slots=True)
class LocalSources:
    """What works here, and what does not: each problem says in words what is missing and how to get it."""

    sources: tuple[DeviceSource, ...]
    problems: tuple[VendorUnavailableError, ...]


def local_sources(node_id: NodeId) -> LocalSources:
    """Try every adapter that there is. May block, as any call into a driver (see `DeviceSource`)."""
    sources: list[DeviceSource] = []
    problems: list[VendorUnavailableError] = []
    for adapter in ADAPTERS.values():
        try:
            sources.append(adapter(node_id))
        except VendorUnavailableError as error:
            problems.append(error)
    return LocalSources(tuple(sources), tuple(problems))
