"""The bus in memory under a clock that is moved by hand: what a simulator builds on."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from fleetfold_bus.memory import MemoryBroker, MemoryBus, matches
from fleetfold_bus.port import Queue, StreamMismatchError
from fleetfold_bus.streams import COMMANDS, Stream
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import records_up_to_the_end, taken

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUBJECTS = Subjects("memory")
PLACE = SUBJECTS.command("place")
STREAM = SUBJECTS.stream(COMMANDS)


class HandMovedClock:
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> HandMovedClock:
    return HandMovedClock()


@pytest.fixture
def broker(clock: HandMovedClock) -> MemoryBroker:
    return MemoryBroker(clock)


@pytest.fixture
async def bus(broker: MemoryBroker) -> MemoryBus:
    bus = MemoryBus(broker, SUBJECTS)
    await bus.ensure_streams()
    return bus


async def test_records_bear_the_time_of_the_clock(bus: MemoryBus, clock: HandMovedClock) -> None:
    for number in range(3):
        await bus.append(PLACE, b"", message_id=str(number))
        clock.now += timedelta(seconds=10)
    times = [record.time for record in await records_up_to_the_end(bus, STREAM)]
    assert times == [NOON + timedelta(seconds=seconds) for seconds in (0, 10, 20)]


async def test_a_message_comes_again_when_its_time_has_passed_and_not_before(
    bus: MemoryBus, broker: MemoryBroker, clock: HandMovedClock
) -> None:
    queue = Queue(STREAM, "solver", (SUBJECTS.all_commands,), settle_within_s=30)
    await bus.append(PLACE, b"", message_id="1")
    async with aclosing(bus.pull(queue)) as pulling:
        await taken(pulling, 1)
        following = asyncio.ensure_future(anext(pulling))
        for seconds, comes in ((29, False), (1, True)):
            clock.now += timedelta(seconds=seconds)
            broker.clock_moved()
            await asyncio.wait({following}, timeout=0.05)
            assert following.done() is comes
        assert following.result().attempt == 2


async def test_an_id_is_forgotten_after_its_window(bus: MemoryBus, clock: HandMovedClock) -> None:
    await bus.append(PLACE, b"", message_id="same")
    clock.now += timedelta(seconds=119)
    assert (await bus.append(PLACE, b"", message_id="same")).duplicate
    clock.now += timedelta(seconds=1)
    assert not (await bus.append(PLACE, b"", message_id="same")).duplicate


async def test_a_stream_that_is_there_with_other_settings_is_refused(broker: MemoryBroker) -> None:
    broker.declare(Stream(STREAM, (PLACE,)))
    with pytest.raises(StreamMismatchError, match=STREAM):
        await MemoryBus(broker, SUBJECTS).ensure_streams()


@pytest.mark.parametrize(
    ("subject_filter", "subject", "taken"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.b.c", False),
        ("a.b", "a", False),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("*.b", "a.b", True),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*.>", "a.b", False),
        ("a.*.>", "a.b.c", True),
        (">", "a", True),
    ],
)
def test_filters_take_what_a_server_takes(subject_filter: str, subject: str, taken: bool) -> None:
    assert matches(subject_filter, subject) is taken
