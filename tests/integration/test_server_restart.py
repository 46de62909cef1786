"""The NATS server is killed under load and comes back with its store: all go on by themselves, nothing is lost."""

import asyncio

from fleetfold_bus.port import UnreachableError
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.workloads import Shard, Workload
from tests.support.cluster import Cluster
from tests.support.examples import GIB
from tests.support.waiting import eventually

COMMANDS = 300


async def test_every_service_goes_on_after_the_server_was_killed(own_cluster: Cluster, nats_server: NatsServer) -> None:
    cluster = own_cluster
    await cluster.add_devices(20)
    for service in ("placement-solver", "distributor", "state-projector"):
        cluster.start(service)
    cluster.start("telemetry-agent", fleet="openb:2", sample_interval_s="0.2")
    acknowledged: set[str] = set()
    publishing = asyncio.create_task(_publish(cluster, acknowledged))

    await eventually(lambda: _so_many(acknowledged, COMMANDS // 3), what="a third of the commands")
    nats_server.kill()
    nats_server.start()
    await publishing
    outcomes = await cluster.outcomes(acknowledged)

    assert len(acknowledged) == COMMANDS
    assert {len(events) for events in outcomes.values()} == {1}
    assert {type(events[0]) for events in outcomes.values()} == {evt.PlacementDecided}
    await cluster.command("distribute", cmd.Distribute(command_id="work", count=10), "work")
    await cluster.outcomes(["work"])
    await eventually(lambda: _all_there(cluster), what="the projector and the agent going on")


async def _publish(cluster: Cluster, acknowledged: set[str]) -> None:
    for index in range(COMMANDS):
        name = f"model-{index}"
        shard = Shard(memory_bytes=GIB)
        place = cmd.Place(workload=Workload(workload_id=name, shards=(shard,)))
        while name not in acknowledged:
            try:
                await cluster.command("place", place, name)
            except UnreachableError:
                await asyncio.sleep(0.05)
            else:
                acknowledged.add(name)


async def _so_many(acknowledged: set[str], count: int) -> bool:
    return len(acknowledged) >= count


async def _all_there(cluster: Cluster) -> bool:
    answer = await cluster.ask("state", StateAnswer)
    if answer is None or len(answer.placements) != COMMANDS:
        return False
    return any(node.node_id.startswith("openb") for node in answer.nodes)
