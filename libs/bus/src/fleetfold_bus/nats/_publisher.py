"""Appending: many messages under way at once, each with its acknowledgement, its deadline and its id."""

import asyncio
from collections.abc import Mapping

import msgspec

from fleetfold_bus.nats._api import Problem
from fleetfold_bus.nats._replies import NobodyListensError, NoReplyError, Replies
from fleetfold_bus.port import Appended, BusError, ConflictError, Guard, TooLargeError, UnreachableError

WINDOW = 2000
ACKNOWLEDGE_WITHIN_S = 5.0

_MESSAGE_ID = "Nats-Msg-Id"
_EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
_EXPECTED_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"

_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
_MESSAGE_TOO_LARGE = 10054
_UNAVAILABLE = 503


class _Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    seq: int = 0
    duplicate: bool = False
    error: Problem | None = None


_decoder = msgspec.json.Decoder(_Acknowledgement)


class Publisher:
    """Appends to streams. `WINDOW` appends are under way at most; the others wait for their turn."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._window = asyncio.Semaphore(WINDOW)

    async def append(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str | None,
        guard: Guard | None,
        headers: Mapping[str, str] | None,
    ) -> Appended:
        """See the port. Without an id, a retry is another message."""
        all_headers = dict(headers or {})
        if message_id is not None:
            all_headers[_MESSAGE_ID] = message_id
        if guard is not None:
            all_headers[_EXPECTED_SEQUENCE] = str(guard.sequence)
            all_headers[_EXPECTED_FILTER] = guard.filter
        async with self._window:
            try:
                message = await self._replies.ask(
                    subject, payload, timeout_s=ACKNOWLEDGE_WITHIN_S, headers=all_headers or None
                )
            except NobodyListensError:
                raise UnreachableError(f"no stream takes {subject}, or JetStream is not up yet") from None
            except NoReplyError as error:
                raise UnreachableError(f"not acknowledged: {error}") from None
        acknowledgement = _decoder.decode(message.data)
        if acknowledgement.error is not None:
            raise _error_for(subject, acknowledgement.error)
        return Appended(acknowledgement.seq, acknowledgement.duplicate)


def _error_for(subject: str, problem: Problem) -> BusError:
    if problem.err_code in _WRONG_LAST_SEQUENCE:
        return ConflictError(f"{subject}: {problem.description}")
    if problem.err_code == _MESSAGE_TOO_LARGE:
        return TooLargeError(f"{subject}: {problem.description}")
    if problem.code == _UNAVAILABLE:
        return UnreachableError(f"{subject}: {problem.description}")
    return BusError(f"{subject}: {problem.description} ({problem.err_code})")
