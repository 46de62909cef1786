"""How long a command takes until it is decided, beside a bare question and answer through the same server."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from nats.aio.client import Client

from fleetfold_client import Fleet
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Place
from fleetfold_contracts.events import PlacementDecided
from fleetfold_contracts.subjects import Subjects
from tests.bench import echo, raw
from tests.bench.measure import Effort, Report, Series, percentile, repeated_s, take_turns
from tests.bench.stacks import Running, a_workload, running

SUBJECTS = Subjects()
PERCENTS = (50, 99)

BARE = "echo"
ASKED = "api.place"
PUBLISHED = "cmd.place"


async def measure(folder: Path, effort: Effort) -> Report:
    """One after another, on a small fleet and on a larger one. Each placement is released before the next."""
    series: list[Series] = []
    for fleet_spec in effort.fleets:
        async with running(folder / fleet_spec.replace(":", "-"), fleet_spec) as stack:
            series += _series(fleet_spec, await _latencies_s(stack, effort))
    return Report(title="Command to decision", unit="ms", series=tuple(series))


async def _latencies_s(stack: Running, effort: Effort) -> dict[str, list[list[float]]]:
    client = await raw.connect(stack.stack.url)
    decisions = Decisions(stack)
    following = asyncio.create_task(decisions.follow(await stack.fleet.position()))
    try:
        return await take_turns(_contenders(client, stack.fleet, decisions, effort.questions), effort.rounds)
    finally:
        following.cancel()
        await client.close()


def _contenders(
    client: Client, fleet: Fleet, decisions: "Decisions", count: int
) -> dict[str, Callable[[], Awaitable[list[float]]]]:
    return {
        BARE: lambda: repeated_s(count, lambda: _echo_s(client)),
        ASKED: lambda: repeated_s(count, lambda: _ask_s(fleet)),
        PUBLISHED: lambda: repeated_s(count, decisions.publish_s),
    }


async def _echo_s(client: Client) -> float:
    question = codec.encode(Place(workload=a_workload()))
    started_s = time.perf_counter()
    await client.request(echo.SUBJECT, question)
    return time.perf_counter() - started_s


async def _ask_s(fleet: Fleet) -> float:
    workload = a_workload()
    started_s = time.perf_counter()
    outcome = await fleet.place(workload)
    took_s = time.perf_counter() - started_s
    assert isinstance(outcome, PlacementDecided), outcome
    await fleet.release(workload.workload_id)
    return took_s


class Decisions:
    """Publishes commands, and reads the log along to see when each is decided."""

    def __init__(self, stack: Running) -> None:
        self._bus = stack.bus
        self._fleet = stack.fleet
        self._awaited: dict[str, asyncio.Event] = {}

    async def follow(self, after: int) -> None:
        """Read along, until cancelled."""
        async with aclosing(self._fleet.watch(after)) as happenings:
            async for happened in happenings:
                cause = happened.envelope.cause
                if cause in self._awaited and isinstance(happened.event, PlacementDecided):
                    self._awaited[cause].set()

    async def publish_s(self) -> float:
        """How long it takes from before a command is published until its decision has been read."""
        workload = a_workload()
        command_id = uuid.uuid4().hex
        decided = self._awaited[command_id] = asyncio.Event()
        started_s = time.perf_counter()
        await self._bus.append(SUBJECTS.command("place"), codec.encode(Place(workload=workload)), message_id=command_id)
        await decided.wait()
        took_s = time.perf_counter() - started_s
        await self._fleet.release(workload.workload_id)
        return took_s


def _series(fleet_spec: str, latencies_s: dict[str, list[list[float]]]) -> list[Series]:
    return [
        Series(
            name=_row(fleet_spec, name, percent),
            values=tuple(1000 * percentile(round_s, percent) for round_s in rounds_s),
            against=None if name == BARE else _row(fleet_spec, BARE, percent),
        )
        for name, rounds_s in latencies_s.items()
        for percent in PERCENTS
    ]


def _row(fleet_spec: str, name: str, percent: int) -> str:
    return f"{fleet_spec} {name} p{percent}"
