"""How fast items are done from end to end beside a bare work queue, and how soon a lost device's items are others'."""

# The client leaves parts of its signatures without types.
# pyright: reportUnknownMemberType=false

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RetentionPolicy

from fleetfold_bus.streams import EVENTS
from fleetfold_cli.nats_server import NatsServer
from fleetfold_cli.stack.tether import tethered
from fleetfold_client import Fleet, WorkItem
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Distribute
from fleetfold_contracts.subjects import Subjects
from tests.bench import raw
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns
from tests.support.cluster import Cluster, cluster_on

DEVICES = 16
FETCHED_AT_ONCE = 100
READY_WITHIN_S = 30.0
ITEM = msgspec.Raw(msgspec.json.encode({"prompt": "x" * 30}))

BARE = "nats-py, a work queue"
BARE_TWICE = "nats-py, acknowledged twice"
OURS = "distributor and workers"
GOAL = 0.7

SEEN = "the loss is read"
REASSIGNED = "its items are others'"


async def measure(folder: Path, effort: Effort) -> Report:
    """The same items through a queue of the raw client, and through the distributor to sixteen workers."""
    async with _cluster(folder) as cluster:
        devices = await _started(cluster)
        client = await raw.connect(cluster.url)
        async with _working(cluster, devices):
            rates = await take_turns(_contenders(cluster, client, effort.work_items), effort.rounds)
        await client.close()
    series = (
        Series(
            name=name,
            values=tuple(values),
            against=None if name == BARE else BARE,
            goal=GOAL if name == OURS else None,
        )
        for name, values in rates.items()
    )
    return Report(title=f"Work, {effort.work_items} items from end to end", unit="items/s", series=tuple(series))


async def measure_rescue(folder: Path, effort: Effort) -> Report:
    """Devices are lost one after another while they hold batches that nobody works on."""
    async with _cluster(folder) as cluster:
        devices = await _started(cluster)
        await cluster.command("distribute", Distribute(count=effort.work_items, work_id="w"), "w")
        await cluster.log(lambda logged: any(isinstance(one.event, evt.WorkDispatched) for one in logged))
        took_ms = [await _lost(cluster, device) for device in devices[: effort.rounds]]
    seen, reassigned = zip(*took_ms, strict=True)
    series = (Series(name=SEEN, values=seen), Series(name=REASSIGNED, values=reassigned, against=SEEN))
    return Report(title="From the loss of a device", unit="ms", series=series)


def _contenders(cluster: Cluster, client: Client, count: int) -> dict[str, Callable[[], Awaitable[float]]]:
    return {
        BARE: lambda: rate_per_s(count, _bare(client, count, Msg.ack)),
        BARE_TWICE: lambda: rate_per_s(count, _bare(client, count, Msg.ack_sync)),
        OURS: lambda: rate_per_s(count, _done(cluster, count)),
    }


@asynccontextmanager
async def _cluster(folder: Path) -> AsyncGenerator[Cluster]:
    with NatsServer(folder / "nats", launcher=tethered([])) as server:
        async with cluster_on(server.url, Subjects("bench"), folder) as cluster:
            yield cluster


async def _started(cluster: Cluster) -> list[str]:
    """The devices, once a distributor hands out work to them."""
    devices = await cluster.add_devices(DEVICES, per_node=DEVICES)
    cluster.start("distributor")
    await cluster.command("distribute", Distribute(count=1, command_id="first", max_per_device=0), "first")
    await cluster.outcomes(["first"], within_s=READY_WITHIN_S)
    return devices


@asynccontextmanager
async def _working(cluster: Cluster, devices: Sequence[str]) -> AsyncGenerator[None]:
    async def do(item: WorkItem) -> None:
        assert item.body is not None

    fleet = Fleet(cluster.bus, root=cluster.subjects.root)
    tasks = [asyncio.ensure_future(fleet.worker(device).run(do)) for device in devices]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _done(cluster: Cluster, count: int) -> None:
    work_id = uuid.uuid4().hex
    after = await cluster.bus.last_sequence(cluster.subjects.stream(EVENTS))
    await cluster.command("distribute", Distribute(items=(ITEM,) * count, work_id=work_id), work_id)
    async with aclosing(_events(cluster, after)) as events:
        async for event in events:
            if isinstance(event, evt.WorkCompleted):
                assert event.done == count
                return


async def _lost(cluster: Cluster, device: str) -> tuple[float, float]:
    """In milliseconds: until its loss was read, and until its items were others'."""
    after = await cluster.bus.last_sequence(cluster.subjects.stream(EVENTS))
    async with aclosing(_events(cluster, after)) as events:
        started_s = time.perf_counter()
        await cluster.append(evt.DeviceLost(node_id="node-000", device_id=device), f"{device}.lost")
        seen_ms = 0.0
        async for event in events:
            now_ms = 1000 * (time.perf_counter() - started_s)
            if isinstance(event, evt.DeviceLost):
                seen_ms = now_ms
            if isinstance(event, evt.WorkReassigned) and event.device_id == device and event.batches:
                return seen_ms, now_ms
    raise AssertionError("a log is read for ever")


async def _events(cluster: Cluster, after: int) -> AsyncGenerator[evt.Event]:
    async with aclosing(cluster.bus.read(cluster.subjects.stream(EVENTS), after=after)) as pages:
        async for records in pages:
            for record in records:
                yield codec.decode_event(codec.decode_envelope(record.payload))


async def _bare(client: Client, count: int, acknowledge: Callable[[Msg], Awaitable[object]]) -> None:
    """Publish items one a message, fetch a hundred at once, look at each and acknowledge it, all side by side."""
    name = f"bare-{uuid.uuid4().hex[:8]}"
    stream = client.jetstream()
    await stream.add_stream(name=name, subjects=[name], retention=RetentionPolicy.WORK_QUEUE)
    try:
        published = (f"{name}-{index}" for index in range(count))
        await asyncio.gather(
            raw.append_async(client, name, bytes(ITEM), published), _bare_worker(client, name, count, acknowledge)
        )
    finally:
        await stream.delete_stream(name)


async def _bare_worker(client: Client, name: str, count: int, acknowledge: Callable[[Msg], Awaitable[object]]) -> None:
    queue = await client.jetstream().pull_subscribe(name, durable=name, stream=name)
    done = 0
    while done < count:
        fetched = await queue.fetch(min(FETCHED_AT_ONCE, count - done), timeout=READY_WITHIN_S)
        for message in fetched:
            assert msgspec.json.decode(message.data) is not None
        await asyncio.gather(*map(acknowledge, fetched))
        done += len(fetched)
