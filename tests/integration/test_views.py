"""The views in the bucket follow the state, whoever writes them and whatever becomes of the bucket."""

import asyncio
import json
import time

from fleetfold_bus.port import Bucket, BusError
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from tests.support.cluster import Cluster
from tests.support.examples import GIB, a_node
from tests.support.waiting import eventually

TAKEN_OVER_WITHIN_S = 5.0


def decided(device_id: str, node_id: str) -> evt.PlacementDecided:
    allocation = Allocation(shard_id="0", device_id=device_id, node_id=node_id, memory_bytes=GIB)
    return evt.PlacementDecided(
        workload=Workload(workload_id="bert", shards=(Shard(memory_bytes=GIB),)), allocations=(allocation,)
    )


async def keys(bucket: Bucket) -> set[str]:
    """The keys that there are, but the leader's."""
    try:
        return {entry.key for entry in await bucket.entries()} - {"leader"}
    except BusError:
        return set()


async def shows(bucket: Bucket, key: str, **fields: object) -> bool:
    try:
        entry = await bucket.get(key)
    except BusError:
        return False
    if entry is None:
        return False
    return fields.items() <= codec.decode(entry.value, dict[str, object]).items()


async def test_the_views_follow_the_state_and_come_back_when_they_are_deleted(cluster: Cluster) -> None:
    bucket = cluster.bus.bucket(cluster.subjects.state_bucket)
    devices = await cluster.add_devices(4, per_node=2)
    cluster.start("state-projector")
    expected = {"summary", "node.node-000", "node.node-001", *(f"device.{device}" for device in devices)}

    async def complete() -> bool:
        return await keys(bucket) == expected

    await eventually(complete, what="one key a device, a node, and a summary")
    await cluster.append(decided(devices[0], "node-000"), "decided")
    expected.add("placement.default.bert")
    await eventually(complete, what="the placement's key")
    await eventually(lambda: shows(bucket, f"device.{devices[0]}", workloads=["bert"]), what="who sits on the device")
    await eventually(lambda: shows(bucket, "summary", placement_count=1), what="the placement being counted")

    await cluster.bus.ask(f"$JS.API.STREAM.DELETE.KV_{cluster.subjects.state_bucket}", b"")
    await eventually(complete, what="the bucket being made anew")
    await cluster.append(evt.PlacementReleased(pool="default", workload_id="bert"), "released")
    expected.remove("placement.default.bert")
    await eventually(complete, what="the placement's key being gone")


async def test_another_projector_takes_over_within_five_seconds(cluster: Cluster) -> None:
    bucket = cluster.bus.bucket(cluster.subjects.state_bucket)
    await cluster.add_devices(2)
    first = cluster.start("state-projector")
    await eventually(lambda: shows(bucket, "summary", device_count=2), what="the first one writing")
    led_by = await bucket.get("leader")
    cluster.start("state-projector")
    await eventually(lambda: _two_answer(cluster), what="the second one being there")

    first.kill()
    killed_at_s = time.monotonic()
    await cluster.append(evt.NodeJoined(node=a_node("late")), "late")
    await eventually(lambda: shows(bucket, "summary", node_count=2), what="the second one writing")
    assert time.monotonic() - killed_at_s < TAKEN_OVER_WITHIN_S
    now_led_by = await bucket.get("leader")
    assert led_by is not None
    assert now_led_by is not None
    assert now_led_by.value != led_by.value


async def _two_answer(cluster: Cluster) -> bool:
    """Whether two projectors answer: those who do share the questions, so that each says its own id before long."""
    asked = [cluster.bus.ask("$SRV.PING.state-projector", b"", timeout_s=1) for _ in range(8)]
    answers = [answer for answer in await asyncio.gather(*asked, return_exceptions=True) if isinstance(answer, bytes)]
    return len({json.loads(answer)["id"] for answer in answers}) == 2
