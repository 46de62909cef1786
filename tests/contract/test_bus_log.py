"""What every bus promises of its log: appending, guarding, reading."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from fleetfold_bus.port import Bus, BusError, ConflictError, Guard, Record, TooLargeError, UnreachableError
from fleetfold_bus.streams import COMMANDS, EVENTS
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import append_many, records_up_to_the_end, taken
from tests.contract.conftest import Connect

MANY = 20_000


@pytest.fixture
def stream(subjects: Subjects) -> str:
    return subjects.stream(EVENTS)


@pytest.fixture
def pool(subjects: Subjects) -> str:
    """The filter of a pool's events."""
    return subjects.pool_events("default")


def of_pool(subjects: Subjects, words: str = "placement.decided", pool: str = "default") -> str:
    return f"{subjects.root}.evt.pool.{pool}.{words}"


async def test_what_is_appended_is_read_back_in_order(bus: Bus, subjects: Subjects, stream: str) -> None:
    before = datetime.now(UTC)
    for number in range(3):
        appended = await bus.append(
            of_pool(subjects), b"%d" % number, message_id=f"m{number}", headers={"Traceparent": f"trace {number}"}
        )
        assert (appended.sequence, appended.duplicate) == (number + 1, False)

    records = await records_up_to_the_end(bus, stream)

    assert [(record.sequence, record.payload) for record in records] == [(1, b"0"), (2, b"1"), (3, b"2")]
    assert {record.subject for record in records} == {of_pool(subjects)}
    assert [record.headers["Traceparent"] for record in records] == ["trace 0", "trace 1", "trace 2"]
    assert [record.headers["Nats-Msg-Id"] for record in records] == ["m0", "m1", "m2"]
    times = [record.time for record in records]
    slack = timedelta(seconds=5)
    assert before - slack < times[0] <= times[1] <= times[2] < datetime.now(UTC) + slack


async def test_an_id_is_taken_once(bus: Bus, subjects: Subjects, stream: str) -> None:
    first = await bus.append(of_pool(subjects), b"first", message_id="same")
    await bus.append(of_pool(subjects), b"between", message_id="other")
    again = await bus.append(of_pool(subjects), b"again", message_id="same")

    assert (again.sequence, again.duplicate) == (first.sequence, True)
    assert [record.payload for record in await records_up_to_the_end(bus, stream)] == [b"first", b"between"]


async def test_a_guard_holds_until_its_subjects_move_on(bus: Bus, subjects: Subjects, pool: str) -> None:
    first = await bus.append(of_pool(subjects), b"", message_id="1", guard=Guard(pool, 0))
    await bus.append(of_pool(subjects, pool="other"), b"", message_id="2")
    third = await bus.append(
        of_pool(subjects, "device.cordoned"), b"", message_id="3", guard=Guard(pool, first.sequence)
    )

    with pytest.raises(ConflictError):
        await bus.append(of_pool(subjects), b"", message_id="4", guard=Guard(pool, first.sequence))
    with pytest.raises(ConflictError):
        await bus.append(of_pool(subjects), b"", message_id="5", guard=Guard(pool, 0))
    assert await bus.last_sequence(subjects.stream(EVENTS), pool) == third.sequence


async def test_of_racing_appenders_one_wins_each_sequence(
    connect: Connect, bus: Bus, subjects: Subjects, stream: str, pool: str
) -> None:
    racers = [bus, await connect(), await connect()]

    async def wins(racer: int, turn: int, expected: int) -> bool:
        guard = Guard(pool, expected)
        try:
            await racers[racer % 3].append(of_pool(subjects), b"", message_id=f"{turn}-{racer}", guard=guard)
        except ConflictError:
            return False
        return True

    for turn in range(25):
        expected = await bus.last_sequence(stream, pool)
        assert sum(await asyncio.gather(*(wins(racer, turn, expected) for racer in range(9)))) == 1
    assert await bus.last_sequence(stream) == 25


async def test_a_guarded_retry_never_lies_there_twice(bus: Bus, subjects: Subjects, stream: str, pool: str) -> None:
    guard = Guard(pool, 0)
    first = await bus.append(of_pool(subjects), b"", message_id="same", guard=guard)
    try:
        retried = await bus.append(of_pool(subjects), b"", message_id="same", guard=guard)
    except ConflictError:
        pass  # One server says so; three say that it is a duplicate.
    else:
        assert (retried.sequence, retried.duplicate) == (first.sequence, True)
    assert len(await records_up_to_the_end(bus, stream)) == 1


async def test_reading_starts_behind_a_position(bus: Bus, subjects: Subjects, stream: str) -> None:
    await append_many(bus, of_pool(subjects), 10)
    assert [record.sequence for record in await records_up_to_the_end(bus, stream, after=7)] == [8, 9, 10]


async def test_a_filter_leaves_the_rest_out(bus: Bus, subjects: Subjects, stream: str, pool: str) -> None:
    for number in range(6):
        subject = of_pool(subjects, pool="default" if number % 2 else "other")
        await bus.append(subject, b"", message_id=str(number))
    records = await records_up_to_the_end(bus, stream, subject_filter=pool)
    assert [record.sequence for record in records] == [2, 4, 6]


async def test_an_empty_list_says_once_that_the_end_is_reached(bus: Bus, subjects: Subjects, stream: str) -> None:
    await bus.append(of_pool(subjects), b"1", message_id="1")
    async with aclosing(bus.read(stream)) as lists:
        there, end = await taken(lists, 2)
        await bus.append(of_pool(subjects), b"2", message_id="2")
        (then,) = await taken(lists, 1)
    assert [[record.payload for record in records] for records in (there, end, then)] == [[b"1"], [], [b"2"]]


async def test_of_an_empty_stream_the_end_is_reached_at_once(bus: Bus, stream: str) -> None:
    async with aclosing(bus.read(stream)) as lists:
        assert await taken(lists, 1, within_s=2) == [[]]


async def test_where_a_filter_takes_nothing_the_end_is_reached_at_once(
    bus: Bus, subjects: Subjects, stream: str
) -> None:
    await append_many(bus, of_pool(subjects), 3)
    async with aclosing(bus.read(stream, filter=subjects.pool_events("nobody"))) as lists:
        assert await taken(lists, 1, within_s=2) == [[]]


async def test_a_reader_follows_what_others_append_without_a_gap(
    connect: Connect, bus: Bus, subjects: Subjects, stream: str
) -> None:
    writer = await connect()
    writing = asyncio.create_task(append_many(writer, of_pool(subjects), MANY))
    async with asyncio.timeout(90), aclosing(bus.read(stream)) as lists:
        records = await first_records(lists, MANY)
    await writing

    assert [record.sequence for record in records] == list(range(1, MANY + 1))
    assert {int(record.payload) for record in records} == set(range(MANY))


async def first_records(lists: AsyncGenerator[list[Record], None], count: int) -> list[Record]:
    records: list[Record] = []
    async for some in lists:
        records += some
        if len(records) >= count:
            break
    return records


async def test_the_last_sequence_is_that_of_the_newest_message(bus: Bus, subjects: Subjects, stream: str) -> None:
    other = subjects.pool_events("other")
    assert (await bus.last_sequence(stream), await bus.last_sequence(stream, other)) == (0, 0)
    await bus.append(of_pool(subjects, pool="other"), b"", message_id="1")
    await bus.append(of_pool(subjects), b"", message_id="2")
    assert (await bus.last_sequence(stream), await bus.last_sequence(stream, other)) == (2, 1)


async def test_what_is_published_lies_in_its_stream_too(bus: Bus, subjects: Subjects) -> None:
    await bus.publish(subjects.samples("n1"), b"sample")
    async with aclosing(bus.read(subjects.stream("TLM"))) as lists:
        async for records in lists:
            if records:
                assert [record.payload for record in records] == [b"sample"]
                break


async def test_a_message_that_is_too_large_is_refused_and_the_next_one_is_taken(bus: Bus, subjects: Subjects) -> None:
    with pytest.raises(TooLargeError):
        await bus.append(of_pool(subjects), bytes(2 * 1024 * 1024), message_id="large")
    with pytest.raises(TooLargeError):
        await bus.publish(of_pool(subjects), bytes(2 * 1024 * 1024))
    assert (await bus.append(of_pool(subjects), b"", message_id="small")).sequence == 1


async def test_a_subject_that_no_stream_takes_cannot_be_appended_to(bus: Bus) -> None:
    with pytest.raises(UnreachableError, match=r"no stream takes nowhere\.at\.all"):
        await bus.append("nowhere.at.all", b"", message_id="1")


async def test_a_stream_that_is_not_there_cannot_be_read(bus: Bus) -> None:
    with pytest.raises(BusError, match="no stream NOWHERE"):
        await anext(bus.read("NOWHERE"))


async def test_many_services_may_make_the_streams_at_once(connect: Connect, subjects: Subjects) -> None:
    buses = [await connect() for _ in range(5)]
    await asyncio.gather(*(bus.ensure_streams() for bus in buses))
    await asyncio.gather(*(bus.ensure_streams() for bus in buses))
    assert (await buses[0].append(subjects.command("place"), b"", message_id="1")).sequence == 1
    assert await buses[4].last_sequence(subjects.stream(COMMANDS)) == 1


async def test_a_closed_bus_says_so(bus: Bus, subjects: Subjects, stream: str) -> None:
    async with aclosing(bus.read(stream)) as lists:
        assert await anext(lists) == []
        reading = asyncio.ensure_future(anext(lists))
        await asyncio.sleep(0)
        await bus.close()
        with pytest.raises(UnreachableError):
            async with asyncio.timeout(5):
                await reading
    assert not bus.connected
    with pytest.raises(UnreachableError):
        await bus.append(of_pool(subjects), b"", message_id="1")
