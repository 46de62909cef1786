"""A workload that is asked for, or that waits: what comes of it now. Pure."""

from collections.abc import Sequence

from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import Reason, Workload
from fleetfold_core.check import check
from fleetfold_core.fleet import Fleets
from fleetfold_core.preempt import make_room
from fleetfold_core.queue import kept_before, seat, way_in
from fleetfold_core.quota import over_quota
from fleetfold_core.solve import Plan
from fleetfold_core.state import Placement, Refusal, State
from fleetfold_core.turns import ahead_of
from fleetfold_core.whatif import without


def attempt(
    state: State, workload: Workload, strategy: PlacementStrategy, *, preempt: bool, fleets: Fleets | None = None
) -> evt.PlacementDecided | Refusal:
    """The decision on a workload, or why there is none now. `fleets`: see `solve`.

    Raises:
        ContractError: the solver's plan breaks a rule.
    """
    kept = kept_before(state, workload)
    answer = seat(state, workload, strategy, kept, fleets)
    victims: Sequence[Placement] = ()
    if isinstance(answer, Refusal):
        found = make_room(state, workload, strategy, kept) if preempt else None
        if found is None:
            return answer
        answer, victims = found
    free = without(state, victims) if victims else state
    over = over_quota(free, workload, answer.allocations, ahead_of(state, workload))
    return over or _decided(state, free, workload, strategy, answer, victims)


def _decided(
    state: State,
    free: State,
    workload: Workload,
    strategy: PlacementStrategy,
    plan: Plan,
    victims: Sequence[Placement],
) -> evt.PlacementDecided:
    violations = check(free, workload, plan)
    if violations:
        raise ContractError(f"the solver's plan breaks a rule, which is a fault of ours: {violations[0]}", "$.workload")
    return evt.PlacementDecided(
        workload=workload,
        allocations=plan.allocations,
        host=plan.host,
        strategy=strategy,
        preempted=tuple(victim.workload.workload_id for victim in victims),
        solver=plan.solver,
        decided_at_sequence=state.position,
    )


def queued(
    state: State, refusal: Refusal, *, strategy: PlacementStrategy, preempt: bool, deadline_s: float | None = None
) -> evt.PlacementQueued:
    """The event by which a workload waits, with what is kept for it: nothing where its tenant's quota is in the way."""
    workload = refusal.workload
    over = any(obstacle.reason is Reason.OVER_QUOTA for obstacle in refusal.obstacles)
    devices, node = ((), None) if over else way_in(state, workload, strategy, kept_before(state, workload))
    return evt.PlacementQueued(
        workload=workload,
        summary=refusal.summary,
        obstacles=refusal.obstacles,
        strategy=strategy,
        preempt=preempt,
        deadline_s=deadline_s,
        kept_devices=devices,
        kept_node=node,
        decided_at_sequence=state.position,
    )
