"""Which devices a selector means, and which of them take work."""

from fleetfold_contracts.commands import Selector
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.ids import DeviceId
from fleetfold_core.state import DeviceState, State


def select(state: State, selector: Selector) -> list[DeviceId]:
    """The devices that a selector means and that take work now, in the order of their ids."""
    chosen = set(selector.devices) or {device.device_id for device in state.devices_in(selector.pool)}
    if selector.workload_id is not None:
        placement = state.placement(selector.pool, selector.workload_id)
        chosen &= {part.device_id for part in placement.allocations} if placement is not None else set()
    return sorted(
        id_
        for id_ in chosen
        if (device := state.device_in(selector.pool, id_))
        and _fits(device, selector)
        and is_up(state, device)
        and _takes_new(state, device)
    )


def is_up(state: State, device: DeviceState) -> bool:
    """Whether a device answers, has no fault, and its node is heard."""
    node = state.nodes.get(device.node_id)
    return device.lost is None and device.fault is None and node is not None and node.liveness is Liveness.LIVE


def _takes_new(state: State, device: DeviceState) -> bool:
    return device.cordoned is None and state.nodes[device.node_id].cordoned is None


def _fits(device: DeviceState, selector: Selector) -> bool:
    capabilities = device.capabilities
    return (
        (not selector.device_types or capabilities.device_type in selector.device_types)
        and (not selector.vendors or capabilities.vendor in selector.vendors)
        and (not selector.nodes or device.node_id in selector.nodes)
    )
