"""Whether nodes may leave their pool for another."""

from collections.abc import Sequence

from fleetfold_contracts.ids import NodeId, PoolId
from fleetfold_core._words import some_of
from fleetfold_core.state import DeviceState, NodeState, State


def transfer_obstacle(
    state: State, pool: PoolId, node_ids: Sequence[NodeId], to: PoolId
) -> tuple[NodeId | None, str] | None:
    """Why nodes cannot move from a pool to another, with the node that it is about, if it is about one."""
    if to == pool:
        return None, f"they are in pool {pool!r} already"
    if len(set(node_ids)) < len(node_ids):
        return None, "a node is named twice"
    by_node: dict[NodeId, list[DeviceState]] = {node_id: [] for node_id in node_ids}
    for device in state.devices.values():
        if device.node_id in by_node:
            by_node[device.node_id].append(device)
    for node_id, devices in by_node.items():
        node = state.node_in(pool, node_id)
        against = f"no node {node_id!r} is known in pool {pool!r}" if node is None else _against(node, devices)
        if against is not None:
            return node_id, against
    return None


def _against(node: NodeState, devices: Sequence[DeviceState]) -> str | None:
    """What keeps a node in its pool: whatever is promised there is promised by that pool's ledger."""
    node_id = node.node.node_id
    sitting = sorted({workload_id for device in devices for workload_id in device.shards})
    if sitting:
        return f"node {node_id!r} holds {some_of(sitting)}: release or move them first"
    if node.reserved_cpu_milli or node.reserved_memory_bytes:
        return f"CPU or memory of node {node_id!r} is promised: release what sits there first"
    if node.draining or any(device.draining for device in devices):
        return f"node {node_id!r} is being drained: uncordon it first"
    return None
