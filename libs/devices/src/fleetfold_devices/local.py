"""The GPUs of this machine, whoever made them."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.host import ROOT
from fleetfold_devices.port import USUALLY_WANTED, DeviceSource, VendorUnavailableError, Wanted

# ruff: noqa: PLC0415 - an adapter is imported where it is opened: the process of one vendor has no use for the others


class Opener(Protocol):
    """What opens a vendor's source. It raises VendorUnavailableError, and may block."""

    def __call__(self, node_id: NodeId, wanted: Wanted = USUALLY_WANTED, /) -> DeviceSource:
        """Open it."""
        ...


def _nvidia(_node_id: NodeId, wanted: Wanted = USUALLY_WANTED) -> DeviceSource:
    from fleetfold_devices.vendors.nvidia import NvidiaSource

    return NvidiaSource(wanted)


def _amd(node_id: NodeId, wanted: Wanted = USUALLY_WANTED) -> DeviceSource:
    from fleetfold_devices.vendors.amd import open_amd

    return open_amd(node_id, wanted)


def _intel(node_id: NodeId, wanted: Wanted = USUALLY_WANTED) -> DeviceSource:
    from fleetfold_devices.vendors.intel import IntelSource

    return IntelSource(node_id, wanted)


def _apple(node_id: NodeId, wanted: Wanted = USUALLY_WANTED) -> DeviceSource:
    from fleetfold_devices.vendors.apple import AppleSource

    return AppleSource(node_id, wanted)


def _qualcomm(node_id: NodeId, wanted: Wanted = USUALLY_WANTED) -> DeviceSource:
    from fleetfold_devices.vendors.qualcomm import qualcomm_source

    return qualcomm_source(node_id, wanted)


ADAPTERS: dict[Vendor, Opener] = {
    Vendor.NVIDIA: _nvidia,
    Vendor.AMD: _amd,
    Vendor.INTEL: _intel,
    Vendor.APPLE: _apple,
    Vendor.QUALCOMM: _qualcomm,
}
"""How to open each vendor's source, given the node's id and what is wanted of it."""

SIGNS: dict[Vendor, tuple[str, ...]] = {
    Vendor.NVIDIA: ("dev/nvidiactl", "dev/nvmap", "dev/dxg", "sys/bus/pci/drivers/nvidia/*:*"),
    Vendor.AMD: ("dev/kfd", "sys/bus/pci/drivers/amdgpu/*:*"),
    Vendor.INTEL: ("sys/bus/pci/drivers/xe/*:*", "sys/bus/pci/drivers/i915/*:*"),
    Vendor.APPLE: ("System/Library/CoreServices",),
    Vendor.QUALCOMM: ("sys/class/kgsl/kgsl-3d0", "sys/bus/platform/drivers/adreno/*.gpu"),
}
"""Where there is none of these, a vendor has no driver here. `/dev/dxg` is there in a Linux within Windows."""
NVIDIA_LIBRARY = "libnvidia-ml.so.1"


def shows_signs(vendor: Vendor, root: Path = ROOT) -> bool:
    """Whether there is any use in opening a vendor's source. It asks no driver, so that it neither blocks nor costs."""
    if any(any(root.glob(pattern)) for pattern in SIGNS[vendor]):
        return True
    return vendor is Vendor.NVIDIA and _can_be_loaded(NVIDIA_LIBRARY)


def _can_be_loaded(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


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
