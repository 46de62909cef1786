"""Nodes, their devices and links: what is there, and what it reads."""

from datetime import datetime

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.samples import NodeSample
from fleetfold_core.state import At, DeviceState, NodeState, State


def node_joined(state: State, event: evt.NodeJoined, at: At) -> None:
    """An agent started: a boot that is not the known one counts its ticks anew."""
    known = state.nodes.get(event.node.node_id)
    if known is None:
        known = state.nodes[event.node.node_id] = NodeState(node=event.node)
    if known.node.boot_id != event.node.boot_id:
        known.last_tick = -1
    known.node = event.node
    known.left = False
    _set_liveness(state, known, evt.Liveness.LIVE, at)
    _see(known, at.time)


def node_left(state: State, event: evt.NodeLeft, at: At) -> str | None:
    """An agent was stopped in good order, unless another boot has taken its place since."""
    node = state.nodes.get(event.node_id)
    if node is None:
        return _no_node(event.node_id)
    if node.node.boot_id == event.boot_id:
        node.left = True
        _set_liveness(state, node, evt.Liveness.OFFLINE, at)
    return None


def liveness_changed(state: State, event: evt.LivenessChanged, at: At) -> str | None:
    """A node fell silent, or is heard again."""
    node = state.nodes.get(event.node_id)
    if node is None:
        return _no_node(event.node_id)
    # Said of another boot, or of an agent that has left since: it came too late, and that is no fault.
    if node.node.boot_id == event.boot_id and not node.left:
        _set_liveness(state, node, event.liveness, at)
        _see(node, event.last_seen)
    return None


def device_registered(state: State, event: evt.DeviceRegistered) -> str | None:
    """A device is there, maybe again, maybe with other capabilities."""
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
        _end_outage(state, device)
    return None


def device_lost(state: State, event: evt.DeviceLost, at: At) -> str | None:
    """A device no longer answers."""
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.lost = event.reason
    state.outages.setdefault(("device", event.device_id), at.time)
    return None


def device_recovered(state: State, event: evt.DeviceRecovered) -> str | None:
    """A lost or faulted device works again."""
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.lost = device.fault = None
    _end_outage(state, device)
    return None


def device_faulted(state: State, event: evt.DeviceFaulted, at: At) -> str | None:
    """A device reported a fault."""
    device = _device_of(state, event.node_id, event.device_id)
    if device is None:
        return _no_device(event.device_id, event.node_id)
    device.fault = f"{event.code}: {event.meaning}" if event.meaning else event.code
    state.outages.setdefault(("device", event.device_id), at.time)
    return None


def links_observed(state: State, event: evt.LinksObserved) -> str | None:
    """What a node sees of links replaces what it saw before."""
    if event.node_id not in state.nodes:
        return _no_node(event.node_id)
    state.links[event.node_id] = event.links
    return None


def sampled(state: State, samples: NodeSample, time: datetime) -> None:
    """A node was heard at the server's `time`, with readings of its devices."""
    node = state.nodes.get(samples.node_id)
    if node is None or samples.boot_id != node.node.boot_id or samples.tick <= node.last_tick:
        state.ignored_sample_count += len(samples.samples)
        return
    node.last_tick = samples.tick
    node.steady = node.last_seen is not None and (time - node.last_seen).total_seconds() < node.silent_after_s
    _see(node, time)
    devices, node_id = state.devices, samples.node_id
    for sample in samples.samples:
        device = devices.get(sample.device_id)
        if device is None or device.node_id != node_id:
            state.ignored_sample_count += 1
            continue
        device.sample = sample
        used_bytes = sample.memory_used_bytes
        # While nothing is reserved, all that is used is foreign: the case of most devices of a large fleet.
        if used_bytes is not None:
            device.foreign_bytes = used_bytes if device.reserved_bytes <= 0 else _foreign_bytes(device, used_bytes)


def _foreign_bytes(device: DeviceState, used_bytes: int) -> int:
    """What a reading tells of the memory that others use on a device.

    Telemetry gives one sum: what our shards use of what they reserved, and what others use. Ours lies somewhere between
    nothing (a model that still loads) and all that is reserved, so the others' lies between `used - reserved` and
    `used`. What was known of it before is kept while it lies in there, and moved to the nearer end otherwise: a shard
    that loads is not counted twice, and with nothing reserved all that is used is foreign. Without a reading nothing
    new is known.
    """
    return min(max(device.foreign_bytes, used_bytes - device.reserved_bytes), used_bytes)


def _set_liveness(state: State, node: NodeState, liveness: evt.Liveness, at: At) -> None:
    node.liveness = liveness
    if liveness is evt.Liveness.OFFLINE:
        state.outages.setdefault(("node", node.node.node_id), at.time)
    else:
        state.outages.pop(("node", node.node.node_id), None)


def _end_outage(state: State, device: DeviceState) -> None:
    if device.lost is None and device.fault is None:
        state.outages.pop(("device", device.device_id), None)


def _see(node: NodeState, time: datetime) -> None:
    if node.last_seen is None or time > node.last_seen:
        node.last_seen = time


def _device_of(state: State, node_id: NodeId, device_id: DeviceId) -> DeviceState | None:
    device = state.devices.get(device_id)
    return device if device is not None and device.node_id == node_id else None


def _no_node(node_id: NodeId) -> str:
    return f"no node {node_id!r} is known"


def _no_device(device_id: DeviceId, node_id: NodeId) -> str:
    return f"no device {device_id!r} is known on node {node_id!r}"
