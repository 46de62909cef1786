"""What happens to works: items that are spread over devices, handed out in batches, and done once.

A distributor's decisions on a work are numbered. The log takes each number once, so that of several distributors one
decides; a decision whose number is not the next one came too late, and changes nothing.
"""

from typing import Annotated

import msgspec

from fleetfold_contracts.commands import Selector, Source
from fleetfold_contracts.ids import DeviceId, Text, WorkId
from fleetfold_contracts.inventory import MAX_INTEGER, Count
from fleetfold_contracts.samples import Instant

ItemIndex = Count
ItemRun = tuple[ItemIndex, ItemIndex]
"""Items in a row: the first one's place, and how many."""
BatchSize = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Assignment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The items of one device, by their place in the command's list, as runs `[first, count]`."""

    device_id: DeviceId
    runs: tuple[ItemRun, ...] = ()


class WorkDistributed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is meant for whom, and what could not be assigned. Items in = items assigned + items unassigned."""

    work_id: WorkId
    item_count: ItemIndex
    batch_size: BatchSize
    assignments: tuple[Assignment, ...] = ()
    unassigned: tuple[ItemRun, ...] = ()
    reason: Text = ""
    """Why some are unassigned."""
    to: Selector = Selector()
    """The devices that may take part, those that join later included."""
    max_per_device: Count | None = None
    batches_ahead: Count = 2
    max_tries: Count = 3
    retry_delay_s: Seconds = 1.0
    command_sequence: Count = 0
    """Where the command, which holds the items, lies in the command stream."""
    source: Source | None = None
    """Where the items are drawn from, as `work.drawn` tells."""
    source_end: Count = 0
    """The last sequence of the source that belongs to the work."""


class WorkDrawn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """More items of a work's source, and what is meant for whom. The first has the place behind the last one so far."""

    work_id: WorkId
    number: Count
    item_count: ItemIndex
    batch_size: BatchSize
    """So many of the largest of them fit into a message."""
    through: Count
    """The source's sequence up to which it is drawn."""
    assignments: tuple[Assignment, ...] = ()
    unassigned: tuple[ItemRun, ...] = ()
    reason: Text = ""


class HandOut(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Items that lie in a device's queue as one batch. A device's batches are numbered, and no number comes twice."""

    device_id: DeviceId
    batch: Count
    runs: tuple[ItemRun, ...] = ()
    again: bool = False
    """Whether these are items that have failed before."""


class WorkDispatched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Batches are handed out: they lie in their devices' queues, or are about to."""

    work_id: WorkId
    number: Count = 0
    batches: tuple[HandOut, ...] = ()


class WorkReassigned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Items that were meant for one device are meant for others."""

    work_id: WorkId
    number: Count
    device_id: DeviceId
    reason: Text = ""
    batches: tuple[Count, ...] = ()
    """The device's batches that are void: who finishes one of them comes too late."""
    assignments: tuple[Assignment, ...] = ()
    silent: bool = False
    """Whether nobody works for the device: it gets nothing until somebody is heard there."""


class ItemFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item that a worker could not do."""

    index: ItemIndex
    reason: Text


class BatchFinished(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker is through with a batch: all but the failures are done."""

    work_id: WorkId
    device_id: DeviceId
    batch: Count
    item_count: ItemIndex
    failures: tuple[ItemFailure, ...] = ()
    seconds: Seconds = 0.0
    """How long it worked on them."""


class Try(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One time that an item failed."""

    device_id: DeviceId
    reason: Text
    at: Instant


class ItemFailed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item has failed for good: the whole story, and the item."""

    work_id: WorkId
    index: ItemIndex
    tries: tuple[Try, ...]
    body: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class WorkProgressed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a work is, said once a second at most. Items in = done + failed + unassigned + cancelled + waiting."""

    work_id: WorkId
    item_count: ItemIndex
    done: ItemIndex = 0
    failed: ItemIndex = 0
    unassigned: ItemIndex = 0
    cancelled: ItemIndex = 0
    waiting: ItemIndex = 0


class WorkCancelled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was not started of a work is taken back."""

    work_id: WorkId


class WorkRetried(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Items that had failed for good are tried anew."""

    work_id: WorkId
    items: tuple[ItemRun, ...]


class DeviceShare(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a device did of a work, and how long its workers took."""

    device_id: DeviceId
    done: ItemIndex = 0
    failed: ItemIndex = 0
    """Tries that failed."""
    seconds: Seconds = 0.0


class WorkCompleted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nothing of a work waits any more."""

    work_id: WorkId
    done: ItemIndex
    failed: ItemIndex = 0
    unassigned: ItemIndex = 0
    number: Count = 0
    cancelled: ItemIndex = 0
    redone: ItemIndex = 0
    """Items that were told of a second time, and counted once."""
    devices: tuple[DeviceShare, ...] = ()


class WorkerJoined(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody has begun to work for a device."""

    device_id: DeviceId
    worker: Text = ""


WorkEvent = (
    WorkDistributed
    | WorkDrawn
    | WorkDispatched
    | WorkReassigned
    | BatchFinished
    | ItemFailed
    | WorkProgressed
    | WorkCancelled
    | WorkRetried
    | WorkCompleted
)
"""Those that are about one work."""

WORK_EVENT_TYPES: dict[str, type[WorkEvent | WorkerJoined]] = {
    "work.distributed": WorkDistributed,
    "work.drawn": WorkDrawn,
    "work.dispatched": WorkDispatched,
    "work.reassigned": WorkReassigned,
    "work.batch.finished": BatchFinished,
    "item.failed": ItemFailed,
    "work.progressed": WorkProgressed,
    "work.cancelled": WorkCancelled,
    "work.retried": WorkRetried,
    "work.completed": WorkCompleted,
    "worker.joined": WorkerJoined,
}
