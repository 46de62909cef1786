"""Events as lines: when, what, and whom it concerns."""

from collections.abc import Callable
from typing import Any

from fleetfold_cli.render.placements import nodes_of
from fleetfold_cli.render.words import clock_time, count, names
from fleetfold_cli.render.work import items_in
from fleetfold_cli.sizes import format_size
from fleetfold_client import Happened
from fleetfold_contracts import events as evt


def event_line(happened: Happened) -> str:
    """One line for an event, also for one of a type that this version does not know."""
    event, envelope = happened.event, happened.envelope
    if event is None:
        return f"{clock_time(happened.record.time)}  {envelope.type}  (unknown to this version)"
    words = evt.TYPE_OF_EVENT[type(event)]
    return f"{clock_time(happened.record.time)}  {words:<22} {TELLERS[type(event)](event)}".rstrip()


def outcome_line(event: evt.Event) -> str:
    """One line for an outcome that was just answered."""
    return f"{evt.TYPE_OF_EVENT[type(event)]}: {TELLERS[type(event)](event)}".rstrip()


def _node_joined(event: evt.NodeJoined) -> str:
    node = event.node
    return f"{node.node_id} ({node.hostname}, {node.cpu_milli / 1000:g} CPUs, {format_size(node.memory_bytes)})"


def _liveness_changed(event: evt.LivenessChanged) -> str:
    return f"{event.node_id} is {event.liveness}, last seen at {clock_time(event.last_seen)}"


def _device_registered(event: evt.DeviceRegistered) -> str:
    device = event.capabilities
    size = format_size(device.max_memory_bytes)
    return f"{device.device_id} ({device.model or device.device_name}, {size}) on {event.node_id}"


def _device_faulted(event: evt.DeviceFaulted) -> str:
    return f"{event.device_id} on {event.node_id}: {event.code} {event.meaning}"


def _device_cordoned(event: evt.DeviceCordoned) -> str:
    return f"{event.device_id} {event.reason}"


def _placement_decided(event: evt.PlacementDecided) -> str:
    nodes = names(nodes_of(event.allocations, event.host))
    return f"{event.workload.workload_id}: {count(len(event.allocations), 'shard')} on {nodes}"


def _placement_moved(event: evt.PlacementMoved) -> str:
    nodes = names(nodes_of(event.allocations, event.host))
    return f"{event.workload_id}: {count(len(event.allocations), 'shard')} on {nodes}: {event.reason}"


def _quota_set(event: evt.QuotaSet) -> str:
    gpus = None if event.gpu_milli is None else f"{event.gpu_milli / 1000:g} GPUs"
    memory = None if event.memory_bytes is None else format_size(event.memory_bytes)
    return f"{event.tenant}: {', '.join(limit for limit in (gpus, memory) if limit) or 'no limit'}"


def _work_distributed(event: evt.WorkDistributed) -> str:
    unassigned = items_in(event.unassigned)
    told = (
        f"{event.work_id}: {count(event.item_count - unassigned, 'item')} on {count(len(event.assignments), 'device')}"
    )
    return f"{told}, {unassigned:,} unassigned: {event.reason}" if unassigned else told


def _work_drawn(event: evt.WorkDrawn) -> str:
    return f"{event.work_id}: {count(event.item_count, 'item')} more, up to {event.through:,} of the source"


def _work_dispatched(event: evt.WorkDispatched) -> str:
    items = sum(items_in(part.runs) for part in event.batches)
    devices = len({part.device_id for part in event.batches})
    return f"{event.work_id}: {count(items, 'item')} to {count(devices, 'device')}"


def _work_reassigned(event: evt.WorkReassigned) -> str:
    moved = sum(items_in(part.runs) for part in event.assignments)
    others = names([part.device_id for part in event.assignments])
    return f"{event.work_id}: {count(moved, 'item')} of {event.device_id} to {others or 'nobody'}: {event.reason}"


def _item_failed(event: evt.ItemFailed) -> str:
    return f"{event.work_id}: item {event.index} failed {len(event.tries)} times: {event.tries[-1].reason}"


def _work_progressed(event: evt.WorkProgressed) -> str:
    return (
        f"{event.work_id}: {event.done:,} of {event.item_count:,} done, {event.failed:,} failed, {event.waiting:,} wait"
    )


def _batch_finished(event: evt.BatchFinished) -> str:
    failed = f", {len(event.failures):,} failed" if event.failures else ""
    return f"{event.work_id}: batch {event.batch} on {event.device_id}, {count(event.item_count, 'item')}{failed}"


def _work_completed(event: evt.WorkCompleted) -> str:
    told = f"{event.work_id}: {event.done:,} done, {event.failed:,} failed, {event.unassigned:,} unassigned"
    return f"{told}, {event.cancelled:,} cancelled" if event.cancelled else told


TELLERS: dict[type[evt.Event], Callable[[Any], str]] = {
    evt.NodeJoined: _node_joined,
    evt.NodeLeft: lambda event: event.node_id,
    evt.LivenessChanged: _liveness_changed,
    evt.DeviceRegistered: _device_registered,
    evt.DeviceLost: lambda event: f"{event.device_id} on {event.node_id} {event.reason}",
    evt.DeviceRecovered: lambda event: f"{event.device_id} on {event.node_id}",
    evt.DeviceFaulted: _device_faulted,
    evt.LinksObserved: lambda event: f"{event.node_id}: {count(len(event.links), 'link')}",
    evt.DeviceCordoned: _device_cordoned,
    evt.DeviceUncordoned: lambda event: event.device_id,
    evt.NodeCordoned: lambda event: f"{event.node_id} {event.reason}",
    evt.NodeTransferred: lambda event: f"{names(event.node_ids)} from {event.pool} to {event.to}",
    evt.NodeUncordoned: lambda event: event.node_id,
    evt.DeviceDrainStarted: lambda event: f"{event.device_id or event.node_id} {event.reason}",
    evt.DeviceDrainFinished: lambda event: event.device_id or event.node_id,
    evt.PlacementDecided: _placement_decided,
    evt.PlacementRefused: lambda event: f"{event.workload.workload_id}: {event.summary}",
    evt.PlacementQueued: lambda event: f"{event.workload.workload_id}: {event.summary}",
    evt.PlacementDegraded: lambda event: f"{event.workload_id}: {event.reason}",
    evt.PlacementMoved: _placement_moved,
    evt.PlacementPreempted: lambda event: f"{event.workload_id} made room for {event.preempted_by}",
    evt.PlacementReleased: lambda event: event.workload_id,
    evt.PlacementPreviewed: lambda event: evt.about(event) or "",
    evt.QuotaSet: _quota_set,
    evt.RebalanceProposed: lambda event: count(len(event.moves), "move"),
    evt.WorkDistributed: _work_distributed,
    evt.WorkDrawn: _work_drawn,
    evt.WorkDispatched: _work_dispatched,
    evt.WorkReassigned: _work_reassigned,
    evt.ItemFailed: _item_failed,
    evt.WorkProgressed: _work_progressed,
    evt.WorkCancelled: lambda event: event.work_id,
    evt.WorkRetried: lambda event: f"{event.work_id}: {count(items_in(event.items), 'item')}",
    evt.WorkerJoined: lambda event: f"{event.worker} for {event.device_id}",
    evt.BatchFinished: _batch_finished,
    evt.WorkCompleted: _work_completed,
    evt.CommandRejected: lambda event: f"{event.verb}: {event.field}: {event.reason}",
}
"""What is told of each type of event."""
