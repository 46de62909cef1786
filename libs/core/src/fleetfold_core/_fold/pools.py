"""Pools: which nodes share a ledger."""

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DEFAULT_POOL, PoolId
from fleetfold_core.pools import transfer_obstacle
from fleetfold_core.state import State


def transferred(state: State, event: evt.NodeTransferred) -> str | None:
    """Nodes leave a pool for another: all of them, or none."""
    found = transfer_obstacle(state, event.pool, event.node_ids, event.to)
    if found is not None:
        return found[1]
    for node_id in event.node_ids:
        state.nodes[node_id].pool = event.to
    _count(state, event.pool, -len(event.node_ids))
    _count(state, event.to, len(event.node_ids))
    return None


def _count(state: State, pool: PoolId, more: int) -> None:
    if pool == DEFAULT_POOL:
        return
    left = state.pools.pop(pool, 0) + more
    if left:
        state.pools[pool] = left
