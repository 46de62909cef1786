"""What the kernel's compute driver, KFD, tells of GPUs in /sys/class/kfd: those that it tells of can run ROCm."""

import re
from dataclasses import dataclass
from pathlib import Path

from fleetfold_devices.kernel.sysfs import matching, text_or_none

_NUMBER = re.compile(r"\d{1,20}\Z")
_ADDRESS = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])\Z")


@dataclass(frozen=True, slots=True)
class ComputeNode:
    """A GPU as KFD knows it."""

    compute_units: int | None
    architecture: str
    """As LLVM calls it, such as `gfx90a`."""


def compute_node(root: Path, pci_address: str) -> ComputeNode | None:
    """What KFD knows of the GPU at a PCI address. Partitions of a split card are nodes of their own: they are added."""
    files = matching(root, "sys/class/kfd/kfd/topology/nodes/*/properties")
    nodes = [node for file in files if _location(node := _properties(file)) == _place(pci_address)]
    if not nodes:
        return None
    units = [node["simd_count"] // node["simd_per_cu"] for node in nodes if node.get("simd_per_cu")]
    return ComputeNode(sum(units) or None, _architecture(nodes[0].get("gfx_target_version", 0)))


def _properties(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in (text_or_none(file) or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and _NUMBER.match(pair[1])}


def _location(properties: dict[str, int]) -> tuple[int, int] | None:
    # The nodes of processors have no SIMD units, and location 0.
    if not properties.get("simd_count"):
        return None
    return properties.get("domain", 0), properties.get("location_id", 0)


def _place(pci_address: str) -> tuple[int, int] | None:
    found = _ADDRESS.match(pci_address)
    if found is None:
        return None
    domain, bus, device, function = (int(part, 16) for part in found.groups())
    return domain, bus << 8 | device << 3 | function


def _architecture(version: int) -> str:
    # The number has two decimal digits for each of minor version and stepping; the name has one hexadecimal digit.
    return f"gfx{version // 10_000}{version // 100 % 100:x}{version % 100:x}"
