"""What a host has: nodes, devices and their capabilities, links. None of it changes from one sample to the next."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import BootId, DeviceId, NodeId

MAX_INTEGER = 2**53 - 1
"""No number on the wire is larger: up to here every reader of JSON has it exactly."""
MAX_LABELS = 64

Label = Annotated[str, msgspec.Meta(max_length=256)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Labels = Annotated[dict[Name, Label], msgspec.Meta(max_length=MAX_LABELS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Milli = Annotated[int, msgspec.Meta(ge=0, le=10**9, description="Thousandths: 1000 is one whole")]
ComputeCapability = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{1,3}\.[0-9]{1,3}\Z", description="CUDA's, as major and minor number: `8.6`")
]
RACK_LABEL = "rack"
"""The label that says in which rack a node stands."""


class DeviceType(StrEnum):
    """The backend that runs code on a device."""

    CUDA = "cuda"
    ROCM = "rocm"
    METAL = "metal"
    VULKAN_ANDROID = "vulkan_android"
    VULKAN_LINUX = "vulkan_linux"
    INTEL_XE = "intel_xe"
    DIRECTML = "directml"
    CPU = "cpu"


class Vendor(StrEnum):
    """Who makes a device."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    APPLE = "apple"
    QUALCOMM = "qualcomm"
    OTHER = "other"


class Precision(StrEnum):
    """A format of numbers that a device computes in by itself, at more than the speed of an emulation."""

    FP64 = "fp64"
    FP32 = "fp32"
    TF32 = "tf32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What never changes about a device. What is unknown is absent, never zero."""

    device_id: DeviceId
    device_type: DeviceType
    device_name: Name
    vendor: Vendor
    max_memory_bytes: Bytes
    compute_units: Count | None = None
    memory_bandwidth_gbps: Annotated[float, msgspec.Meta(ge=0)] | None = None
    driver_version: Label | None = None
    supports_fp64: bool | None = None
    supports_tensor_cores: bool | None = None
    compute_capability: ComputeCapability | None = None
    """CUDA's, such as `8.6`."""
    precisions: tuple[Precision, ...] = ()
    """Empty: unknown."""
    model: Name | None = None
    """The short name by which a workload may ask for it, such as `A10`."""
    unified_memory: bool = False
    """Whether its memory is the host's, shared with everything else that runs there."""
    partition_of: DeviceId | None = None
    """The physical device that it is a part of (NVIDIA's MIG, AMD's CPX): its parts share one power reading."""
    pci_address: Label | None = None
    labels: Labels = {}


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host with an agent. Its id survives restarts, its boot does not."""

    node_id: NodeId
    boot_id: BootId
    hostname: Name
    cpu_milli: Milli
    memory_bytes: Bytes
    beat_interval_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 2.0
    """How often its agent is heard: three missed beats make it stale."""
    labels: Labels = {}


class LinkKind(StrEnum):
    """What a link is made of."""

    SOCKET = "socket"
    ETHERNET = "ethernet"
    RDMA = "rdma"
    THUNDERBOLT = "thunderbolt"
    NVLINK = "nvlink"
    XGMI = "xgmi"
    PCIE = "pcie"


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measured or declared connection between two devices, or two nodes. It runs both ways."""

    ends: tuple[DeviceId, DeviceId]
    kind: LinkKind
    bandwidth_gbps: Annotated[float, msgspec.Meta(gt=0)] | None = None
    latency_us: Annotated[float, msgspec.Meta(ge=0)] | None = None
    peer_to_peer: bool | None = None
