"""The agent: tells the log what its nodes have, and each tick what they read."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from fleetfold_bus.port import BusError, Service
from fleetfold_contracts import codec
from fleetfold_contracts.ids import BootId
from fleetfold_contracts.inventory import Capabilities, Link, Node
from fleetfold_contracts.samples import Sample
from fleetfold_devices.fleet_file import load_fleet
from fleetfold_devices.host import host_node
from fleetfold_devices.local import local_sources
from fleetfold_devices.port import DevicesError, DeviceSource
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background, sleep_unless
from fleetfold_telemetry_agent.outbox import Outbox
from fleetfold_telemetry_agent.reporter import Reporter
from fleetfold_telemetry_agent.settings import AgentSettings

NAME = "telemetry-agent"
VERSION = "0.1.0"
LEAVE_WITHIN_S = 3.0
T = TypeVar("T")

NODES_A_BREATH = 50
"""After so many nodes of a simulated fleet, others on the event loop get their turn."""

_log = get_logger()


@dataclass(frozen=True, slots=True)
class Host:
    """A node with where its devices are read. A driver's calls may block: they are made in one thread."""

    node: Node
    sources: Sequence[DeviceSource]
    thread: ThreadPoolExecutor | None = None

    async def call(self, read: Callable[..., T], *arguments: object) -> T:
        """Call a source."""
        if self.thread is None:
            return read(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self.thread, read, *arguments)


async def serve(context: Context[AgentSettings]) -> None:
    """Report until told to stop; then say that the nodes left."""
    outbox = Outbox(context.bus, context.settings.subjects, context.clock)
    hosts = await _hosts(context.settings)
    reports = [NodeReport(context, outbox, host) for host in hosts]
    context.readiness.check = lambda: context.bus.connected
    async with (
        background(outbox.run()),
        context.bus.serve(Service(NAME, VERSION, f"Reports {len(hosts)} nodes")),
    ):
        for report in reports:
            await report.join()
        while not context.stop.is_set():
            await _tick(context, reports)
        await _leave(outbox, reports)


async def _hosts(settings: AgentSettings) -> list[Host]:
    boot_id = uuid.uuid4().hex[:12]
    if not settings.fleet:
        return [await _this_host(settings, boot_id)]
    simulated = load_fleet(settings.fleet, seed=settings.fleet_seed)
    return [Host(_as_run(source.node, settings, boot_id), [source]) for source in simulated]


def _as_run(node: Node, settings: AgentSettings, boot_id: BootId) -> Node:
    return msgspec.structs.replace(node, boot_id=boot_id, beat_interval_s=settings.sample_interval_s)


async def _this_host(settings: AgentSettings, boot_id: BootId) -> Host:
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="devices")
    node = host_node(node_id=settings.node_id or None)
    local = await asyncio.get_running_loop().run_in_executor(thread, local_sources, node.node_id)
    for problem in local.problems:
        _log.info("a vendor's GPUs cannot be read here", reason=str(problem))
    return Host(_as_run(node, settings, boot_id), local.sources, thread)


async def _tick(context: Context[AgentSettings], reports: Sequence["NodeReport"]) -> None:
    started_s = context.clock.monotonic_s()
    for index, report in enumerate(reports):
        await report.tick()
        if index % NODES_A_BREATH == NODES_A_BREATH - 1:
            await asyncio.sleep(0)
    took_s = context.clock.monotonic_s() - started_s
    await sleep_unless(context.stop, max(0.0, context.settings.sample_interval_s - took_s))


async def _leave(outbox: Outbox, reports: Sequence["NodeReport"]) -> None:
    for report in reports:
        report.leave()
    try:
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await outbox.empty()
    except TimeoutError:
        _log.warning("left without saying so: the server is away")


class NodeReport:
    """Reports one node."""

    def __init__(self, context: Context[AgentSettings], outbox: Outbox, host: Host) -> None:
        """Nothing is said yet."""
        settings = context.settings
        self._bus = context.bus
        self._clock = context.clock
        self._subject = settings.subjects.samples(host.node.node_id)
        self._outbox = outbox
        self._host = host
        ticks = max(1, round(settings.key_frame_interval_s / settings.sample_interval_s))
        self._reporter = Reporter(host.node, settings.dead_band, ticks_between_key_frames=ticks)

    async def join(self) -> None:
        """Say that the node is there, and what it has."""
        devices: list[Capabilities] = []
        links: list[Link] = []
        for source in self._host.sources:
            inventory = await self._host.call(source.discover)
            devices.extend(inventory.devices)
            links.extend(await self._host.call(source.links))
        for fact in self._reporter.joined(devices, links):
            self._outbox.put(*fact)
        if not devices:
            _log.info("no GPU on this node; it is reported all the same", node=self._host.node.node_id)

    async def tick(self) -> None:
        """Read every device, and publish what moved. With nothing moved it is a heartbeat."""
        message, facts = self._reporter.tick(await self._samples(self._clock.now()))
        for fact in facts:
            self._outbox.put(*fact)
        try:
            await self._bus.publish(self._subject, codec.encode(message))
        except BusError as error:
            # The newest sample is all that counts: the next tick has it.
            _log.debug("samples were not published", reason=str(error))

    def leave(self) -> None:
        """Say that the node goes in good order."""
        self._outbox.put(*self._reporter.left())
        for source in self._host.sources:
            source.close()

    async def _samples(self, now: datetime) -> list[Sample]:
        samples: list[Sample] = []
        for source in self._host.sources:
            try:
                samples.extend(await self._host.call(source.sample, now))
            except DevicesError as error:
                _log.warning("a vendor could not be read", vendor=source.name, reason=str(error))
        return samples
