"""Preemption: which placements make room for a more important workload."""

from collections.abc import Iterator, Sequence
from itertools import islice

from fleetfold_contracts.placing import MAX_PREEMPTED, PlacementStrategy
from fleetfold_contracts.workloads import Host, Workload
from fleetfold_core.queue import NOTHING_KEPT, Kept, ended_first, seat
from fleetfold_core.solve import Plan
from fleetfold_core.state import Placement, State
from fleetfold_core.whatif import without

TRIED_ALONE = 64
"""So many placements are tried each by itself. Where none of them will do, several are looked for."""


def make_room(
    state: State, workload: Workload, strategy: PlacementStrategy, kept: Kept = NOTHING_KEPT
) -> tuple[Plan, list[Placement]] | None:
    """A plan for a workload that does not fit now, and the placements that make room for it.

    All are of a lower priority, and none of them can be spared. One that will do alone is taken alone: the least
    important, of those the youngest. Otherwise the least important ones end until it fits, and all that can be spared
    stay.
    """
    order = _least_important_first(state, workload)
    for placement in islice(_helpful(order, workload), TRIED_ALONE):
        answer = seat(without(state, [placement]), workload, strategy, kept)
        if isinstance(answer, Plan):
            return answer, [placement]
    found = ended_first(state, order, workload, strategy, kept)
    if found is None:
        return None
    plan, victims = _spare(state, found, workload, strategy, kept)
    return (plan, victims) if len(victims) <= MAX_PREEMPTED else None


def _least_important_first(state: State, workload: Workload) -> list[Placement]:
    lower = [
        placement
        for (pool, _), placement in state.placements.items()
        if pool == workload.pool and placement.workload.priority < workload.priority
    ]
    return sorted(lower, key=lambda placement: (placement.workload.priority, -placement.sequence))


def _helpful(order: Sequence[Placement], workload: Workload) -> Iterator[Placement]:
    """Those that hold something of the kind that the workload asks for, on a node where it may sit."""
    limits = workload.constraints
    for placement in order:
        nodes = {allocation.node_id for allocation in placement.allocations}
        nodes |= {placement.host.node_id} if placement.host is not None else set()
        allowed = nodes - set(limits.forbidden_nodes)
        shares = bool(placement.allocations) or (placement.host is not None and workload.host != Host())
        if shares and (allowed & set(limits.nodes) if limits.nodes else allowed):
            yield placement


def _spare(
    state: State,
    found: tuple[Plan, list[Placement]],
    workload: Workload,
    strategy: PlacementStrategy,
    kept: Kept,
) -> tuple[Plan, list[Placement]]:
    """Without those that can be spared, the most important looked at first."""
    plan, victims = found
    for placement in reversed(list(victims)):
        fewer = [victim for victim in victims if victim is not placement]
        answer = seat(without(state, fewer), workload, strategy, kept)
        if isinstance(answer, Plan):
            plan, victims = answer, fewer
    return plan, victims
