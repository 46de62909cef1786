"""The agent: tells the log what its nodes have, and each tick what they read."""

import asyncio
import sys
from collections.abc import Sequence

from fleetfold_bus.port import BusError, Service
from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Node
from fleetfold_devices.simulation.fleet_file import FleetError, load_links
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background, sleep_unless, unless_stopped
from fleetfold_telemetry_agent.hosts import Host, SimulatedHost, hosts_of
from fleetfold_telemetry_agent.load_follower import LoadFollower
from fleetfold_telemetry_agent.node_links import NodeLinks
from fleetfold_telemetry_agent.outbox import Outbox
from fleetfold_telemetry_agent.recall import recall
from fleetfold_telemetry_agent.reporter import Reporter
from fleetfold_telemetry_agent.settings import AgentSettings

NAME = "telemetry-agent"
VERSION = "0.1.0"
LEAVE_WITHIN_S = 3.0
ASK_WITHIN_S = 0.5

NODES_A_BREATH = 50
"""After so many nodes of a simulated fleet, others on the event loop get their turn."""

_log = get_logger()


async def serve(context: Context[AgentSettings]) -> None:
    """Report until told to stop; then say that the nodes left. Ends the process with 1 where the fleet is none."""
    try:
        agent = Agent(context, hosts_of(context.settings, context.clock))
    except FleetError as error:
        sys.exit(f"{NAME}: {error}")
    await agent.run()


class Agent:
    """Reports some nodes."""

    def __init__(self, context: Context[AgentSettings], hosts: Sequence[Host]) -> None:
        """Nothing is said yet.

        Raises:
            FleetError: the links between nodes are declared wrongly.
        """
        settings = context.settings
        self._context = context
        self._bus = context.bus
        self._outbox = Outbox(context.bus, settings.subjects, context.clock, limit=settings.outbox_limit)
        self._reports = [NodeReport(context, self._outbox, host) for host in hosts]
        simulated = [host.source for host in hosts if isinstance(host, SimulatedHost)]
        self._loads = LoadFollower(context.bus, settings.subjects, simulated)
        declared = load_links(settings.links) if settings.links else ()
        self._links = [
            NodeLinks(context, report.reporter, self._outbox, declared)
            for report, host in zip(self._reports, hosts, strict=True)
            if not isinstance(host, SimulatedHost)
        ]
        self._connection_count = context.bus.connection_count

    async def run(self) -> None:
        """Report until told to stop; then say that the nodes left."""
        self._context.readiness.check = lambda: self._bus.connected
        endpoints = [endpoint for links in self._links for endpoint in links.endpoints()]
        service = Service(NAME, VERSION, f"Reports {len(self._reports)} nodes", endpoints)
        async with background(self._outbox.run(), self._loads.run()), self._bus.serve(service):
            try:
                await unless_stopped(self._context.stop, self._recall())
                for report in self._reports:
                    report.join()
                async with background(*(links.run() for links in self._links)):
                    while not self._context.stop.is_set():
                        await self._tick()
            finally:
                await asyncio.gather(*(report.close() for report in self._reports))
            await self._leave()

    async def _recall(self) -> None:
        reporters = {report.node.node_id: report.reporter for report in self._reports}
        await recall(self._bus, self._context.settings.subjects, reporters)

    async def _tick(self) -> None:
        clock = self._context.clock
        started_s = clock.monotonic_s()
        if await self._connected_anew():
            for report in self._reports:
                report.reporter.tell_all()
        for index, report in enumerate(self._reports, start=1):
            await report.tick()
            if index % NODES_A_BREATH == 0:
                await asyncio.sleep(0)
        took_s = clock.monotonic_s() - started_s
        await sleep_unless(self._context.stop, max(0.0, self._context.settings.sample_interval_s - took_s))

    async def _connected_anew(self) -> bool:
        """Whether samples that were sent before may be lost. It is said once, when the server takes samples again."""
        count = self._bus.connection_count
        if count == self._connection_count:
            return False
        try:
            # A server that has just started is there some time before its streams are.
            async with asyncio.timeout(ASK_WITHIN_S):
                await self._bus.last_sequence(self._context.settings.subjects.stream(SAMPLES))
        except (BusError, TimeoutError):
            return False
        self._connection_count = count
        return True

    async def _leave(self) -> None:
        for report in self._reports:
            report.leave()
        try:
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await self._outbox.empty()
        except TimeoutError:
            _log.warning("left without saying so: the server is away")


class NodeReport:
    """Reports one node."""

    def __init__(self, context: Context[AgentSettings], outbox: Outbox, host: Host) -> None:
        """Nothing is said yet."""
        settings = context.settings
        self.reporter = Reporter(
            host.node, settings.dead_band, ticks_between_key_frames=settings.ticks_between_key_frames
        )
        self._bus = context.bus
        self._subject = settings.subjects.samples(host.node.node_id)
        self._outbox = outbox
        self._host = host

    @property
    def node(self) -> Node:
        """Whose report it is."""
        return self._host.node

    def join(self) -> None:
        """Say that the node is there."""
        self._outbox.put(*self.reporter.joined())

    async def tick(self) -> None:
        """Look at every device, and publish what moved. With nothing moved it is a heartbeat."""
        message, facts = self.reporter.tick(await self._host.look())
        for fact in facts:
            self._outbox.put(*fact)
        try:
            await self._bus.publish(self._subject, codec.encode(message))
        except BusError as error:
            # The newest samples are all that count: they come with the first tick after the server is back.
            _log.debug("samples were not published", reason=str(error))

    async def close(self) -> None:
        """Let the devices go."""
        await self._host.close()

    def leave(self) -> None:
        """Say that the node goes in good order."""
        self._outbox.put(*self.reporter.left())
