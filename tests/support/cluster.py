"""A cluster for tests: a real server, services as processes that can be killed, and a view of the log."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import BusError, Record
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Command
from fleetfold_contracts.subjects import Subjects
from tests.support.examples import GIB, a_device, a_node

T = TypeVar("T")

MODULES = {
    "telemetry-agent": "fleetfold_telemetry_agent",
    "state-projector": "fleetfold_state_projector",
    "placement-solver": "fleetfold_placement_solver",
    "distributor": "fleetfold_distributor",
    "gateway": "fleetfold_gateway",
    "worker": "tests.support.worker_process",
}


@dataclass
class Logged:
    """An event as the log holds it."""

    sequence: int
    envelope: codec.Envelope
    event: evt.Event


@dataclass
class ServiceProcess:
    """One service, as a process."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        """Ask it to stop. Gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@dataclass
class Cluster:
    """Services on one server, in subjects of their own."""

    url: str
    subjects: Subjects
    folder: Path
    bus: NatsBus
    processes: list[ServiceProcess] = field(default_factory=list[ServiceProcess])

    def start(self, service: str, **settings: str) -> ServiceProcess:
        """Start a service. It is ended with the test."""
        log = self.folder / f"{service}-{len(self.processes)}.log"
        environment = os.environ | {
            "FLEETFOLD_NATS_URL": self.url,
            "FLEETFOLD_ROOT": self.subjects.root,
            **{f"FLEETFOLD_{name.upper()}": value for name, value in settings.items()},
        }
        command = [sys.executable, "-m", MODULES[service]]
        with log.open("wb") as output:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        self.processes.append(ServiceProcess(process, log))
        return self.processes[-1]

    async def append(self, event: evt.Event, message_id: str) -> int:
        """Append a fact, as its service would."""
        payload = codec.encode_event(event, id=message_id, source="test", time=datetime.now(UTC))
        return (await self.bus.append(self.subjects.event(event), payload, message_id=message_id)).sequence

    async def add_devices(self, count: int, *, memory_bytes: int = 40 * GIB, per_node: int = 4) -> list[str]:
        """Let nodes join with so many devices in all. Gives the devices' ids."""
        devices = [f"gpu-{index:03}" for index in range(count)]
        for index, device in enumerate(devices):
            node = f"node-{index // per_node:03}"
            if index % per_node == 0:
                await self.append(evt.NodeJoined(node=a_node(node)), f"{node}.joined")
            registered = evt.DeviceRegistered(node_id=node, capabilities=a_device(device, memory_bytes))
            await self.append(registered, f"{device}.registered")
        return devices

    async def command(self, verb: str, command: Command | bytes, message_id: str) -> None:
        """Publish a command durably; it is acknowledged when this returns."""
        payload = command if isinstance(command, bytes) else codec.encode(command)
        await self.bus.append(self.subjects.command(verb), payload, message_id=message_id)

    async def log(self, until: Callable[[Sequence[Logged]], bool], *, within_s: float = 60.0) -> list[Logged]:
        """The whole event log from its start, as soon as `until` holds of it."""
        logged: list[Logged] = []
        try:
            async with (
                asyncio.timeout(within_s),
                aclosing(self.bus.read(self.subjects.stream(EVENTS))) as batches,
            ):
                async for records in batches:
                    logged.extend(map(_logged, records))
                    if until(logged):
                        return logged
        except TimeoutError:
            kinds = [type(entry.event).__name__ for entry in logged]
            counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
            raise AssertionError(f"the log did not get there within {within_s} s; it holds {counts}") from None
        raise AssertionError("a log is read for ever")

    async def outcomes(self, command_ids: Iterable[str], *, within_s: float = 60.0) -> dict[str, list[evt.Event]]:
        """The outcomes of commands, once each has at least one."""
        wanted = set(command_ids)

        def complete(logged: Sequence[Logged]) -> bool:
            return wanted <= {entry.envelope.cause for entry in logged}

        found: dict[str, list[evt.Event]] = {command_id: [] for command_id in wanted}
        for entry in await self.log(complete, within_s=within_s):
            if entry.envelope.cause in found:
                found[entry.envelope.cause].append(entry.event)
        return found

    async def ask(self, verb: str, kind: type[T], query: bytes = b"") -> T | None:
        """What is answered to a question. None: nobody answers yet."""
        try:
            return codec.decode(await self.bus.ask(self.subjects.api(verb), query, timeout_s=2), kind)
        except BusError:
            return None

    def close(self) -> None:
        """End every process that runs still."""
        for service in self.processes:
            if service.process.poll() is None:
                service.kill()


@asynccontextmanager
async def cluster_on(url: str, subjects: Subjects, folder: Path) -> AsyncGenerator[Cluster]:
    """A cluster in `subjects` of a server, with its streams."""
    bus = await NatsBus.connect(url, subjects=subjects, name="test", wait_s=10)
    await bus.ensure_streams()
    cluster = Cluster(url, subjects, folder, bus)
    try:
        yield cluster
    finally:
        cluster.close()
        await bus.close()


def _logged(record: Record) -> Logged:
    envelope = codec.decode_envelope(record.payload)
    return Logged(record.sequence, envelope, codec.decode_event(envelope))
