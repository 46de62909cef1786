"""How fast the log becomes a state, beside the raw client that only reads it."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

from nats.aio.client import Client

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import Record
from fleetfold_bus.streams import EVENTS
from fleetfold_cli.nats_server import NatsServer
from fleetfold_cli.stack.tether import tethered
from fleetfold_contracts import codec
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.live_state import LiveState
from tests.bench import history, raw
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns

SUBJECTS = Subjects("bench")
STREAM = SUBJECTS.stream(EVENTS)

RAW = "nats-py, overlapped"
READ = "NatsBus.read"
FOLD = "decode and fold"
READ_AND_FOLD = "LiveState"
GOAL = 0.5


async def measure(folder: Path, effort: Effort) -> Report:
    """The same events from the same stream, to the end, again and again."""
    with NatsServer(folder, launcher=tethered([])) as server:
        client = await raw.connect(server.url)
        bus = await NatsBus.connect(server.url, subjects=SUBJECTS, name="bench")
        await bus.ensure_streams()
        await history.write(bus, SUBJECTS, effort.events)
        rates = await _rates(client, bus, effort)
        await bus.close()
        await client.close()
    series = (
        Series(
            name=name,
            values=tuple(values),
            against=None if name == RAW else RAW,
            goal=GOAL if name == READ_AND_FOLD else None,
        )
        for name, values in rates.items()
    )
    return Report(title="Read and fold the log", unit="events/s", series=tuple(series))


async def _rates(client: Client, bus: NatsBus, effort: Effort) -> dict[str, list[float]]:
    count = effort.events
    records = await _read(bus, count)
    contenders = {
        RAW: lambda: rate_per_s(count, raw.read_overlapped(client, STREAM, count)),
        READ: lambda: rate_per_s(count, _read(bus, count)),
        FOLD: lambda: rate_per_s(count, _fold(records)),
        READ_AND_FOLD: lambda: rate_per_s(count, _live_state(bus, count)),
    }
    return await take_turns(contenders, effort.rounds)


async def _read(bus: NatsBus, count: int) -> list[Record]:
    read: list[Record] = []
    async with aclosing(bus.read(STREAM)) as batches:
        async for records in batches:
            read.extend(records)
            if len(read) == count:
                break
    return read


async def _fold(records: Sequence[Record]) -> None:
    state = State()
    for record in records:
        envelope = codec.decode_envelope(record.payload)
        at = At(sequence=record.sequence, time=record.time, cause=envelope.cause)
        fold(state, codec.decode_event(envelope), at)
    _check(state, len(records))


async def _live_state(bus: NatsBus, count: int) -> None:
    live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=False)
    async with live.following(asyncio.Event()):
        _check(live.state, count)


def _check(state: State, count: int) -> None:
    assert (state.position, state.parked_count) == (count, 0), "everything is folded, and nothing is parked"
