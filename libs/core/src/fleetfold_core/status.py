"""How a device is, in one word."""

from fleetfold_contracts.answers import DeviceStatus
from fleetfold_contracts.events import Liveness
from fleetfold_core.state import DeviceState, State

_OF_NODE = {
    Liveness.STALE: DeviceStatus.STALE,
    Liveness.OFFLINE: DeviceStatus.OFFLINE,
}


def status_of(state: State, device: DeviceState) -> DeviceStatus:
    """The worst that can be said: that it is lost or faulted, then what its node is, then a drain or a cordon."""
    if device.lost is not None:
        return DeviceStatus.LOST
    if device.fault is not None:
        return DeviceStatus.FAULTED
    node = state.nodes[device.node_id]
    if node.liveness is not Liveness.LIVE:
        return _OF_NODE[node.liveness]
    if device.draining or node.draining:
        return DeviceStatus.DRAINING
    cordoned = device.cordoned is not None or node.cordoned is not None
    return DeviceStatus.CORDONED if cordoned else DeviceStatus.LIVE


def is_heard(state: State, device: DeviceState) -> bool:
    """Whether what a device read last still stands for it."""
    return device.lost is None and state.nodes[device.node_id].liveness is not Liveness.OFFLINE
