"""A worker tells of every item of a batch once it is through with it, and never before."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from fleetfold_bus.memory import MemoryBroker, MemoryBus, MemoryDelivery
from fleetfold_bus.port import UnreachableError
from fleetfold_bus.streams import EVENTS, WORK
from fleetfold_client import Fleet, Worker
from fleetfold_client import worker as worker_module
from fleetfold_client.worker import WorkItem
from fleetfold_contracts import codec
from fleetfold_contracts.events import BatchFinished, ItemFailure
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Batch, Item
from tests.support.waiting import eventually

SUBJECTS = Subjects()
DEVICE = "gpu-0"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker(clock: Clock) -> MemoryBroker:
    return MemoryBroker(clock)


@pytest.fixture
async def bus(broker: MemoryBroker) -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(broker, SUBJECTS)
    await bus.ensure_streams()
    yield bus
    await bus.close()


async def lay(bus: MemoryBus, number: int, *bodies: object) -> None:
    """Put a batch into the device's queue, as the distributor does."""
    items = tuple(Item(index=index, body=msgspec.Raw(codec.encode(body))) for index, body in enumerate(bodies))
    batch = Batch(work_id="work", device_id=DEVICE, batch=number, items=items)
    await bus.append(SUBJECTS.work(DEVICE), codec.encode(batch), message_id=f"batch-{number}")


async def finished(bus: MemoryBus) -> list[BatchFinished]:
    """The batches that the log says are through, however long they took."""
    found: list[BatchFinished] = []
    async with aclosing(bus.read(SUBJECTS.stream(EVENTS))) as pages:
        async for page in pages:
            if not page:
                break
            events = [codec.decode_event(codec.decode_envelope(record.payload)) for record in page]
            found += [replace(event, seconds=0.0) for event in events if isinstance(event, BatchFinished)]
    return found


async def work_until(worker: Worker, count: int) -> list[object]:
    """The bodies of so many items; the worker stops behind the batch that holds the last one."""
    bodies: list[object] = []
    async for item in worker.items():
        bodies.append(item.body)
        if len(bodies) == count:
            worker.stop()
    return bodies


async def test_items_come_in_order_and_a_batch_that_is_through_is_told(bus: MemoryBus) -> None:
    await lay(bus, 0, "a", {"b": 1})
    await lay(bus, 1, "c")

    assert await work_until(Fleet(bus).worker(DEVICE), 3) == ["a", {"b": 1}, "c"]

    assert await finished(bus) == [
        BatchFinished(work_id="work", device_id=DEVICE, batch=0, item_count=2),
        BatchFinished(work_id="work", device_id=DEVICE, batch=1, item_count=1),
    ]
    assert await bus.last_sequence(SUBJECTS.stream(WORK), SUBJECTS.work(DEVICE)) == 0, "the queue is empty"


async def test_an_item_that_failed_is_told_with_its_reason(bus: MemoryBus) -> None:
    await lay(bus, 0, "good", "bad", "good")
    worker = Fleet(bus).worker(DEVICE)

    async for item in worker.items():
        if item.body == "bad":
            item.fail("it is bad")
        if item.index == 2:
            worker.stop()

    (batch,) = await finished(bus)
    assert batch.failures == (ItemFailure(index=1, reason="it is bad"),)


async def test_a_batch_cut_short_is_not_told_and_goes_to_another_at_once(bus: MemoryBus) -> None:
    await lay(bus, 0, "a", "b")
    async with aclosing(Fleet(bus).worker(DEVICE, "first").items()) as items:
        async for _ in items:
            break  # in mid-batch
    assert await finished(bus) == []

    assert await work_until(Fleet(bus).worker(DEVICE, "second"), 2) == ["a", "b"]
    assert len(await finished(bus)) == 1


async def test_an_error_in_the_loop_gives_the_batch_back(bus: MemoryBus) -> None:
    await lay(bus, 0, "a", "b")

    async def stumble() -> None:
        async with aclosing(Fleet(bus).worker(DEVICE).items()) as items:
            async for _ in items:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()
    assert await work_until(Fleet(bus).worker(DEVICE), 2) == ["a", "b"]


async def test_a_stopped_worker_that_waits_ends(bus: MemoryBus) -> None:
    worker = Fleet(bus).worker(DEVICE)
    working = asyncio.create_task(work_until(worker, 1))
    await asyncio.sleep(0)
    worker.stop()
    assert await asyncio.wait_for(working, 5) == []


async def test_a_long_batch_stays_with_its_worker(
    bus: MemoryBus, broker: MemoryBroker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = 0
    working = MemoryDelivery.working

    async def counted(delivery: MemoryDelivery) -> None:
        nonlocal beats
        await working(delivery)
        beats += 1

    async def beaten_again() -> None:
        seen = beats

        async def once_more() -> bool:
            return beats > seen

        await eventually(once_more, what="a heartbeat")

    monkeypatch.setattr(MemoryDelivery, "working", counted)
    monkeypatch.setattr(worker_module, "BEATS_IN_THAT_TIME", 30_000)
    await lay(bus, 0, "long")
    slow = Fleet(bus).worker(DEVICE, "slow")

    async for _ in slow.items():
        rival = asyncio.create_task(work_until(Fleet(bus).worker(DEVICE, "rival"), 1))
        for _ in range(5):
            await beaten_again()
            clock.now += timedelta(seconds=worker_module.SILENT_AFTER_S - 1)
            broker.clock_moved()
        assert not rival.done(), "the rival was handed nothing"
        rival.cancel()
        slow.stop()

    assert len(await finished(bus)) == 1


async def test_a_batch_that_cannot_be_read_is_kept_and_said_and_holds_up_no_other(
    bus: MemoryBus, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable = await bus.append(SUBJECTS.work(DEVICE), b'{"from": "the future"}', message_id="strange")
    await lay(bus, 0, "good")

    with caplog.at_level(logging.ERROR):
        assert await work_until(Fleet(bus).worker(DEVICE), 1) == ["good"]

    assert f"the batch at {unreadable.sequence} cannot be read" in caplog.text
    assert await bus.last_sequence(SUBJECTS.stream(WORK), SUBJECTS.work(DEVICE)) == unreadable.sequence, "it is kept"


async def test_a_server_that_goes_away_loses_nothing(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "RETRY_S", 0.001)
    append, failures = bus.append, iter([True, False, True, True, False])

    async def unreliable(*arguments: object, **options: object) -> object:
        if next(failures):
            raise UnreachableError("the server went away")
        return await append(*arguments, **options)  # pyright: ignore[reportArgumentType]

    await lay(bus, 0, "a")
    monkeypatch.setattr(bus, "append", unreliable)
    assert await work_until(Fleet(bus).worker(DEVICE), 1) == ["a"]
    assert len(await finished(bus)) == 1


async def test_items_side_by_side_are_bounded_and_an_exception_fails_its_item_alone(bus: MemoryBus) -> None:
    await lay(bus, 0, *range(10))
    worker = Fleet(bus).worker(DEVICE)
    running, most = 0, 0
    all_run = asyncio.Event()

    async def do(item: WorkItem) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 3:
            all_run.set()
        await asyncio.wait_for(all_run.wait(), 5)
        running -= 1
        if item.index == 9:
            worker.stop()
        if item.body == 4:
            raise ValueError("four is odd")

    await worker.run(do, at_once=3)
    assert most == 3
    (batch,) = await finished(bus)
    assert (batch.item_count, batch.failures) == (10, (ItemFailure(index=4, reason="ValueError: four is odd"),))
