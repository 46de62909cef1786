"""The connection to the server: made once, restored for ever. Whoever depends on it is told when it is lost."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import (
    DEFAULT_SUB_PENDING_BYTES_LIMIT,
    DEFAULT_SUB_PENDING_MSGS_LIMIT,
    Subscription,
)
from nats.errors import ConnectionClosedError, ConnectionDrainingError, OutboundBufferLimitError
from nats.errors import Error as NatsError

from fleetfold_bus.port import TooLargeError, UnreachableError
from fleetfold_contracts.ids import token

PAUSES_S = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
"""How long to wait before the first, second, … attempt to connect; the last one for ever."""

CONNECT_WITHIN_S = 2
FLUSH_WITHIN_S = 2.0
PING_EVERY_S = 5
"""A server that went silent without closing the connection is given up after two pings without an answer."""

REASONS_KEPT = 4

_FOREVER = -1
_HEADER_FRAME_BYTES = len("NATS/1.0\r\n") + len("\r\n")
_HEADER_LINE_FRAME_BYTES = len(": ") + len("\r\n")
_PUBLISH_REFUSED = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)

_log = logging.getLogger(__name__)


class Link:
    """A connection, and the news about it."""

    def __init__(self, url: str, name: str) -> None:
        self.name = token(name)
        self.client = Client()
        self.on_lost: set[Callable[[], None]] = set()
        self.on_refused: set[Callable[[str], None]] = set()
        """Called with a subject, in lower case, that we may not publish to. The server says it to nobody else."""
        self.connection_count = 0
        self._servers = [server.strip() for server in url.split(",")]
        self._up = asyncio.Event()
        self._ended: str | None = None
        self._reasons: deque[str] = deque(maxlen=REASONS_KEPT)

    async def connect(self, wait_s: float | None) -> None:
        """Connect, and keep trying for `wait_s` seconds (`None`: for ever).

        Raises:
            UnreachableError: no server answered in time.
        """
        loop = asyncio.get_running_loop()
        give_up_at = None if wait_s is None else loop.time() + wait_s
        for pause_s in chain(PAUSES_S, repeat(PAUSES_S[-1])):
            await asyncio.sleep(pause_s)
            if await self._connects():
                return
            if give_up_at is not None and loop.time() >= give_up_at:
                raise UnreachableError(f"no NATS server answers at {self.address}: {self._reason}")
            if pause_s == PAUSES_S[0]:
                _log.info("waiting for a NATS server at %s: %s", self.address, self._reason)

    @property
    def address(self) -> str:
        """The servers, without the passwords that their URLs may hold."""
        return ", ".join(server.rpartition("//")[2].rpartition("@")[2] for server in self._servers)

    @property
    def _reason(self) -> str:
        """What the client has reported since it was last connected: it hides the cause behind what comes of it."""
        return "; ".join(self._reasons) or "no answer"

    @property
    def connected(self) -> bool:
        """Whether a server answers now."""
        return self.client.is_connected

    async def up(self) -> None:
        """Wait until a server answers.

        Raises:
            UnreachableError: the connection has been closed for good.
        """
        await self._up.wait()
        if self._ended is not None:
            raise UnreachableError(self._ended)

    async def send(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish now, or not at all: what the client keeps back during an outage would be sent behind our back.

        Raises:
            TooLargeError: more than the server takes.
            UnreachableError: no server.
        """
        self._check_size(len(payload), headers or {})
        if not self.connected:
            raise UnreachableError(self._ended or f"no NATS server answers at {self.address}")
        try:
            await self.client.publish(subject, payload, reply=reply, headers=headers)
        except (ConnectionClosedError, ConnectionDrainingError, OutboundBufferLimitError) as error:
            raise UnreachableError(str(error)) from error

    def new_inbox(self) -> str:
        """A subject of our own, on which to listen for answers."""
        return self.client.new_inbox()

    async def subscribe(
        self, subject: str, on_message: Callable[[Msg], Awaitable[None]], *, queue: str = "", bounded: bool = True
    ) -> Subscription:
        """Listen, until `retire` or `drop`; an outage is survived.

        What waits to be handled is bounded, and the client drops what is beyond. Unbounded is for those who ask for no
        more than they can hold.

        Raises:
            UnreachableError: the connection has been closed for good.
        """
        try:
            return await self.client.subscribe(  # pyright: ignore[reportUnknownMemberType] - it has a bare `Future`
                subject,
                queue=queue,
                cb=on_message,
                pending_msgs_limit=DEFAULT_SUB_PENDING_MSGS_LIMIT if bounded else 0,
                pending_bytes_limit=DEFAULT_SUB_PENDING_BYTES_LIMIT if bounded else 0,
            )
        except (ConnectionClosedError, ConnectionDrainingError) as error:
            raise UnreachableError(self._ended or str(error)) from error

    async def flush(self) -> None:
        """Wait until the server knows what it was told before, such as a subscription."""
        if self.connected:
            await _never_cancelled(self.client.flush(), FLUSH_WITHIN_S)

    async def retire(self, subscription: Subscription, within_s: float) -> None:
        """End a subscription once everything that the server has sent for it is handled, or `within_s` have passed."""
        if self.connected:
            await _never_cancelled(subscription.drain(), within_s)
        else:
            await self.drop(subscription)

    async def drop(self, subscription: Subscription) -> None:
        """End a subscription at once, whatever is still on its way."""
        with suppress(NatsError):
            await subscription.unsubscribe()

    async def close(self) -> None:
        """Leave. What has been published is sent first."""
        self._end("the bus has been closed")
        with suppress(OSError):
            await self.client.close()

    async def _connects(self) -> bool:
        """One round over the servers. The client is new each time: a second attempt of one adds its servers again."""
        self.client = Client()
        try:
            await self.client.connect(
                self._servers,
                name=self.name,
                inbox_prefix=f"_INBOX_{self.name}",
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
                closed_cb=self._on_closed,
                reconnect_to_server_handler=self._next_server,
                reconnect_time_wait=0,
                max_reconnect_attempts=1,
                connect_timeout=CONNECT_WITHIN_S,
                flush_timeout=FLUSH_WITHIN_S,
                ping_interval=PING_EVERY_S,
            )
        except (NatsError, OSError, TimeoutError) as error:
            if not self._reasons:  # What the client has told `_on_error` says more than what it raises in the end.
                self._reasons.append(str(error))
            return False
        self.client.options["max_reconnect_attempts"] = _FOREVER
        self.connection_count += 1
        self._up.set()
        return True

    def _next_server(self, servers: list[Server], _server_info: dict[str, Any]) -> tuple[Server, float]:
        """The one that was tried least, after a pause that grows with its attempts."""
        # The client itself leaves the socket of an attempt that failed half-way open.
        transport = self.client._transport  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - nobody else has it
        if transport is not None:
            transport.close()
        server = min(servers, key=lambda server: server.reconnects)
        return server, PAUSES_S[min(server.reconnects, len(PAUSES_S) - 1)]

    def _check_size(self, payload_bytes: int, headers: dict[str, str]) -> None:
        """The server cuts the connection for a byte too many, headers counted, and the client then closes for good."""
        size_bytes = payload_bytes + (_header_bytes(headers) if headers else 0)
        if size_bytes > self.client.max_payload:
            limit_bytes = self.client.max_payload
            raise TooLargeError(f"{size_bytes} bytes with headers; the server takes {limit_bytes} (max_payload)")

    async def _on_error(self, error: Exception) -> None:
        """Never raises: the client's read loop would end for good, while the connection seems to be alive."""
        reason = str(error) or type(error).__name__
        if "permissions violation" in reason:
            _log.error("the server does not permit it: %s", reason)
            self._tell_refused(reason)
        elif reason not in self._reasons:
            _log.log(logging.WARNING if self.connected else logging.INFO, "the NATS client reports: %s", reason)
            self._reasons.append(reason)

    async def _on_disconnected(self) -> None:
        if self._ended is None:
            _log.warning("the connection to %s is lost: %s", self.address, self._reason)
            self._up.clear()
            self._tell_lost()

    async def _on_reconnected(self) -> None:
        self._reasons.clear()
        _log.info("connected again to %s", self.address)
        self.connection_count += 1
        self._up.set()

    async def _on_closed(self) -> None:
        """The client gives up when the server throws it out with a reason, such as a password that has changed."""
        if self._ended is None:
            _log.error("the server at %s has closed the connection: %s", self.address, self.client.last_error)
            self._end(f"the server has closed the connection: {self.client.last_error}")

    def _end(self, reason: str) -> None:
        self._ended = reason
        self._up.set()
        self._tell_lost()

    def _tell_refused(self, reason: str) -> None:
        if refused := _PUBLISH_REFUSED.search(reason):
            for tell in tuple(self.on_refused):
                tell(refused[1])

    def _tell_lost(self) -> None:
        for tell in tuple(self.on_lost):
            tell()


def _header_bytes(headers: dict[str, str]) -> int:
    text = "".join((*headers, *headers.values()))
    return _HEADER_FRAME_BYTES + len(headers) * _HEADER_LINE_FRAME_BYTES + len(text.encode())


async def _never_cancelled(waiting_for_a_pong: Coroutine[Any, Any, None], within_s: float) -> None:
    """Stop waiting after a while, but let it go on: the late pong of a wait that is cancelled ends the read loop."""
    waiting = asyncio.ensure_future(waiting_for_a_pong)
    waiting.add_done_callback(_take_error)
    await asyncio.wait({waiting}, timeout=within_s)


def _take_error(task: asyncio.Task[None]) -> None:
    """An error of a task that nobody waits for any more is of no interest."""
    if not task.cancelled():
        task.exception()
