"""The fold: events and samples into the state, in place. The same records in the same order give the same state."""

from datetime import datetime
from typing import assert_never

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DEFAULT_POOL, PoolId
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.subjects import event_scope
from fleetfold_core._fold import cordons, nodes, placements, pools, works
from fleetfold_core._fold.outcomes import OUTCOMES, record_outcome
from fleetfold_core.state import At, Parked, State

PARKED_KEPT = 100

MAKES_ROOM: frozenset[type[evt.Event]] = frozenset(
    {
        evt.PlacementReleased,
        evt.PlacementMoved,
        evt.NodeJoined,
        evt.LivenessChanged,
        evt.DeviceRegistered,
        evt.DeviceRecovered,
        evt.DeviceUncordoned,
        evt.NodeUncordoned,
        evt.NodeTransferred,
        evt.QuotaSet,
    }
)
"""The events behind which something may fit that did not before, beside a decision that lets others make room."""


def fold(state: State, event: evt.Event, at: At) -> None:
    """Fold one event. What is well formed and impossible is parked and changes nothing else.

    An impossible outcome is its command's outcome all the same: it lies in the log, and no second one must follow it.
    """
    _advance(state, at, at.pool or _pool_of(event))
    if type(event) in OUTCOMES:
        record_outcome(state, at)
    trouble = _apply(state, event, at)
    if trouble is not None:
        _park(state, at, trouble)
    elif type(event) in MAKES_ROOM or (isinstance(event, evt.PlacementDecided) and event.preempted):
        state.room_positions[_room_in(state, event, at)] = at.sequence


def park(state: State, at: At, reason: str) -> None:
    """Step over a record that cannot be read, or is of a type that is not known here, and remember that it is there."""
    _advance(state, at, at.pool)
    _park(state, at, reason)


def fold_samples(state: State, samples: NodeSample, sequence: int, time: datetime) -> None:
    """Fold what a node sampled, which lies at `sequence` of the stream of samples since `time` (the server's).

    Samples of a boot that is not the node's, or of a tick that is not newer than the newest one, are ignored and
    counted, and so are those of devices that the node does not have.
    """
    skip_samples(state, sequence)
    nodes.sampled(state, samples, time)


def skip_samples(state: State, sequence: int) -> None:
    """Step over samples of no interest here."""
    assert sequence > state.samples_position, f"samples {sequence} come after {state.samples_position}"
    state.samples_position = sequence


def _apply(state: State, event: evt.Event, at: At) -> str | None:  # noqa: C901 - one flat match over the closed union
    match event:  # what a log is full of comes first: the cases are tried in turn
        case evt.PlacementDecided():
            return placements.placement_decided(state, event, at)
        case evt.PlacementRefused():
            return placements.placement_refused(state, event, at)
        case evt.PlacementReleased():
            return placements.placement_released(state, event, at)
        case evt.PlacementQueued():
            return placements.placement_queued(state, event, at)
        case evt.PlacementDegraded():
            return placements.placement_degraded(state, event, at)
        case evt.PlacementMoved():
            return placements.placement_moved(state, event, at)
        case evt.PlacementPreempted():
            return placements.placement_preempted(state, event)
        case evt.NodeJoined():
            return nodes.node_joined(state, event, at)
        case evt.NodeLeft():
            return nodes.node_left(state, event, at)
        case evt.LivenessChanged():
            return nodes.liveness_changed(state, event, at)
        case evt.DeviceRegistered():
            return nodes.device_registered(state, event)
        case evt.DeviceLost():
            return nodes.device_lost(state, event, at)
        case evt.DeviceRecovered():
            return nodes.device_recovered(state, event)
        case evt.DeviceFaulted():
            return nodes.device_faulted(state, event, at)
        case evt.LinksObserved():
            return nodes.links_observed(state, event)
        case evt.DeviceCordoned() | evt.NodeCordoned():
            return cordons.cordoned(state, event)
        case evt.DeviceUncordoned() | evt.NodeUncordoned():
            return cordons.uncordoned(state, event)
        case evt.NodeTransferred():
            return pools.transferred(state, event)
        case evt.DeviceDrainStarted():
            return cordons.drain_started(state, event, at)
        case evt.DeviceDrainFinished():
            return cordons.drain_finished(state, event)
        case evt.QuotaSet():
            return placements.quota_set(state, event)
        case evt.BatchFinished():
            return works.batch_finished(state, event, at)
        case evt.WorkDispatched():
            return works.dispatched(state, event, at)
        case evt.WorkDistributed():
            return works.distributed(state, event, at)
        case evt.WorkDrawn():
            return works.drawn(state, event)
        case evt.WorkReassigned():
            return works.reassigned(state, event)
        case evt.ItemFailed():
            return works.item_failed(state, event, at)
        case evt.WorkProgressed():
            return works.progressed(state, event)
        case evt.WorkCancelled():
            return works.cancelled(state, event)
        case evt.WorkRetried():
            return works.retried(state, event, at)
        case evt.WorkCompleted():
            return works.completed(state, event)
        case evt.WorkerJoined():
            return works.worker_joined(state, event, at)
        case evt.CommandRejected():
            state.rejected_count += 1
            return None
        case evt.PlacementPreviewed() | evt.RebalanceProposed():
            return None  # said, and not done
        case _:
            assert_never(event)


def _pool_of(event: evt.Event) -> PoolId | None:
    scope = event_scope(event)
    return scope[1] if scope[0] == "pool" else None


def _room_in(state: State, event: evt.Event, at: At) -> PoolId:
    """The pool that an event makes room in."""
    if isinstance(event, evt.NodeTransferred):
        return event.to
    scope, *whose = event_scope(event)
    node = state.nodes.get(whose[0]) if scope == "node" else None
    return node.pool if node is not None else at.pool or _pool_of(event) or DEFAULT_POOL


def _advance(state: State, at: At, pool: PoolId | None) -> None:
    assert at.sequence > state.position, f"event {at.sequence} comes after {state.position}"
    state.position = at.sequence
    if pool is not None:
        state.pool_positions[pool] = at.sequence


def _park(state: State, at: At, reason: str) -> None:
    state.parked_count += 1
    state.parked.append(Parked(sequence=at.sequence, reason=reason))
    del state.parked[:-PARKED_KEPT]
