"""The solver beside an exhaustive search and an independent checker, on small clusters."""

from collections.abc import Iterator
from itertools import product

from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import (
    Allocation,
    Constraints,
    Host,
    HostAllocation,
    Reason,
    Shard,
    Workload,
    shard_ids,
)
from fleetfold_core.check import check
from fleetfold_core.explain import explain
from fleetfold_core.fold import fold
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import At, State
from tests.property.core_strategies import Cluster, clusters, examples, workloads
from tests.support.examples import a_device
from tests.support.story import START, Story


@examples(200)
@given(cluster=clusters(), workload=workloads())
def test_a_plan_is_found_exactly_when_there_is_one(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    if isinstance(answer, Plan):
        event(f"{answer.solver}, {len(answer.allocations)} shards")
        assert check(state, workload, answer) == []
    else:
        event("refused")
        assert not any(check(state, workload, plan) == [] for plan in all_plans(state, workload))
        assert "may be a way" not in answer.summary


needs = st.tuples(st.integers(1, 9), st.sampled_from((0, 100, 200, 300)))
"""What a shard asks for: bytes, and thousandths of a device."""


@examples(150)
@given(cut=st.lists(st.lists(needs, min_size=1, max_size=3), min_size=2, max_size=3), data=st.data())
def test_what_fills_devices_to_the_last_byte_is_put_together_again(
    cut: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Each device is cut into shards without anything left over: there is one way, or few."""
    story = Story().node("n1", *(a_device(f"d{i}", sum(size for size, _ in part)) for i, part in enumerate(cut)))
    for i, part in enumerate(cut):
        story.place(f"on-d{i}", (f"d{i}", Shard(gpu_milli=999 - sum(milli for _, milli in part))))
    pieces = data.draw(
        st.permutations([Shard(memory_bytes=size, gpu_milli=milli) for part in cut for size, milli in part])
    )
    one_each = len(pieces) == len(cut)
    workload = Workload(workload_id="w", shards=tuple(pieces), constraints=Constraints(one_shard_per_device=one_each))
    plan = solve(story.state, workload)
    assert isinstance(plan, Plan)
    event(plan.solver)
    assert check(story.state, workload, plan) == []


@examples(100)
@given(
    rooms=st.lists(st.tuples(st.integers(4, 12), st.sampled_from((0, 200, 500))), min_size=2, max_size=3),
    asked=st.lists(needs, min_size=2, max_size=5),
    one_each=st.booleans(),
)
def test_a_packing_is_found_exactly_when_there_is_one(
    rooms: list[tuple[int, int]], asked: list[tuple[int, int]], *, one_each: bool
) -> None:
    """Shards on devices that have so many bytes, and so many thousandths of which are taken."""
    story = Story().node("n1", *(a_device(f"d{i}", size) for i, (size, _) in enumerate(rooms)))
    for i, (_, taken) in enumerate(rooms):
        story.place(f"on-d{i}", (f"d{i}", Shard(gpu_milli=taken)))
    shards = tuple(Shard(memory_bytes=size, gpu_milli=3 * milli) for size, milli in asked)
    workload = Workload(workload_id="w", shards=shards, constraints=Constraints(one_shard_per_device=one_each))
    answer = solve(story.state, workload)
    event(answer.solver if isinstance(answer, Plan) else "refused")
    there_is_one = any(check(story.state, workload, plan) == [] for plan in all_plans(story.state, workload))
    assert isinstance(answer, Plan) == there_is_one


@examples(50)
@given(cluster=clusters(), asked=st.lists(workloads(), min_size=1, max_size=6))
def test_plans_made_one_after_another_never_promise_anything_twice(cluster: Cluster, asked: list[Workload]) -> None:
    state = cluster.state()
    parked_count = state.parked_count
    for number, workload in enumerate(asked):
        named = replace(workload, workload_id=f"w{number}")
        plan = solve(state, named)
        if isinstance(plan, Plan):
            decided = evt.PlacementDecided(workload=named, allocations=plan.allocations, host=plan.host)
            fold(state, decided, At(sequence=state.position + 1, time=START))
    assert state.parked_count == parked_count
    assert all(device.free_milli >= 0 for device in state.devices.values())
    assert all(device.reserved_bytes <= device.capabilities.max_memory_bytes for device in state.devices.values())


@examples(50)
@given(cluster=clusters(), workload=workloads(), data=st.data())
def test_the_order_in_which_devices_came_changes_no_answer(
    cluster: Cluster, workload: Workload, data: st.DataObject
) -> None:
    state = cluster.state()
    before = state.encode()
    shuffled = Cluster(
        nodes=data.draw(st.permutations(cluster.nodes)),
        devices=data.draw(st.permutations(cluster.devices)),
        samples=cluster.samples,
        since=data.draw(st.permutations(cluster.since)),
    )
    assert solve(shuffled.state(), workload) == solve(state, workload) == solve(state, workload)
    assert explain(shuffled.state(), workload) == explain(state, workload)
    assert state.encode() == before


@examples(50)
@given(cluster=clusters(), workload=workloads())
def test_a_refusal_says_of_every_device_what_stands_in_the_way(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    answer = solve(state, workload)
    verdicts = explain(state, workload)
    if isinstance(answer, Plan):
        return
    counted = {obstacle.reason: obstacle.count for obstacle in answer.obstacles}
    together = counted.pop(Reason.TOO_FEW_TOGETHER, 0)
    assert sum(counted.values()) == len(verdicts)
    places = state.devices_in(workload.pool) if workload.shards else state.nodes_in(workload.pool)
    assert together == len(places) - len(verdicts)
    assert answer.summary


@examples(100)
@given(cluster=clusters(), workload=workloads(least_shards=1))
def test_a_device_is_named_as_unfit_exactly_when_no_plan_may_use_it(cluster: Cluster, workload: Workload) -> None:
    state = cluster.state()
    largest = max(workload.shards, key=lambda shard: (shard.gpu_milli == 1000, shard.memory_bytes, shard.gpu_milli))
    alone = replace(workload, shards=(largest,))
    unfit = {verdict.device_id for verdict in explain(state, workload)}
    for plan in all_plans(state, alone):
        assert (check(state, alone, plan) == []) == (plan.allocations[0].device_id not in unfit)


def all_plans(state: State, workload: Workload) -> Iterator[Plan]:
    """Every way to put the shards on devices, good and bad."""
    if not workload.shards:
        yield from (Plan(host=host_on(workload, node.node.node_id)) for node in state.nodes_in(workload.pool))
    for devices in product(state.devices_in(workload.pool), repeat=len(workload.shards)):
        allocations = tuple(
            Allocation(
                shard_id=shard_id,
                device_id=device.device_id,
                node_id=device.node_id,
                memory_bytes=shard.memory_bytes,
                gpu_milli=shard.gpu_milli,
            )
            for shard_id, shard, device in zip(shard_ids(workload), workload.shards, devices, strict=True)
        )
        if allocations:
            yield Plan(allocations=allocations, host=host_on(workload, allocations[0].node_id))


def host_on(workload: Workload, node_id: str) -> HostAllocation | None:
    if workload.host == Host():
        return None
    return HostAllocation(node_id=node_id, cpu_milli=workload.host.cpu_milli, memory_bytes=workload.host.memory_bytes)
