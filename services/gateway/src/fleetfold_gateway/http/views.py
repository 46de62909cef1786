"""Answers that only HTTP gives: parts of what the projector answers, under names that a browser's address shows."""

import msgspec

from fleetfold_contracts.answers import DeviceView, NodeView, PlacementView, WorkView
from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import Count


class AtLeast(msgspec.Struct, frozen=True, kw_only=True):
    """A question that has no other part."""

    at_least: Count = 0
    """Wait until the answer stands for this log position."""


class DeviceQuery(AtLeast, frozen=True, kw_only=True):
    """Which device."""

    device_id: DeviceId


class PlacementQuery(AtLeast, frozen=True, kw_only=True):
    """Which placement."""

    workload_id: WorkloadId
    pool: PoolId = DEFAULT_POOL


class WorkQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which work."""

    work_id: WorkId


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One device, and the log position that it stands for."""

    position: Count
    device: DeviceView


class NodesAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All nodes."""

    position: Count
    nodes: tuple[NodeView, ...] = ()


class PlacementsAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The placements, the newest last. `placement_count` counts those that the list has no room for too."""

    position: Count
    placement_count: Count
    placements: tuple[PlacementView, ...] = ()


class WorkAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The works, the newest last."""

    position: Count
    works: tuple[WorkView, ...] = ()


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device in a few figures. One that is not read is `null`. A megabyte is 1,048,576 bytes here."""

    device_id: DeviceId
    node_id: NodeId
    memory_used_mb: float | None
    memory_total_mb: float | None
    temperature_c: float | None
    utilization_percent: float | None


class DeviceRows(msgspec.Struct, frozen=True, kw_only=True):
    """Every device in a few figures."""

    position: Count
    devices: tuple[DeviceRow, ...]


class GpuNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node with its devices."""

    node_id: NodeId
    hostname: str
    liveness: str
    devices: tuple[DeviceRow, ...]


class GpuLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link between two devices, or two nodes. What is not known of it is absent."""

    source: DeviceId
    target: DeviceId
    kind: str
    seen_by: NodeId
    bandwidth_gbps: float | None = None
    latency_us: float | None = None
    peer_to_peer: bool | None = None


class GpuTopology(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes, their devices, and the links between them."""

    position: Count
    nodes: tuple[GpuNode, ...]
    links: tuple[GpuLink, ...]
