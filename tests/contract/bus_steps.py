"""Steps that the tests of the bus share."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from fleetfold_bus.port import Log, Record, UnreachableError

T = TypeVar("T")

PATIENCE_S = 20.0


async def taken(source: AsyncGenerator[T, None], count: int, *, within_s: float = PATIENCE_S) -> list[T]:
    """The next `count` of an iterator, which stays open."""
    async with asyncio.timeout(within_s):
        return [await anext(source) for _ in range(count)]


async def records_up_to_the_end(
    log: Log, stream: str, *, after: int = 0, subject_filter: str | None = None
) -> list[Record]:
    """All that is there now."""
    records: list[Record] = []
    async with asyncio.timeout(PATIENCE_S), aclosing(log.read(stream, after=after, filter=subject_filter)) as lists:
        async for some in lists:
            if not some:
                break
            records += some
    return records


async def append_many(log: Log, subject: str, count: int, *, first: int = 0) -> None:
    """Append the numbers from `first` on, in order of their ids but many at once; again and again in an outage."""
    numbers = iter(range(first, first + count))

    async def append_some() -> None:
        for number in numbers:
            await append_surely(log, subject, str(number))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(count, 500)):
            group.create_task(append_some())


async def append_surely(log: Log, subject: str, text: str) -> None:
    """Append a text under itself as the id, until it is acknowledged."""
    while True:
        try:
            await log.append(subject, text.encode(), message_id=text)
        except UnreachableError:
            await asyncio.sleep(0.05)
        else:
            return
