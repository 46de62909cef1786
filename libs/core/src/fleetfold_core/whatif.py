"""What would be: the state as it would be had some placements ended, to look for a plan in."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_core._fold.ledger import give_back
from fleetfold_core.state import DeviceState, Placement, State


class Holding(msgspec.Struct, frozen=True):
    """Devices and nodes that something is reserved on."""

    devices: frozenset[DeviceId]
    nodes: frozenset[NodeId]


def holding(placements: Iterable[Placement]) -> Holding:
    """Where some placements hold something."""
    listed = list(placements)
    devices = frozenset(allocation.device_id for placement in listed for allocation in placement.allocations)
    return Holding(devices, frozenset(placement.host.node_id for placement in listed if placement.host is not None))


def without(state: State, freed: Sequence[Placement]) -> State:
    """The state as it would be had some placements given back what they hold. The one given is not changed.

    What they do not touch is shared between the two, so nothing else may be changed in what this gives.
    """
    touched = holding(freed)
    gone = {(placement.workload.pool, placement.workload.workload_id) for placement in freed}
    trial = msgspec.structs.replace(
        state,
        devices=state.devices | _copies(state.devices, touched.devices),
        nodes=state.nodes | {id_: msgspec.structs.replace(state.nodes[id_]) for id_ in touched.nodes},
        placements={key: placement for key, placement in state.placements.items() if key not in gone},
        held=dict(state.held),
    )
    for placement in freed:
        give_back(trial, placement)
    return trial


def working_copy(state: State) -> State:
    """The same state, to make and undo promises in. The one given is not changed by what is done to this."""
    return msgspec.structs.replace(
        state,
        devices=_copies(state.devices, state.devices),
        nodes={id_: msgspec.structs.replace(node) for id_, node in state.nodes.items()},
        placements=dict(state.placements),
        held=dict(state.held),
    )


def _copies(devices: Mapping[DeviceId, DeviceState], ids: Iterable[DeviceId]) -> dict[DeviceId, DeviceState]:
    return {id_: devices[id_].copy() for id_ in ids}
