"""The bus in memory: the same promises without a server, for tests and the simulator.

A `MemoryBroker` is the server; each service has a `MemoryBus` on it. Its clock is handed in: whoever moves a clock by
hand calls `clock_moved` after it, and what has become due is handed out.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from fleetfold_bus.answering import answer_of
from fleetfold_bus.port import (
    Answer,
    Appended,
    BusError,
    ConflictError,
    Endpoint,
    Entry,
    Guard,
    NoAnswerError,
    Queue,
    Record,
    Request,
    Service,
    StreamMismatchError,
    TooLargeError,
    UnreachableError,
)
from fleetfold_bus.streams import Keeps, Stream, declared
from fleetfold_contracts.subjects import Subjects

MAX_PAYLOAD_BYTES = 1024 * 1024
LIST_RECORDS = 1000

Clock = Callable[[], datetime]


def matches(subject_filter: str, subject: str) -> bool:
    """Whether a filter takes a subject: `*` stands for one token, `>` at the end for one or more."""
    tokens = subject.split(".")
    wanted = subject_filter.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(tokens) == len(wanted) and all(want in {"*", token} for want, token in zip(wanted, tokens, strict=True))


class MemoryBroker:
    """What all buses share: streams, queues and services."""

    def __init__(self, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.services: dict[str, list[_Served]] = {}
        self.buckets: dict[str, dict[str, _Kept]] = {}
        self._streams: dict[str, _MemoryStream] = {}
        self._changed = asyncio.Event()

    def declare(self, stream: Stream) -> None:
        """Make a stream.

        Raises:
            StreamMismatchError: there is one of that name with other settings.
        """
        found = self._streams.setdefault(stream.name, _MemoryStream(stream, self.clock)).declared
        if found != stream:
            raise StreamMismatchError(f"the stream {stream.name} differs from what is declared: {found} and {stream}")

    def stream(self, name: str) -> "_MemoryStream":
        """A stream by its name.

        Raises:
            BusError: there is none.
        """
        if name not in self._streams:
            raise BusError(f"there is no stream {name} on the server")
        return self._streams[name]

    def stream_taking(self, subject: str) -> "_MemoryStream | None":
        """The stream that takes a subject."""
        return next((stream for stream in self._streams.values() if _takes(stream.declared.subjects, subject)), None)

    def clock_moved(self) -> None:
        """Look at the clock again."""
        self.wake()

    def wake(self) -> None:
        """Something has changed: let everyone who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, within_s: float | None = None) -> None:
        """Wait until something changes, or `within_s` seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed.wait()


@dataclass(slots=True)
class _HandedOut:
    """A message that was handed out. It comes again at `again_at`, unless it is settled before."""

    record: Record
    again_at: datetime
    attempt: int = 1


class _MemoryQueue:
    """A durable consumer."""

    def __init__(self, stream: "_MemoryStream", queue: Queue) -> None:
        self._stream = stream
        self.settings = queue
        self._position = 0
        self._unsettled: dict[int, _HandedOut] = {}

    def take(self) -> _HandedOut | None:
        """The next message to be handed out, if one is due: one that comes again goes first."""
        now = self._stream.clock()
        allowed = timedelta(seconds=self.settings.settle_within_s)
        for handed_out in self._unsettled.values():
            if handed_out.again_at <= now:
                handed_out.again_at = now + allowed
                handed_out.attempt += 1
                return handed_out
        if len(self._unsettled) >= self.settings.max_unsettled:
            return None
        return self._take_new(now + allowed)

    def _take_new(self, again_at: datetime) -> _HandedOut | None:
        record = next(self._stream.records_behind(self._position, self.settings.filters), None)
        if record is None:
            return None
        self._position = record.sequence
        handed_out = self._unsettled[record.sequence] = _HandedOut(record, again_at)
        return handed_out

    def next_due_in_s(self) -> float | None:
        """How long until a message comes again; None where none is handed out."""
        due = min((handed_out.again_at for handed_out in self._unsettled.values()), default=None)
        return None if due is None else max(0.0, (due - self._stream.clock()).total_seconds())

    def settle(self, sequence: int) -> None:
        """It is done."""
        if self._unsettled.pop(sequence, None) is not None:
            self._stream.acknowledged(sequence)

    def postpone(self, sequence: int, delay_s: float) -> None:
        """It comes again after `delay_s` seconds."""
        if sequence in self._unsettled:
            self._unsettled[sequence].again_at = self._stream.clock() + timedelta(seconds=delay_s)


class _MemoryStream:
    """A stream: records by their sequence."""

    def __init__(self, stream: Stream, clock: Clock) -> None:
        self.declared = stream
        self.clock = clock
        self.created = clock()
        self.last_sequence = 0
        self._records: dict[int, Record] = {}
        self._taken_ids: dict[str, tuple[int, datetime]] = {}
        self._queues: dict[str, _MemoryQueue] = {}

    def append(
        self, subject: str, payload: bytes, headers: Mapping[str, str], *, message_id: str | None, guard: Guard | None
    ) -> Appended:
        """As one server does it: the guard is looked at before the id, so a guarded retry is a conflict."""
        if guard is not None and (last := self.last_on(guard.filter)) != guard.sequence:
            raise ConflictError(f"{subject}: wrong last sequence: {last}")
        now = self.clock()
        if message_id is not None:
            if (sequence := self._sequence_of(message_id, now)) is not None:
                return Appended(sequence, duplicate=True)
            self._taken_ids[message_id] = self.last_sequence + 1, now
        self.last_sequence += 1
        self._records[self.last_sequence] = Record(subject, self.last_sequence, now, payload, headers)
        return Appended(self.last_sequence)

    def last_on(self, subject_filter: str) -> int:
        """The sequence of the newest record on a filter; 0 where there is none."""
        newest_first = (record for _, record in reversed(self._records.items()))
        return next((record.sequence for record in newest_first if matches(subject_filter, record.subject)), 0)

    def records_behind(self, position: int, filters: tuple[str, ...]) -> Iterator[Record]:
        """Records in order; of all subjects where there is no filter."""
        for sequence in range(position + 1, self.last_sequence + 1):
            record = self._records.get(sequence)
            if record is not None and (not filters or _takes(filters, record.subject)):
                yield record

    def queue(self, settings: Queue) -> _MemoryQueue:
        """A durable consumer, made if missing, brought up to date if there."""
        queue = self._queues.setdefault(settings.name, _MemoryQueue(self, settings))
        queue.settings = settings
        return queue

    def acknowledged(self, sequence: int) -> None:
        """A queue is done with a message."""
        if self.declared.keeps is Keeps.UNTIL_ACKNOWLEDGED:
            del self._records[sequence]

    def _sequence_of(self, message_id: str, now: datetime) -> int | None:
        window = timedelta(seconds=self.declared.duplicate_window_s)
        sequence, taken_at = self._taken_ids.get(message_id, (None, now))
        return sequence if now - taken_at < window else None


class MemoryBucket:
    """See `Bucket`, in the port."""

    def __init__(self, buckets: "dict[str, dict[str, _Kept]]", name: str) -> None:
        self._buckets = buckets
        self._name = name

    async def ensure(self) -> None:
        """Make it if it is missing. See the port."""
        self._buckets.setdefault(self._name, {})

    async def get(self, key: str) -> Entry | None:
        """What a key holds. See the port."""
        value, revision = self._keys().get(key, (None, 0))
        return None if value is None else Entry(key, value, revision)

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Set a key. See the port."""
        last_revision = self._keys().get(key, (None, 0))[1]
        if revision not in (None, last_revision):
            raise ConflictError(f"{key}: wrong last revision: {last_revision}")
        return self._write(key, value)

    async def delete(self, key: str) -> None:
        """Take a key away. See the port."""
        self._write(key, None)

    async def entries(self) -> list[Entry]:
        """Every key with what it holds. See the port."""
        return [Entry(key, value, revision) for key, (value, revision) in self._keys().items() if value is not None]

    def _keys(self) -> "dict[str, _Kept]":
        if self._name not in self._buckets:
            raise UnreachableError(f"there is no bucket {self._name} on the server")
        return self._buckets[self._name]

    def _write(self, key: str, value: bytes | None) -> int:
        keys = self._keys()
        revision = max((kept[1] for kept in keys.values()), default=0) + 1
        keys[key] = value, revision
        return revision


_Kept = tuple[bytes | None, int]
"""What a key of a bucket holds, and since which revision. Nothing: it was deleted."""


class MemoryDelivery:
    """See `Delivery`, in the port."""

    def __init__(self, broker: MemoryBroker, queue: _MemoryQueue, handed_out: _HandedOut) -> None:
        self._broker = broker
        self._queue = queue
        self._record = handed_out.record
        self._attempt = handed_out.attempt

    @property
    def record(self) -> Record:
        """The message."""
        return self._record

    @property
    def attempt(self) -> int:
        """How often it has been handed out, this time included."""
        return self._attempt

    async def done(self) -> None:
        """Never hand it out again."""
        self._queue.settle(self._record.sequence)
        self._broker.wake()

    async def again(self, delay_s: float = 0.0) -> None:
        """Hand it out again, to anyone."""
        self._queue.postpone(self._record.sequence, delay_s)
        self._broker.wake()

    async def working(self) -> None:
        """The time allowed starts anew."""
        self._queue.postpone(self._record.sequence, self._queue.settings.settle_within_s)


@dataclass(eq=False, slots=True)
class _Served:
    """An endpoint that answers, with the questions under way."""

    endpoint: Endpoint
    under_way: set[asyncio.Task[Answer]] = field(default_factory=set["asyncio.Task[Answer]"])

    def begin(self, request: Request) -> asyncio.Task[Answer]:
        """Whoever asked may go away: the handler still comes to its end."""
        task = asyncio.create_task(answer_of(self.endpoint.handler, request))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return task


class MemoryBus:
    """See `Bus`, in the port."""

    def __init__(self, broker: MemoryBroker, subjects: Subjects) -> None:
        self._broker = broker
        self._subjects = subjects
        self._closed = False

    @property
    def connected(self) -> bool:
        """Whether it has not been closed."""
        return not self._closed

    @property
    def connection_count(self) -> int:
        """How often a server has been connected to: once. See the port."""
        return 1

    async def ensure_streams(self) -> None:
        """Create the declared streams that are missing, and check those that are there. See the port."""
        for stream in declared(self._subjects):
            self._broker.declare(stream)

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        guard: Guard | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Appended:
        """Append. See the port."""
        self._check(payload)
        stream = self._broker.stream_taking(subject)
        if stream is None:
            raise UnreachableError(f"no stream takes {subject}")
        all_headers = {**(headers or {}), "Nats-Msg-Id": message_id}
        appended = stream.append(subject, payload, all_headers, message_id=message_id, guard=guard)
        self._broker.wake()
        return appended

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send without waiting for an acknowledgement. See the port."""
        self._check(payload)
        stream = self._broker.stream_taking(subject)
        if stream is not None:
            stream.append(subject, payload, {}, message_id=None, guard=None)
            self._broker.wake()

    async def read(
        self,
        stream: str,
        *,
        after: int = 0,
        filter: str | None = None,  # noqa: A002
    ) -> AsyncGenerator[list[Record], None]:
        """All records behind `after`, and those to come. See the port."""
        source = self._broker.stream(stream)
        filters = () if filter is None else (filter,)
        told_of_the_end = False
        while True:
            self._check()
            records = list(islice(source.records_behind(after, filters), LIST_RECORDS))
            if records:
                after = records[-1].sequence
                yield records
            elif not told_of_the_end:
                told_of_the_end = True
                yield []
            else:
                await self._broker.change()

    async def last_sequence(self, stream: str, filter: str | None = None) -> int:  # noqa: A002
        """The sequence of the newest message (on `filter`); 0 where there is none."""
        source = self._broker.stream(stream)
        return source.last_sequence if filter is None else source.last_on(filter)

    async def created(self, stream: str) -> datetime:
        """When a stream was made. See the port."""
        return self._broker.stream(stream).created

    async def pull(self, queue: Queue, *, batch: int = 100) -> AsyncGenerator[MemoryDelivery, None]:  # noqa: ARG002
        """Messages of a durable consumer. See the port. They are handed out one by one: nothing waits here."""
        source = self._broker.stream(queue.stream).queue(queue)
        while True:
            self._check()
            handed_out = source.take()
            if handed_out is not None:
                yield MemoryDelivery(self._broker, source, handed_out)
            else:
                await self._broker.change(source.next_due_in_s())

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncGenerator[None, None]:
        """Answer questions until the block ends. See the port."""
        served = [_Served(endpoint) for endpoint in service.endpoints]
        for one in served:
            self._broker.services.setdefault(one.endpoint.subject, []).append(one)
        try:
            yield
        finally:
            for one in served:
                self._broker.services[one.endpoint.subject].remove(one)
            await asyncio.gather(*(task for one in served for task in one.under_way))

    async def ask(
        self, subject: str, payload: bytes, *, timeout_s: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask, and wait for the answer. See the port. Those who serve a subject take turns."""
        self._check(payload)
        listeners = self._broker.services.get(subject)
        if not listeners:
            raise NoAnswerError(f"nobody listens on {subject}")
        listeners.append(listeners.pop(0))
        answering = listeners[-1].begin(Request(subject, payload, headers or {}))
        await asyncio.wait({answering}, timeout=timeout_s)
        if not answering.done():
            raise NoAnswerError(f"nobody answered in time on {subject}")
        return answering.result().payload

    def bucket(self, name: str) -> MemoryBucket:
        """A bucket by its name. See the port."""
        return MemoryBucket(self._broker.buckets, name)

    async def close(self) -> None:
        """Leave. Whoever reads or pulls by this bus is told."""
        self._closed = True
        self._broker.wake()

    def _check(self, payload: bytes = b"") -> None:
        if self._closed:
            raise UnreachableError("the bus has been closed")
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise TooLargeError(f"{len(payload)} bytes; {MAX_PAYLOAD_BYTES} are taken")


def _takes(filters: tuple[str, ...], subject: str) -> bool:
    return any(matches(one, subject) for one in filters)
