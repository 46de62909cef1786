"""Placements, and what may take one: who sits where, who was refused, what is cordoned."""

from fleetfold_contracts import events as evt
from fleetfold_core._fold.ledger import give_back, reserve
from fleetfold_core.state import At, Placement, Refusal, State, keep_newest

REFUSALS_KEPT = 1000
RELEASES_KEPT = 1000


def placement_decided(state: State, event: evt.PlacementDecided, at: At) -> str | None:
    """A workload is bound to devices, which reserve what it needs."""
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


def placement_refused(state: State, event: evt.PlacementRefused, at: At) -> str | None:
    """A workload cannot be placed now."""
    key = (event.workload.pool, event.workload.workload_id)
    if key in state.placements:
        return f"workload {key[1]!r} is placed already"
    state.refused_count += 1
    state.refusals.pop(key, None)
    state.refusals[key] = Refusal(workload=event.workload, summary=event.summary, obstacles=event.obstacles, at=at.time)
    state.released.pop(key, None)
    keep_newest(state.refusals, REFUSALS_KEPT)
    return None


def placement_released(state: State, event: evt.PlacementReleased, at: At) -> str | None:
    """A workload gives back what it held."""
    key = (event.pool, event.workload_id)
    placement = state.placements.pop(key, None)
    if placement is None:
        return f"no workload {event.workload_id!r} is placed"
    give_back(state, placement)
    state.released[key] = at.time
    keep_newest(state.released, RELEASES_KEPT)
    return None


def set_cordon(state: State, event: evt.DeviceCordoned | evt.DeviceUncordoned, reason: str | None) -> str | None:
    """A device takes nothing new for `reason`; with none, it takes something again."""
    device = state.device_in(event.pool, event.device_id)
    if device is None:
        return f"no device {event.device_id!r} is known in pool {event.pool!r}"
    device.cordoned = reason
    return None
