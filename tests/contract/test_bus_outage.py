"""The bus on NATS where the server dies: killed, and started again on the same port and store."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from itertools import count

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from fleetfold_bus.nats import NatsBus, _queue
from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import Answer, Endpoint, Handler, NoAnswerError, Queue, Request, Service, UnreachableError
from fleetfold_bus.streams import COMMANDS
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.codec import decode
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import append_many, append_surely, records_up_to_the_end, taken
from tests.support.waiting import eventually

SOON_S = 5.0
EVENTUALLY_S = 20.0
"""Where a deletion may hit the moment before the first request, only the silence that follows tells of it."""

OnMessage = Callable[[Msg], Awaitable[None]]


@pytest.fixture
async def bus(nats_server: NatsServer, subjects: Subjects) -> AsyncIterator[NatsBus]:
    bus = await NatsBus.connect(nats_server.url, subjects=subjects, name="outage", wait_s=5)
    await bus.ensure_streams()
    yield bus
    await bus.close()


@pytest.fixture
def place(subjects: Subjects) -> str:
    return subjects.command("place")


@pytest.fixture
def stream(subjects: Subjects) -> str:
    return subjects.stream(COMMANDS)


@pytest.fixture
def queue(subjects: Subjects, stream: str) -> Queue:
    return Queue(stream=stream, name="solver", filters=(subjects.all_commands,), settle_within_s=1.0)


def restart(server: NatsServer) -> None:
    server.kill()
    server.start()


async def lost(bus: NatsBus) -> None:
    async def is_lost() -> bool:
        return not bus.connected

    await eventually(is_lost, within_s=SOON_S, what="the loss of the connection")


@pytest.mark.parametrize("end", [NatsServer.kill, NatsServer.stop])
async def test_a_reader_goes_on_without_a_gap_and_without_a_double(
    bus: NatsBus, nats_server: NatsServer, stream: str, place: str, end: Callable[[NatsServer], None]
) -> None:
    await append_many(bus, place, 10_000)
    sequences: list[int] = []
    async with asyncio.timeout(60), aclosing(bus.read(stream)) as lists:
        async for records in lists:
            sequences += [record.sequence for record in records]
            if not records:
                await append_many(bus, place, 1000, first=10_000)
            elif sequences[-1] == 11_000:
                break
            elif len(sequences) < 5000:
                await asyncio.to_thread(end, nats_server)
                nats_server.start()
    assert sequences == list(range(1, 11_001))


async def test_a_reader_at_the_end_hears_of_new_records_seconds_after_a_restart(
    bus: NatsBus, nats_server: NatsServer, stream: str, place: str
) -> None:
    await append_many(bus, place, 3)
    async with aclosing(bus.read(stream)) as lists:
        assert [len(records) for records in await taken(lists, 2)] == [3, 0]
        restart(nats_server)
        ready_at_s = time.monotonic()
        await append_surely(bus, place, "new")
        ((new,),) = await taken(lists, 1, within_s=SOON_S)
    assert new.payload == b"new"
    assert time.monotonic() - ready_at_s < SOON_S


async def test_appends_that_are_retried_by_their_id_lie_there_once(
    bus: NatsBus, nats_server: NatsServer, stream: str, place: str
) -> None:
    appending = asyncio.create_task(append_many(bus, place, 6000))
    for part in (1000, 3000):
        await eventually(lambda part=part: has_at_least(bus, stream, part), what="appends under way")
        restart(nats_server)
    await asyncio.wait_for(appending, 60)
    records = await records_up_to_the_end(bus, stream)
    assert sorted(int(record.payload) for record in records) == list(range(6000))


async def has_at_least(bus: NatsBus, stream: str, count: int) -> bool:
    try:
        return await bus.last_sequence(stream) >= count
    except UnreachableError:
        return False


async def test_without_a_server_an_append_fails_at_once_and_is_not_sent_later(
    bus: NatsBus, nats_server: NatsServer, stream: str, place: str
) -> None:
    nats_server.kill()
    await lost(bus)
    for attempt in (bus.append(place, b"", message_id="lost"), bus.publish(place, b""), bus.ask(place, b"")):
        with pytest.raises(UnreachableError):
            async with asyncio.timeout(0.5):
                await attempt
    nats_server.start()
    await append_surely(bus, place, "kept")
    assert [record.payload for record in await records_up_to_the_end(bus, stream)] == [b"kept"]


async def test_a_question_fails_when_the_server_goes_before_the_answer(
    bus: NatsBus, nats_server: NatsServer, subjects: Subjects
) -> None:
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def answer_too_late(_: Request) -> Answer:
        asked.set()
        await may_end.wait()
        return Answer(b"")

    async with bus.serve(one_endpoint(subjects, answer_too_late)):
        asking = asyncio.create_task(bus.ask(subjects.api("echo"), b"", timeout_s=60))
        await asked.wait()
        nats_server.kill()
        with pytest.raises(UnreachableError):
            await asyncio.wait_for(asking, SOON_S)
        may_end.set()


def one_endpoint(subjects: Subjects, handler: Handler) -> Service:
    endpoint = Endpoint(name="echo", subject=subjects.api("echo"), handler=handler)
    return Service(name="outage", version="1.0.0", description="For tests", endpoints=(endpoint,))


async def test_a_service_answers_again_after_a_restart(
    bus: NatsBus, nats_server: NatsServer, subjects: Subjects
) -> None:
    async def echo(request: Request) -> Answer:
        return Answer(request.payload)

    async def answers() -> bool:
        try:
            return await bus.ask(subjects.api("echo"), b"question") == b"question"
        except (NoAnswerError, UnreachableError):
            return False

    async with bus.serve(one_endpoint(subjects, echo)):
        assert await answers()
        restart(nats_server)
        await eventually(answers, within_s=SOON_S, what="an answer")


@pytest.mark.parametrize("end", [NatsServer.kill, NatsServer.stop])
async def test_every_message_of_a_queue_is_worked_on_although_the_server_goes(
    bus: NatsBus, nats_server: NatsServer, place: str, queue: Queue, end: Callable[[NatsServer], None]
) -> None:
    await append_many(bus, place, 600)
    worked: list[str] = []
    async with asyncio.timeout(60), aclosing(bus.pull(queue, batch=50)) as pulling:
        async for delivery in pulling:
            worked.append(delivery.record.payload.decode())
            if len(worked) in {100, 300}:
                await asyncio.to_thread(end, nats_server)
                nats_server.start()
            with suppress(UnreachableError):  # A server that has forgotten the message hands it out again.
                await delivery.done()
            if len(set(worked)) == 600:
                break
    await nothing_is_left(bus, queue)


async def nothing_is_left(bus: NatsBus, queue: Queue) -> None:
    """Nothing comes within more than the time after which an unsettled message comes again."""
    async with aclosing(bus.pull(queue)) as pulling:
        following = asyncio.ensure_future(anext(pulling))
        came, _ = await asyncio.wait({following}, timeout=1.5 * queue.settle_within_s)
        assert not came
        following.cancel()
        await asyncio.wait({following})


async def test_done_survives_an_outage(bus: NatsBus, nats_server: NatsServer, place: str, queue: Queue) -> None:
    await append_many(bus, place, 1)
    async with aclosing(bus.pull(queue)) as pulling:
        (delivery,) = await taken(pulling, 1)
    nats_server.kill()
    await lost(bus)
    saying_so = asyncio.create_task(delivery.done())
    await asyncio.sleep(0.1)
    assert not saying_so.done()
    nats_server.start()
    await asyncio.wait_for(saying_so, 2 * SOON_S)
    await nothing_is_left(bus, queue)


async def test_done_says_when_it_cannot_be_confirmed(
    bus: NatsBus, nats_server: NatsServer, place: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_queue, "CONFIRM_WITHIN_S", 0.5)
    await append_many(bus, place, 1)
    async with aclosing(bus.pull(queue)) as pulling:
        (delivery,) = await taken(pulling, 1)
        nats_server.kill()
        await lost(bus)
        with pytest.raises(UnreachableError):
            await delivery.done()
        with pytest.raises(UnreachableError):
            await delivery.working()
        await delivery.again()
    nats_server.start()


async def test_a_puller_whose_consumer_is_deleted_makes_it_anew(
    bus: NatsBus, stream: str, place: str, queue: Queue
) -> None:
    async with aclosing(bus.pull(queue)) as pulling:
        following = asyncio.ensure_future(anext(pulling))
        await eventually(lambda: consumers_are_deleted(bus, stream), what="the consumer's deletion")
        await append_surely(bus, place, "new")
        assert (await asyncio.wait_for(following, EVENTUALLY_S)).record.payload == b"new"


async def test_a_reader_whose_consumer_is_deleted_makes_it_anew(bus: NatsBus, stream: str, place: str) -> None:
    await append_surely(bus, place, "old")
    async with aclosing(bus.read(stream)) as lists:
        await taken(lists, 2)
        following = asyncio.ensure_future(anext(lists))
        await eventually(lambda: consumers_are_deleted(bus, stream), what="the consumer's deletion")
        await append_surely(bus, place, "new")
        assert [record.payload for record in await asyncio.wait_for(following, EVENTUALLY_S)] == [b"new"]


class ConsumerNames(msgspec.Struct):
    consumers: list[str] | None = None


async def consumers_are_deleted(bus: NatsBus, stream: str) -> bool:
    """Whether there were any to delete."""
    names = decode(await bus.ask(f"$JS.API.CONSUMER.NAMES.{stream}", b""), ConsumerNames).consumers or []
    for name in names:
        await bus.ask(f"$JS.API.CONSUMER.DELETE.{stream}.{name}", b"")
    return bool(names)


def lose(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose one message of a stream on its way to those who listen from now on."""
    subscribe = Link.subscribe
    numbers = count(1)

    async def lossy_subscribe(link: Link, subject: str, on_message: OnMessage, *, bounded: bool = True) -> Subscription:
        async def on_most_messages(message: Msg) -> None:
            if not message.reply or next(numbers) != number:
                await on_message(message)

        return await subscribe(link, subject, on_most_messages, bounded=bounded)

    monkeypatch.setattr(Link, "subscribe", lossy_subscribe)


@pytest.mark.parametrize("lost_number", [1, 500, 1000], ids=["first", "middle", "last"])
async def test_a_message_that_is_lost_on_its_way_is_read_again(
    bus: NatsBus, stream: str, place: str, lost_number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append_many(bus, place, 1000)
    lose(lost_number, monkeypatch)
    records = await records_up_to_the_end(bus, stream)
    assert [record.sequence for record in records] == list(range(1, 1001))


async def test_waiting_for_a_server_ends_when_it_comes_up(nats_server: NatsServer, subjects: Subjects) -> None:
    nats_server.kill()
    connecting = asyncio.create_task(NatsBus.connect(nats_server.url, subjects=subjects, name="early"))
    await asyncio.sleep(0.5)
    assert not connecting.done()
    nats_server.start()
    bus = await asyncio.wait_for(connecting, SOON_S)
    await bus.ensure_streams()
    await bus.close()


async def test_a_server_that_hangs_up_is_tried_again_and_leaves_no_socket_open(
    bus: NatsBus, nats_server: NatsServer, place: str
) -> None:
    hung_up = asyncio.Semaphore(0)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        hung_up.release()

    nats_server.kill()
    async with await asyncio.start_server(hang_up, nats_server.host, nats_server.port), asyncio.timeout(SOON_S):
        for _ in range(3):
            await hung_up.acquire()
    nats_server.start()
    await append_surely(bus, place, "new")
    gc.collect()  # What is collected open is a warning, and that is an error.


async def test_a_bus_can_be_closed_while_there_is_no_server(bus: NatsBus, nats_server: NatsServer, stream: str) -> None:
    async with aclosing(bus.read(stream)) as lists:
        await taken(lists, 1)
        nats_server.kill()
        await lost(bus)
        await asyncio.wait_for(bus.close(), SOON_S)
        with pytest.raises(UnreachableError):
            await asyncio.wait_for(anext(lists), SOON_S)
