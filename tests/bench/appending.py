"""How fast messages are appended, by us and by the raw client."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from nats.aio.client import Client

from fleetfold_bus.nats import NatsBus
from fleetfold_cli.nats_server import NatsServer
from fleetfold_cli.stack.tether import tethered
from fleetfold_contracts.subjects import Subjects
from tests.bench import raw
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns

PAYLOAD = b"x" * 256
WRITERS = 2000

RAW_ONE_BY_ONE = "nats-py, one by one"
RAW_ASYNC = "nats-py, publish_async"
ONE_BY_ONE = "NatsBus, one by one"
PIPELINED = f"NatsBus, {WRITERS} at once"
AGAINST = {ONE_BY_ONE: RAW_ONE_BY_ONE, RAW_ASYNC: RAW_ONE_BY_ONE, PIPELINED: RAW_ASYNC}


async def measure(folder: Path, effort: Effort) -> Report:
    """Messages of 256 bytes, each with an id, into a stream on file."""
    subjects = Subjects("bench")
    with NatsServer(folder, launcher=tethered([])) as server:
        client = await raw.connect(server.url)
        bus = await NatsBus.connect(server.url, subjects=subjects, name="bench")
        await bus.ensure_streams()
        contenders = _contenders(client, bus, subjects.command("append"), effort.appends)
        rates = await take_turns(contenders, effort.rounds)
        await bus.close()
        await client.close()
    series = (Series(name=name, values=tuple(values), against=AGAINST.get(name)) for name, values in rates.items())
    return Report(title="Append, 256 bytes a message", unit="messages/s", series=tuple(series))


def _contenders(client: Client, bus: NatsBus, subject: str, count: int) -> dict[str, Callable[[], Awaitable[float]]]:
    def rate(append: Callable[[Iterator[str]], Awaitable[None]]) -> Callable[[], Awaitable[float]]:
        return lambda: rate_per_s(count, append(_new_ids(count)))

    return {
        RAW_ONE_BY_ONE: rate(lambda ids: raw.append_one_by_one(client, subject, PAYLOAD, ids)),
        ONE_BY_ONE: rate(lambda ids: append_all(bus, subject, ids, writers=1)),
        RAW_ASYNC: rate(lambda ids: raw.append_async(client, subject, PAYLOAD, ids)),
        PIPELINED: rate(lambda ids: append_all(bus, subject, ids, writers=WRITERS)),
    }


async def append_all(bus: NatsBus, subject: str, message_ids: Iterator[str], *, writers: int) -> None:
    """Append a message for each id. The writers share the ids; each waits for its acknowledgement before the next."""

    async def write() -> None:
        for message_id in message_ids:
            await bus.append(subject, PAYLOAD, message_id=message_id)

    await asyncio.gather(*(write() for _ in range(writers)))


def _new_ids(count: int) -> Iterator[str]:
    prefix = uuid.uuid4().hex[:8]
    return (f"{prefix}-{index}" for index in range(count))
