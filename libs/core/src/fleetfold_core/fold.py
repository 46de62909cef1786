"""The fold: events and samples into the state, in place. The same records in the same order give the same state."""

from datetime import datetime
from itertools import takewhile
from typing import assert_never

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId, PoolId
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.subjects import event_scope
from fleetfold_core import _works
from fleetfold_core._ledger import give_back, reserve
from fleetfold_core.state import At, DeviceState, NodeState, Parked, Placement, Refusal, State, keep_newest

REFUSALS_KEPT = 1000
RELEASES_KEPT = 1000
PARKED_KEPT = 100
OUTCOMES_KEPT_DAYS = 8
"""Longer than a command lives in its stream: while it can come again, its outcome is known."""

OUTCOMES: frozenset[type[evt.Event]] = frozenset(
    {
        evt.PlacementDecided,
        evt.PlacementRefused,
        evt.PlacementReleased,
        evt.DeviceCordoned,
        evt.DeviceUncordoned,
        evt.WorkDistributed,
        evt.CommandRejected,
    }
)
"""The events of which each command brings about one."""


def fold(state: State, event: evt.Event, at: At) -> None:
    """Fold one event. What is well formed and impossible is parked and changes nothing else.

    An impossible outcome is its command's outcome all the same: it lies in the log, and no second one must follow it.
    """
    _advance(state, at, at.pool or _pool_of(event))
    if type(event) in OUTCOMES:
        _record_outcome(state, at)
    trouble = _apply(state, event, at)
    if trouble is not None:
        _park(state, at, trouble)


def park(state: State, at: At, reason: str) -> None:
    """Step over a record that cannot be read, or is of a type that is not known here, and remember that it is there."""
    _advance(state, at, at.pool)
    _park(state, at, reason)


def fold_samples(state: State, samples: NodeSample, sequence: int, time: datetime) -> None:
    """Fold what a node sampled, which lies at `sequence` of the stream of samples since `time` (the server's).

    Samples of a boot that is not the node's, or of a tick that is not newer than the newest one, are ignored and
    counted, and so are those of devices that the node does not have.
    """
    assert sequence > state.samples_position, f"samples {sequence} come after {state.samples_position}"
    state.samples_position = sequence
    node = state.nodes.get(samples.node_id)
    if node is None or samples.boot_id != node.node.boot_id or samples.tick <= node.last_tick:
        state.ignored_sample_count += len(samples.samples)
        return
    node.last_tick = samples.tick
    _see(node, time)
    for sample in samples.samples:
        device = _device_of(state, samples.node_id, sample.device_id)
        if device is None:
            state.ignored_sample_count += 1
        else:
            _observe(device, sample)


def _apply(state: State, event: evt.Event, at: At) -> str | None:  # noqa: C901 - one flat match over the closed union
    match event:  # what a log is full of comes first: the cases are tried in turn
        case evt.PlacementDecided():
            return _placement_decided(state, event, at)
        case evt.PlacementRefused():
            return _placement_refused(state, event, at)
        case evt.PlacementReleased():
            return _placement_released(state, event, at)
        case evt.NodeJoined():
            return _node_joined(state, event, at)
        case evt.NodeLeft():
            return _node_left(state, event)
        case evt.LivenessChanged():
            return _liveness_changed(state, event)
        case evt.DeviceRegistered():
            return _device_registered(state, event)
        case evt.DeviceLost():
            return _device_lost(state, event)
        case evt.DeviceRecovered():
            return _device_recovered(state, event)
        case evt.DeviceFaulted():
            return _device_faulted(state, event)
        case evt.LinksObserved():
            return _links_observed(state, event)
        case evt.DeviceCordoned():
            return _set_cordon(state, event, event.reason)
        case evt.DeviceUncordoned():
            return _set_cordon(state, event, None)
        case evt.WorkDistributed():
            return _works.distributed(state, event)
        case evt.WorkDispatched():
            return _works.dispatched(state, event)
        case evt.BatchFinished():
            return _works.batch_finished(state, event)
        case evt.WorkCompleted():
            return _works.completed(state, event)
        case evt.CommandRejected():
            state.rejected_count += 1
            return None
        case _:
            assert_never(event)


def _node_joined(state: State, event: evt.NodeJoined, at: At) -> None:
    known = state.nodes.get(event.node.node_id)
    if known is None:
        known = state.nodes[event.node.node_id] = NodeState(node=event.node)
    if known.node.boot_id != event.node.boot_id:
        known.last_tick = -1
    known.node = event.node
    known.left = False
    known.liveness = evt.Liveness.LIVE
    _see(known, at.time)


def _node_left(state: State, event: evt.NodeLeft) -> str | None:
    node = state.nodes.get(event.node_id)
    if node is None:
        return _no_node(event.node_id)
    if node.node.boot_id == event.boot_id:
        node.left = True
        node.liveness = evt.Liveness.OFFLINE
    return None


def _liveness_changed(state: State, event: evt.LivenessChanged) -> str | None:
    node = state.nodes.get(event.node_id)
    if node is None:
        return _no_node(event.node_id)
    # Said of another boot, or of an agent that has left since: it came too late, and that is no fault.
    if node.node.boot_id == event.boot_id and not node.left:
        node.liveness = event.liveness
        _see(node, event.last_seen)
    return None


def _device_registered(state: State, event: evt.DeviceRegistered) -> str | None:
    if event.node_id not in state.nodes:
        return _no_node(event.node_id)
    device_id = event.capabilities.device_id
    device = state.devices.get(device_id)
    if device is None:
        state.devices[device_id] = DeviceState(node_id=event.node_id, capabilities=event.capabilities)
    else:
        device.node_id = event.node_id
        device.capabilities = event.capabilities
        device.lost = None
    return None


def _device_lost(state: State, event: evt.DeviceLost) -> str | None:
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.lost = event.reason
    return None


def _device_recovered(state: State, event: evt.DeviceRecovered) -> str | None:
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.lost = device.fault = None
    return None


def _device_faulted(state: State, event: evt.DeviceFaulted) -> str | None:
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.fault = f"{event.code}: {event.meaning}" if event.meaning else event.code
    return None


def _links_observed(state: State, event: evt.LinksObserved) -> str | None:
    if event.node_id not in state.nodes:
        return _no_node(event.node_id)
    state.links[event.node_id] = event.links
    return None


def _set_cordon(state: State, event: evt.DeviceCordoned | evt.DeviceUncordoned, reason: str | None) -> str | None:
    device = state.device_in(event.pool, event.device_id)
    if device is None:
        return f"no device {event.device_id!r} is known in pool {event.pool!r}"
    device.cordoned = reason
    return None


def _placement_decided(state: State, event: evt.PlacementDecided, at: At) -> str | None:
    key = (event.workload.pool, event.workload.workload_id)
    if key in state.placements:
        return f"workload {key[1]!r} is placed already"
    trouble = reserve(state, event)
    if trouble is not None:
        return trouble
    state.placements[key] = Placement(
        workload=event.workload,
        allocations=event.allocations,
        host=event.host,
        decided_at=at.time,
        sequence=at.sequence,
    )
    state.refusals.pop(key, None)
    state.released.pop(key, None)
    return None


def _placement_refused(state: State, event: evt.PlacementRefused, at: At) -> str | None:
    key = (event.workload.pool, event.workload.workload_id)
    if key in state.placements:
        return f"workload {key[1]!r} is placed already"
    state.refused_count += 1
    state.refusals.pop(key, None)
    state.refusals[key] = Refusal(workload=event.workload, summary=event.summary, obstacles=event.obstacles, at=at.time)
    state.released.pop(key, None)
    keep_newest(state.refusals, REFUSALS_KEPT)
    return None


def _placement_released(state: State, event: evt.PlacementReleased, at: At) -> str | None:
    key = (event.pool, event.workload_id)
    placement = state.placements.pop(key, None)
    if placement is None:
        return f"no workload {event.workload_id!r} is placed"
    give_back(state, placement)
    state.released[key] = at.time
    keep_newest(state.released, RELEASES_KEPT)
    return None


def _observe(device: DeviceState, sample: Sample) -> None:
    """Take a sample over, and what it tells of the memory that others use.

    Telemetry gives one sum: what our shards use of what they reserved, and what others use. Ours lies somewhere between
    nothing (a model that still loads) and all that is reserved, so the others' lies between `used - reserved` and
    `used`. What was known of it before is kept while it lies in there, and moved to the nearer end otherwise: a shard
    that loads is not counted twice, and with nothing reserved all that is used is foreign. Without a reading nothing
    new is known.
    """
    device.sample = sample
    used_bytes = sample.memory_used_bytes
    if used_bytes is not None:
        device.foreign_bytes = min(max(device.foreign_bytes, used_bytes - device.reserved_bytes), used_bytes)


def _see(node: NodeState, time: datetime) -> None:
    if node.last_seen is None or time > node.last_seen:
        node.last_seen = time


def _device_of(state: State, node_id: NodeId, device_id: DeviceId) -> DeviceState | None:
    device = state.devices.get(device_id)
    return device if device is not None and device.node_id == node_id else None


def _pool_of(event: evt.Event) -> PoolId | None:
    scope = event_scope(event)
    return scope[1] if scope[0] == "pool" else None


def _advance(state: State, at: At, pool: PoolId | None) -> None:
    assert at.sequence > state.position, f"event {at.sequence} comes after {state.position}"
    state.position = at.sequence
    if pool is not None:
        state.pool_positions[pool] = at.sequence


def _record_outcome(state: State, at: At) -> None:
    if at.cause is None:
        return
    state.outcomes.setdefault(at.cause, at.sequence)
    day = at.time.toordinal()
    if not state.outcome_days or day > state.outcome_days[-1][0]:
        state.outcome_days.append((day, at.sequence))
        _forget_old_outcomes(state, day)


def _forget_old_outcomes(state: State, today: int) -> None:
    # Outcomes lie in the order of their sequences, so the old ones are those before the first of the oldest day kept.
    state.outcome_days = [entry for entry in state.outcome_days if entry[0] >= today - OUTCOMES_KEPT_DAYS]
    first_kept = state.outcome_days[0][1]
    for command_id in list(takewhile(lambda id_: state.outcomes[id_] < first_kept, state.outcomes)):
        del state.outcomes[command_id]


def _park(state: State, at: At, reason: str) -> None:
    state.parked_count += 1
    state.parked.append(Parked(sequence=at.sequence, reason=reason))
    del state.parked[:-PARKED_KEPT]


def _no_node(node_id: NodeId) -> str:
    return f"no node {node_id!r} is known"


def _no_device(device_id: DeviceId, node_id: NodeId) -> str:
    return f"no device {device_id!r} is known on node {node_id!r}"
