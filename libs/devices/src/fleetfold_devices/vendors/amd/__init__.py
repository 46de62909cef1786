"""AMD's GPUs, read through AMD SMI where ROCm is installed, and else from what the kernel's driver amdgpu tells.

A card is known by its serial number, which both ways tell alike; one that has none by its slot in the node. A card that
is split into partitions (such as CPX) is told by AMD SMI as its partitions, each with the card's id as `partition_of`,
and by the kernel as one device. What would be counted twice if it were summed up (power, its limit, PCIe throughput,
memory errors) is told by the first partition of a card alone.

An APU works in the host's memory: that is told as its memory.
"""

from pathlib import Path

from fleetfold_contracts.ids import NodeId
from fleetfold_devices.host import ROOT
from fleetfold_devices.port import USUALLY_WANTED, DeviceSource, VendorUnavailableError, Wanted
from fleetfold_devices.vendors.amd._source import AmdSource
from fleetfold_devices.vendors.amd._sysfs_source import AmdgpuSource, is_amdgpu_loaded

__all__ = ["AmdSource", "AmdgpuSource", "open_amd"]


def open_amd(node_id: NodeId, wanted: Wanted = USUALLY_WANTED, *, root: Path = ROOT) -> DeviceSource:
    """AMD SMI; where it cannot be used, the kernel's own files, if its driver has a card.

    Raises:
        VendorUnavailableError: neither is there. It says what AMD SMI lacks.
    """
    try:
        return AmdSource(node_id, wanted, root=root)
    except VendorUnavailableError:
        if not is_amdgpu_loaded(root):
            raise
    return AmdgpuSource(node_id, wanted, root=root)
