"""Placements on a real server: they wait, make room, heal and move, by what the solvers say themselves."""

from collections.abc import Callable, Sequence

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import Shard, Workload
from tests.support.cluster import Cluster, Logged
from tests.support.examples import GIB

Condition = Callable[[Sequence[Logged]], bool]
VERBS = {kind: verb for verb, kind in cmd.COMMANDS.items()}


def place(
    name: str, gib: int, *, shards: int = 1, priority: int = 0, wait: bool = False, preempt: bool = False
) -> cmd.Place:
    workload = Workload(workload_id=name, shards=(Shard(memory_bytes=gib * GIB),) * shards, priority=priority)
    return cmd.Place(command_id=f"place-{name}", workload=workload, wait=wait, preempt=preempt)


async def ask(cluster: Cluster, *commands: cmd.Command) -> None:
    """Ask for all of these, one after another."""
    for command in commands:
        assert command.command_id is not None
        await cluster.command(VERBS[type(command)], command, command.command_id)


def said(kind: type[evt.Event], of: str | None = None) -> Condition:
    """Whether an event of a kind was said, of somebody or of anybody."""
    return lambda logged: any(
        isinstance(entry.event, kind) and of in {None, evt.about(entry.event)} for entry in logged
    )


def words(logged: Sequence[Logged], of: str) -> list[str]:
    """All that was said of a workload."""
    return [evt.TYPE_OF_EVENT[type(entry.event)] for entry in logged if evt.about(entry.event) == of]


def decided(logged: Sequence[Logged]) -> list[evt.PlacementDecided]:
    return [entry.event for entry in logged if isinstance(entry.event, evt.PlacementDecided)]


def names(decisions: Sequence[evt.PlacementDecided]) -> list[str]:
    return [decision.workload.workload_id for decision in decisions]


async def test_one_that_waits_is_placed_when_its_turn_comes(cluster: Cluster) -> None:
    """Who would delay it is refused, who does not may pass; of two that wait the older comes first."""
    await cluster.add_devices(3, memory_bytes=40 * GIB, per_node=1)
    for _ in range(3):
        cluster.start("placement-solver")
    await ask(cluster, place("a", 30), place("b", 30), place("c", 38))
    await cluster.log(lambda logged: len(decided(logged)) == 3)
    await ask(cluster, place("big", 35, shards=2, wait=True))
    logged = await cluster.log(said(evt.PlacementQueued, "big"))
    (waits,) = (entry.event for entry in logged if isinstance(entry.event, evt.PlacementQueued))
    kept = set(waits.kept_devices)
    await ask(cluster, place("small", 2), place("hasty", 9))
    await cluster.log(said(evt.PlacementRefused, "hasty"))
    await ask(cluster, place("late", 35, wait=True))
    logged = await cluster.log(said(evt.PlacementQueued, "late"))
    assert names(decided(logged)) == ["a", "b", "c", "small"]
    assert decided(logged)[-1].allocations[0].device_id not in kept

    in_the_way = [one.workload.workload_id for one in decided(logged) if one.allocations[0].device_id in kept]
    await ask(cluster, *(cmd.Release(command_id=f"go-{name}", workload_id=name) for name in in_the_way))
    await cluster.log(said(evt.PlacementDecided, "big"))
    await ask(cluster, cmd.Release(command_id="go-big", workload_id="big"))
    logged = await cluster.log(said(evt.PlacementDecided, "late"))
    assert names(decided(logged))[-2:] == ["big", "late"]
    assert words(logged, "big") == ["placement.queued", "placement.decided", "placement.released"]


async def test_a_more_important_one_takes_the_place_of_another_which_waits(cluster: Cluster) -> None:
    await cluster.add_devices(1, memory_bytes=40 * GIB)
    cluster.start("placement-solver")
    await ask(cluster, place("low", 30), place("vip", 30, priority=5, preempt=True))
    await cluster.log(said(evt.PlacementPreempted, "low"))
    await ask(cluster, cmd.Release(command_id="go", workload_id="vip"))
    logged = await cluster.log(lambda logged: names(decided(logged)) == ["low", "vip", "low"])
    assert [decision.preempted for decision in decided(logged)] == [(), ("low",), ()]


async def test_a_lost_device_is_left_and_a_blink_moves_nothing(cluster: Cluster) -> None:
    devices = await cluster.add_devices(3, memory_bytes=40 * GIB, per_node=1)
    for _ in range(2):
        cluster.start("placement-solver", grace_s="1")
    await ask(cluster, place("model", 30, shards=2))
    (model,) = decided(await cluster.log(said(evt.PlacementDecided, "model")))
    stays, goes = model.allocations
    (spare,) = set(devices) - {stays.device_id, goes.device_id}

    await cluster.append(evt.DeviceLost(node_id=stays.node_id, device_id=stays.device_id), "blink")
    await cluster.append(evt.DeviceRecovered(node_id=stays.node_id, device_id=stays.device_id), "blinked")
    await cluster.append(evt.DeviceLost(node_id=goes.node_id, device_id=goes.device_id, reason="it fell off"), "gone")

    logged = await cluster.log(said(evt.PlacementMoved, "model"))
    assert words(logged, "model") == ["placement.decided", "placement.degraded", "placement.moved"]
    (moved,) = (entry.event for entry in logged if isinstance(entry.event, evt.PlacementMoved))
    assert [allocation.device_id for allocation in moved.allocations] == [stays.device_id, spare]
    assert "it fell off" in moved.reason


async def test_a_drain_empties_a_node_when_there_is_room_elsewhere(cluster: Cluster) -> None:
    await cluster.add_devices(2, memory_bytes=40 * GIB, per_node=1)
    cluster.start("placement-solver")
    await ask(cluster, place("a", 30), place("b", 20))
    a, b = (decision.allocations[0] for decision in decided(await cluster.log(said(evt.PlacementDecided, "b"))))
    await ask(cluster, cmd.Drain(command_id="drain", node_id=a.node_id, reason="a new fan"))
    await cluster.log(said(evt.DeviceDrainStarted))
    await ask(cluster, cmd.Release(command_id="go", workload_id="b"))
    logged = await cluster.log(said(evt.DeviceDrainFinished))
    (moved,) = (entry.event for entry in logged if isinstance(entry.event, evt.PlacementMoved))
    assert (moved.workload_id, moved.allocations[0].node_id) == ("a", b.node_id)
    assert "drained" in moved.reason


async def test_a_deadline_passes_by_the_servers_time(cluster: Cluster) -> None:
    await cluster.add_devices(1, memory_bytes=40 * GIB)
    cluster.start("placement-solver")
    workload = Workload(workload_id="never", shards=(Shard(memory_bytes=99 * GIB),))
    await ask(cluster, cmd.Place(command_id="p", workload=workload, wait=True, deadline_s=0.5))
    logged = await cluster.log(said(evt.PlacementRefused, "never"))
    assert words(logged, "never") == ["placement.queued", "placement.refused"]


async def test_a_rebalance_names_its_moves_and_makes_them_when_asked_to(cluster: Cluster) -> None:
    devices = await cluster.add_devices(2, memory_bytes=40 * GIB, per_node=1)
    cluster.start("placement-solver")
    both = Workload(workload_id="one", shards=(Shard(memory_bytes=10 * GIB),))
    await ask(cluster, cmd.Cordon(command_id="cordon", device_id=devices[0]))
    await ask(cluster, cmd.Place(command_id="one", workload=both), place("two", 15))
    await cluster.log(said(evt.PlacementDecided, "two"))
    await ask(cluster, cmd.Uncordon(command_id="uncordon", device_id=devices[0]))
    await ask(cluster, cmd.Rebalance(command_id="look"), cmd.Rebalance(command_id="do", apply=True))
    logged = await cluster.log(said(evt.PlacementMoved))
    looked, done = (entry.event for entry in logged if isinstance(entry.event, evt.RebalanceProposed))
    assert looked.moves == done.moves
    (move,) = done.moves
    assert move.gain > 0
    (moved,) = (entry.event for entry in logged if isinstance(entry.event, evt.PlacementMoved))
    assert (moved.workload_id, moved.allocations) == (move.workload_id, move.allocations)
