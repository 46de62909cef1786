"""Where the solver puts a workload, and what it says when it cannot."""

import pytest

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Node
from fleetfold_contracts.workloads import Constraints, Host, Reason, Shard, Workload
from fleetfold_core.check import check
from fleetfold_core.feasible import ANYWHERE, NOTHING
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import Refusal
from tests.support.examples import GIB, a_device, a_node
from tests.support.story import Story, gib_shard, two_devices

SEVERAL = Constraints(one_shard_per_device=False)
SAME_NODE = Constraints(same_node=True)


def workload(*shards: Shard, constraints: Constraints = ANYWHERE, host: Host = NOTHING) -> Workload:
    return Workload(workload_id="w", shards=shards, constraints=constraints, host=host)


def planned(story: Story, asked: Workload) -> Plan:
    plan = solve(story.state, asked)
    assert isinstance(plan, Plan), plan.summary
    assert check(story.state, asked, plan) == []
    return plan


def refused(story: Story, asked: Workload, budget_steps: int = 30_000) -> Refusal:
    refusal = solve(story.state, asked, budget_steps=budget_steps)
    assert isinstance(refusal, Refusal)
    return refusal


def seats(plan: Plan) -> list[str]:
    return [allocation.device_id for allocation in plan.allocations]


def small_node(node_id: str, cpu_milli: int) -> Node:
    return Node(node_id=node_id, boot_id="boot", hostname=node_id, cpu_milli=cpu_milli, memory_bytes=16 * GIB)


def test_a_shard_takes_the_best_scored_device_with_room() -> None:
    story = two_devices().sample("d1", 0, 90, 40).sample("d2", 0, 10, 40)
    plan = planned(story, workload(gib_shard(20)))
    assert seats(plan) == ["d2"]
    assert plan.allocations[0].score == pytest.approx(0.6 + 0.4 * 0.9)


def test_the_largest_shard_chooses_first_and_allocations_keep_the_order_asked() -> None:
    story = Story().node("n1", a_device("small", 8 * GIB), a_device("large", 40 * GIB))
    assert seats(planned(story, workload(gib_shard(6), gib_shard(30)))) == ["small", "large"]


def test_several_shards_fill_a_device_only_as_far_as_its_memory_goes() -> None:
    story = two_devices()
    plan = planned(story, workload(*[gib_shard(8)] * 6, constraints=SEVERAL))
    assert sorted(seats(plan)) == ["d1"] * 3 + ["d2"] * 3
    assert (
        refused(story, workload(*[gib_shard(8)] * 7, constraints=SEVERAL)).obstacles[0].reason
        == Reason.TOO_FEW_TOGETHER
    )


def test_each_shard_counts_the_score_that_its_device_has_before_the_plan() -> None:
    plan = planned(two_devices().sample("d2", 12 * GIB), workload(*[gib_shard(8)] * 4, constraints=SEVERAL))
    assert seats(plan).count("d1") == 3
    assert [allocation.score for allocation in plan.allocations] == pytest.approx(
        [0.8 if device_id == "d1" else 0.5 for device_id in seats(plan)]
    )


def test_one_shard_a_device_is_the_default() -> None:
    assert sorted(seats(planned(two_devices(), workload(gib_shard(1), gib_shard(1))))) == ["d1", "d2"]
    refusal = refused(two_devices(), workload(*[gib_shard(1)] * 3))
    assert refusal.obstacles[0].reason == Reason.TOO_FEW_TOGETHER
    assert refusal.obstacles[0].detail == "2 of 3 shards find a place"


def test_a_gang_sits_on_one_node() -> None:
    story = Story().node("n1", a_device("a")).node("n2", a_device("b"), a_device("c")).sample("a", 0, 0, 30)
    gang = workload(Shard(gpu_milli=1000), Shard(gpu_milli=1000), constraints=SAME_NODE)
    assert sorted(seats(planned(story, gang))) == ["b", "c"]
    story.place("x", ("b", Shard(gpu_milli=1)))
    refusal = refused(story, gang)
    assert refusal.obstacles[0].reason == Reason.TOO_FEW_TOGETHER
    assert "1 of 2 shards" in refusal.summary
    assert [(obstacle.reason, obstacle.nearest) for obstacle in refusal.obstacles[1:]] == [(Reason.DEVICE_TAKEN, "b")]


def test_a_gang_takes_the_node_where_its_own_devices_score_best() -> None:
    story = Story().node("n1", a_device("busy-1"), a_device("busy-2"), a_device("busy-3")).node("n2", a_device("idle"))
    for device_id in ("busy-1", "busy-2", "busy-3"):
        story.sample(device_id, 0, 90, 40)
    assert seats(planned(story, workload(gib_shard(1), constraints=SAME_NODE))) == ["idle"]


def test_the_node_of_a_workload_gives_what_is_asked_of_it() -> None:
    story = Story().node("n1", a_device("a"), node=small_node("n1", 4000)).node("n2", a_device("b"))
    plan = planned(story, workload(gib_shard(1), host=Host(cpu_milli=8000, memory_bytes=GIB)))
    assert seats(plan) == ["b"]
    assert plan.host is not None
    assert (plan.host.node_id, plan.host.cpu_milli, plan.host.memory_bytes) == ("n2", 8000, GIB)
    assert planned(story, workload(gib_shard(1))).host is None


def test_a_workload_without_shards_fills_the_node_that_it_fills_best() -> None:
    story = (
        Story().node("roomy").node("snug", node=small_node("snug", 6000)).node("tiny", node=small_node("tiny", 2000))
    )
    plan = planned(story, workload(host=Host(cpu_milli=4000)))
    assert plan.host is not None
    assert plan.host.node_id == "snug"


def test_a_workload_without_shards_that_fits_no_node_is_refused_node_by_node() -> None:
    story = Story().node("n1").node("n2", node=small_node("n2", 2000)).tell(evt.NodeLeft(node_id="n1", boot_id="boot"))
    refusal = refused(story, workload(host=Host(cpu_milli=4000)))
    assert [(obstacle.reason, obstacle.nearest) for obstacle in refusal.obstacles] == [
        (Reason.NODE_CPU, "n2"),
        (Reason.NODE_NOT_LIVE, "n1"),
    ]


def test_where_the_greedy_choice_leads_nowhere_a_search_finds_the_way() -> None:
    """The larger shard would take the better device, which alone has the share that the other needs."""
    story = two_devices(12 * GIB).place("x", ("d2", Shard(gpu_milli=500))).sample("d2", 0, 90, 40)
    plan = planned(story, workload(gib_shard(11, 100), gib_shard(10, 900)))
    assert (seats(plan), plan.solver) == (["d2", "d1"], "search")


def test_packing_that_greedy_misses_is_found() -> None:
    """9 + 4 + 3 and 8 + 5 + 3 fill both devices; neither the smallest nor the largest first comes to that."""
    story = two_devices(16 * GIB)
    plan = planned(story, workload(*map(gib_shard, (5, 9, 3, 3, 8, 4)), constraints=SEVERAL))
    assert plan.solver == "search"


def test_a_search_too_gives_each_device_one_shard() -> None:
    """The small device has too little memory for one and too small a share for the other; the large one holds both."""
    story = (
        Story().node("n1", a_device("large"), a_device("small", 5 * GIB)).place("x", ("small", Shard(gpu_milli=500)))
    )
    refusal = refused(story, workload(gib_shard(6, 100), gib_shard(5, 900)))
    assert refusal.obstacles[0].detail == "1 of 2 shards find a place"


def test_a_node_that_leads_nowhere_says_nothing_of_the_next() -> None:
    """Devices of 11, 11 and 10 GiB cannot be filled with these shards, and two of 16 can."""
    story = Story().node("n1", *(a_device(f"n1-{size}-{index}", size * GIB) for index, size in enumerate((11, 11, 10))))
    story.node("n2", a_device("n2-a", 16 * GIB), a_device("n2-b", 16 * GIB)).sample("n2-a", 0, 100, 90)
    gang = Constraints(same_node=True, one_shard_per_device=False)
    plan = planned(story, workload(*map(gib_shard, (6, 5, 5, 4, 4, 4, 4)), constraints=gang))
    assert set(seats(plan)) == {"n2-a", "n2-b"}


def test_equal_devices_are_searched_once() -> None:
    """Ten devices of 9 GiB cannot hold twenty shards of 4 and one of 5; to try each with each would take for ever."""
    story = Story().node("n1", *(a_device(f"d{index}", 9 * GIB) for index in range(10)))
    shards = [gib_shard(4)] * 18 + [gib_shard(5)] * 2 + [gib_shard(6)]
    asked = workload(*shards, constraints=SEVERAL)
    assert "may be a way" not in refused(story, asked, budget_steps=2000).summary


def test_equal_nodes_are_searched_once() -> None:
    story = Story()
    for index in range(200):
        story.node(f"n{index}", *(a_device(f"n{index}-{place}", 9 * GIB) for place in range(4)))
    gang = workload(
        *map(gib_shard, (5, 5, 5, 5, 4, 4, 3, 3, 2)),
        constraints=Constraints(same_node=True, one_shard_per_device=False),
    )
    assert "may be a way" not in refused(story, gang, budget_steps=100).summary


def test_a_search_that_is_stopped_does_not_say_impossible() -> None:
    shards = [gib_shard(size) for size in (5, 9, 3, 3, 8, 4)]
    asked = workload(*shards, constraints=SEVERAL)
    assert "may be a way" in refused(two_devices(16 * GIB), asked, budget_steps=5).summary
    too_much = workload(*shards, gib_shard(1), constraints=SEVERAL)
    assert "may be a way" not in refused(two_devices(16 * GIB), too_much).summary


def test_what_greedy_alone_can_prove_is_said_to_be_so_however_large() -> None:
    refusal = refused(two_devices(), workload(*[gib_shard(1)] * 200))
    assert "may be a way" not in refusal.summary


def test_a_refusal_counts_each_reason_and_names_the_nearest_miss() -> None:
    story = Story().node("n1", a_device("a", 4 * GIB), a_device("b", 8 * GIB), a_device("c"), a_device("d"))
    story.tell(evt.DeviceCordoned(pool="default", device_id="c", reason="fan"))
    story.place("x", ("d", Shard(gpu_milli=800)))
    refusal = refused(story, workload(gib_shard(10, 300)))
    assert {(obstacle.reason, obstacle.count, obstacle.nearest) for obstacle in refusal.obstacles} == {
        (Reason.NO_MEMORY, 2, "b"),
        (Reason.CORDONED, 1, "c"),
        (Reason.NO_COMPUTE_SHARE, 1, "d"),
    }
    assert refusal.summary.startswith(
        "no device can take a shard of 10.0 GiB, 300/1000 of a GPU: no memory 2 (b: needs"
    )


def test_words_of_others_in_a_refusal_stay_within_what_an_event_holds() -> None:
    story = Story()
    for index in range(20):
        name = f"d{index}-{'x' * 100}"
        story.node(f"n{index}-{'y' * 100}", a_device(name))
        if index % 2:
            story.tell(evt.DeviceCordoned(pool="default", device_id=name, reason="z" * 4096))
        else:
            story.tell(evt.DeviceLost(node_id=f"n{index}-{'y' * 100}", device_id=name, reason="z" * 4096))
    assert len(refused(story, workload(gib_shard(1))).summary) < 4096


@pytest.mark.parametrize("asked", [workload(gib_shard(1)), workload(host=Host(cpu_milli=1))])
def test_where_there_is_nothing_the_refusal_says_so(asked: Workload) -> None:
    refusal = refused(Story(), asked)
    assert refusal.obstacles == ()
    assert "there is no" in refusal.summary


def test_a_pool_that_nobody_made_has_no_devices() -> None:
    elsewhere = Workload(workload_id="w", shards=(gib_shard(1),), pool="elsewhere")
    assert refused(two_devices(), elsewhere).summary == "there is no device in pool 'elsewhere'"


def test_a_device_full_to_the_last_byte_still_gives_compute() -> None:
    story = Story().node("n1", a_device("a", 8 * GIB), node=a_node("n1")).sample("a", 8 * GIB, 100, 90)
    assert seats(planned(story, workload(Shard(gpu_milli=100)))) == ["a"]
