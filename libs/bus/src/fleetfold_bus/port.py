"""What Fleetfold needs of a message system, and no more. `nats` gives it for real, `memory` for tests."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec


class BusError(Exception):
    """Something went wrong outside.

    BusError
    ├── ConflictError        the guard no longer holds
    ├── NoAnswerError        nobody answers a question, or not in time
    ├── UnreachableError     no server, or it went away before it acknowledged
    ├── TooLargeError        the server does not take so many bytes
    └── StreamMismatchError  a stream exists with other settings than declared
    """


class ConflictError(BusError):
    """The subjects of the guard have moved on. Read on, look for your own id, decide again."""


class NoAnswerError(BusError):
    """Nobody answers on the subject, or not in time."""


class UnreachableError(BusError):
    """No server answers, or it went away before it acknowledged. A retry with the same id is safe."""


class TooLargeError(BusError):
    """The server does not take a message of that size."""


class StreamMismatchError(BusError):
    """A stream exists with other settings than declared: using it would break a promise."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Append only if the last message on `filter` has `sequence` (0: there is none)."""

    filter: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Where a message lies. `duplicate`: it lay there already, under the same id."""

    sequence: int
    duplicate: bool = False


class Record(msgspec.Struct, frozen=True, gc=False):
    """A message of a stream. `time` is the server's.

    A struct, and no dataclass: one is made for each message read, and a frozen dataclass takes seven times as long.
    """

    subject: str
    sequence: int
    time: datetime
    payload: bytes
    headers: Mapping[str, str] = {}


class Delivery(Protocol):
    """A message handed to us, to be settled in one of these ways. Unsettled, it comes again after the time allowed."""

    @property
    def record(self) -> Record:
        """The message."""
        ...

    @property
    def attempt(self) -> int:
        """How often it has been handed out, this time included."""
        ...

    async def done(self) -> None:
        """Its effect is in the log: never hand it out again. Returns once the server knows (a double acknowledgement).

        Raises:
            UnreachableError: the server did not confirm it, so it comes again. Pull on: repeating this may never help.
        """
        ...

    async def again(self, delay_s: float = 0.0) -> None:
        """Hand it out again, to anyone. Says nothing to a server that is away: then it comes again by itself."""
        ...

    async def working(self) -> None:
        """Not done yet: the time allowed starts anew.

        Raises:
            UnreachableError: no server.
        """
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A question."""

    subject: str
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Answer:
    """What is replied. With an `error_code` it is marked as an error in the headers too; the body must say it all."""

    payload: bytes
    error_code: str | None = None
    error_message: str = ""


Handler = Callable[[Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question that a service answers. `metadata` is shown by `nats micro info`."""

    name: str
    subject: str
    handler: Handler
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Service:
    """A micro service: several of one name share the questions."""

    name: str
    version: str
    description: str
    endpoints: Sequence[Endpoint] = ()


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable consumer: all who pull by this name share its messages, each of which is settled by one."""

    stream: str
    name: str
    filters: tuple[str, ...]
    settle_within_s: float = 30.0
    max_unsettled: int = 1000


class Entry(NamedTuple):
    """What a key of a bucket holds. Its revision grows with each change."""

    key: str
    value: bytes
    revision: int


class Bucket(Protocol):
    """Keys and values, of which the newest counts: what `nats kv` shows. A key is made of tokens with dots between.

    Each method but `ensure` raises a BusError where the bucket is not there: somebody may delete it at any time.
    """

    async def ensure(self) -> None:
        """Make it if it is missing.

        Raises:
            BusError: the server does not answer, or cannot keep it.
        """
        ...

    async def get(self, key: str) -> Entry | None:
        """What a key holds; None where it does not exist, or no longer."""
        ...

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Set a key; only if its last change has this `revision` (0: it never existed), if one is given.

        Gives the new revision.

        Raises:
            ConflictError: its last change has another revision.
            UnreachableError: no acknowledgement came, or there is no bucket; it may be set all the same.
        """
        ...

    async def delete(self, key: str) -> None:
        """Take a key away. Those who watch are told."""
        ...

    async def entries(self) -> list[Entry]:
        """Every key with what it holds."""
        ...


class Log(Protocol):
    """What is appended and read."""

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        guard: Guard | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Appended:
        """Append durably. Many may be under way at once.

        Raises:
            ConflictError: the guard does not hold.
            TooLargeError: the server takes no message of this size.
            UnreachableError: no acknowledgement came; it may lie there all the same. Retry with the same id.
        """
        ...

    def read(self, stream: str, *, after: int = 0, filter: str | None = None) -> AsyncGenerator[list[Record], None]:  # noqa: A002
        """All records behind `after`, in order and without a gap, in lists as they come; then those to come, for ever.

        A list may be empty: it says that the end is reached. It goes on by itself when the server was away.
        Close the iterator (`aclosing`) to stop.
        """
        ...

    async def last_sequence(self, stream: str, filter: str | None = None) -> int:  # noqa: A002
        """The sequence of the newest message (on `filter`); 0 where there is none."""
        ...

    async def created(self, stream: str) -> datetime:
        """When a stream was made. One that was deleted and made anew counts from 1 again, and has another time."""
        ...


class Bus(Log, Protocol):
    """All that Fleetfold needs."""

    async def ensure_streams(self) -> None:
        """Create the declared streams that are missing, and check those that are there.

        Raises:
            StreamMismatchError: settings differ from what is declared.
        """
        ...

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send without waiting for an acknowledgement: for samples, the newest of which is all that counts.

        Raises:
            TooLargeError: the server takes no message of this size.
            UnreachableError: no server. Nothing is kept back to be sent later.
        """
        ...

    def pull(self, queue: Queue, *, batch: int = 100) -> AsyncGenerator[Delivery, None]:
        """Messages of a durable consumer, made if missing, one after another, for ever. Close to stop.

        What was fetched and not handed out yet goes back at once on closing.
        """
        ...

    def serve(self, service: Service) -> AbstractAsyncContextManager[None]:
        """Answer questions until the block ends; those under way are finished first. Handlers run side by side."""
        ...

    async def ask(
        self, subject: str, payload: bytes, *, timeout_s: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """Ask, and wait for the answer.

        Raises:
            NoAnswerError: nobody serves it, or not in time.
            UnreachableError: no server.
        """
        ...

    def bucket(self, name: str) -> Bucket:
        """A bucket by its name. Whether it is there is seen when it is used."""
        ...

    @property
    def connected(self) -> bool:
        """Whether a server answers now."""
        ...

    @property
    def connection_count(self) -> int:
        """How often a server has been connected to, the first time included. What was published shortly before it grew
        may be lost.
        """
        ...

    async def close(self) -> None:
        """Send what is under way, and leave."""
        ...
