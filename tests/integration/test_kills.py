"""A service that is killed in mid-work and started again loses no command, and does none twice."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.workloads import Shard, Workload
from fleetfold_devices.simulation.fleet_file import load_fleet
from tests.support.cluster import Cluster, Logged
from tests.support.examples import GIB
from tests.support.waiting import eventually

FLEET = "openb:2"


def place(name: str) -> cmd.Place:
    return cmd.Place(command_id=name, workload=Workload(workload_id=name, shards=(Shard(memory_bytes=GIB),)))


async def test_a_killed_solver_does_each_command_once(cluster: Cluster) -> None:
    await cluster.add_devices(50)
    names = [f"model-{index}" for index in range(300)]
    solver = cluster.start("placement-solver")
    await asyncio.gather(*(cluster.command("place", place(name), name) for name in names))

    for done in (20, 80, 150):
        await cluster.log(lambda logged, done=done: _decisions(logged) >= done)
        solver.kill()
        solver = cluster.start("placement-solver")
    outcomes = await cluster.outcomes(names)

    assert {len(events) for events in outcomes.values()} == {1}
    assert {type(events[0]) for events in outcomes.values()} == {evt.PlacementDecided}


def _decisions(logged: Sequence[Logged]) -> int:
    return sum(isinstance(entry.event, evt.PlacementDecided) for entry in logged)


async def test_a_killed_projector_answers_the_same_again(cluster: Cluster, tmp_path: Path) -> None:
    await cluster.add_devices(8)
    cluster.start("placement-solver")
    settings = {"data": str(tmp_path / "projector"), "snapshot_interval_s": "0.1"}
    projector = cluster.start("state-projector", **settings)
    names = [f"model-{index}" for index in range(40)]
    for name in names:
        await cluster.command("place", place(name), name)
    await cluster.outcomes(names)
    before = await _state(cluster)

    projector.kill()
    cluster.start("state-projector", **settings)
    after = await _state(cluster)

    assert len(after.placements) == len(names)
    assert (after.placements, after.summary.device_count) == (before.placements, before.summary.device_count)


async def test_a_killed_agent_comes_back_as_the_same_node_with_another_boot(cluster: Cluster) -> None:
    settings = {"fleet": FLEET, "sample_interval_s": "0.2", "offline_after_s": "1.5"}
    cluster.start("state-projector", **settings)
    agent = cluster.start("telemetry-agent", **settings)
    await eventually(lambda: _liveness(cluster, {"live"}), what="two live nodes")
    before = await _state(cluster)

    agent.kill()
    await eventually(lambda: _liveness(cluster, {"offline"}), what="the silence being noticed")
    cluster.start("telemetry-agent", **settings)
    await eventually(lambda: _liveness(cluster, {"live"}), what="the nodes being heard again")
    after = await _state(cluster)

    assert [node.node_id for node in after.nodes] == [node.node_id for node in before.nodes]
    assert after.summary.device_count == before.summary.device_count
    await cluster.log(lambda logged: len(_boots(logged)) == 2)


def _boots(logged: Sequence[Logged]) -> set[str]:
    return {entry.event.node.boot_id for entry in logged if isinstance(entry.event, evt.NodeJoined)}


async def _state(cluster: Cluster) -> StateAnswer:
    answer: StateAnswer | None = None

    async def answered() -> bool:
        nonlocal answer
        answer = await cluster.ask("state", StateAnswer)
        return answer is not None

    await eventually(answered, what="an answer of the projector")
    assert answer is not None
    return answer


async def _liveness(cluster: Cluster, wanted: set[str]) -> bool:
    devices = sum(len(node.discover().devices) for node in load_fleet(FLEET))
    answer = await cluster.ask("state", StateAnswer)
    if answer is None or answer.summary.device_count != devices:
        return False
    return {node.liveness for node in answer.nodes} == wanted
