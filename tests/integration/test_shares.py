"""Two projectors, each with the telemetry of half the fleet: any of them answers for both, and names who is silent."""

from itertools import count
from pathlib import Path

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import DevicesAnswer, StateAnswer
from fleetfold_contracts.figures import AggregateAnswer
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.shares import Share
from fleetfold_runtime.borrowing import borrowed_state
from tests.integration.test_views import shows
from tests.support.cluster import Cluster
from tests.support.examples import GIB, a_device, a_node
from tests.support.story import START
from tests.support.waiting import eventually

FIRST, SECOND = Share(1, 2), Share(2, 2)


def a_node_of(share: Share) -> str:
    return next(filter(share.holds, (f"node-{index}" for index in range(99))))


NODES = {FIRST: a_node_of(FIRST), SECOND: a_node_of(SECOND)}
BUSY_PERCENT = {FIRST: 20.0, SECOND: 60.0}
TICKS = count()


async def joined(cluster: Cluster, share: Share) -> None:
    """Let a node of a share be there, with a device."""
    node_id = NODES[share]
    await cluster.append(evt.NodeJoined(node=a_node(node_id)), node_id)
    registered = evt.DeviceRegistered(node_id=node_id, capabilities=a_device(f"{node_id}-gpu"))
    await cluster.append(registered, f"{node_id}-gpu")


async def sampled(cluster: Cluster, tick: int) -> None:
    """Let both nodes be heard."""
    for share, node_id in NODES.items():
        reading = Sample(
            device_id=f"{node_id}-gpu",
            timestamp=START,
            memory_used_bytes=GIB,
            compute_utilization_percent=BUSY_PERCENT[share],
        )
        samples = NodeSample(node_id=node_id, boot_id="boot", tick=tick, samples=(reading,))
        await cluster.bus.publish(cluster.subjects.samples(node_id), codec.encode(samples))


async def both_are_heard(cluster: Cluster) -> bool:
    """Samples that come before their node are lost, so they come again, as an agent's do."""
    await sampled(cluster, next(TICKS))
    answer = await cluster.ask("aggregate", AggregateAnswer, b"{}")
    return answer is not None and not answer.silent_shares and answer.cluster.average_utilization_percent == 40.0


async def names(cluster: Cluster, *shares: str) -> bool:
    answer = await cluster.ask("state", StateAnswer, b"{}")
    return answer is not None and answer.summary.silent_shares == shares


async def offers_snapshot(cluster: Cluster) -> bool:
    return await borrowed_state(cluster.bus, cluster.subjects, SECOND) is not None


async def test_two_shares_answer_as_one_and_the_silent_one_is_named(cluster: Cluster, tmp_path: Path) -> None:
    bucket = cluster.bus.bucket(cluster.subjects.state_bucket)
    await joined(cluster, FIRST)
    await joined(cluster, SECOND)
    first = cluster.start("state-projector", share="1/2")
    cluster.start("state-projector", share="2/2", data=str(tmp_path), snapshot_interval_s="0.5")

    await eventually(lambda: both_are_heard(cluster), what="the average over both")
    answer = await cluster.ask("devices", DevicesAnswer, b"{}")
    assert answer is not None
    assert [view.sample is not None for view in answer.devices] == [True, True]
    for node_id in NODES.values():
        told = await cluster.ask("history", HistoryAnswer, codec.encode(HistoryQuery(device_id=f"{node_id}-gpu")))
        assert told is not None
        assert sum(told.sample_counts) >= 1
        await eventually(lambda id_=f"{node_id}-gpu": reads(cluster, id_), what="each device's key with its readings")
    await eventually(lambda: shows(bucket, "summary", average_utilization_percent=40.0), what="the summary of both")

    await eventually(lambda: offers_snapshot(cluster), what="a snapshot")
    borrowed, whole = [await borrowed_state(cluster.bus, cluster.subjects, *share) for share in ([SECOND], [])]
    assert borrowed is not None
    assert whole is not None
    assert borrowed.devices[f"{NODES[SECOND]}-gpu"].sample is not None
    assert not any(device.sample for device in whole.devices.values()), "it is not handed out as if it were whole"
    assert (whole.position, whole.samples_position) == (borrowed.position, 0)

    first.kill()
    await eventually(lambda: names(cluster, "1/2"), what="the silent share being named")
    left = await cluster.ask("devices", DevicesAnswer, b"{}")
    assert left is not None
    assert left.silent_shares == ("1/2",)
    assert [view.node_id for view in left.devices] == [NODES[SECOND]]

    cluster.start("state-projector", share="1/2")
    await eventually(lambda: both_are_heard(cluster), what="both being there again")


async def reads(cluster: Cluster, device_id: str) -> bool:
    """Whether a device's key in the bucket has its readings."""
    entry = await cluster.bus.bucket(cluster.subjects.state_bucket).get(f"device.{device_id}")
    return entry is not None and "sample" in codec.decode(entry.value, dict[str, object])
