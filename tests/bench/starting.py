"""How long `fleetfold up` takes from its start until the whole fleet is in the answer of `fleet.api.state`."""

import asyncio
import re
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path

from fleetfold_cli.nats_server import NatsServer
from fleetfold_client import Fleet
from tests.bench.measure import Effort, Report, Series, take_turns
from tests.bench.stacks import READY_WITHIN_S, whole_fleet_seen

SERVER = "nats-server alone"
ANNOUNCED = re.compile(r"NATS listens at (nats://\S+:\d+)")
STOP_WITHIN_S = 20.0


async def measure(folder: Path, effort: Effort) -> Report:
    """Each start is in a new folder: nothing is there to be read back."""
    contenders: dict[str, Callable[[], Awaitable[float]]] = {SERVER: lambda: _server_s(_new(folder))}
    for fleet_spec in effort.fleets:
        contenders[f"up --fleet {fleet_spec}"] = _starter(folder, fleet_spec)
    seconds = await take_turns(contenders, effort.starts)
    series = (
        Series(name=name, values=tuple(values), against=None if name == SERVER else SERVER)
        for name, values in seconds.items()
    )
    return Report(title="Start", unit="s", series=tuple(series))


def _starter(folder: Path, fleet_spec: str) -> Callable[[], Awaitable[float]]:
    return lambda: _up_s(_new(folder), fleet_spec)


async def _server_s(folder: Path) -> float:
    started_s = time.perf_counter()
    with NatsServer(folder):
        return time.perf_counter() - started_s


async def _up_s(folder: Path, fleet_spec: str) -> float:
    command = [sys.executable, "-m", "fleetfold_cli", "up", "--fleet", fleet_spec, "--data", str(folder), "--port", "0"]
    started_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            async with Fleet.connect(await _announced_url(process)) as fleet:
                await whole_fleet_seen(fleet, fleet_spec)
                return time.perf_counter() - started_s
    finally:
        await _stop(process)


async def _announced_url(process: Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if announced := ANNOUNCED.search(line.decode()):
            return announced[1]
    raise AssertionError("`fleetfold up` ended before it said where NATS listens")


async def _stop(process: Process) -> None:
    process.terminate()
    async with asyncio.timeout(STOP_WITHIN_S):
        await process.communicate()


def _new(folder: Path) -> Path:
    return folder / uuid.uuid4().hex[:8]
