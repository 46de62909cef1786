"""Pools: what is in one shares a ledger, and nothing leaves it while something is promised there."""

import pytest

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.workloads import HostAllocation, Shard, Workload
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import Refusal
from fleetfold_core.views.cluster import pools
from fleetfold_core.views.figures import aggregate
from fleetfold_placement_solver.decide import decide
from tests.support.examples import a_device, a_node
from tests.support.story import Story, gib_shard

LAB = "lab"


def two_nodes() -> Story:
    return Story().node("n1", a_device("d1"), a_device("d2")).node("n2", a_device("d3"))


def moved(story: Story, *node_ids: str, pool: str = "default", to: str = LAB) -> Story:
    return story.tell(evt.NodeTransferred(pool=pool, to=to, node_ids=node_ids))


def asks(pool: str) -> Workload:
    return Workload(workload_id="w", pool=pool, shards=(Shard(memory_bytes=1),))


def test_a_node_goes_with_its_devices_and_back() -> None:
    story = moved(two_nodes(), "n2")
    state = story.state
    assert [device.device_id for device in state.devices_in(LAB)] == ["d3"]
    assert [device.device_id for device in state.devices_in("default")] == ["d1", "d2"]
    assert state.device_in("default", "d3") is None
    assert {pool.pool: pool.device_count for pool in pools(state)} == {"default": 2, LAB: 1}
    assert {pool: figures.device_count for pool, figures in aggregate(state, None).by_pool.items()} == {
        "default": 2,
        LAB: 1,
    }
    moved(story, "n2", pool=LAB, to="default")
    assert (state.pools, state.parked_count) == ({}, 0)
    assert len(state.devices_in("default")) == 3


def test_a_workload_is_placed_within_its_pool_alone() -> None:
    state = moved(two_nodes(), "n2").state
    in_lab, in_none = solve(state, asks(LAB)), solve(state, asks("nowhere"))
    assert isinstance(in_lab, Plan)
    assert [allocation.device_id for allocation in in_lab.allocations] == ["d3"]
    assert isinstance(in_none, Refusal)


def test_what_registers_anew_stays_in_its_pool() -> None:
    story = moved(two_nodes(), "n2")
    story.node("n2", a_device("d3", 1), a_device("d4"))
    assert [device.device_id for device in story.state.devices_in(LAB)] == ["d3", "d4"]


@pytest.mark.parametrize(
    ("command", "field", "reason"),
    [
        (cmd.Transfer(node_ids=("n2", "n1"), to=LAB), r"\$\.node_ids\[1\]", "holds w: release"),
        (cmd.Transfer(node_ids=("n3",), to=LAB), r"\$\.node_ids\[0\]", "promised"),
        (cmd.Transfer(node_ids=("n4",), to=LAB), r"\$\.node_ids\[0\]", "being drained"),
        (cmd.Transfer(node_ids=("n9",), to=LAB), r"\$\.node_ids\[0\]", "no node 'n9' is known"),
        (cmd.Transfer(node_ids=("n2",), to="default"), r"\$\.to", "in pool 'default' already"),
        (cmd.Transfer(node_ids=("n2", "n2"), to=LAB), r"\$\.to", "named twice"),
        (cmd.Transfer(node_ids=("n2",), to=LAB, pool="other"), r"\$\.node_ids\[0\]", "in pool 'other'"),
    ],
)
def test_what_cannot_move_is_refused_and_a_log_that_says_so_is_parked(
    command: cmd.Transfer, field: str, reason: str
) -> None:
    story = two_nodes().place("w", ("d1", gib_shard(1))).node("n3").node("n4", a_device("d4"))
    story.tell(
        evt.PlacementDecided(
            workload=Workload(workload_id="h", shards=(Shard(),)), host=HostAllocation(node_id="n3", cpu_milli=1)
        ),
        evt.DeviceDrainStarted(pool="default", device_id="d4"),
    )
    assert story.state.parked_count == 0
    with pytest.raises(ContractError, match=f"{field}: .*{reason}"):
        decide(story.state, command)
    story.tell(evt.NodeTransferred(pool=command.pool, to=command.to, node_ids=command.node_ids))
    assert (story.state.parked_count, story.state.pools) == (1, {})


def test_a_transfer_makes_room_where_it_leads() -> None:
    state = moved(two_nodes(), "n2").state
    assert state.room_positions[LAB] == state.pool_positions["default"] == state.position


def test_a_node_that_joins_again_makes_room_in_its_pool() -> None:
    state = moved(two_nodes(), "n2").tell(evt.NodeJoined(node=a_node("n2"))).state
    assert state.room_positions[LAB] == state.position
