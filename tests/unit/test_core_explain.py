"""Why a workload waits, device by device."""

from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import Verdict
from fleetfold_contracts.workloads import Host, Reason, Shard, Workload
from fleetfold_core.explain import explain
from tests.support.examples import GIB, a_device
from tests.support.story import Story, gib_shard


def test_each_device_says_why_it_cannot_take_the_largest_shard() -> None:
    story = Story().node("n1", a_device("c", 8 * GIB), a_device("a"), a_device("b"))
    story.tell(evt.DeviceCordoned(pool="default", device_id="a", reason="fan"))
    workload = Workload(workload_id="w", shards=(gib_shard(1), gib_shard(20)))
    assert explain(story.state, workload) == [
        Verdict(device_id="a", reason=Reason.CORDONED, detail="cordoned: fan"),
        Verdict(device_id="c", reason=Reason.NO_MEMORY, detail="needs 20.0 GiB, has 8.0 GiB free"),
    ]


def test_the_needs_of_the_node_are_among_the_reasons() -> None:
    story = Story().node("n1", a_device("a"))
    workload = Workload(workload_id="w", shards=(Shard(gpu_milli=1000),), host=Host(cpu_milli=65_000))
    (verdict,) = explain(story.state, workload)
    assert (verdict.device_id, verdict.reason) == ("a", Reason.NODE_CPU)


def test_without_shards_the_nodes_say_why() -> None:
    story = Story().node("n2").node("n1").tell(evt.NodeLeft(node_id="n2", boot_id="boot"))
    workload = Workload(workload_id="w", host=Host(memory_bytes=300 * GIB))
    assert [(verdict.device_id, verdict.reason) for verdict in explain(story.state, workload)] == [
        ("n1", Reason.NODE_MEMORY),
        ("n2", Reason.NODE_NOT_LIVE),
    ]


def test_many_who_sit_on_a_device_are_not_all_named() -> None:
    story = Story().node("n1", a_device("a"))
    for index in range(9):
        story.place(f"w{index}", ("a", Shard(gpu_milli=1)))
    (verdict,) = explain(story.state, Workload(workload_id="w", shards=(Shard(gpu_milli=1000),)))
    assert verdict.detail == "is asked for whole and holds w0, w1, w2 and 6 more"
