"""The event stream is deleted and made anew: whoever followed it ends and says why, and one started again goes on."""

import asyncio

import pytest

from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import Shard, Workload
from tests.support.cluster import Cluster
from tests.support.examples import GIB

SERVICES = ("placement-solver", "distributor", "state-projector")


def place(name: str) -> cmd.Place:
    return cmd.Place(workload=Workload(workload_id=name, shards=(Shard(memory_bytes=GIB),)))


@pytest.mark.parametrize("devices_after", [1, 30], ids=["shorter", "longer"])
async def test_who_followed_a_log_that_is_gone_says_so_and_ends(own_cluster: Cluster, devices_after: int) -> None:
    cluster = own_cluster
    await cluster.add_devices(4)
    running = [cluster.start(service) for service in SERVICES]
    await cluster.command("place", place("before"), "before")
    await cluster.command("distribute", cmd.Distribute(count=1), "work")
    await cluster.outcomes(["before", "work"])

    stream = cluster.subjects.stream(EVENTS)
    await cluster.bus.ask(f"$JS.API.STREAM.DELETE.{stream}", b"")
    await cluster.bus.ensure_streams()
    await cluster.add_devices(devices_after)

    codes = await asyncio.gather(*(asyncio.to_thread(service.process.wait, 20) for service in running))
    assert set(codes) == {2}
    for service in running:
        assert stream in service.log.read_text()
        assert "sub-exception" not in service.log.read_text()

    cluster.start("placement-solver")
    await cluster.command("place", place("after"), "after")
    (outcome,) = (await cluster.outcomes(["after"]))["after"]
    assert isinstance(outcome, evt.PlacementDecided)
