"""The links of this node to others: measured over NATS again and again, and over a TCP connection when asked."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from statistics import median
from typing import TypeVar

import msgspec

from fleetfold_bus.port import Answer, BusError, Endpoint, NoAnswerError, Request
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import agents, codec
from fleetfold_contracts.answers import Failure, FailureAnswer
from fleetfold_contracts.events import NodeJoined
from fleetfold_contracts.ids import BootId, NodeId
from fleetfold_contracts.inventory import Link, LinkKind, Node
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_telemetry_agent.boots import same_machine_boot
from fleetfold_telemetry_agent.link_book import LinkBook
from fleetfold_telemetry_agent.outbox import Outbox
from fleetfold_telemetry_agent.peers import Peers
from fleetfold_telemetry_agent.reporter import Reporter
from fleetfold_telemetry_agent.settings import AgentSettings
from fleetfold_telemetry_agent.wire import Ear, address_toward, send

PINGS = 5
PING_WITHIN_S = 1.0
LISTEN_ANSWER_WITHIN_S = 3.0

QueryT = TypeVar("QueryT", bound=msgspec.Struct)

_log = get_logger()


class ProbeError(Exception):
    """A probe came to nothing. It has what is answered."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.answer = failure(code, message, field)


class NodeLinks:
    """Measures the links of one node, and lets others measure theirs to it."""

    def __init__(
        self, context: Context[AgentSettings], reporter: Reporter, outbox: Outbox, declared: Iterable[Link]
    ) -> None:
        """Nothing has been measured yet."""
        self._settings = context.settings
        self._subjects = context.settings.subjects
        self._bus = context.bus
        self._clock = context.clock
        self._reporter = reporter
        self._outbox = outbox
        self._node: Node = reporter.node
        self._book = LinkBook(self._node.node_id, declared)
        self._peers = Peers(self._node.node_id)
        self._read_to = 0
        self._sending = asyncio.Lock()
        self._hearing: asyncio.Task[None] | None = None

    def endpoints(self) -> list[Endpoint]:
        """What the agent of this node is asked."""
        return [
            self._endpoint("ping", agents.PingQuery, self._pong),
            self._endpoint("listen", agents.ListenQuery, self._listen),
            self._endpoint("probe", agents.ProbeQuery, self._probe),
        ]

    async def run(self) -> None:
        """Tell what is declared, then measure round after round, until cancelled."""
        self._book.recall(self._reporter.node_links)
        self._tell()
        while True:
            try:
                await self._round()
            except BusError as error:
                _log.debug("no round trips were measured", reason=str(error))
            await asyncio.sleep(self._settings.topology_interval_s)

    def _tell(self) -> None:
        for fact in self._reporter.linked_to(self._book.links):
            self._outbox.put(*fact)

    async def _round(self) -> None:
        await self._meet_peers()
        for peer in self._peers.of_this_round():
            latency_us = await self._latency_us(peer.node_id)
            if latency_us is not None:
                self._book.round_trip(peer.node_id, self._kind_of_link(peer.boot_id), latency_us)
        self._tell()

    async def _meet_peers(self) -> None:
        stream = self._subjects.stream(EVENTS)
        async with aclosing(self._bus.read(stream, after=self._read_to, filter=self._subjects.all_joined)) as batches:
            async for records in batches:
                if not records:
                    return
                for record in records:
                    self._meet(record.payload)
                self._read_to = records[-1].sequence

    def _meet(self, payload: bytes) -> None:
        try:
            event = codec.decode_event(codec.decode_envelope(payload))
        except codec.ContractError:
            return  # Written by another version: that node is not measured.
        if isinstance(event, NodeJoined):
            self._peers.joined(event.node)

    async def _latency_us(self, peer: NodeId) -> float | None:
        """Half of the median round trip over NATS, the server's part and the agents' included. None: no answer."""
        subject = self._subjects.agent(peer, "ping")
        round_trips_s: list[float] = []
        for _ in range(PINGS):
            began_s = self._clock.monotonic_s()
            try:
                await self._bus.ask(subject, b"", timeout_s=PING_WITHIN_S)
            except NoAnswerError:
                return None
            round_trips_s.append(self._clock.monotonic_s() - began_s)
        return round(median(round_trips_s) / 2 * 1e6, 1)

    def _kind_of_link(self, peer_boot: BootId) -> LinkKind:
        return LinkKind.SOCKET if same_machine_boot(self._node.boot_id, peer_boot) else LinkKind.ETHERNET

    def _endpoint(
        self, verb: str, kind: type[QueryT], handle: Callable[[QueryT], Awaitable[msgspec.Struct]]
    ) -> Endpoint:
        async def answer(request: Request) -> Answer:
            try:
                query = codec.decode_query(kind, request.payload, request.headers)
                return Answer(codec.encode(await handle(query)))
            except codec.ContractError as error:
                return rejected_answer(error)
            except ProbeError as error:
                return error.answer

        subject = self._subjects.agent(self._node.node_id, verb)
        return Endpoint(name=verb, subject=subject, handler=answer, metadata={"schema": f"{kind.__name__}.json"})

    async def _pong(self, _: agents.PingQuery) -> agents.PingAnswer:
        return agents.PingAnswer(node_id=self._node.node_id, boot_id=self._node.boot_id)

    async def _listen(self, query: agents.ListenQuery) -> agents.ListenAnswer:
        if self._hearing is not None and not self._hearing.done():
            raise ProbeError("409", f"{self._node.node_id} listens to another node now; ask again in a few seconds")
        try:
            host = self._settings.probe_host or await asyncio.to_thread(address_toward, self._settings.nats_url)
            ear = Ear(host, limit_bytes=query.limit_bytes, clock=self._clock)
        except OSError as error:
            message = f"{self._node.node_id} cannot listen: {error}; set FLEETFOLD_PROBE_HOST there to an address of it"
            raise ProbeError("500", message) from None
        self._hearing = asyncio.create_task(self._hear(ear))
        return agents.ListenAnswer(boot_id=self._node.boot_id, host=host, port=ear.port, token=ear.token)

    async def _hear(self, ear: Ear) -> None:
        try:
            await asyncio.to_thread(ear.hear)
        except OSError as error:
            _log.info("nothing was measured over a connection to this node", reason=str(error))

    async def _probe(self, query: agents.ProbeQuery) -> agents.ProbeAnswer:
        if query.peer == self._node.node_id:
            raise ProbeError("400", "that is the node itself; name two", "$.peer")
        if self._sending.locked():
            raise ProbeError("409", f"{self._node.node_id} measures already; ask again in a few seconds")
        async with self._sending:
            there = await self._ask_to_listen(query)
            return await self._send_to(there, query)

    async def _ask_to_listen(self, query: agents.ProbeQuery) -> agents.ListenAnswer:
        subject = self._subjects.agent(query.peer, "listen")
        question = codec.encode(agents.ListenQuery(limit_bytes=query.byte_count))
        try:
            payload = await self._bus.ask(subject, question, timeout_s=LISTEN_ANSWER_WITHIN_S)
        except BusError as error:
            raise ProbeError("404", f"no agent of node {query.peer!r} answers: {error}", "$.peer") from None
        if (refused := _failure(payload)) is not None:
            raise ProbeError(refused.code, refused.message)
        return codec.decode(payload, agents.ListenAnswer)

    async def _send_to(self, there: agents.ListenAnswer, query: agents.ProbeQuery) -> agents.ProbeAnswer:
        try:
            carried = await asyncio.to_thread(
                send, there.host, there.port, there.token, byte_count=query.byte_count, clock=self._clock
            )
        except OSError as error:
            way = f"from {self._node.node_id} to {query.peer} at {there.host}:{there.port}"
            remedy = f"set FLEETFOLD_PROBE_HOST at {query.peer} to an address that leads there"
            raise ProbeError("500", f"no way {way}: {error}; {remedy}") from None
        bandwidth_gbps = carried.bandwidth_gbps
        link = self._book.carried(query.peer, self._kind_of_link(there.boot_id), bandwidth_gbps)
        self._tell()
        return agents.ProbeAnswer(
            link=link, byte_count=carried.byte_count, took_s=carried.took_s, bandwidth_gbps=bandwidth_gbps
        )


def _failure(payload: bytes) -> Failure | None:
    try:
        return codec.decode(payload, FailureAnswer).error
    except codec.ContractError:
        return None
