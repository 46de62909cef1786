"""Many commands, little room, several solvers: what fits is decided, nothing twice, nothing over."""

import asyncio
from collections import Counter

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import Shard, Workload
from tests.support.cluster import Cluster
from tests.support.examples import GIB


def place(name: str, memory_bytes: int = 10 * GIB) -> cmd.Place:
    return cmd.Place(command_id=name, workload=Workload(workload_id=name, shards=(Shard(memory_bytes=memory_bytes),)))


async def test_two_solvers_promise_no_byte_twice(cluster: Cluster) -> None:
    """200 commands race for room for 100: exactly 100 are decided, and each command has one outcome."""
    devices = await cluster.add_devices(25, memory_bytes=40 * GIB)
    for _ in range(2):
        cluster.start("placement-solver")
    names = [f"model-{index}" for index in range(200)]

    await asyncio.gather(*(cluster.command("place", place(name), name) for name in names))
    outcomes = await cluster.outcomes(names)

    assert all(len(events) == 1 for events in outcomes.values())
    decided = [event for (event,) in outcomes.values() if isinstance(event, evt.PlacementDecided)]
    refused = [event for (event,) in outcomes.values() if isinstance(event, evt.PlacementRefused)]
    assert (len(decided), len(refused)) == (100, 100)
    promised = Counter[str]()
    for event in decided:
        for allocation in event.allocations:
            promised[allocation.device_id] += allocation.memory_bytes
    assert promised == dict.fromkeys(devices, 40 * GIB)


async def test_a_command_that_arrives_many_times_is_done_once(cluster: Cluster) -> None:
    await cluster.add_devices(4)
    for _ in range(2):
        cluster.start("placement-solver")

    # Other message ids, so that the server takes each of them; the command's own id is the same.
    await asyncio.gather(*(cluster.command("place", place("same"), f"arrival-{n}") for n in range(20)))
    await cluster.command("place", place("last"), "last")
    outcomes = await cluster.outcomes(["same", "last"])

    assert [type(event) for event in outcomes["same"]] == [evt.PlacementDecided]


async def test_room_given_back_is_placed_again(cluster: Cluster) -> None:
    await cluster.add_devices(1, memory_bytes=10 * GIB)
    cluster.start("placement-solver")

    await cluster.command("place", place("first"), "first")
    await cluster.command("place", place("second"), "second")
    await cluster.command("release", cmd.Release(command_id="go", workload_id="first"), "go")
    third = place("third")
    await cluster.command("place", third, "third")
    outcomes = await cluster.outcomes(["first", "second", "go", "third"])

    kinds = {name: type(events[0]) for name, events in outcomes.items()}
    assert kinds == {
        "first": evt.PlacementDecided,
        "second": evt.PlacementRefused,
        "go": evt.PlacementReleased,
        "third": evt.PlacementDecided,
    }


async def test_what_one_solver_has_decided_another_knows(cluster: Cluster) -> None:
    """Whoever sees a decision in the log may release it at once, whichever solver takes the command."""
    await cluster.add_devices(4)
    for _ in range(3):
        cluster.start("placement-solver")

    async def placed_and_released(name: str) -> evt.Event:
        await cluster.command("place", place(name, GIB), name)
        await cluster.outcomes([name])
        await cluster.command("release", cmd.Release(workload_id=name), f"{name}-release")
        return (await cluster.outcomes([f"{name}-release"]))[f"{name}-release"][0]

    outcomes = await asyncio.gather(*(placed_and_released(f"model-{index}") for index in range(40)))
    assert {type(outcome) for outcome in outcomes} == {evt.PlacementReleased}
