"""How a device is, in one word."""

from fleetfold_contracts.answers import DeviceStatus
from fleetfold_contracts.events import Liveness
from fleetfold_core.state import DeviceState, State

_OF_NODE = {
    Liveness.LIVE: DeviceStatus.LIVE,
    Liveness.STALE: DeviceStatus.STALE,
    Liveness.OFFLINE: DeviceStatus.OFFLINE,
}


def status_of(state: State, device: DeviceState) -> DeviceStatus:
    """The worst that can be said of a device: that it is lost or faulted, then what its node is, then its cordon."""
    if device.lost is not None:
        return DeviceStatus.LOST
    if device.fault is not None:
        return DeviceStatus.FAULTED
    of_node = _OF_NODE[state.nodes[device.node_id].liveness]
    cordoned = of_node is DeviceStatus.LIVE and device.cordoned is not None
    return DeviceStatus.CORDONED if cordoned else of_node


def is_heard(state: State, device: DeviceState) -> bool:
    """Whether what a device read last still stands for it."""
    return device.lost is None and state.nodes[device.node_id].liveness is not Liveness.OFFLINE
