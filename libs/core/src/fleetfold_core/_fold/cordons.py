"""Cordons and drains: what takes nothing new, and what moves off."""

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId, PoolId
from fleetfold_core.state import At, DeviceState, NodeState, PlaceKey, State

DRAINED = "drained"
"""Why something is cordoned that was drained without a word of why."""


def cordoned(state: State, event: evt.DeviceCordoned | evt.NodeCordoned) -> str | None:
    """A device, or a node, takes nothing new."""
    found = _found(state, event.pool, *_ids(event))
    if isinstance(found, str):
        return found
    _, place = found
    place.cordoned = event.reason
    return None


def uncordoned(state: State, event: evt.DeviceUncordoned | evt.NodeUncordoned) -> str | None:
    """A device, or a node, takes something again. If it was being drained, that ends."""
    found = _found(state, event.pool, *_ids(event))
    if isinstance(found, str):
        return found
    key, place = found
    place.cordoned = None
    place.draining = False
    state.drains.pop((event.pool, key), None)
    return None


def drain_started(state: State, event: evt.DeviceDrainStarted, at: At) -> str | None:
    """A device, or a node, takes nothing new, and what is there moves off."""
    found = _found(state, event.pool, event.device_id, event.node_id)
    if isinstance(found, str):
        return found
    key, place = found
    place.cordoned = event.reason or place.cordoned or DRAINED
    place.draining = True
    state.drains.setdefault((event.pool, key), at.sequence)
    return None


def drain_finished(state: State, event: evt.DeviceDrainFinished) -> str | None:
    """Everything moved off. What was drained stays cordoned."""
    found = _found(state, event.pool, event.device_id, event.node_id)
    if isinstance(found, str):
        return found
    key, place = found
    place.draining = False
    state.drains.pop((event.pool, key), None)
    return None


def _ids(
    event: evt.DeviceCordoned | evt.NodeCordoned | evt.DeviceUncordoned | evt.NodeUncordoned,
) -> tuple[DeviceId | None, NodeId | None]:
    if isinstance(event, evt.DeviceCordoned | evt.DeviceUncordoned):
        return event.device_id, None
    return None, event.node_id


def _found(
    state: State, pool: PoolId, device_id: DeviceId | None, node_id: NodeId | None
) -> tuple[PlaceKey, DeviceState | NodeState] | str:
    """What is named, or why it cannot be found."""
    if device_id is not None:
        device = state.device_in(pool, device_id)
        return (("device", device_id), device) if device else f"no device {device_id!r} is known in pool {pool!r}"
    if node_id is None:
        return "neither a device nor a node is named"
    node = state.node_in(pool, node_id)
    return (("node", node_id), node) if node else f"no node {node_id!r} is known in pool {pool!r}"
