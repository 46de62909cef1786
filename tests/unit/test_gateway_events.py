"""The event stream: each listener hears every event once, in order, from where it says."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import pytest

from fleetfold_contracts.events import DeviceFaulted
from fleetfold_gateway.feed.listener import Listener
from fleetfold_gateway.feed.recent import KEPT, Recent
from tests.support.gateways import Served, served

Frame = dict[str, str]
HEARD_WITHIN_S = 10.0


@asynccontextmanager
async def frames(fleet: Served, query: str = "", **headers: str) -> AsyncGenerator[AsyncGenerator[Frame, None]]:
    """The frames of a stream as they come, without comments."""
    async with (
        fleet.client(**headers) as client,
        client.stream("GET", f"/api/v1/events{query}") as answer,
        asyncio.timeout(HEARD_WITHIN_S),
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        parsed = _parsed(answer)
        yield parsed
        await parsed.aclose()


async def _parsed(answer: httpx.Response) -> AsyncGenerator[Frame, None]:
    frame: Frame = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            frame[name] = frame.get(name, "") + value
        elif frame:
            yield frame
            frame = {}


async def log_ids(stream: AsyncGenerator[Frame, None], count: int) -> list[int]:
    """The ids of so many events of the log."""
    ids: list[int] = []
    while len(ids) < count:
        frame = await anext(stream)
        if "id" in frame:
            ids.append(int(frame["id"]))
    return ids


async def fault(fleet: Served, index: int) -> int:
    event = DeviceFaulted(node_id="node-1", device_id="gpu-1", code=str(index))
    return await fleet.append(event, f"fault-{index}")


async def test_what_happens_is_heard_by_all_and_a_reader_that_comes_back_misses_nothing() -> None:
    async with served() as fleet:
        await fleet.add_device("gpu-1")
        async with frames(fleet) as one, frames(fleet, "?recent=1") as other:
            assert (await anext(one))["event"] == "begins"
            assert (await anext(one))["event"] == "connection"
            heard = await fault(fleet, 1)
            assert await log_ids(one, 1) == [heard]
            assert await log_ids(other, 2) == [heard - 1, heard]
        missed = [await fault(fleet, index) for index in range(2, 5)]
        async with frames(fleet, last_event_id=str(heard)) as again:
            assert await log_ids(again, 3) == missed


async def test_what_is_no_longer_at_hand_is_read_from_the_log() -> None:
    async with served() as fleet:
        last = 0
        for index in range(KEPT + 300):
            last = await fault(fleet, index)
        async with frames(fleet, "?after=0") as stream:
            reading = asyncio.create_task(log_ids(stream, last + 5))
            for index in range(5):
                await fault(fleet, 10_000 + index)
            assert await reading == list(range(1, last + 6))


async def test_readings_come_to_who_wants_them() -> None:
    async with served() as fleet:
        await fleet.add_device("gpu-1")
        async with frames(fleet, "?readings=true") as wanted, frames(fleet) as unwanted:
            telling = asyncio.create_task(_keep_telling(fleet))
            try:
                while (frame := await anext(wanted))["event"] != "readings":
                    pass
                (sample,) = json.loads(frame["data"])["samples"]
                assert sample["device_id"] == "gpu-1"
                await fault(fleet, 1)
                assert await log_ids(unwanted, 1)
            finally:
                telling.cancel()


async def _keep_telling(fleet: Served) -> None:
    for tick in range(1000):
        await fleet.sample("gpu-1", tick=tick)
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("last_id", ["x", "-1", "1.5", "9" * 30])
async def test_an_id_that_was_never_given_is_refused(last_id: str) -> None:
    async with served() as fleet, fleet.client(last_event_id=last_id) as client:
        assert (await client.get("/api/v1/events")).status_code == 400


async def test_who_lets_too_much_wait_is_sent_away_and_told_why() -> None:
    listener = Listener(with_samples=False, limit_bytes=100)
    for _ in range(11):
        listener.offer(b"x" * 10)
    assert listener.ended is not None
    assert await listener.take(within_s=1) == b""


async def test_a_listener_takes_all_that_waits_at_once_and_in_order() -> None:
    listener = Listener(with_samples=False)
    for letter in (b"a", b"b", b"c"):
        listener.offer(letter)
    assert await listener.take(within_s=1) == b"abc"
    assert await listener.take(within_s=0.01) == b""


def test_what_is_at_hand_has_no_gap() -> None:
    recent = Recent(kept=3)
    recent.begin_at(4)
    assert recent.reaches_back_to(4)
    assert not recent.reaches_back_to(3)
    for sequence in range(5, 10):
        recent.add(sequence, b"%d" % sequence)
    assert [recent.reaches_back_to(after) for after in (5, 6, 9)] == [False, True, True]
    assert b"".join(recent.behind(7)) == b"89"
    assert recent.position_before_newest(2) == 7
    assert recent.position_before_newest(99) == 6
