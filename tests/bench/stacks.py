"""The stack as `fleetfold up` runs it, to measure on."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fleetfold_bus.nats import NatsBus
from fleetfold_cli.stack.service_process import ServiceSpec
from fleetfold_cli.stack.stack import DISTRIBUTOR, PLACEMENT_SOLVER, STATE_PROJECTOR, Stack, telemetry_agent
from fleetfold_cli.stack.upkeep import unless_one_ends
from fleetfold_client import Fleet, NoAnswerError
from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects
from fleetfold_contracts.workloads import Shard, Workload
from fleetfold_devices.simulation.fleet_file import load_fleet
from tests.support.cluster import GIB

ECHO = ServiceSpec("echo", "tests.bench.echo", answers=False)
"""A process that runs the raw client alone."""

READY_WITHIN_S = 60.0
ASK_EVERY_S = 0.02


class Running(NamedTuple):
    """A stack that sees its whole fleet, and who asks it."""

    stack: Stack
    bus: NatsBus
    fleet: Fleet


@asynccontextmanager
async def running(folder: Path, fleet_spec: str, *, solvers: int = 1) -> AsyncGenerator[Running, None]:
    """The four services and an echo, while the block runs. What is acknowledged is on the disk, as with `up`.

    More than one of `solvers` share the commands.
    """
    others = [replace(PLACEMENT_SOLVER, name=f"placement-solver-{n}", answers=False) for n in range(2, solvers + 1)]
    services = (telemetry_agent(fleet_spec), STATE_PROJECTOR, PLACEMENT_SOLVER, *others, DISTRIBUTOR, ECHO)
    stack = Stack(folder, services, environment=os.environ, root=DEFAULT_ROOT, sync_always=True)
    async with stack:
        bus = await NatsBus.connect(stack.url, subjects=Subjects(), name="bench", wait_s=READY_WITHIN_S)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                parts = (stack.server, *stack.services.values())
                await unless_one_ends(parts, _ready(stack, Fleet(bus), fleet_spec))
            yield Running(stack, bus, Fleet(bus))
        finally:
            await bus.close()


async def _ready(stack: Stack, fleet: Fleet, fleet_spec: str) -> None:
    await stack.answering()
    await whole_fleet_seen(fleet, fleet_spec)


async def whole_fleet_seen(fleet: Fleet, fleet_spec: str) -> None:
    """Wait until the projector answers with every node and device of the fleet. It waits for ever: give it a limit."""
    described = load_fleet(fleet_spec)
    device_count = sum(len(node.discover().devices) for node in described)
    while not await _sees(fleet, len(described), device_count):  # noqa: ASYNC110 - it is in other processes
        await asyncio.sleep(ASK_EVERY_S)


async def _sees(fleet: Fleet, node_count: int, device_count: int) -> bool:
    try:
        summary = (await fleet.state()).summary
    except NoAnswerError:
        return False  # It is still starting.
    return (summary.node_count, summary.device_count) == (node_count, device_count)


def a_workload() -> Workload:
    """Two shards of 1 GiB, under an id of its own."""
    return Workload(workload_id=f"model-{uuid.uuid4().hex[:12]}", shards=(Shard(memory_bytes=GIB),) * 2)
