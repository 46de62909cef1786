"""The solver: a state and a workload give a plan, or a refusal. The same input gives the same answer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import (
    Allocation,
    Host,
    HostAllocation,
    Model,
    Reason,
    Shard,
    Workload,
    name_shards,
    shard_ids,
)
from fleetfold_core._solve.changes import with_changes
from fleetfold_core._solve.cutting import Knife, Part
from fleetfold_core._solve.find import GREEDY, Answer, find
from fleetfold_core._solve.fleet.fleet import Fleet
from fleetfold_core._solve.fleet.seat import seat
from fleetfold_core._solve.problem import Problem, open_nodes, state_problem
from fleetfold_core._solve.refusal import refuse
from fleetfold_core.feasible import asked_shards, least_part, needs_devices
from fleetfold_core.fleet import Fleets
from fleetfold_core.jobs import Job, job_of
from fleetfold_core.shard_score import Scorer
from fleetfold_core.state import NodeState, Refusal, State

BUDGET_STEPS = 30_000
"""How often a search may look at a device: some tens of milliseconds."""

SUGGEST_STEPS = 3000
"""The same for each change that is tried for a refusal."""
FLEET = "fleet"
NOT_THE_FLEET_S = frozenset({Reason.OVER_QUOTA, Reason.KEPT})


class _Case(NamedTuple):
    """What is to be solved, and how devices are scored for it."""

    state: State
    workload: Workload
    scorer: Scorer

    def problem(self, shards: tuple[Shard, ...]) -> Problem:
        return state_problem(self.state, self.workload, shards, self.scorer)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a solver proposes: every shard on its device. It leaves no choices."""

    allocations: tuple[Allocation, ...] = ()
    """In the order of the workload's shards, replica by replica."""
    host: HostAllocation | None = None
    solver: str = GREEDY
    proven: bool = False
    """Whether no plan scores more."""


def solve(
    state: State,
    workload: Workload,
    *,
    strategy: PlacementStrategy = PlacementStrategy.SCORE,
    fleets: Fleets | None = None,
    budget_steps: int = BUDGET_STEPS,
) -> Plan | Refusal:
    """Put a workload on devices, whole or not at all, where the sum of its shards' scores is the highest.

    `strategy` says by what a job chooses its node; the shards of a model always go by score. `fleets` of this state
    that followed all its records save reading the whole pool for a job: the answer is the same without them.

    Solvers propose side by side, and the best plan wins; how long each may look is counted in steps. A refusal says
    whether it is proven that there is no way, or whether none was found. A workload that needs no device sits on the
    live node that it fills best; what its constraints say of devices is nothing to it.
    """
    job = job_of(workload) if strategy is not PlacementStrategy.SCORE else None
    if job is not None:
        return _place_job(state, workload, job, strategy, (fleets or Fleets(state)).of(workload.pool))
    return _solve(state, workload, budget_steps)


def suggest(state: State, refusal: Refusal) -> Refusal:
    """A solver's refusal, with the smallest changes to the state or the workload after which it would fit.

    Each of them was solved with. What is refused for a quota, or for others who wait, no change to the fleet helps.
    """
    if any(obstacle.reason in NOT_THE_FLEET_S for obstacle in refusal.obstacles):
        return refusal
    return with_changes(state, refusal, lambda other, asked: isinstance(_solve(other, asked, SUGGEST_STEPS), Plan))


def _place_job(state: State, workload: Workload, job: Job, strategy: PlacementStrategy, fleet: Fleet) -> Plan | Refusal:
    place = fleet.place(job, workload.constraints, strategy)
    if place is None:
        return refuse(state, workload)
    allocations, host = seat(workload, job, place)
    return Plan(allocations=allocations, host=host, solver=FLEET)


def _solve(state: State, workload: Workload, budget_steps: int) -> Plan | Refusal:
    if not needs_devices(workload):
        return _fill_a_node(state, workload)
    case = _Case(state, workload, Scorer(state, workload))
    if workload.model is not None:
        return _cut_and_seat(case, workload.model, budget_steps)
    problem = case.problem(asked_shards(workload))
    answer = find(problem, budget_steps)
    if answer.complete:
        return _plan(case, problem, answer, shard_ids(workload))
    return refuse(state, workload, problem, answer)


def _cut_and_seat(case: _Case, model: Model, budget_steps: int) -> Plan | Refusal:
    """Cut a model into the fewest shards that find a place."""
    problem = case.problem((least_part(model, exclusive=case.workload.constraints.exclusive),))
    knife = Knife(case.workload, problem)
    most = Answer({}, GREEDY, complete=False, proven=not knife.may_be_piped)
    for parts in knife.cuts():
        asked = knife.problem(parts)
        answer = find(asked, budget_steps // 10)
        if answer.complete:
            return _cut_plan(case, knife, parts, answer)
        if len(answer.seats) >= len(most.seats):
            problem, most = asked, replace(answer, proven=most.proven and answer.proven)
    return refuse(case.state, case.workload, problem, most)


def _cut_plan(case: _Case, knife: Knife, parts: Sequence[Part], answer: Answer) -> Plan:
    count, replicas = len(parts), case.workload.replicas
    spots = [answer.seats[index] for index in range(count * replicas)]
    each = [knife.recut(parts, spots[first : first + count]) for first in range(0, len(spots), count)]
    names = name_shards([str(place) for place in range(count)], replicas)
    plan = _plan(case, knife.problem(parts), answer, names)
    held = [part for replica in each for part in replica]
    allocations = (
        msgspec.structs.replace(
            allocation,
            memory_bytes=knife.shard(part).memory_bytes,
            layers=(part.first, part.layers),
            tensor_rank=part.rank,
            memory=knife.estimate(part),
        )
        for allocation, part in zip(plan.allocations, held, strict=True)
    )
    return msgspec.structs.replace(plan, allocations=tuple(allocations))


def _plan(case: _Case, problem: Problem, answer: Answer, names: Sequence[str]) -> Plan:
    spots = [problem.spots[answer.seats[index]] for index in range(len(names))]
    allocations = tuple(
        Allocation(
            shard_id=name,
            device_id=spot.device_id,
            node_id=spot.node_id,
            memory_bytes=shard.memory_bytes,
            gpu_milli=shard.gpu_milli,
            score=spot.value,
            terms=case.scorer.terms(case.state.devices[spot.device_id]),
        )
        for name, spot, shard in zip(names, spots, problem.needs, strict=True)
    )
    host = _host(case.workload, allocations[0].node_id)
    return Plan(allocations=allocations, host=host, solver=answer.solver, proven=answer.proven)


def _fill_a_node(state: State, workload: Workload) -> Plan | Refusal:
    nodes = open_nodes(state, workload)
    if not nodes:
        return refuse(state, workload)
    best = min(nodes, key=lambda node: (_share_left(node, workload.host), node.node.node_id))
    return Plan(host=_host(workload, best.node.node_id), proven=True)


def _share_left(node: NodeState, host: Host) -> float:
    """What would be left of a node, as shares of its CPU and its memory."""
    cpu_left = (node.free_cpu_milli - host.cpu_milli) / (node.node.cpu_milli or 1)
    return cpu_left + (node.free_memory_bytes - host.memory_bytes) / (node.node.memory_bytes or 1)


def _host(workload: Workload, node_id: NodeId) -> HostAllocation | None:
    host = workload.host
    if host == Host():
        return None
    return HostAllocation(node_id=node_id, cpu_milli=host.cpu_milli, memory_bytes=host.memory_bytes)
