"""The checker finds every rule that a plan breaks."""

from collections.abc import Callable

import msgspec
import pytest

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.workloads import Constraints, Host, Shard, Workload
from fleetfold_core.check import check
from fleetfold_core.solve import Plan, solve
from tests.support.examples import GIB, a_device
from tests.support.story import Story, gib_shard

HOST = Host(cpu_milli=4000, memory_bytes=GIB)


def cluster() -> Story:
    story = Story().node("n1", a_device("a"), a_device("b")).node("n2", a_device("c"))
    return story.place("other", ("a", gib_shard(20, 400)), ("c", Shard(gpu_milli=1000))).sample("b", 10 * GIB)


def asked(**constraints: object) -> Workload:
    return Workload(
        workload_id="w",
        shards=(gib_shard(10, 300), gib_shard(5, 300)),
        host=HOST,
        constraints=msgspec.structs.replace(Constraints(same_node=True), **constraints),
    )


def planned(**changed: object) -> Plan:
    """A good plan, with its first allocation changed."""
    plan = solve(cluster().state, asked())
    assert isinstance(plan, Plan)
    first = msgspec.structs.replace(plan.allocations[0], **changed)
    return msgspec.structs.replace(plan, allocations=(first, *plan.allocations[1:]))


def on_node(node_id: str) -> Plan:
    plan = planned()
    assert plan.host is not None
    return msgspec.structs.replace(plan, host=msgspec.structs.replace(plan.host, node_id=node_id))


def test_a_good_plan_breaks_no_rule() -> None:
    assert check(cluster().state, asked(), planned()) == []


BAD_PLANS: dict[str, Callable[[], Plan]] = {
    "shard 1 has no device": lambda: msgspec.structs.replace(planned(), allocations=planned().allocations[:1]),
    "shard 0 has no device": lambda: planned(shard_id="1"),
    "shard 1 sits in 2 places": lambda: planned(shard_id="1"),
    "shard 7 was not asked for": lambda: planned(shard_id="7"),
    "shard 0 is given other than it asks for": lambda: planned(memory_bytes=1),
    "device z is not known in the pool": lambda: planned(device_id="z"),
    "device a has several shards, and one a device was asked for": lambda: planned(device_id="a"),
    "device a is not on the node that is named": lambda: planned(device_id="a", node_id="n2"),
    "device c is taken whole and shared": lambda: planned(device_id="c", node_id="n2"),
    "device c has too little of its compute left": lambda: planned(device_id="c", node_id="n2"),
    "several nodes are used, and it must be one": lambda: planned(device_id="c", node_id="n2"),
    "device a has too little memory": lambda: planned(device_id="a", memory_bytes=21 * GIB),
    "the node is to give other than is asked of it": lambda: msgspec.structs.replace(planned(), host=None),
    "node z is not live": lambda: on_node("z"),
}


@pytest.mark.parametrize("fault", BAD_PLANS)
def test_a_bad_plan_is_told_by_its_fault(fault: str) -> None:
    assert fault in check(cluster().state, asked(), BAD_PLANS[fault]())


@pytest.mark.parametrize(
    ("constraint", "fault"),
    [
        ({"device_types": (DeviceType.ROCM,)}, "device b is ruled out by the constraint device_types"),
        ({"vendors": (Vendor.AMD,)}, "device b is ruled out by the constraint vendors"),
        ({"models": ("A10",)}, "device b is ruled out by the constraint models"),
        ({"devices": ("a",)}, "device b is ruled out by the constraint devices"),
        ({"forbidden_devices": ("b",)}, "device b is ruled out by the constraint forbidden_devices"),
        ({"nodes": ("n2",)}, "node n1 is ruled out by a constraint"),
        ({"forbidden_nodes": ("n1",)}, "node n1 is ruled out by a constraint"),
    ],
)
def test_a_plan_that_ignores_a_constraint_is_told(constraint: dict[str, object], fault: str) -> None:
    assert fault in check(cluster().state, asked(**constraint), planned())


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (evt.NodeLeft(node_id="n1", boot_id="boot"), "node n1 is not live"),
        (evt.DeviceLost(node_id="n1", device_id="b"), "device b is lost, faulted or cordoned"),
        (evt.DeviceFaulted(node_id="n1", device_id="b", code="79"), "device b is lost, faulted or cordoned"),
        (evt.DeviceCordoned(pool="default", device_id="b"), "device b is lost, faulted or cordoned"),
    ],
)
def test_a_plan_that_the_cluster_outran_is_told(event: evt.Event, fault: str) -> None:
    assert fault in check(cluster().tell(event).state, asked(), planned())


def test_a_node_that_gave_its_cpu_away_since_is_told() -> None:
    plan = planned()
    assert plan.host is not None
    greedy = Workload(workload_id="greedy", host=Host(cpu_milli=61_000))
    host = msgspec.structs.replace(plan.host, cpu_milli=61_000, memory_bytes=0)
    story = cluster().tell(evt.PlacementDecided(workload=greedy, host=host))
    assert check(story.state, asked(), plan) == ["node n1 has too little CPU or memory"]


def test_a_workload_is_placed_once() -> None:
    story, plan = cluster(), planned()
    story.tell(evt.PlacementDecided(workload=asked(), allocations=plan.allocations, host=plan.host))
    assert "workload w is placed already" in check(story.state, asked(), plan)
