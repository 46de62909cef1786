"""How many commands are decided a second when many are asked at once, beside guarded appends by the raw client."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from fleetfold_bus.nats import NatsBus
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Command, Place, Release
from fleetfold_contracts.events import Event, PlacementDecided, PlacementReleased
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Shard, Workload
from tests.bench import raw
from tests.bench.measure import Effort, Report, Series, percentile, rate_per_s, take_turns
from tests.bench.stacks import Running, running
from tests.support.cluster import GIB

SUBJECTS = Subjects()
FLEET = "openb:8"
ASKERS = 50
SOLVERS = (1, 4)
RAW = "nats-py, guarded appends one by one"
AN_EVENT = b"x" * 700
"""About as long as a decision."""


class Burst(NamedTuple):
    """What came of many commands at once."""

    per_s: float
    latencies_s: list[float]


async def measure(folder: Path, effort: Effort) -> Report:
    """Each asker places a workload and releases it, again and again: published, and then seen in the log."""
    series: list[Series] = []
    for solvers in SOLVERS:
        async with running(folder / str(solvers), FLEET, solvers=solvers) as stack:
            series += await _measured(stack, solvers, effort)
    return Report(title="Commands decided", unit="commands/s, or ms", series=tuple(series))


async def _measured(stack: Running, solvers: int, effort: Effort) -> list[Series]:
    name = f"{solvers} solver{'s' if solvers > 1 else ''}"
    beside = RAW if solvers == 1 else f"{RAW}, beside {name}"
    async with _guarded_appends(stack.stack.url) as append, _outcomes(stack) as outcomes:
        contenders: dict[str, Callable[[], Awaitable[Burst]]] = {
            beside: lambda: append(effort.decisions),
            name: lambda: outcomes.burst(effort.decisions),
        }
        bursts = await take_turns(contenders, effort.rounds)
    return [
        Series(name=beside, values=tuple(burst.per_s for burst in bursts[beside])),
        Series(name=name, values=tuple(burst.per_s for burst in bursts[name]), against=beside),
        *(
            Series(
                name=f"{name}, p{percent} in ms",
                values=tuple(1000 * percentile(burst.latencies_s, percent) for burst in bursts[name]),
            )
            for percent in (50, 99)
        ),
    ]


@asynccontextmanager
async def _guarded_appends(url: str) -> AsyncGenerator[Callable[[int], Awaitable[Burst]]]:
    client = await raw.connect(url)
    try:
        appends = await raw.guarded_appends(client, "bench.guarded", AN_EVENT)

        async def burst(count: int) -> Burst:
            return Burst(await rate_per_s(count, appends(count)), [])

        yield burst
    finally:
        await client.close()


@asynccontextmanager
async def _outcomes(stack: Running) -> AsyncGenerator["Outcomes"]:
    outcomes = Outcomes(stack)
    following = asyncio.create_task(outcomes.follow(await stack.fleet.position()))
    try:
        yield outcomes
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


class Outcomes:
    """Publishes commands from many askers, and reads the log along to see when each is decided."""

    def __init__(self, stack: Running) -> None:
        self._bus: NatsBus = stack.bus
        self._fleet = stack.fleet
        self._awaited: dict[str, asyncio.Future[Event | None]] = {}

    async def follow(self, after: int) -> None:
        """Read along, until cancelled."""
        async with aclosing(self._fleet.watch(after)) as happenings:
            async for happened in happenings:
                waiting = self._awaited.pop(happened.envelope.cause or "", None)
                if waiting is not None:
                    waiting.set_result(happened.event)

    async def burst(self, count: int) -> Burst:
        """So many commands by all askers together, half of them to place something, half to release it."""
        latencies_s: list[float] = []
        turns = iter(range(count // 2))

        async def ask() -> None:
            for _ in turns:
                workload = Workload(workload_id=f"model-{uuid.uuid4().hex[:12]}", shards=(Shard(memory_bytes=GIB),))
                latencies_s.append(await self._decided_s("place", Place(workload=workload)))
                latencies_s.append(await self._decided_s("release", Release(workload_id=workload.workload_id)))

        per_s = await rate_per_s(2 * (count // 2), asyncio.gather(*(ask() for _ in range(ASKERS))))
        return Burst(per_s, latencies_s)

    async def _decided_s(self, verb: str, command: Command) -> float:
        """How long it takes from before a command is published until its outcome has been read."""
        command_id = uuid.uuid4().hex
        decided = self._awaited[command_id] = asyncio.get_running_loop().create_future()
        started_s = time.perf_counter()
        await self._bus.append(SUBJECTS.command(verb), codec.encode(command), message_id=command_id)
        outcome = await decided
        assert isinstance(outcome, PlacementDecided | PlacementReleased), outcome
        return time.perf_counter() - started_s
