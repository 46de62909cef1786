"""What every bus promises of its queues: each message is worked on by one, and comes again unless it is settled."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from fleetfold_bus.port import Bus, Delivery, Queue
from fleetfold_bus.streams import COMMANDS, WORK
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import append_many, taken
from tests.contract.conftest import Connect

SHORT_S = 0.8


@pytest.fixture
def commands(subjects: Subjects) -> Queue:
    """A queue of all commands, which gives much time to settle."""
    return Queue(stream=subjects.stream(COMMANDS), name="solver", filters=(subjects.all_commands,))


@pytest.fixture
def hasty(subjects: Subjects) -> Queue:
    """A queue that gives little time to settle."""
    return Queue(
        stream=subjects.stream(COMMANDS), name="hasty", filters=(subjects.all_commands,), settle_within_s=SHORT_S
    )


def work_of(subjects: Subjects, device: str) -> Queue:
    return Queue(stream=subjects.stream(WORK), name=f"worker-{device}", filters=(subjects.work(device),))


def texts(deliveries: list[Delivery]) -> list[str]:
    return [delivery.record.payload.decode() for delivery in deliveries]


async def settle(deliveries: list[Delivery]) -> None:
    for delivery in deliveries:
        await delivery.done()


async def test_messages_come_in_order_each_with_its_record(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 3)
    async with aclosing(bus.pull(commands)) as pulling:
        deliveries = await taken(pulling, 3)
    assert [delivery.record.sequence for delivery in deliveries] == [1, 2, 3]
    assert {delivery.record.subject for delivery in deliveries} == {subjects.command("place")}
    assert sorted(texts(deliveries)) == ["0", "1", "2"]
    assert {delivery.attempt for delivery in deliveries} == {1}


async def test_what_is_done_is_never_handed_out_again(bus: Bus, subjects: Subjects, hasty: Queue) -> None:
    await append_many(bus, subjects.command("place"), 2)
    async with aclosing(bus.pull(hasty)) as pulling:
        done, left = await taken(pulling, 2)
        await done.done()
        again = await taken(pulling, 2, within_s=10)
    assert {delivery.record.sequence for delivery in again} == {left.record.sequence}


async def test_what_is_not_settled_comes_again(bus: Bus, subjects: Subjects, hasty: Queue) -> None:
    await append_many(bus, subjects.command("place"), 1)
    async with aclosing(bus.pull(hasty)) as pulling:
        deliveries = await taken(pulling, 3, within_s=10)
        assert texts(deliveries) == ["0", "0", "0"]
        first, second, third = (delivery.attempt for delivery in deliveries)
        assert 1 == first < second < third
        await deliveries[-1].done()


async def test_again_hands_out_at_once(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 1)
    async with aclosing(bus.pull(commands)) as pulling:
        (first,) = await taken(pulling, 1)
        await first.again()
        (second,) = await taken(pulling, 1, within_s=5)
    assert (second.record.sequence, second.attempt) == (first.record.sequence, 2)


async def test_again_with_a_delay_hands_out_after_it(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 1)
    loop = asyncio.get_running_loop()
    async with aclosing(bus.pull(commands)) as pulling:
        (first,) = await taken(pulling, 1)
        postponed_at_s = loop.time()
        await first.again(SHORT_S)
        await taken(pulling, 1, within_s=5)
    assert loop.time() - postponed_at_s >= SHORT_S


async def test_working_keeps_a_message(bus: Bus, subjects: Subjects, hasty: Queue) -> None:
    await append_many(bus, subjects.command("place"), 1)
    async with aclosing(bus.pull(hasty, batch=1)) as pulling, aclosing(bus.pull(hasty, batch=1)) as waiting:
        (held,) = await taken(pulling, 1)
        somebody_else = asyncio.ensure_future(anext(waiting))
        for _ in range(8):
            await asyncio.sleep(SHORT_S / 4)
            await held.working()
        assert not somebody_else.done()
        (came_again,) = await asyncio.wait_for(asyncio.gather(somebody_else), 5)
    assert came_again.attempt == 2


async def test_pullers_of_one_queue_share_its_messages(
    connect: Connect, bus: Bus, subjects: Subjects, commands: Queue
) -> None:
    await append_many(bus, subjects.command("place"), 100)
    got: list[str] = []

    async def work(pulling: AsyncGenerator[Delivery, None]) -> None:
        async with aclosing(pulling):
            async for delivery in pulling:
                got.append(delivery.record.payload.decode())
                await delivery.done()
                if len(got) == 100:
                    finished.set()

    finished = asyncio.Event()
    workers = [asyncio.create_task(work(one.pull(commands, batch=5))) for one in (bus, await connect())]
    await asyncio.wait_for(finished.wait(), 20)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    assert sorted(got, key=int) == [str(number) for number in range(100)]


async def test_a_queue_remembers_what_is_done_while_nobody_pulls(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 4)
    async with aclosing(bus.pull(commands, batch=1)) as pulling:
        first = await taken(pulling, 2)
        await settle(first)
    async with aclosing(bus.pull(commands)) as pulling:
        rest = await taken(pulling, 2)
    assert sorted(texts(first + rest)) == ["0", "1", "2", "3"]


async def test_each_queue_gets_every_message(bus: Bus, subjects: Subjects, commands: Queue, hasty: Queue) -> None:
    await append_many(bus, subjects.command("place"), 2)
    for queue in (commands, hasty):
        async with aclosing(bus.pull(queue)) as pulling:
            deliveries = await taken(pulling, 2)
            await settle(deliveries)
        assert sorted(texts(deliveries)) == ["0", "1"]


async def test_a_queue_takes_what_one_of_its_filters_takes(bus: Bus, subjects: Subjects) -> None:
    filters = (subjects.command("place"), subjects.command("release"))
    queue = Queue(stream=subjects.stream(COMMANDS), name="some", filters=filters)
    for verb in ("place", "distribute", "release"):
        await bus.append(subjects.command(verb), verb.encode(), message_id=verb)
    async with aclosing(bus.pull(queue)) as pulling:
        assert texts(await taken(pulling, 2)) == ["place", "release"]


async def test_no_more_is_handed_out_than_may_be_unsettled(bus: Bus, subjects: Subjects) -> None:
    queue = Queue(stream=subjects.stream(COMMANDS), name="narrow", filters=(subjects.all_commands,), max_unsettled=3)
    await append_many(bus, subjects.command("place"), 5)
    async with aclosing(bus.pull(queue)) as pulling:
        held = await taken(pulling, 3)
        fourth = asyncio.ensure_future(anext(pulling))
        done, _ = await asyncio.wait({fourth}, timeout=0.3)
        assert not done
        await held[0].done()
        assert (await asyncio.wait_for(fourth, 5)).record.sequence == 4


async def test_what_was_not_handed_out_goes_back_at_once(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 20)
    async with aclosing(bus.pull(commands, batch=20)) as pulling:
        (kept,) = await taken(pulling, 1)
    async with aclosing(bus.pull(commands)) as pulling:
        others = await taken(pulling, 19, within_s=5)
    sequences = {delivery.record.sequence for delivery in others}
    assert sequences == set(range(1, 21)) - {kept.record.sequence}


async def test_work_that_is_done_is_gone(bus: Bus, subjects: Subjects) -> None:
    await bus.append(subjects.work("gpu-0"), b"batch", message_id="1")
    stream, filter_of_device = subjects.stream(WORK), subjects.work("gpu-0")
    async with aclosing(bus.pull(work_of(subjects, "gpu-0"), batch=1)) as pulling:
        (delivery,) = await taken(pulling, 1)
        assert await bus.last_sequence(stream, filter_of_device) == 1
        await delivery.done()
    assert await bus.last_sequence(stream, filter_of_device) == 0


async def test_each_device_has_a_queue_of_its_own(bus: Bus, subjects: Subjects) -> None:
    devices = ("gpu-0", "gpu-1", "gpu-2")
    for device in devices:
        await bus.append(subjects.work(device), device.encode(), message_id=device)
    for device in devices:
        async with aclosing(bus.pull(work_of(subjects, device), batch=1)) as pulling:
            (delivery,) = await taken(pulling, 1)
            await delivery.done()
        assert texts([delivery]) == [device]


async def test_work_done_is_not_taken_a_second_time_under_its_id(bus: Bus, subjects: Subjects) -> None:
    first = await bus.append(subjects.work("gpu-0"), b"", message_id="batch-1")
    async with aclosing(bus.pull(work_of(subjects, "gpu-0"), batch=1)) as pulling:
        await settle(await taken(pulling, 1))
    again = await bus.append(subjects.work("gpu-0"), b"", message_id="batch-1")
    assert (again.sequence, again.duplicate) == (first.sequence, True)


async def test_to_be_done_twice_does_no_harm(bus: Bus, subjects: Subjects, commands: Queue) -> None:
    await append_many(bus, subjects.command("place"), 1)
    async with aclosing(bus.pull(commands)) as pulling:
        (delivery,) = await taken(pulling, 1)
        await delivery.done()
        await asyncio.wait_for(delivery.done(), 5)
