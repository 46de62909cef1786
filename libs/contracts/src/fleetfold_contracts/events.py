"""Events: what happened, in the past tense, and the envelope that carries each of them."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import BootId, DeviceId, NodeId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import MAX_INTEGER, Capabilities, Count, Link, Node
from fleetfold_contracts.samples import Instant
from fleetfold_contracts.workloads import Allocation, HostAllocation, Obstacle, Workload

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Sequence = Count
ItemIndex = Count


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


class PlacementDecided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload is bound to devices: all its shards, in one event."""

    workload: Workload
    allocations: tuple[Allocation, ...] = ()
    host: HostAllocation | None = None
    solver: Text = ""
    decided_at_sequence: Sequence = 0
    """The log position that it was decided on."""


class PlacementRefused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload cannot be placed now, and what stands in the way."""

    workload: Workload
    summary: Text
    obstacles: tuple[Obstacle, ...] = ()
    decided_at_sequence: Sequence = 0


class PlacementReleased(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A workload gave back what it held."""

    pool: PoolId
    workload_id: WorkloadId


class Assignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The items of one device, by their place in the command's list, as runs `[first, count]`."""

    device_id: DeviceId
    runs: tuple[tuple[ItemIndex, ItemIndex], ...] = ()


class WorkDistributed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went where, and what could not be assigned. Items in = items assigned + items unassigned."""

    work_id: WorkId
    item_count: ItemIndex
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    assignments: tuple[Assignment, ...] = ()
    unassigned: tuple[tuple[ItemIndex, ItemIndex], ...] = ()
    reason: Text = ""
    """Why some are unassigned."""


class WorkDispatched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every batch of a work lies in its device's queue."""

    work_id: WorkId


class ItemFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item that a worker could not do."""

    index: ItemIndex
    reason: Text


class BatchFinished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker is through with a batch: all but the failures are done."""

    work_id: WorkId
    device_id: DeviceId
    batch: ItemIndex
    item_count: ItemIndex
    failures: tuple[ItemFailure, ...] = ()


class WorkCompleted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every assigned item is done or has failed."""

    work_id: WorkId
    done: ItemIndex
    failed: ItemIndex = 0
    unassigned: ItemIndex = 0


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
    | PlacementDecided
    | PlacementRefused
    | PlacementReleased
    | WorkDistributed
    | WorkDispatched
    | BatchFinished
    | WorkCompleted
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
    "placement.decided": PlacementDecided,
    "placement.refused": PlacementRefused,
    "placement.released": PlacementReleased,
    "work.distributed": WorkDistributed,
    "work.dispatched": WorkDispatched,
    "work.batch.finished": BatchFinished,
    "work.completed": WorkCompleted,
    "command.rejected": CommandRejected,
}
"""Each type's words with its struct. A word is never renamed: the log holds it for ever."""

TYPE_OF_EVENT: dict[type[Event], str] = {kind: words for words, kind in EVENT_TYPES.items()}


def about(event: Event) -> str | None:  # noqa: C901 - one case a kind of event
    """What an event is about: the id of a node, a device, a workload or a work."""
    match event:
        case NodeJoined():
            return event.node.node_id
        case NodeLeft() | LivenessChanged() | LinksObserved():
            return event.node_id
        case DeviceRegistered():
            return event.capabilities.device_id
        case DeviceLost() | DeviceRecovered() | DeviceFaulted() | DeviceCordoned() | DeviceUncordoned():
            return event.device_id
        case PlacementDecided() | PlacementRefused():
            return event.workload.workload_id
        case PlacementReleased():
            return event.workload_id
        case WorkDistributed() | WorkDispatched() | BatchFinished() | WorkCompleted():
            return event.work_id
        case CommandRejected():
            return None
