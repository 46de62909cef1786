"""Placements: who sits where, who waits, who was refused."""

from datetime import timedelta

from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import PoolId, WorkloadId
from fleetfold_core._fold.arrivals import count_arrival
from fleetfold_core._fold.exchanging import exchange
from fleetfold_core._fold.ledger import Reservation, give_back, reserve
from fleetfold_core.state import At, Degraded, Placement, Queued, Quota, Refusal, State, keep_newest

REFUSALS_KEPT = 1000
RELEASES_KEPT = 1000

Key = tuple[PoolId, WorkloadId]


def placement_decided(state: State, event: evt.PlacementDecided, at: At) -> str | None:
    """A workload is bound to devices, which reserve what it needs. Who makes room for it holds nothing, and waits."""
    key = (event.workload.pool, event.workload.workload_id)
    if key in state.placements:
        return f"workload {key[1]!r} is placed already"
    wanted = Reservation(workload=event.workload, allocations=event.allocations, host=event.host)
    trouble = _make_room(state, event, wanted, at) if event.preempted else reserve(state, wanted)
    if trouble is not None:
        return trouble
    count_arrival(state, event.workload)
    state.placements[key] = Placement(
        workload=event.workload,
        allocations=event.allocations,
        host=event.host,
        decided_at=at.time,
        sequence=at.sequence,
        strategy=event.strategy,
    )
    state.queue.pop(key, None)
    state.refusals.pop(key, None)
    state.released.pop(key, None)
    return None


def placement_refused(state: State, event: evt.PlacementRefused, at: At) -> str | None:
    """A workload cannot be placed now, and waits no longer; or it cannot be moved, and stays."""
    key = (event.workload.pool, event.workload.workload_id)
    if event.stays is not (key in state.placements):
        return f"workload {key[1]!r} is {'not placed' if event.stays else 'placed already'}"
    state.refused_count += 1
    if event.stays:
        return None
    count_arrival(state, event.workload)
    state.queue.pop(key, None)
    state.refusals.pop(key, None)
    state.refusals[key] = Refusal(
        workload=event.workload,
        summary=event.summary,
        obstacles=event.obstacles,
        changes=event.changes,
        at=at.time,
    )
    state.released.pop(key, None)
    keep_newest(state.refusals, REFUSALS_KEPT)
    return None


def placement_queued(state: State, event: evt.PlacementQueued, at: At) -> str | None:
    """A workload waits; or something else is kept for one that waits already."""
    key = (event.workload.pool, event.workload.workload_id)
    if key in state.placements:
        return f"workload {key[1]!r} is placed already"
    known = state.queue.get(key)
    count_arrival(state, event.workload)
    if known is None:
        deadline = None if event.deadline_s is None else at.time + timedelta(seconds=event.deadline_s)
        known = Queued(workload=event.workload, since=at.time, sequence=at.sequence, cause=at.cause, deadline=deadline)
    state.queue[key] = replace(
        known,
        sequence=at.sequence,
        strategy=event.strategy,
        preempt=event.preempt,
        summary=event.summary,
        obstacles=event.obstacles,
        kept_devices=event.kept_devices,
        kept_node=event.kept_node,
    )
    state.refusals.pop(key, None)
    state.released.pop(key, None)
    return None


def placement_degraded(state: State, event: evt.PlacementDegraded, at: At) -> str | None:
    """A placement must move, and keeps what it holds until it does."""
    key = (event.pool, event.workload_id)
    placement = state.placements.get(key)
    if placement is None:
        return f"no workload {event.workload_id!r} is placed"
    if not set(event.shard_ids) <= {allocation.shard_id for allocation in placement.allocations}:
        return f"workload {event.workload_id!r} has no such shards"
    degraded = Degraded(
        shard_ids=event.shard_ids,
        reason=event.reason,
        since=placement.degraded.since if placement.degraded is not None else at.time,
        summary=event.summary,
        obstacles=event.obstacles,
        kept_devices=event.kept_devices,
        kept_node=event.kept_node,
    )
    state.placements[key] = replace(placement, degraded=degraded, sequence=at.sequence)
    state.degraded[key] = None
    return None


def placement_moved(state: State, event: evt.PlacementMoved, at: At) -> str | None:
    """A placement holds something else than before."""
    key = (event.pool, event.workload_id)
    placement = state.placements.get(key)
    if placement is None:
        return f"no workload {event.workload_id!r} is placed"
    if _shard_ids(event) != _shard_ids(placement):
        return f"workload {event.workload_id!r} has other shards"
    wanted = Reservation(workload=placement.workload, allocations=event.allocations, host=event.host)
    trouble = exchange(state, [placement], wanted)
    if trouble is not None:
        return trouble
    del state.placements[key]  # it comes last now, as it does on its devices
    state.degraded.pop(key, None)
    state.placements[key] = replace(
        placement, allocations=event.allocations, host=event.host, sequence=at.sequence, degraded=None
    )
    return None


def placement_preempted(state: State, event: evt.PlacementPreempted) -> str | None:
    """It was said of one that waits that it was preempted. Of one that waits no longer it was said too late."""
    queued = state.queue.get((event.pool, event.workload_id))
    if queued is not None and queued.preempted_by == event.preempted_by:
        state.queue[event.pool, event.workload_id] = replace(queued, noticed=True)
    return None


def placement_released(state: State, event: evt.PlacementReleased, at: At) -> str | None:
    """A workload gives back what it held, or waits no longer."""
    key = (event.pool, event.workload_id)
    placement = state.placements.pop(key, None)
    if placement is not None:
        give_back(state, placement)
        state.degraded.pop(key, None)
    elif state.queue.pop(key, None) is None:
        return f"no workload {event.workload_id!r} is placed"
    state.released[key] = at.time
    keep_newest(state.released, RELEASES_KEPT)
    return None


def quota_set(state: State, event: evt.QuotaSet) -> str | None:
    """A tenant may hold so much. Without any limit there is no quota."""
    quota = Quota(gpu_milli=event.gpu_milli, memory_bytes=event.memory_bytes)
    if quota == Quota():
        state.quotas.pop((event.pool, event.tenant), None)
    else:
        state.quotas[event.pool, event.tenant] = quota
    return None


def _make_room(state: State, event: evt.PlacementDecided, wanted: Reservation, at: At) -> str | None:
    """Let those that are preempted make room, and wait in the order in which they are named."""
    pool = event.workload.pool
    keys = [(pool, workload_id) for workload_id in dict.fromkeys(event.preempted)]
    missing = next((key for key in keys if key not in state.placements), None)
    if missing is not None:
        return f"no workload {missing[1]!r} is placed"
    freed = [state.placements[key] for key in keys]
    trouble = exchange(state, freed, wanted)
    if trouble is None:
        for key, placement in zip(keys, freed, strict=True):
            _displace(state, key, placement, event.workload.workload_id, at)
    return trouble


def _displace(state: State, key: Key, placement: Placement, preempted_by: WorkloadId, at: At) -> None:
    del state.placements[key]
    state.degraded.pop(key, None)
    state.queue[key] = Queued(
        workload=placement.workload,
        since=placement.decided_at,
        sequence=at.sequence,
        strategy=placement.strategy,
        preempted_by=preempted_by,
    )


def _shard_ids(holder: evt.PlacementMoved | Placement) -> list[str]:
    return sorted(allocation.shard_id for allocation in holder.allocations)
