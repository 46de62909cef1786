"""The queue: who comes first, and what those behind must leave to them.

Nobody says how long anything runs, so "not to delay" means this. Each workload that waits has a way in: a plan for it
as it would be had some placements ended. The devices of that plan are kept for it, and with them the node whose CPU it
needs: nobody behind it in the queue may sit there. So what has to end before it fits never grows by those who pass it,
and shrinks with each of these placements that ends.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from fleetfold_contracts.ids import DeviceId, NodeId, WorkloadId
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import Host, Obstacle, Reason, Workload
from fleetfold_core._words import some_of
from fleetfold_core.fleet import Fleets
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import Placement, Queued, Refusal, State
from fleetfold_core.turns import ahead_of
from fleetfold_core.whatif import without


class Kept(NamedTuple):
    """Where somebody may not sit, because it is kept for others."""

    devices: frozenset[DeviceId] = frozenset()
    nodes: frozenset[NodeId] = frozenset()
    """Their CPU and memory. Their devices may be taken."""
    waiting: tuple[WorkloadId, ...] = ()
    """For whom."""

    def touched_by(self, plan: Plan) -> bool:
        """Whether a plan takes something of it."""
        on_device = any(allocation.device_id in self.devices for allocation in plan.allocations)
        return on_device or (plan.host is not None and plan.host.node_id in self.nodes)

    def avoided_by(self, workload: Workload) -> Workload:
        """The same workload, which leaves this alone."""
        limits = workload.constraints
        nodes = self.nodes if workload.host != Host() else ()
        return replace(
            workload,
            constraints=replace(
                limits,
                forbidden_devices=(*limits.forbidden_devices, *sorted(self.devices)),
                forbidden_nodes=(*limits.forbidden_nodes, *sorted(nodes)),
            ),
        )


NOTHING_KEPT = Kept()


def kept_before(state: State, workload: Workload) -> Kept:
    """What is kept for those who come before a workload, the degraded placements first of all."""
    if not state.queue and not state.degraded:
        return NOTHING_KEPT
    own = (workload.pool, workload.workload_id)
    degraded = (placement for key in state.degraded if key != own and (placement := state.placements[key]).degraded)
    return _kept_for([*degraded, *ahead_of(state, workload)])


def _kept_for(waiting: Iterable[Placement | Queued]) -> Kept:
    devices: set[DeviceId] = set()
    nodes: set[NodeId] = set()
    names: list[WorkloadId] = []
    for entry in waiting:
        held = entry.degraded if isinstance(entry, Placement) else entry
        if held is not None and (held.kept_devices or held.kept_node is not None):
            devices.update(held.kept_devices)
            nodes.update(() if held.kept_node is None else (held.kept_node,))
            names.append(entry.workload.workload_id)
    return Kept(frozenset(devices), frozenset(nodes), tuple(names))


def seat(
    state: State,
    workload: Workload,
    strategy: PlacementStrategy,
    kept: Kept = NOTHING_KEPT,
    fleets: Fleets | None = None,
) -> Plan | Refusal:
    """A plan that leaves alone what is kept for others; or why there is none. `fleets`: see `solve`."""
    answer = solve(state, workload, strategy=strategy, fleets=fleets)
    if isinstance(answer, Refusal) or not kept.touched_by(answer):
        return answer
    answer = solve(state, kept.avoided_by(workload), strategy=strategy, fleets=fleets)
    return answer if isinstance(answer, Plan) else _must_not_pass(workload, kept)


def _must_not_pass(workload: Workload, kept: Kept) -> Refusal:
    count = len(kept.devices) + len(kept.nodes)
    nearest = min(kept.devices or kept.nodes)
    waiting = some_of(kept.waiting)
    obstacle = Obstacle(reason=Reason.KEPT, count=count, nearest=nearest, detail=f"kept for {waiting}")
    summary = f"it would fit, and delay what waits before it: {waiting}"
    return Refusal(workload=workload, summary=summary, obstacles=(obstacle,))


def way_in(
    state: State, workload: Workload, strategy: PlacementStrategy, kept: Kept = NOTHING_KEPT
) -> tuple[tuple[DeviceId, ...], NodeId | None]:
    """The devices, and the node for its host, that a workload that does not fit now is to wait for.

    Nothing, where it would not fit if everything else had ended.
    """
    others = [placement for key, placement in state.placements.items() if key[0] == workload.pool]
    found = ended_first(state, _lightest_first(others), workload, strategy, kept)
    if found is None:
        return (), None
    plan, _ = found
    devices = tuple(dict.fromkeys(allocation.device_id for allocation in plan.allocations))
    return devices, None if plan.host is None else plan.host.node_id


def ended_first(
    state: State, order: Sequence[Placement], workload: Workload, strategy: PlacementStrategy, kept: Kept
) -> tuple[Plan, list[Placement]] | None:
    """The plan for a workload when the first few of `order` have ended, as few as will do; and those it needs to end.

    It looks at 1, 2, 4, … of them, and then in between: more room never makes a plan impossible.
    """

    def plan_without(count: int) -> Plan | None:
        answer = seat(without(state, order[:count]), workload, strategy, kept)
        return answer if isinstance(answer, Plan) else None

    count, too_few, plan = 1, 0, None
    while plan is None and too_few < len(order):
        count = min(count, len(order))
        plan = plan_without(count)
        if plan is None:
            too_few, count = count, 2 * count
    if plan is None:
        return None
    while count - too_few > 1:
        middle = (too_few + count) // 2
        tried = plan_without(middle)
        if tried is None:
            too_few = middle
        else:
            plan, count = tried, middle
    return plan, [placement for placement in order[:count] if _in_the_way(placement, plan)]


def _in_the_way(placement: Placement, plan: Plan) -> bool:
    devices = {allocation.device_id for allocation in plan.allocations}
    if any(allocation.device_id in devices for allocation in placement.allocations):
        return True
    return plan.host is not None and placement.host is not None and plan.host.node_id == placement.host.node_id


def _lightest_first(placements: Sequence[Placement]) -> list[Placement]:
    """Node by node, those with the fewest placements first: so that a few that end leave a node empty."""
    homes = {placement.sequence: _home(placement) for placement in placements}
    counts: dict[NodeId, int] = {}
    for home in homes.values():
        counts[home] = counts.get(home, 0) + 1
    return sorted(placements, key=lambda one: (counts[homes[one.sequence]], homes[one.sequence], one.sequence))


def _home(placement: Placement) -> NodeId:
    if placement.host is not None:
        return placement.host.node_id
    return placement.allocations[0].node_id if placement.allocations else ""
