"""The fleet as another program sees it: every verb as a method, its outcome as a typed event."""

import logging
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple, TypeVar

import msgspec

from fleetfold_bus import port
from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import EVENTS
from fleetfold_client.errors import (
    FleetError,
    NoAnswerError,
    RejectedError,
    ServiceError,
    UnreachableError,
)
from fleetfold_client.worker import SILENT_AFTER_S, Worker
from fleetfold_contracts import codec
from fleetfold_contracts.agents import USUAL_PROBE_BYTES, ProbeAnswer, ProbeQuery
from fleetfold_contracts.answers import (
    DevicesAnswer,
    DevicesQuery,
    ExplainAnswer,
    ExplainQuery,
    FailedAnswer,
    FailedQuery,
    Failure,
    FailureAnswer,
    LinksAnswer,
    LinksQuery,
    StateAnswer,
    StateQuery,
    WorksAnswer,
    WorksQuery,
)
from fleetfold_contracts.codec import ContractError, Envelope
from fleetfold_contracts.commands import (
    COMMANDS,
    Cancel,
    Command,
    Cordon,
    Distribute,
    Move,
    Place,
    Release,
    Retry,
    Selector,
    Source,
    Strategy,
    Transfer,
    Uncordon,
)
from fleetfold_contracts.events import (
    CommandRejected,
    DeviceCordoned,
    DeviceUncordoned,
    Event,
    NodeTransferred,
    PlacementDecided,
    PlacementMoved,
    PlacementPreviewed,
    PlacementQueued,
    PlacementRefused,
    PlacementReleased,
    WorkCancelled,
    WorkDistributed,
    WorkRetried,
)
from fleetfold_contracts.facts import FactsAnswer, FactsQuery
from fleetfold_contracts.figures import AggregateAnswer, AggregateQuery, TopologyAnswer, TopologyQuery
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects
from fleetfold_contracts.workloads import Workload

DEFAULT_URL = "nats://127.0.0.1:4222"
COMMAND_TIMEOUT_S = 15.0
"""Longer than a service waits for an outcome, so that it is the service that says what is the matter."""
QUERY_TIMEOUT_S = 5.0

T = TypeVar("T")
_VERBS = {kind: verb for verb, kind in COMMANDS.items()}
_log = logging.getLogger(__name__)


class Happened(NamedTuple):
    """An event of the log. `event` is absent when this version does not know its type; the envelope tells it."""

    envelope: Envelope
    event: Event | None
    record: Record


class Fleet:
    """A cluster, asked over any bus. `Fleet.connect` asks over NATS.

    A refusal is an outcome, not an error. Every method raises a `FleetError` when there is no outcome.
    """

    def __init__(self, bus: Bus, *, root: str = DEFAULT_ROOT) -> None:
        self._bus = bus
        self._subjects = Subjects(root)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str = DEFAULT_URL, *, root: str = DEFAULT_ROOT, name: str = "client", wait_s: float = 2.0
    ) -> AsyncGenerator["Fleet", None]:
        """Connect to the NATS server at `url`, waiting for it `wait_s` at most; leave it when the block ends.

        `name`, a token of a subject, is what the server calls this program: answers come to `_INBOX_<name>.>`.

        Raises:
            UnreachableError: no server answers in time.
        """
        # The client of NATS takes 0.2 s to import, which a program that brings its own bus need not pay.
        from fleetfold_bus.nats import NatsBus  # noqa: PLC0415

        try:
            bus = await NatsBus.connect(url, subjects=Subjects(root), name=name, wait_s=wait_s)
        except port.UnreachableError as error:
            raise UnreachableError(str(error)) from error
        try:
            yield cls(bus, root=root)
        finally:
            await bus.close()

    async def place(
        self,
        workload: Workload,
        *,
        strategy: PlacementStrategy = PlacementStrategy.SCORE,
        wait: bool = False,
        deadline_s: float | None = None,
        preempt: bool = False,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> PlacementDecided | PlacementRefused | PlacementQueued:
        """Put a workload on devices, whole or not at all.

        With `wait` it is queued where it does not fit, and nobody waits here for the end of that: `watch` tells.
        """
        command = Place(
            workload=workload,
            strategy=strategy,
            wait=wait,
            deadline_s=deadline_s,
            preempt=preempt,
            command_id=command_id,
        )
        outcome = await self.do(command, timeout_s=timeout_s)
        return _expect(outcome, PlacementDecided, PlacementRefused, PlacementQueued)

    async def preview(
        self, command: Place, *, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> PlacementDecided | PlacementRefused | PlacementQueued:
        """What would come of a command to place something, asked now. Nothing is changed."""
        command = msgspec.structs.replace(command, dry_run=True)
        previewed = _expect(await self.do(command, timeout_s=timeout_s), PlacementPreviewed)
        outcome = previewed.decided or previewed.refused or previewed.queued
        if outcome is None:
            raise ServiceError("a preview without an outcome")
        return outcome

    async def move(
        self,
        workload_id: str,
        *,
        avoid_devices: Sequence[str] = (),
        avoid_nodes: Sequence[str] = (),
        pool: str = DEFAULT_POOL,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> PlacementMoved | PlacementRefused:
        """Put a placed workload elsewhere: off what it is to avoid, or off all that it sits on."""
        command = Move(
            workload_id=workload_id,
            avoid_devices=tuple(avoid_devices),
            avoid_nodes=tuple(avoid_nodes),
            pool=pool,
            command_id=command_id,
        )
        return _expect(await self.do(command, timeout_s=timeout_s), PlacementMoved, PlacementRefused)

    async def release(
        self,
        workload_id: str,
        *,
        pool: str = DEFAULT_POOL,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> PlacementReleased:
        """Give back what a workload holds."""
        command = Release(workload_id=workload_id, pool=pool, command_id=command_id)
        return _expect(await self.do(command, timeout_s=timeout_s), PlacementReleased)

    async def cordon(
        self,
        device_id: str,
        *,
        reason: str = "",
        pool: str = DEFAULT_POOL,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> DeviceCordoned:
        """Let nothing new sit on a device. What is there stays."""
        command = Cordon(device_id=device_id, reason=reason, pool=pool, command_id=command_id)
        return _expect(await self.do(command, timeout_s=timeout_s), DeviceCordoned)

    async def uncordon(
        self,
        device_id: str,
        *,
        pool: str = DEFAULT_POOL,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> DeviceUncordoned:
        """Take a cordon back."""
        command = Uncordon(device_id=device_id, pool=pool, command_id=command_id)
        return _expect(await self.do(command, timeout_s=timeout_s), DeviceUncordoned)

    async def transfer(
        self,
        node_ids: Sequence[str],
        to: str,
        *,
        pool: str = DEFAULT_POOL,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> NodeTransferred:
        """Move nodes, each with all its devices, from `pool` to another. What has something on it is not moved."""
        command = Transfer(node_ids=tuple(node_ids), to=to, pool=pool, command_id=command_id)
        return _expect(await self.do(command, timeout_s=timeout_s), NodeTransferred)

    async def distribute(
        self,
        items: Sequence[object] | int | Source,
        *,
        to: Selector = Selector(),  # noqa: B008 - a frozen struct
        strategy: Strategy = Strategy.UNIFORM,
        weights: Mapping[str, float] | None = None,
        max_per_device: int | None = None,
        batch_size: int = 100,
        work_id: str | None = None,
        command_id: str | None = None,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> WorkDistributed:
        """Spread items over devices: any values that JSON can hold, so many numbered ones, or what a subject holds.

        Returns once it is decided and logged what is meant for whom; the batches reach their queues a moment later.
        `do(Distribute(...))` takes all that can be asked for.
        """
        listed = () if isinstance(items, int | Source) else items
        command = Distribute(
            items=tuple(msgspec.Raw(codec.encode(item)) for item in listed),
            count=items if isinstance(items, int) else 0,
            source=items if isinstance(items, Source) else None,
            to=to,
            strategy=strategy,
            weights=dict(weights or {}),
            max_per_device=max_per_device,
            batch_size=batch_size,
            work_id=work_id,
            command_id=command_id,
        )
        return _expect(await self.do(command, timeout_s=timeout_s), WorkDistributed)

    async def cancel_work(self, work_id: str, *, command_id: str | None = None) -> WorkCancelled:
        """Take back what is not started of a work. What a worker holds is finished."""
        return _expect(await self.do(Cancel(work_id=work_id, command_id=command_id)), WorkCancelled)

    async def retry_work(
        self, work_id: str, items: Sequence[int] = (), *, command_id: str | None = None
    ) -> WorkRetried:
        """Try items that have failed for good once more: those at these places, or all that are known."""
        command = Retry(work_id=work_id, items=tuple(items), command_id=command_id)
        return _expect(await self.do(command), WorkRetried)

    async def works(self, work_id: str | None = None) -> WorksAnswer:
        """Works as they stand, the newest first; a single one with what each device has of it."""
        return _read(await self._ask("works", WorksQuery(work_id=work_id), timeout_s=QUERY_TIMEOUT_S), WorksAnswer)

    async def failed(self, work_id: str) -> FailedAnswer:
        """The items of a work that have failed for good, asked for page by page."""
        query = FailedQuery(work_id=work_id)
        page = _read(await self._ask("failed", query, timeout_s=QUERY_TIMEOUT_S), FailedAnswer)
        items = page.items
        while page.next_after is not None:
            query = msgspec.structs.replace(query, after=page.next_after)
            page = _read(await self._ask("failed", query, timeout_s=QUERY_TIMEOUT_S), FailedAnswer)
            items += page.items
        return msgspec.structs.replace(page, items=items)

    async def do(self, command: Command, *, timeout_s: float = COMMAND_TIMEOUT_S) -> Event:
        """Any command, and the event that is its outcome.

        Raises:
            RejectedError: it makes no sense, and nothing was done.
            NoAnswerError: no outcome came in time. The error has the command's id: with it, it is done once.
        """
        # A command without an id gets one here, so that a caller who heard no outcome can ask again for the same.
        command_id = command.command_id or uuid.uuid4().hex
        identified = msgspec.structs.replace(command, command_id=command_id)
        try:
            payload = await self._ask(_VERBS[type(command)], identified, timeout_s=timeout_s)
        except NoAnswerError as error:
            raise NoAnswerError(str(error), command_id) from error
        return _outcome(payload)

    async def devices(self, query: DevicesQuery = DevicesQuery()) -> DevicesAnswer:  # noqa: B008 - a frozen struct
        """The devices as they stand, asked for page by page."""
        page = _read(await self._ask("devices", query, timeout_s=QUERY_TIMEOUT_S), DevicesAnswer)
        devices, silent = page.devices, set(page.silent_shares)
        while page.next_after is not None and (query.limit is None or len(devices) < query.limit):
            left = None if query.limit is None else query.limit - len(devices)
            rest = msgspec.structs.replace(query, after=page.next_after, limit=left)
            page = _read(await self._ask("devices", rest, timeout_s=QUERY_TIMEOUT_S), DevicesAnswer)
            devices += page.devices
            silent.update(page.silent_shares)
        return msgspec.structs.replace(page, devices=devices, silent_shares=tuple(sorted(silent)))

    async def aggregate(self, query: AggregateQuery = AggregateQuery()) -> AggregateAnswer:  # noqa: B008 - a frozen struct
        """The cluster in figures, and the same by vendor and by pool."""
        return _read(await self._ask("aggregate", query, timeout_s=QUERY_TIMEOUT_S), AggregateAnswer)

    async def topology(self, query: TopologyQuery = TopologyQuery()) -> TopologyAnswer:  # noqa: B008 - a frozen struct
        """Nodes, their devices and links, and what follows from all links together, asked for page by page."""
        page = _read(await self._ask("topology", query, timeout_s=QUERY_TIMEOUT_S), TopologyAnswer)
        nodes = page.nodes
        while page.next_after is not None:
            rest = msgspec.structs.replace(query, after=page.next_after)
            page = _read(await self._ask("topology", rest, timeout_s=QUERY_TIMEOUT_S), TopologyAnswer)
            nodes += page.nodes
        return msgspec.structs.replace(page, nodes=nodes)

    async def state(self, query: StateQuery = StateQuery()) -> StateAnswer:  # noqa: B008 - a frozen struct
        """The whole cluster but for its devices."""
        return _read(await self._ask("state", query, timeout_s=QUERY_TIMEOUT_S), StateAnswer)

    async def history(self, query: HistoryQuery) -> HistoryAnswer:
        """What a device read over time, as finely as the range allows.

        Raises:
            RejectedError: there is no such device, or the range cannot be told.
        """
        return _read(await self._ask("history", query, timeout_s=QUERY_TIMEOUT_S), HistoryAnswer)

    async def facts(self) -> FactsAnswer:
        """A digest of each part of the state, to compare with a fold of the log to the same position."""
        return _read(await self._ask("facts", FactsQuery(), timeout_s=QUERY_TIMEOUT_S), FactsAnswer)

    async def links(self, query: LinksQuery = LinksQuery()) -> LinksAnswer:  # noqa: B008 - a frozen struct
        """The links between devices, and between nodes."""
        return _read(await self._ask("links", query, timeout_s=QUERY_TIMEOUT_S), LinksAnswer)

    async def probe(
        self,
        node_id: str,
        peer: str,
        *,
        byte_count: int = USUAL_PROBE_BYTES,
        timeout_s: float = COMMAND_TIMEOUT_S,
    ) -> ProbeAnswer:
        """What a TCP connection from one node to another carries: so many bytes are sent, for two seconds at most."""
        query = ProbeQuery(peer=peer, byte_count=byte_count)
        try:
            subject = self._subjects.agent(node_id, "probe")
        except ValueError as error:
            raise RejectedError(str(error)) from error
        return _read(await self._ask_at(subject, query, timeout_s=timeout_s), ProbeAnswer)

    async def explain(self, workload_id: str, *, pool: str = DEFAULT_POOL) -> ExplainAnswer:
        """Why a workload sits where it sits, or why it sits nowhere.

        Raises:
            RejectedError: nobody asked for such a workload.
        """
        query = ExplainQuery(workload_id=workload_id, pool=pool)
        return _read(await self._ask("explain", query, timeout_s=QUERY_TIMEOUT_S), ExplainAnswer)

    async def position(self) -> int:
        """The log position of the newest event: what happens from now on is behind it."""
        try:
            return await self._bus.last_sequence(self._events)
        except port.BusError as error:
            raise _fleet_error(error) from error

    async def watch(self, after: int | None = None) -> AsyncGenerator[Happened, None]:
        """Events as they happen, for ever: those behind the log position `after`, or from the first step on.

        It goes on by itself when the server was away. Close it (`aclosing`) to stop.
        """
        start = await self.position() if after is None else after
        async with aclosing(self._bus.read(self._events, after=start)) as pages:
            async for page in pages:
                for record in page:
                    if (happened := _happened(record)) is not None:
                        yield happened

    def worker(self, device_id: str, name: str = "worker", *, silent_after_s: float = SILENT_AFTER_S) -> Worker:
        """Somebody who works on what is handed to a device. Several of one device share its batches."""
        return Worker(self._bus, self._subjects, device_id, name, silent_after_s=silent_after_s)

    @property
    def _events(self) -> str:
        return self._subjects.stream(EVENTS)

    async def _ask(self, verb: str, question: msgspec.Struct, *, timeout_s: float) -> bytes:
        return await self._ask_at(self._subjects.api(verb), question, timeout_s=timeout_s)

    async def _ask_at(self, subject: str, question: msgspec.Struct, *, timeout_s: float) -> bytes:
        try:
            payload = await self._bus.ask(subject, codec.encode(question), timeout_s=timeout_s)
        except port.BusError as error:
            raise _fleet_error(error) from error
        _raise_failure(payload)
        return payload


def _outcome(payload: bytes) -> Event:
    try:
        event = codec.decode_event(codec.decode_envelope(payload))
    except ContractError as error:
        raise ServiceError(f"the outcome cannot be read: {error}") from error
    if isinstance(event, CommandRejected):
        raise RejectedError(event.reason, event.field)
    return event


def _expect(outcome: Event, *kinds: type[T]) -> T:
    if isinstance(outcome, kinds):
        return outcome
    raise ServiceError(f"a {type(outcome).__name__} is no outcome of this command")


def _read(payload: bytes, kind: type[T]) -> T:
    try:
        return codec.decode(payload, kind)
    except ContractError as error:
        raise ServiceError(f"the answer cannot be read: {error}") from error


def _raise_failure(payload: bytes) -> None:
    try:
        failure = codec.decode(payload, FailureAnswer).error
    except ContractError:
        return  # It is no failure. Whoever expects something of it reads it again.
    raise _failure_error(failure)


def _failure_error(failure: Failure) -> FleetError:
    match failure.code:
        case "408" | "503":
            return NoAnswerError(failure.message)
        case code if code.startswith("4"):
            return RejectedError(failure.message, failure.field)
        case _:
            return ServiceError(failure.message)


def _fleet_error(error: port.BusError) -> FleetError:
    match error:
        case port.NoAnswerError():
            return NoAnswerError(str(error))
        case port.UnreachableError():
            return UnreachableError(str(error))
        case port.TooLargeError():
            return RejectedError(str(error))
        case _:
            return ServiceError(str(error))


def _happened(record: Record) -> Happened | None:
    try:
        envelope = codec.decode_envelope(record.payload)
    except ContractError as error:
        _log.warning("sequence %d of the log holds no event: %s", record.sequence, error)
        return None
    try:
        return Happened(envelope, codec.decode_event(envelope), record)
    except ContractError as error:
        _log.warning("the event at %d cannot be read: %s", record.sequence, error)
        return Happened(envelope, None, record)
