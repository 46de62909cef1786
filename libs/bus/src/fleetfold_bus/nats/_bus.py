"""The port, on NATS JetStream."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Self

from fleetfold_bus.nats import _streams
from fleetfold_bus.nats._api import JetStreamApi
from fleetfold_bus.nats._bucket import NatsBucket
from fleetfold_bus.nats._link import Link
from fleetfold_bus.nats._publisher import Publisher
from fleetfold_bus.nats._queue import NatsDelivery, Puller
from fleetfold_bus.nats._reader import Reader
from fleetfold_bus.nats._replies import NoReplyError, Replies
from fleetfold_bus.nats._service import MicroService
from fleetfold_bus.port import Appended, Guard, NoAnswerError, Queue, Record, Service
from fleetfold_bus.streams import declared
from fleetfold_contracts.subjects import Subjects

SETTLE_WITHIN_S = 5.0


class NatsBus:
    """See `Bus`, in the port. Made by `connect`."""

    def __init__(self, link: Link, replies: Replies, subjects: Subjects, replicas: int) -> None:
        self._link = link
        self._replies = replies
        self._subjects = subjects
        self._replicas = replicas
        self._api = JetStreamApi(replies)
        self._publisher = Publisher(replies)

    @classmethod
    async def connect(
        cls, url: str, *, subjects: Subjects, name: str, replicas: int = 1, wait_s: float | None = None
    ) -> Self:
        """Connect to one of the servers of `url`, which are separated by commas. It is connected for ever after.

        Args:
            url: such as `nats://127.0.0.1:4222`; a user and a password may stand in it.
            subjects: of which cluster.
            name: what the server calls us. Answers come to `_INBOX_<name>.>`: let nobody else listen there.
            replicas: how many servers keep each stream.
            wait_s: how long to wait for a server. `None`: for ever.

        Raises:
            UnreachableError: no server answered in time.
        """
        link = Link(url, name)
        await link.connect(wait_s)
        replies = Replies(link)
        await replies.open()
        return cls(link, replies, subjects, replicas)

    @property
    def connected(self) -> bool:
        """Whether a server answers now."""
        return self._link.connected

    @property
    def connection_count(self) -> int:
        """How often a server has been connected to. See the port."""
        return self._link.connection_count

    async def ensure_streams(self) -> None:
        """Create the declared streams that are missing, and check those that are there.

        Raises:
            BusError: JetStream is off, or the server cannot keep such a stream.
            StreamMismatchError: settings differ from what is declared.
            UnreachableError: no server, or its cluster does not get ready.
        """
        await _streams.ensure(self._api, declared(self._subjects, replicas=self._replicas))

    async def stream_problems(self) -> dict[str, str | None]:
        """What is wrong with each declared stream on the server; None where nothing is. Changes nothing."""
        streams = declared(self._subjects, replicas=self._replicas)
        return {stream.name: await _streams.problem(self._api, stream) for stream in streams}

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        guard: Guard | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Appended:
        """Append durably. See the port."""
        return await self._publisher.append(subject, payload, message_id=message_id, guard=guard, headers=headers)

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send without waiting for an acknowledgement. See the port."""
        await self._link.send(subject, payload)

    def read(self, stream: str, *, after: int = 0, filter: str | None = None) -> AsyncGenerator[list[Record], None]:  # noqa: A002
        """All records behind `after`, and those to come. See the port."""
        return Reader(self._link, self._api, stream, after=after, subject_filter=filter).lists()

    async def last_sequence(self, stream: str, filter: str | None = None) -> int:  # noqa: A002
        """The sequence of the newest message (on `filter`); 0 where there is none."""
        if filter is None:
            return (await self._api.stream(stream)).state.last_seq
        return await self._api.last_sequence(stream, filter)

    async def created(self, stream: str) -> datetime:
        """When a stream was made. See the port."""
        return (await self._api.stream(stream)).created

    def pull(self, queue: Queue, *, batch: int = 100) -> AsyncGenerator[NatsDelivery, None]:
        """Messages of a durable consumer. See the port."""
        return Puller(self._link, self._api, self._replies, queue, batch).deliveries()

    def serve(self, service: Service) -> AbstractAsyncContextManager[None]:
        """Answer questions until the block ends. See the port."""
        return MicroService(self._link, service).running()

    async def ask(
        self, subject: str, payload: bytes, *, timeout_s: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask, and wait for the answer. See the port."""
        own_headers = dict(headers) if headers else None
        try:
            message = await self._replies.ask(subject, payload, timeout_s=timeout_s, headers=own_headers)
        except NoReplyError as error:
            raise NoAnswerError(str(error)) from None
        return message.data

    def bucket(self, name: str) -> NatsBucket:
        """A bucket by its name. See the port."""
        return NatsBucket(self._link, self._api, self._publisher, name, self._replicas)

    async def close(self) -> None:
        """Send what is under way, and leave."""
        await self._replies.settled(SETTLE_WITHIN_S)
        await self._link.close()
