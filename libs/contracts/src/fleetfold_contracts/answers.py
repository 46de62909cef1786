"""What `<root>.api.<verb>` is asked and answers, beside the outcomes of commands."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.events import Liveness, Try
from fleetfold_contracts.figures import Figures, SilentShares
from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import (
    MAX_INTEGER,
    Bytes,
    Capabilities,
    Count,
    DeviceType,
    Label,
    Labels,
    Link,
    Milli,
    Vendor,
)
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


class DeviceStatus(StrEnum):
    """How a device is: the worst that can be said of it, or of its node."""

    LIVE = "live"
    STALE = "stale"
    """Its node missed three beats."""
    OFFLINE = "offline"
    LOST = "lost"
    """It does not answer its driver."""
    FAULTED = "faulted"
    DRAINING = "draining"
    """It takes nothing new, and what is there moves off."""
    CORDONED = "cordoned"
    """It works, and takes nothing new."""


class DeviceOrder(StrEnum):
    """In which order devices are told."""

    ID = "id"
    SCORE = "score"
    """The best first; equal ones by their ids."""


class DevicesQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which devices: every part that is given must hold. Empty: all."""

    vendor: Vendor | None = None
    device_type: DeviceType | None = None
    node_id: NodeId | None = None
    pool: PoolId | None = None
    labels: Labels = {}
    """Each must be a label of the device, or of its node."""
    status: DeviceStatus | None = None
    min_free_bytes: Bytes = 0
    """Only those with so much memory that nobody uses and nobody was promised."""
    sort: DeviceOrder = DeviceOrder.ID
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)] | None = None
    """So many at most."""
    after: Label | None = None
    """Only those behind this place in the order: what `next_after` of the answer before says."""
    at_least: Count = 0
    """Wait until the answer stands for this log position."""


class DeviceView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device as it stands: what it is, what it read last, what is reserved on it."""

    node_id: NodeId
    capabilities: Capabilities
    status: DeviceStatus
    pool: PoolId = DEFAULT_POOL
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
    """Devices in the order asked for, as many as one message holds, and the log position that they stand for.

    Scores move from one answer to the next, so a device may then be told twice, or be missed.
    """

    position: Count
    devices: tuple[DeviceView, ...] = ()
    next_after: Label | None = None
    """Give it as `after` for the rest. Absent: there is none."""
    silent_shares: SilentShares = ()


class StateQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `state` takes."""

    at_least: Count = 0


class NodeView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node as it stands."""

    node_id: NodeId
    hostname: str
    liveness: Liveness
    pool: PoolId = DEFAULT_POOL
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
    degraded: str | None = None
    """Why it must move, and why it has not yet."""


class QueuedView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload that waits for a place."""

    workload_id: WorkloadId
    pool: PoolId
    priority: int = 0
    since: Instant | None = None
    deadline: Instant | None = None
    summary: str = ""
    """What stands in the way."""
    kept_devices: tuple[DeviceId, ...] = ()
    """What it waits for: those behind it may not sit there."""
    preempted_by: WorkloadId | None = None


class WorkView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A work as it stands: items in = done + failed + waiting + unassigned + cancelled."""

    work_id: WorkId
    item_count: Count
    done: Count = 0
    failed: Count = 0
    waiting: Count = 0
    unassigned: Count = 0
    completed: bool = False
    cancelled: Count = 0
    redone: Count = 0
    """Items that were told of a second time, and counted once."""


class WorksQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which works. Empty: the newest 500."""

    work_id: WorkId | None = None
    """This one, with what each device has of it."""


class DeviceWork(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device has of a work, in items."""

    device_id: DeviceId
    done: Count = 0
    failed: Count = 0
    """Tries that failed."""
    pending: Count = 0
    handed: Count = 0
    """Those in its queue, or in the hands of its workers."""
    seconds: float = 0.0
    """How long its workers took."""
    silent: bool = False
    """Whether nobody works for it."""


class WorksAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Works, the newest first."""

    position: Count
    works: tuple[WorkView, ...] = ()
    devices: tuple[DeviceWork, ...] = ()


class FailedQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which work's failed items."""

    work_id: WorkId
    after: Count | None = None
    """Only those behind this place: what `next_after` of the answer before says."""


class FailedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item that has failed for good."""

    index: Count
    tries: tuple[Try, ...] = ()
    sequence: Count = 0
    """Where the log has the whole of it, the item included."""


class FailedAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A work's dead letters, in the order of their places."""

    position: Count
    failed: Count = 0
    """How many there are."""
    forgotten: Count = 0
    """So many of them, the oldest, are in the log alone: they can be read there, and not be retried."""
    items: tuple[FailedItem, ...] = ()
    next_after: Count | None = None
    """Give it as `after` for the rest. Absent: there is none."""


class Summary(Figures, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster in figures, and what was decided on it."""

    node_count: Count = 0
    placement_count: Count = 0
    refused_count: Count = 0
    rejected_count: Count = 0
    unknown_event_count: Count = 0
    silent_shares: SilentShares = ()


class PoolView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A pool as it stands: what shares one ledger of allocations."""

    pool: PoolId
    node_count: Count = 0
    device_count: Count = 0
    placement_count: Count = 0
    position: Count = 0
    """The sequence of the newest event that changed its ledger."""


class ParkedView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event that could not be folded: where it lies in the log, and why."""

    sequence: Count
    reason: str


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The whole cluster but for its devices, which `devices` gives.

    A list is cut where one message would not hold it, the newest kept; `summary` counts them all.
    """

    position: Count
    summary: Summary
    pools: tuple[PoolView, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    placements: tuple[PlacementView, ...] = ()
    queue: tuple[QueuedView, ...] = ()
    """Those who wait, pool by pool, the first first. Degraded placements come before them."""
    works: tuple[WorkView, ...] = ()
    parked: tuple[ParkedView, ...] = ()
    """The newest events that could not be folded."""


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
    """`placed`, `degraded`, `waiting`, `refused` or `released`."""
    summary: str
    allocations: tuple[Allocation, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    """For a refused workload: what stands in the way of its largest shard, device by device."""
    silent_shares: SilentShares = ()
