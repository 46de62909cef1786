"""Questions under way: one inbox for all answers, a future for each question."""

import asyncio
from itertools import count

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import BusError, UnreachableError

_NO_RESPONDERS = "503"


class NoReplyError(Exception):
    """Nobody answered in time."""


class NobodyListensError(NoReplyError):
    """Nobody listens on the subject: the server says so at once."""


class Replies:
    """Asks, many times at once. No question outlives its deadline or the connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._prefix = ""
        self._subscription: Subscription | None = None
        self._tokens = count()
        self._waiting: dict[str, tuple[str, asyncio.Future[Msg]]] = {}

    async def open(self) -> None:
        """Listen for answers."""
        self._prefix = self._link.new_inbox() + "."
        self._subscription = await self._link.subscribe(self._prefix + "*", self._on_reply)
        self._link.on_lost.add(self._on_lost)
        self._link.on_refused.add(self._on_refused)

    async def ask(
        self, subject: str, payload: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> Msg:
        """Ask, and wait for the first answer.

        Raises:
            NoReplyError: nobody answered in time, or nobody listens.
            BusError: the server does not permit it.
            TooLargeError: more than the server takes.
            UnreachableError: no server, or it went away before the answer came.
        """
        loop = asyncio.get_running_loop()
        reply_token = str(next(self._tokens))
        answer: asyncio.Future[Msg] = loop.create_future()
        self._waiting[reply_token] = subject, answer
        timer = loop.call_later(timeout_s, _fail, answer, NoReplyError(f"no answer within {timeout_s:g} s"))
        try:
            await self._link.send(subject, payload, reply=self._prefix + reply_token, headers=headers)
            message = await answer
        finally:
            timer.cancel()
            del self._waiting[reply_token]
        if _status(message) == _NO_RESPONDERS:
            raise NobodyListensError(f"nobody listens on {subject}")
        return message

    async def settled(self, timeout_s: float) -> None:
        """Wait until all questions under way are answered, for `timeout_s` seconds at most."""
        if self._waiting:
            await asyncio.wait([answer for _, answer in self._waiting.values()], timeout=timeout_s)

    async def _on_reply(self, message: Msg) -> None:
        waiting = self._waiting.get(message.subject[len(self._prefix) :])
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(message)

    def _on_lost(self) -> None:
        for _, answer in self._waiting.values():
            _fail(answer, UnreachableError("the server went away before it answered"))

    def _on_refused(self, refused_subject: str) -> None:
        for subject, answer in self._waiting.values():
            if subject.lower() == refused_subject:
                _fail(answer, BusError(f"the server does not permit to publish to {subject}"))


def _fail(answer: asyncio.Future[Msg], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def _status(message: Msg) -> str | None:
    return message.headers.get("Status") if message.headers and not message.data else None
