"""In which order those who wait come."""

from datetime import datetime

from fleetfold_contracts.ids import PoolId, WorkloadId
from fleetfold_contracts.workloads import Workload
from fleetfold_core.state import Queued, State

Turn = tuple[bool, int, datetime, WorkloadId]
"""By this those who wait are ordered: the displaced first, then the important ones, then the older ones."""


def turn(queued: Queued) -> Turn:
    """When it is the turn of one that waits: the least first."""
    displaced = queued.preempted_by is not None
    return not displaced, -queued.workload.priority, queued.since, queued.workload.workload_id


def in_order(state: State, pool: PoolId | None = None) -> list[Queued]:
    """Those who wait in a pool, the first first; else those of all pools, pool by pool."""
    waiting = (queued for (of_pool, _), queued in state.queue.items() if pool in {None, of_pool})
    return sorted(waiting, key=lambda queued: (queued.workload.pool, turn(queued)))


def ahead_of(state: State, workload: Workload) -> list[Queued]:
    """Those who come before a workload: it waits already, or would be the youngest."""
    waiting = in_order(state, workload.pool) if state.queue else []
    own = state.queue.get((workload.pool, workload.workload_id))
    if own is not None:
        return [queued for queued in waiting if turn(queued) < turn(own)]
    return [queued for queued in waiting if turn(queued)[:2] <= (True, -workload.priority)]
