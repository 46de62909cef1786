"""The solver: a state and a workload give a plan, or a refusal. The same input gives the same answer."""

from collections.abc import Iterable, Sequence

import msgspec

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import Allocation, Host, HostAllocation, Shard, Workload
from fleetfold_core._solve.fleet.fleet import Fleet
from fleetfold_core._solve.fleet.seat import seat
from fleetfold_core._solve.refusal import refuse
from fleetfold_core._solve.search import Search
from fleetfold_core._solve.seating import Party, Ranked, Seat, greedy, ranked
from fleetfold_core.feasible import device_reason, node_reason
from fleetfold_core.fleet import Fleets
from fleetfold_core.jobs import Job, job_of
from fleetfold_core.state import NodeState, Refusal, State

BUDGET_STEPS = 30_000
"""How often a search may look at a device: some tens of milliseconds."""

GREEDY = "greedy"
SEARCH = "search"
FLEET = "fleet"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a solver proposes: every shard on its device. It leaves no choices."""

    allocations: tuple[Allocation, ...] = ()
    """In the order of the workload's shards."""
    host: HostAllocation | None = None
    solver: str = GREEDY


def solve(
    state: State,
    workload: Workload,
    *,
    strategy: PlacementStrategy = PlacementStrategy.SCORE,
    fleets: Fleets | None = None,
    budget_steps: int = BUDGET_STEPS,
) -> Plan | Refusal:
    """Put a workload on devices, whole or not at all.

    `strategy` says by what a job chooses its node; the shards of a model always go by score. `fleets` of this state
    that followed all its records save reading the whole pool for a job: the answer is the same without them.

    The most demanding shards choose first, each the best scored device that has room. Where that may miss a way there
    is, a search follows: it looks at devices `budget_steps` times at most, and the refusal says when they were too few.
    A workload without shards sits on the live node that it fills best; what its constraints say of devices is nothing
    to it.
    """
    job = job_of(workload) if strategy is not PlacementStrategy.SCORE else None
    if job is not None:
        return _place_job(state, workload, job, strategy, (fleets or Fleets(state)).of(workload.pool))
    if not workload.shards:
        return _fill_a_node(state, workload)
    party = Party(workload)
    groups = _groups(state, workload)
    most_seated = _seat_greedily(party, groups)
    if len(most_seated) == len(workload.shards):
        return _plan(party, most_seated, GREEDY)
    if party.greedy_is_exact:
        return refuse(state, workload, most_seated)
    search = Search(party, budget_steps)
    for group in groups:
        seats = search.run(group)
        if seats:
            return _plan(party, seats, SEARCH)
    return refuse(state, workload, most_seated, proven=not search.gave_up)


def _place_job(state: State, workload: Workload, job: Job, strategy: PlacementStrategy, fleet: Fleet) -> Plan | Refusal:
    place = fleet.place(job, workload.constraints, strategy)
    if place is None:
        return refuse(state, workload)
    allocations, host = seat(workload, job, place)
    return Plan(allocations=allocations, host=host, solver=FLEET)


def _seat_greedily(party: Party, groups: Iterable[Sequence[Ranked]]) -> list[Seat]:
    """The seats in the first group that takes all shards; where there is none, in the one that takes most."""
    most_seated: list[Seat] = []
    for group in groups:
        seats = greedy(party, group)
        most_seated = max(most_seated, seats, key=len)
        if len(seats) == len(party.shards):
            break
    return most_seated


def _groups(state: State, workload: Workload) -> list[list[Ranked]]:
    """The devices that the shards may share out among them: all, or those of one node, the best node first."""
    devices = _candidates(state, workload)
    if not workload.constraints.same_node:
        return [devices]
    by_node: dict[NodeId, list[Ranked]] = {}
    for entry in devices:
        by_node.setdefault(entry[-1].node_id, []).append(entry)
    shard_count = len(workload.shards)
    order = sorted((_best_sum(group, shard_count), node_id) for node_id, group in by_node.items())
    return [by_node[node_id] for _, node_id in order]


def _best_sum(group: Sequence[Ranked], count: int) -> float:
    """What the best `count` devices score together, negated as each of them is."""
    return sum(sorted(negated_score for negated_score, _, _ in group)[:count])


def _candidates(state: State, workload: Workload) -> list[Ranked]:
    """The devices that could take the least of the shards: the others can take none."""
    least = Shard(
        memory_bytes=min(shard.memory_bytes for shard in workload.shards),
        gpu_milli=min(shard.gpu_milli for shard in workload.shards),
    )
    nodes = {node.node.node_id for node in _open_nodes(state, workload)}
    return [
        ranked(device)
        for device in state.devices_in(workload.pool)
        if device.node_id in nodes and device_reason(device, least, workload.constraints) is None
    ]


def _open_nodes(state: State, workload: Workload) -> list[NodeState]:
    nodes = state.nodes_in(workload.pool)
    return [node for node in nodes if node_reason(node, workload.constraints, workload.host) is None]


def _fill_a_node(state: State, workload: Workload) -> Plan | Refusal:
    nodes = _open_nodes(state, workload)
    if not nodes:
        return refuse(state, workload)
    best = min(nodes, key=lambda node: (_share_left(node, workload.host), node.node.node_id))
    return Plan(host=_host(workload, best.node.node_id))


def _share_left(node: NodeState, host: Host) -> float:
    """What would be left of a node, as shares of its CPU and its memory."""
    cpu_left = (node.free_cpu_milli - host.cpu_milli) / (node.node.cpu_milli or 1)
    return cpu_left + (node.free_memory_bytes - host.memory_bytes) / (node.node.memory_bytes or 1)


def _plan(party: Party, seats: Sequence[Seat], solver: str) -> Plan:
    ordered = sorted(seats, key=lambda seat: seat.index)
    allocations = tuple(_allocation(party, seat) for seat in ordered)
    return Plan(allocations=allocations, host=_host(party.workload, ordered[0].node_id), solver=solver)


def _allocation(party: Party, seat: Seat) -> Allocation:
    shard = party.shards[seat.index]
    return Allocation(
        shard_id=party.shard_ids[seat.index],
        device_id=seat.device_id,
        node_id=seat.node_id,
        memory_bytes=shard.memory_bytes,
        gpu_milli=shard.gpu_milli,
        score=seat.score,
    )


def _host(workload: Workload, node_id: NodeId) -> HostAllocation | None:
    host = workload.host
    if host == Host():
        return None
    return HostAllocation(node_id=node_id, cpu_milli=host.cpu_milli, memory_bytes=host.memory_bytes)
