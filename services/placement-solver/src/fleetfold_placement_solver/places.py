"""What comes of a command about devices and nodes. Pure.

Each raises a ContractError where the command makes no sense in this state.
"""

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_core.pools import transfer_obstacle
from fleetfold_core.state import State


def cordon(state: State, command: cmd.Cordon) -> evt.DeviceCordoned | evt.NodeCordoned:
    """A device, or a node, takes nothing new."""
    _refuse_unknown_place(state, command)
    if command.device_id is not None:
        return evt.DeviceCordoned(pool=command.pool, device_id=command.device_id, reason=command.reason)
    assert command.node_id is not None
    return evt.NodeCordoned(pool=command.pool, node_id=command.node_id, reason=command.reason)


def uncordon(state: State, command: cmd.Uncordon) -> evt.DeviceUncordoned | evt.NodeUncordoned:
    """A cordon, or a drain, ends."""
    _refuse_unknown_place(state, command)
    if command.device_id is not None:
        return evt.DeviceUncordoned(pool=command.pool, device_id=command.device_id)
    assert command.node_id is not None
    return evt.NodeUncordoned(pool=command.pool, node_id=command.node_id)


def drain(state: State, command: cmd.Drain) -> evt.DeviceDrainStarted:
    """What is on a device, or a node, moves off."""
    _refuse_unknown_place(state, command)
    return evt.DeviceDrainStarted(
        pool=command.pool, device_id=command.device_id, node_id=command.node_id, reason=command.reason
    )


def transfer(state: State, command: cmd.Transfer) -> evt.NodeTransferred:
    """Nodes go to another pool."""
    found = transfer_obstacle(state, command.pool, command.node_ids, command.to)
    if found is not None:
        node_id, why = found
        raise ContractError(why, "$.to" if node_id is None else f"$.node_ids[{command.node_ids.index(node_id)}]")
    return evt.NodeTransferred(pool=command.pool, to=command.to, node_ids=command.node_ids)


def _refuse_unknown_place(state: State, command: cmd.OfDeviceOrNode) -> None:
    pool = command.pool
    if command.device_id is not None and state.device_in(pool, command.device_id) is None:
        raise ContractError(f"no device {command.device_id!r} is known in pool {pool!r}", "$.device_id")
    if command.node_id is not None and state.node_in(pool, command.node_id) is None:
        raise ContractError(f"no node {command.node_id!r} is known in pool {pool!r}", "$.node_id")
