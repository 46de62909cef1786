"""A gateway and the services that it asks, in the test's own process: on a bus in memory, over real HTTP."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from socket import create_server
from typing import Any, TypeVar

import httpx

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_client import Fleet, FleetError, RejectedError
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.subjects import Subjects
from fleetfold_distributor import service as distributor
from fleetfold_distributor.settings import DistributorSettings
from fleetfold_gateway import service as gateway
from fleetfold_gateway.settings import GatewaySettings
from fleetfold_placement_solver import service as solver
from fleetfold_placement_solver.settings import SolverSettings
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.run import Context, Readiness
from fleetfold_runtime.settings import Settings
from fleetfold_state_projector import service as projector
from fleetfold_state_projector.settings import ProjectorSettings
from tests.support.examples import GIB, a_device, a_node
from tests.support.waiting import eventually

SUBJECTS = Subjects()
STOPPED_WITHIN_S = 20.0

SettingsT = TypeVar("SettingsT", bound=Settings)


@dataclass
class Served:
    """A fleet behind a gateway."""

    bus: MemoryBus
    url: str

    def client(self, **headers: str) -> httpx.AsyncClient:
        """Somebody who asks, with these headers on every request. `_` stands for `-` in their names."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(base_url=self.url, headers=named, timeout=20)

    async def append(self, event: evt.Event, message_id: str) -> int:
        """Append a fact, as its service would. Gives its log position."""
        payload = codec.encode_event(event, id=message_id, source="test", time=datetime.now(UTC))
        return (await self.bus.append(SUBJECTS.event(event), payload, message_id=message_id)).sequence

    async def add_device(self, device_id: str, node_id: str = "node-1") -> int:
        """Let a device of 40 GiB join. Gives its log position."""
        await self.append(evt.NodeJoined(node=a_node(node_id)), f"{node_id}.joined")
        registered = evt.DeviceRegistered(node_id=node_id, capabilities=a_device(device_id))
        return await self.append(registered, f"{device_id}.registered")

    async def sample(self, device_id: str, *, tick: int = 0, used_bytes: int = GIB) -> None:
        """Let a node tell what a device reads."""
        sample = Sample(
            device_id=device_id,
            timestamp=datetime.now(UTC),
            memory_used_bytes=used_bytes,
            memory_total_bytes=40 * GIB,
            compute_utilization_percent=50.0,
            temperature_celsius=65.0,
            power_watts=210.0,
        )
        told = NodeSample(node_id="node-1", boot_id="boot", tick=tick, samples=(sample,))
        await self.bus.publish(SUBJECTS.samples("node-1"), codec.encode(told))


@asynccontextmanager
async def served(**settings: Any) -> AsyncGenerator[Served]:
    """A projector, a solver, a distributor and a gateway, while the block runs. `settings` are the gateway's."""
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    stop = asyncio.Event()
    port = _free_port()
    asked = _context(GatewaySettings(http_port=port, **settings), bus, stop)
    services: list[Coroutine[Any, Any, None]] = [
        projector.serve(_context(ProjectorSettings(), bus, stop)),
        solver.serve(_context(SolverSettings(), bus, stop)),
        distributor.serve(_context(DistributorSettings(), bus, stop)),
        gateway.serve(asked),
    ]
    running = asyncio.gather(*services)
    try:
        await eventually(lambda: _answering(asked, Fleet(bus)), what="services that answer, and a gateway")
        yield Served(bus, f"http://127.0.0.1:{port}")
    finally:
        stop.set()
        async with asyncio.timeout(STOPPED_WITHIN_S):
            await running
        await bus.close()


def _context(settings: SettingsT, bus: MemoryBus, stop: asyncio.Event) -> Context[SettingsT]:
    return Context(settings, bus, SystemClock(), stop, Readiness())


async def _answering(context: Context[GatewaySettings], fleet: Fleet) -> bool:
    try:
        await fleet.state()
        await fleet.uncordon("nobody")
    except RejectedError:
        return context.readiness.now()  # The solver answered: it does not know this device.
    except FleetError:
        return False
    return False


def _free_port() -> int:
    with create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
