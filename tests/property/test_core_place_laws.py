"""The solver under constraints of every kind, beside an exhaustive search and the checker, on small clusters."""

from itertools import product

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts.inventory import Capabilities
from fleetfold_contracts.workloads import (
    WHOLE_GPU_MILLI,
    Allocation,
    Change,
    Constraints,
    Cut,
    Model,
    Neighbours,
    Reason,
    Shard,
    Workload,
    shard_ids,
)
from fleetfold_core.check import check
from fleetfold_core.explain import explain
from fleetfold_core.solve import Plan, solve, suggest
from fleetfold_core.state import State
from tests.property.core_strategies import Cluster, examples
from tests.property.placing_strategies import NODES, demanding_workloads, devices, linked_clusters, renamed


def good_plans(state: State, workload: Workload) -> list[Plan]:
    """Every way to put all replicas' shards on devices that breaks no rule."""
    whole = workload.constraints.exclusive
    asked = list(zip(shard_ids(workload), workload.shards * workload.replicas, strict=True))
    plans = (
        Plan(
            allocations=tuple(
                Allocation(
                    shard_id=name,
                    device_id=device.device_id,
                    node_id=device.node_id,
                    memory_bytes=shard.memory_bytes,
                    gpu_milli=WHOLE_GPU_MILLI if whole else shard.gpu_milli,
                )
                for (name, shard), device in zip(asked, seats, strict=True)
            )
        )
        for seats in product(state.devices.values(), repeat=len(asked))
    )
    return [plan for plan in plans if not check(state, workload, plan)]


@examples(150)
@given(cluster=linked_clusters(), workload=demanding_workloads())
def test_what_an_exhaustive_search_can_place_is_placed_and_nothing_else(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    if isinstance(answer, Plan):
        event(f"placed by {answer.solver}")
        assert check(state, workload, answer) == []
    else:
        event("refused")
        assert good_plans(state, workload) == []
        assert "may be a way" not in answer.summary


@examples(60)
@given(cluster=linked_clusters(), workload=demanding_workloads())
def test_on_a_small_fleet_no_plan_scores_more(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    if not isinstance(answer, Plan):
        return
    assert answer.proven
    alone = {
        device.device_id: placed.allocations[0].score
        for device in state.devices.values()
        if isinstance(placed := solve(state, on_one_device(workload, device.device_id)), Plan)
    }
    best = max(
        sum(alone[allocation.device_id] for allocation in plan.allocations) for plan in good_plans(state, workload)
    )
    assert sum(allocation.score for allocation in answer.allocations) == pytest.approx(best)


def on_one_device(workload: Workload, device_id: str) -> Workload:
    """Next to nothing on one device, scored as the workload's shards are."""
    near = workload.constraints.neighbours
    limits = Constraints(devices=(device_id,), neighbours=near, one_shard_per_device=False)
    return Workload(workload_id="x", shards=(Shard(),), constraints=limits)


@examples(60)
@given(cluster=linked_clusters(), workload=demanding_workloads(), data=st.data())
def test_other_names_and_another_order_change_no_score(
    cluster: Cluster, workload: Workload, data: st.DataObject
) -> None:
    ids = [*NODES, *(device.capabilities.device_id for device in cluster.devices)]
    names = dict(zip(ids, data.draw(st.permutations([f"x{number}" for number in range(len(ids))])), strict=True))
    other = renamed(cluster, names)._replace(devices=data.draw(st.permutations(renamed(cluster, names).devices)))
    one, two = solve(cluster.state(), workload), solve(other.state(), workload)
    if isinstance(one, Plan) and isinstance(two, Plan):
        assert score_of(one) == pytest.approx(score_of(two))
    else:
        assert type(one) is type(two)


def score_of(plan: Plan) -> float:
    return sum(sorted(allocation.score for allocation in plan.allocations))


@examples(60)
@given(cluster=linked_clusters(), workload=demanding_workloads(), more=devices("d9"))
def test_one_more_device_never_turns_a_yes_into_a_no(cluster: Cluster, workload: Workload, more: object) -> None:
    grown = cluster._replace(devices=[*cluster.devices, more])
    if isinstance(solve(cluster.state(), workload), Plan):
        assert isinstance(solve(grown.state(), workload), Plan)


@examples(100)
@given(cluster=linked_clusters(), workload=demanding_workloads())
def test_a_change_that_a_refusal_names_makes_it_fit(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    if isinstance(answer, Plan):
        return
    answer = suggest(state, answer)
    event(f"{len(answer.changes)} changes")
    for change in answer.changes:
        assert change.detail in answer.summary
        for other, asked in changed(state, workload, change):
            assert isinstance(solve(other, asked), Plan), change


def changed(state: State, workload: Workload, change: Change) -> list[tuple[State, Workload]]:
    """What a change makes of state and workload: for each of the devices that it may be done to."""
    if change.without is not None:
        free = False if change.without == "one_shard_per_device" else getattr(Constraints(), change.without)
        return [(state, replace(workload, constraints=replace(workload.constraints, **{change.without: free})))]
    if change.replicas is not None:
        return [(state, replace(workload, replicas=change.replicas))]
    states: list[tuple[State, Workload]] = []
    for device_id in change.devices:
        device = state.devices[device_id].copy()
        device.foreign_bytes -= change.more_bytes
        states.append((replace(state, devices=state.devices | {device_id: device}), workload))
    return states


@examples(60)
@given(cluster=linked_clusters(), workload=demanding_workloads())
def test_a_refusal_names_each_device_with_its_reason(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    if isinstance(answer, Plan):
        return
    verdicts = explain(state, workload)
    counted = {obstacle.reason: obstacle.count for obstacle in answer.obstacles}
    together = counted.pop(Reason.TOO_FEW_TOGETHER, 0)
    assert sum(counted.values()) == len(verdicts)
    assert together == len(state.devices) - len(verdicts)
    assert all(verdict.detail for verdict in verdicts)


GIB = 1024**3


def in_gib(capabilities: Capabilities) -> Capabilities:
    return replace(capabilities, max_memory_bytes=GIB * capabilities.max_memory_bytes)


models = st.builds(
    Model,
    weight_bytes=st.integers(1, 60).map(lambda gib: gib * GIB),
    layers=st.integers(1, 12),
    hidden_size=st.just(256),
    attention_heads=st.sampled_from((4, 8)),
    context_tokens=st.sampled_from((0, 1024)),
    cut=st.sampled_from(Cut),
)


@examples(100)
@given(cluster=linked_clusters(), model=models, linked=st.booleans(), replicas=st.sampled_from((1, 1, 2)))
def test_the_parts_of_a_model_make_the_whole_and_have_what_they_need(
    cluster: Cluster, model: Model, *, linked: bool, replicas: int
) -> None:
    grown = [replace(device, capabilities=in_gib(device.capabilities)) for device in cluster.devices]
    state = cluster._replace(devices=grown).state()
    limits = Constraints(neighbours=Neighbours() if linked else None)
    workload = Workload(workload_id="w", model=model, replicas=replicas, constraints=limits)
    answer = solve(state, workload)
    event(f"{len(answer.allocations) // replicas} parts" if isinstance(answer, Plan) else "refused")
    if isinstance(answer, Plan):
        assert check(state, workload, answer) == []
