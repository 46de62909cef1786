"""The messages of one consumer, pulled ahead within limits."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import NamedTuple, TypeVar

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from fleetfold_bus.nats._api import NANOSECONDS
from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import BusError, UnreachableError

EXPIRES_S = 30
HEARTBEAT_S = 2
SILENCE_S = 5.0
"""Two heartbeats missed, and some: whatever was asked for will not come."""

MAX_REQUEST_BYTES = 8 * 1024 * 1024
RETRY_S = 0.2
CLOSE_WITHIN_S = 2.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class FeedLostError(Exception):
    """Nothing more will come of this feed: its consumer is gone, or the connection. Make another one."""


class Marks(NamedTuple):
    """What the server writes into the reply subject of each message. `pending`: how many more wait for the consumer."""

    attempt: int
    sequence: int
    consumer_sequence: int
    time_ns: int
    pending: int


_SHORT_FORM_TOKENS = 9


def marks(reply: str) -> Marks:
    """Read `$JS.ACK.<stream>.<consumer>.…`, or the longer form with a domain and an account before the stream."""
    tokens = reply.split(".")
    first = 4 if len(tokens) == _SHORT_FORM_TOKENS else 6
    return Marks._make(map(int, tokens[first : first + len(Marks._fields)]))


class Feed:
    """Messages of one consumer. At most `window` of them are asked for or wait here; they are asked for by `chunk`.

    It never repairs itself: it raises `FeedLostError`, and whoever owns it knows where to go on with a new one.
    """

    def __init__(self, link: Link, stream: str, consumer: str, *, window: int, chunk: int) -> None:
        self.last_consumer_sequence = 0
        """What the server said last that it had sent: more than has arrived means that something was lost."""
        self.taken_arrived_at_s = 0.0
        """When, on the loop's clock, the first of the messages taken last had arrived."""
        self._link = link
        self._next_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._window = window
        self._chunk = chunk
        self._request = _request(chunk, max(MAX_REQUEST_BYTES, 2 * link.client.max_payload))
        self._inbox = link.new_inbox()
        self._subscription: Subscription | None = None
        self._asked = 0
        self._arrived: list[Msg] = []
        self._first_arrived_at_s = 0.0
        self._idle = False
        self._failure: Exception | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        """Listen. The client must not drop messages past a limit of its own: ours is `window`."""
        self._link.on_lost.add(self._on_lost)
        self._link.on_refused.add(self._on_refused)
        self._subscription = await self._link.subscribe(self._inbox, self._on_message, bounded=False)

    async def take(self) -> list[Msg]:
        """Whatever has arrived, as soon as something has; nothing at all when the server says that it has no more.

        Raises:
            FeedLostError: nothing more will come.
            BusError: the server does not permit it.
        """
        await self._ask_ahead()
        while not (self._arrived or self._idle):
            await self._news_arrived()
        taken, self._arrived = self._arrived, []
        self.taken_arrived_at_s = self._first_arrived_at_s
        if not taken:
            self._idle = False
        return taken

    async def close(self) -> list[Msg]:
        """Stop listening, and hand over what has arrived and was not taken."""
        self._link.on_lost.discard(self._on_lost)
        self._link.on_refused.discard(self._on_refused)
        if self._subscription is not None:
            await self._link.retire(self._subscription, CLOSE_WITHIN_S)
        return self._arrived

    async def _ask_ahead(self) -> None:
        while self._asked + len(self._arrived) <= self._window - self._chunk:
            self._asked += self._chunk
            try:
                await self._link.send(self._next_subject, self._request, reply=self._inbox)
            except UnreachableError as error:
                raise FeedLostError(str(error)) from None

    async def _news_arrived(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._news.clear()
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._news.wait()
        except TimeoutError:
            raise FeedLostError(f"the server has said nothing for {SILENCE_S:g} s") from None

    async def _on_message(self, message: Msg) -> None:
        if message.reply:
            self._asked -= 1
            self._idle = False
            if not self._arrived:
                self._first_arrived_at_s = asyncio.get_running_loop().time()
            self._arrived.append(message)
        else:
            self._on_status(message.headers or {})
        self._news.set()

    def _on_status(self, headers: Mapping[str, str]) -> None:
        match headers.get("Status"), headers.get("Description"):
            case ("100", _):
                self._idle = True
                self.last_consumer_sequence = int(headers.get("Nats-Last-Consumer", 0))
            case ("408", _) | ("409", "Message Size Exceeds MaxBytes" | "Batch Completed"):
                self._asked -= int(headers.get("Nats-Pending-Messages", 0))
            case (status, reason):
                self._failure = FeedLostError(f"{status} {reason}")

    def _on_lost(self) -> None:
        self._failure = FeedLostError("the connection is lost")
        self._news.set()

    def _on_refused(self, refused_subject: str) -> None:
        if refused_subject == self._next_subject.lower():
            self._failure = BusError(f"the server does not permit to publish to {self._next_subject}")
            self._news.set()


async def restored(
    link: Link, doing: str, until_lost: Callable[[], AsyncGenerator[T, None]]
) -> AsyncGenerator[T, None]:
    """What `until_lost` yields, for ever: it is begun again each time that its feed is lost.

    Raises:
        UnreachableError: the connection has been closed for good.
    """
    while True:
        await link.up()
        try:
            async with aclosing(until_lost()) as values:
                async for value in values:
                    yield value
        except (FeedLostError, UnreachableError) as lost:
            _log.info("%s: begun again, because %s", doing, lost)
            await asyncio.sleep(RETRY_S)


def _request(message_count: int, size_bytes: int) -> bytes:
    return msgspec.json.encode(
        {
            "batch": message_count,
            "max_bytes": size_bytes,
            "expires": EXPIRES_S * NANOSECONDS,
            "idle_heartbeat": HEARTBEAT_S * NANOSECONDS,
        }
    )
