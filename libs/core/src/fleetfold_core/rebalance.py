"""Rebalancing: the placements that would sit better elsewhere, and by how much."""

from collections.abc import Sequence
from statistics import fmean

from fleetfold_contracts.events import ProposedMove
from fleetfold_contracts.ids import DeviceId, PoolId
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_core._fold.exchanging import exchange
from fleetfold_core._fold.ledger import Reservation
from fleetfold_core.check import check
from fleetfold_core.queue import seat
from fleetfold_core.score import score_value
from fleetfold_core.solve import Plan
from fleetfold_core.state import Placement, State
from fleetfold_core.whatif import without, working_copy

LEAST_GAIN = 0.05
"""A move costs the loading of a model, so a little gain is none."""
LOOKED_AT = 200
"""So many placements are looked at, those that sit worst."""


def proposals(state: State, pool: PoolId, max_moves: int) -> tuple[ProposedMove, ...]:
    """Moves that gain something, each as it is once those before it are made. The state is not changed.

    The gain is how much the mean score of a placement's devices rises, each scored as if the placement were not there.
    Only what was placed by its score is looked at: the other strategies want something else than a good score.
    """
    state = working_copy(state)
    found: list[ProposedMove] = []
    seated = [placement for placement in state.placements.values() if _is_scored(placement, pool)]
    worst_first = sorted(seated, key=lambda one: (_quality(state, _devices(one)), one.sequence))
    for placement in worst_first[:LOOKED_AT]:
        move = _better(state, placement) if len(found) < max_moves else None
        if move is not None:
            found.append(move)
            _make(state, placement, move)
    return tuple(found)


def _is_scored(placement: Placement, pool: PoolId) -> bool:
    by_score = placement.strategy is PlacementStrategy.SCORE and placement.degraded is None
    return by_score and placement.workload.pool == pool and bool(placement.allocations)


def _better(state: State, placement: Placement) -> ProposedMove | None:
    free = without(state, [placement])
    plan = seat(free, placement.workload, placement.strategy)
    if not isinstance(plan, Plan) or check(free, placement.workload, plan):
        return None
    gain = _quality(free, [one.device_id for one in plan.allocations]) - _quality(free, _devices(placement))
    if gain < LEAST_GAIN:
        return None
    return ProposedMove(
        workload_id=placement.workload.workload_id,
        allocations=plan.allocations,
        host=plan.host,
        gain=gain,
    )


def _make(state: State, placement: Placement, move: ProposedMove) -> None:
    wanted = Reservation(workload=placement.workload, allocations=move.allocations, host=move.host)
    trouble = exchange(state, [placement], wanted)
    assert trouble is None, trouble


def _devices(placement: Placement) -> list[DeviceId]:
    return [allocation.device_id for allocation in placement.allocations]


def _quality(state: State, devices: Sequence[DeviceId]) -> float:
    return fmean(score_value(state.devices[device_id]) for device_id in devices)
