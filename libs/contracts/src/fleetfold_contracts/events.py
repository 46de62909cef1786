"""Events: what happened, in the past tense, and the envelope that carries each of them."""

# ruff: noqa: PLC0414 - whoever reads events finds those of works here too

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import BootId, DeviceId, NodeId, PoolId, ShardId, Text, Token, WorkloadId
from fleetfold_contracts.inventory import Bytes, Capabilities, Count, Link, Node
from fleetfold_contracts.placing import MAX_PREEMPTED, PlacementStrategy, Seconds
from fleetfold_contracts.samples import Instant
from fleetfold_contracts.work_events import WORK_EVENT_TYPES
from fleetfold_contracts.work_events import Assignment as Assignment
from fleetfold_contracts.work_events import BatchFinished as BatchFinished
from fleetfold_contracts.work_events import DeviceShare as DeviceShare
from fleetfold_contracts.work_events import HandOut as HandOut
from fleetfold_contracts.work_events import ItemFailed as ItemFailed
from fleetfold_contracts.work_events import ItemFailure as ItemFailure
from fleetfold_contracts.work_events import ItemIndex as ItemIndex
from fleetfold_contracts.work_events import Try as Try
from fleetfold_contracts.work_events import WorkCancelled as WorkCancelled
from fleetfold_contracts.work_events import WorkCompleted as WorkCompleted
from fleetfold_contracts.work_events import WorkDispatched as WorkDispatched
from fleetfold_contracts.work_events import WorkDistributed as WorkDistributed
from fleetfold_contracts.work_events import WorkDrawn as WorkDrawn
from fleetfold_contracts.work_events import WorkerJoined as WorkerJoined
from fleetfold_contracts.work_events import WorkEvent as WorkEvent
from fleetfold_contracts.work_events import WorkProgressed as WorkProgressed
from fleetfold_contracts.work_events import WorkReassigned as WorkReassigned
from fleetfold_contracts.work_events import WorkRetried as WorkRetried
from fleetfold_contracts.workloads import Allocation, Change, HostAllocation, Obstacle, Workload

Sequence = Count
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]


class NodeJoined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent started on a node."""

    node: Node


class NodeLeft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent was stopped in good order."""

    node_id: NodeId
    boot_id: BootId


class Liveness(StrEnum):
    """Whether a node is heard from."""

    LIVE = "live"
    STALE = "stale"
    OFFLINE = "offline"


class LivenessChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The projector heard too little of a node, or heard of it again."""

    node_id: NodeId
    boot_id: BootId
    liveness: Liveness
    last_seen: Instant


class DeviceRegistered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device was found, or its capabilities are others than they were."""

    node_id: NodeId
    capabilities: Capabilities


class DeviceLost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device that was there no longer answers."""

    node_id: NodeId
    device_id: DeviceId
    reason: Text = ""


class DeviceRecovered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A lost or faulted device works again."""

    node_id: NodeId
    device_id: DeviceId


class DeviceFaulted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device reported a fault, with the vendor's code and what it means."""

    node_id: NodeId
    device_id: DeviceId
    code: Text
    meaning: Text = ""


class LinksObserved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All links that a node sees now: it replaces what was known of them."""

    node_id: NodeId
    links: tuple[Link, ...] = ()


class DeviceCordoned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing new may sit on a device."""

    pool: PoolId
    device_id: DeviceId
    reason: Text = ""


class DeviceUncordoned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cordon was taken back."""

    pool: PoolId
    device_id: DeviceId


class NodeCordoned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing new may sit on a node, nor on its devices."""

    pool: PoolId
    node_id: NodeId
    reason: Text = ""


class NodeUncordoned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node's cordon was taken back, and its drain if it was being drained."""

    pool: PoolId
    node_id: NodeId


class NodeTransferred(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nodes, each with all its devices, are in another pool from here on. Nothing sat on them."""

    pool: PoolId
    """The pool that they left, whose guard it is written under."""
    to: PoolId
    node_ids: tuple[NodeId, ...] = ()


class DeviceDrainStarted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing new may sit on a device, or on a node with its devices, and what is there moves off."""

    pool: PoolId
    device_id: DeviceId | None = None
    node_id: NodeId | None = None
    """Instead of a device: the node, with all its devices."""
    reason: Text = ""


class DeviceDrainFinished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing sits any more on what was drained. It stays cordoned."""

    pool: PoolId
    device_id: DeviceId | None = None
    node_id: NodeId | None = None


class PlacementDecided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload is bound to devices: all its shards, in one event."""

    workload: Workload
    allocations: tuple[Allocation, ...] = ()
    host: HostAllocation | None = None
    strategy: PlacementStrategy = PlacementStrategy.SCORE
    preempted: Annotated[tuple[WorkloadId, ...], msgspec.Meta(max_length=MAX_PREEMPTED)] = ()
    """The placements that made room. They hold nothing from here on, and wait."""
    solver: Text = ""
    solve_ms: Milliseconds = 0.0
    """How long it took to decide."""
    decided_at_sequence: Sequence = 0
    """The log position that it was decided on."""


class PlacementRefused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload cannot be placed now, and what stands in the way."""

    workload: Workload
    summary: Text
    obstacles: tuple[Obstacle, ...] = ()
    changes: tuple[Change, ...] = ()
    """What would make it fit."""
    stays: bool = False
    """What was refused is a move: the workload stays where it sits."""
    solve_ms: Milliseconds = 0.0
    decided_at_sequence: Sequence = 0


class PlacementQueued(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload waits until it can be placed, and what stands in the way."""

    workload: Workload
    summary: Text
    obstacles: tuple[Obstacle, ...] = ()
    strategy: PlacementStrategy = PlacementStrategy.SCORE
    preempt: bool = False
    deadline_s: Seconds | None = None
    """So long after this event, by the server's time, it is refused. Absent: it waits for ever."""
    kept_devices: tuple[DeviceId, ...] = ()
    """What it waits for: those behind it in the queue may not sit there."""
    kept_node: NodeId | None = None
    """The node whose CPU and memory it waits for, where it needs some."""
    solve_ms: Milliseconds = 0.0
    decided_at_sequence: Sequence = 0


class PlacementDegraded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Devices, or a node, that a placement sits on are out of use. It keeps what it holds until it is moved."""

    pool: PoolId
    workload_id: WorkloadId
    shard_ids: tuple[ShardId, ...] = ()
    """The shards that must go elsewhere."""
    reason: Text = ""
    summary: Text = ""
    """Why it cannot be moved now, so that it waits, first in the queue; empty where its move follows."""
    obstacles: tuple[Obstacle, ...] = ()
    kept_devices: tuple[DeviceId, ...] = ()
    """What it waits for, as in `placement.queued`."""
    kept_node: NodeId | None = None


class PlacementMoved(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A placement sits elsewhere, whole: what it held is given back, and what it holds is reserved, in one event."""

    pool: PoolId
    workload_id: WorkloadId
    allocations: tuple[Allocation, ...] = ()
    """All its shards, those too that stayed where they were."""
    host: HostAllocation | None = None
    reason: Text = ""
    solver: Text = ""
    solve_ms: Milliseconds = 0.0
    decided_at_sequence: Sequence = 0


class PlacementPreempted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notice: a placement made room for another, as that one's decision says, and waits."""

    pool: PoolId
    workload_id: WorkloadId
    preempted_by: WorkloadId


class PlacementReleased(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload gave back what it held, or waits no longer."""

    pool: PoolId
    workload_id: WorkloadId


class PlacementPreviewed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dry run: one of these is what would have happened. Nothing did."""

    decided: PlacementDecided | None = None
    refused: PlacementRefused | None = None
    queued: PlacementQueued | None = None


class QuotaSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all workloads of a tenant may hold together."""

    pool: PoolId
    tenant: Token
    gpu_milli: Count | None = None
    """Absent: no limit."""
    memory_bytes: Bytes | None = None
    """Absent: no limit."""


class ProposedMove(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A placement that would sit better elsewhere."""

    workload_id: WorkloadId
    allocations: tuple[Allocation, ...] = ()
    host: HostAllocation | None = None
    gain: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0
    """By how much the mean score of its devices rises."""


class RebalanceProposed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Placements that would sit better elsewhere, in the order of their moves, which follow where it is `applied`."""

    pool: PoolId
    moves: tuple[ProposedMove, ...] = ()
    applied: bool = False
    decided_at_sequence: Sequence = 0


class CommandRejected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command makes no sense: nothing was done. `field` is the path in the payload, `$` the whole."""

    verb: Text
    reason: Text
    field: Text = "$"
    payload: str = ""
    payload_bytes: Count = 0
    """The full size: `payload` holds its beginning."""
    command_sequence: Sequence = 0
    """Where the whole command lies in the command stream."""


Event = (
    NodeJoined
    | NodeLeft
    | LivenessChanged
    | DeviceRegistered
    | DeviceLost
    | DeviceRecovered
    | DeviceFaulted
    | LinksObserved
    | DeviceCordoned
    | DeviceUncordoned
    | NodeCordoned
    | NodeUncordoned
    | NodeTransferred
    | DeviceDrainStarted
    | DeviceDrainFinished
    | PlacementDecided
    | PlacementRefused
    | PlacementQueued
    | PlacementDegraded
    | PlacementMoved
    | PlacementPreempted
    | PlacementReleased
    | PlacementPreviewed
    | QuotaSet
    | RebalanceProposed
    | WorkEvent
    | WorkerJoined
    | CommandRejected
)

EVENT_TYPES: dict[str, type[Event]] = {
    "node.joined": NodeJoined,
    "node.left": NodeLeft,
    "node.liveness.changed": LivenessChanged,
    "device.registered": DeviceRegistered,
    "device.lost": DeviceLost,
    "device.recovered": DeviceRecovered,
    "device.faulted": DeviceFaulted,
    "links.observed": LinksObserved,
    "device.cordoned": DeviceCordoned,
    "device.uncordoned": DeviceUncordoned,
    "node.cordoned": NodeCordoned,
    "node.uncordoned": NodeUncordoned,
    "node.transferred": NodeTransferred,
    "device.drain.started": DeviceDrainStarted,
    "device.drain.finished": DeviceDrainFinished,
    "placement.decided": PlacementDecided,
    "placement.refused": PlacementRefused,
    "placement.queued": PlacementQueued,
    "placement.degraded": PlacementDegraded,
    "placement.moved": PlacementMoved,
    "placement.preempted": PlacementPreempted,
    "placement.released": PlacementReleased,
    "placement.previewed": PlacementPreviewed,
    "quota.set": QuotaSet,
    "rebalance.proposed": RebalanceProposed,
    **WORK_EVENT_TYPES,
    "command.rejected": CommandRejected,
}
"""Each type's words with its struct. A word is never renamed: the log holds it for ever."""

TYPE_OF_EVENT: dict[type[Event], str] = {kind: words for words, kind in EVENT_TYPES.items()}


_NAMED_BY: tuple[str, ...] = ("workload_id", "work_id", "device_id", "node_id", "tenant", "pool")
"""The fields that say what an event is about: the first of them that it gives."""


def about(event: Event) -> str | None:
    """What an event is about: the id of a node, a device, a workload, a work, a tenant or a pool."""
    match event:
        case NodeJoined():
            return event.node.node_id
        case DeviceRegistered():
            return event.capabilities.device_id
        case PlacementDecided() | PlacementRefused() | PlacementQueued():
            return event.workload.workload_id
        case PlacementPreviewed():
            would_be = event.decided or event.refused or event.queued
            return would_be and would_be.workload.workload_id
        case _:
            return next((named for field in _NAMED_BY if (named := getattr(event, field, None)) is not None), None)
