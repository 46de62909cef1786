"""What `<root>.api.<verb>` is asked and answers, beside the outcomes of commands."""

import msgspec

from fleetfold_contracts.events import Liveness
from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import Bytes, Capabilities, Count, DeviceType, Link, Milli, Vendor
from fleetfold_contracts.samples import Instant, Sample
from fleetfold_contracts.workloads import Allocation, HostAllocation, Obstacle, Reason


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a question was not answered. It is the whole body, under `error`, and repeated in the micro headers."""

    code: str
    """Such as `400` (the question), `404` (no such thing), `408` (no outcome in time), `500` (our fault)."""
    message: str
    field: str | None = None


class FailureAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is an error."""

    error: Failure


class DevicesQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which devices. Empty: all."""

    vendor: Vendor | None = None
    device_type: DeviceType | None = None
    node_id: NodeId | None = None
    after: DeviceId | None = None
    """Only those behind this one: what `next_after` of the answer before says."""
    at_least: Count = 0
    """Wait until the answer stands for this log position."""


class DeviceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device as it stands: what it is, what it read last, what is reserved on it."""

    node_id: NodeId
    capabilities: Capabilities
    liveness: Liveness
    sample: Sample | None = None
    score: float | None = None
    """Absent when the device cannot be scored."""
    lost: str | None = None
    """Why the device does not answer."""
    fault: str | None = None
    cordoned: str | None = None
    """Why nothing new may sit on it."""
    free_bytes: Bytes = 0
    reserved_bytes: Bytes = 0
    reserved_milli: Milli = 0
    workloads: tuple[WorkloadId, ...] = ()


class DevicesAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Devices in the order of their ids, as many as one message holds, and the log position that they stand for."""

    position: Count
    devices: tuple[DeviceView, ...] = ()
    next_after: DeviceId | None = None
    """Give it as `after` for the rest. Absent: there is none."""


class StateQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `state` takes."""

    at_least: Count = 0


class NodeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node as it stands."""

    node_id: NodeId
    hostname: str
    liveness: Liveness
    last_seen: Instant | None = None
    cpu_milli: Milli = 0
    memory_bytes: Bytes = 0
    reserved_cpu_milli: Milli = 0
    reserved_memory_bytes: Bytes = 0
    device_count: Count = 0


class PlacementView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A placement as it stands."""

    workload_id: WorkloadId
    pool: PoolId
    allocations: tuple[Allocation, ...] = ()
    host: HostAllocation | None = None
    decided_at: Instant | None = None


class WorkView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A work as it stands: items in = done + failed + waiting + unassigned."""

    work_id: WorkId
    item_count: Count
    done: Count = 0
    failed: Count = 0
    waiting: Count = 0
    unassigned: Count = 0
    completed: bool = False


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster in figures. Averages are over the devices that have the reading."""

    device_count: Count = 0
    node_count: Count = 0
    total_memory_bytes: Bytes = 0
    used_memory_bytes: Bytes = 0
    average_utilization_percent: float | None = None
    average_temperature_celsius: float | None = None
    total_power_watts: float | None = None
    placement_count: Count = 0
    refused_count: Count = 0
    rejected_count: Count = 0
    unknown_event_count: Count = 0


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole cluster but for its devices, which `devices` gives.

    A list is cut where one message would not hold it, the newest kept; `summary` counts them all.
    """

    position: Count
    summary: Summary
    nodes: tuple[NodeView, ...] = ()
    placements: tuple[PlacementView, ...] = ()
    works: tuple[WorkView, ...] = ()


class LinksQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which links. Empty: all."""

    node_id: NodeId | None = None
    """Only those that this node sees."""
    at_least: Count = 0


class LinkView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A link, and the node that sees it."""

    node_id: NodeId
    link: Link


class LinksAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Links in the order of the nodes that see them."""

    position: Count
    links: tuple[LinkView, ...] = ()


class ExplainQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a workload sits where it sits, or why it sits nowhere."""

    workload_id: WorkloadId
    pool: PoolId = DEFAULT_POOL
    at_least: Count = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device that could not take a shard, and why. `detail` has the numbers."""

    device_id: DeviceId
    reason: Reason
    detail: str = ""


class ExplainAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last decision on a workload, and each device's reason as the state is now."""

    position: Count
    workload_id: WorkloadId
    status: str
    """`placed`, `refused` or `released`."""
    summary: str
    allocations: tuple[Allocation, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """For a refused workload: what stands in the way of its largest shard, device by device."""
