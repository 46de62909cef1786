"""Questions under way: one inbox for all answers, a future for each question."""

import asyncio
from itertools import count
from typing import NamedTuple

from nats.aio.msg import Msg

from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import BusError, UnreachableError

SWEEP_EVERY_S = 0.05

_NO_RESPONDERS = "503"


class NoReplyError(Exception):
    """Nobody answered in time."""


class NobodyListensError(NoReplyError):
    """Nobody listens on the subject: the server says so at once."""


class _Question(NamedTuple):
    subject: str
    answer: asyncio.Future[Msg]
    overdue_at_s: float


class Replies:
    """Asks, many times at once. No question outlives its deadline or the connection."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._prefix = ""
        self._tokens = count()
        self._waiting: dict[str, _Question] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Listen for answers."""
        self._prefix = self._link.new_inbox() + "."
        await self._link.subscribe(self._prefix + "*", self._on_reply)
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
        token = str(next(self._tokens))
        answer: asyncio.Future[Msg] = self._loop.create_future()
        self._waiting[token] = _Question(subject, answer, self._loop.time() + timeout_s)
        if self._sweep is None:
            self._sweep = self._loop.call_later(SWEEP_EVERY_S, self._fail_overdue)
        try:
            await self._link.send(subject, payload, reply=self._prefix + token, headers=headers)
            message = await answer
        finally:
            del self._waiting[token]
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            raise NobodyListensError(f"nobody listens on {subject}")
        return message

    async def settled(self, timeout_s: float) -> None:
        """Wait until all questions under way are answered, for `timeout_s` seconds at most."""
        if self._waiting:
            await asyncio.wait([question.answer for question in self._waiting.values()], timeout=timeout_s)

    async def _on_reply(self, message: Msg) -> None:
        question = self._waiting.get(message.subject[len(self._prefix) :])
        if question is not None and not question.answer.done():
            question.answer.set_result(message)

    def _fail_overdue(self) -> None:
        """One timer for all questions: one for each would take a tenth of the time of an append."""
        now_s = self._loop.time()
        for question in self._waiting.values():
            if question.overdue_at_s <= now_s:
                _fail(question.answer, NoReplyError(f"nobody answered in time on {question.subject}"))
        self._sweep = self._loop.call_later(SWEEP_EVERY_S, self._fail_overdue) if self._waiting else None

    def _on_lost(self) -> None:
        for question in self._waiting.values():
            _fail(question.answer, UnreachableError("the server went away before it answered"))

    def _on_refused(self, refused_subject: str) -> None:
        for question in self._waiting.values():
            if question.subject.lower() == refused_subject:
                _fail(question.answer, BusError(f"the server does not permit to publish to {question.subject}"))


def _fail(answer: asyncio.Future[Msg], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
