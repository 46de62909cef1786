"""The event stream: what happens, as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fleetfold_contracts.inventory import Count
from fleetfold_gateway.feed.feed import Feed
from fleetfold_gateway.feed.frames import KEEP_ALIVE, Begins, Ends, frame
from fleetfold_gateway.feed.listener import Listener
from fleetfold_gateway.feed.recent import KEPT
from fleetfold_gateway.http.asking import query_of
from fleetfold_gateway.http.operations import EVENT_STREAM, Desk, Operation
from fleetfold_gateway.http.problems import ProblemError
from fleetfold_runtime.stopping import cancelled

KEEP_ALIVE_EVERY_S = 15.0
TAKEN_WITHIN_S = 20.0
"""Who takes nothing for so long is gone."""
MOST_LISTENERS = 1000


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to hear of."""

    after: Count | None = None
    """Begin behind this log position. The header `Last-Event-ID` counts before it. Absent: begin now."""
    recent: Annotated[int, msgspec.Meta(ge=0, le=KEPT)] = 0
    """Without `after`: begin with so many events that happened before."""
    readings: bool = False
    """Hear what devices read, too: twice a second the newest samples, as events named `readings`."""


class EventStream(Response):
    """A stream of frames that ends when its reader goes, or is too slow."""

    def __init__(self, feed: Feed, after: int, *, with_samples: bool) -> None:
        """It goes on behind the log position `after`."""
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, media_type=EVENT_STREAM)
        del self.headers["content-length"]
        self._feed = feed
        self._after = after
        self._listener = Listener(with_samples=with_samples)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until the reader goes."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancelled(sending, gone)
        if not sending.cancelled():
            sending.result()

    async def _send_all(self, send: Send) -> None:
        with suppress(TimeoutError):
            async with aclosing(self._chunks()) as chunks:
                async for chunk in chunks:
                    async with asyncio.timeout(TAKEN_WITHIN_S):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self) -> AsyncGenerator[bytes]:
        feed = self._feed
        yield frame("begins", Begins(position=self._after)) + frame("connection", feed.standing)
        while not feed.recent.reaches_back_to(self._after):
            async for position, chunk in feed.older(self._after):
                yield chunk
                self._after = position
        # Nothing is awaited between looking at what is at hand and listening: no event falls in between.
        with feed.listening(self._listener):
            yield b"".join(feed.recent.behind(self._after))
            while self._listener.ended is None:
                yield await self._listener.take(within_s=KEEP_ALIVE_EVERY_S) or KEEP_ALIVE
        yield frame("ends", Ends(reason=self._listener.ended))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(desk: Desk, request: Request) -> Response:
    query = query_of(request, EventsQuery)
    if desk.feed.listener_count >= MOST_LISTENERS:
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_LISTENERS} listen already")
    await desk.feed.begun()
    return EventStream(desk.feed, _start(desk.feed, request, query), with_samples=query.readings)


def _start(feed: Feed, request: Request, query: EventsQuery) -> int:
    last_id = request.headers.get("last-event-id")
    if last_id is not None and not (last_id.isascii() and last_id.isdigit() and len(last_id) < 17):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "`Last-Event-ID` is the id of an event of this stream, a number")
    after = query.after if last_id is None else int(last_id)
    if after is None:
        return feed.recent.position_before_newest(query.recent)
    # A log that was made anew is shorter than what somebody heard of the old one.
    return min(after, feed.recent.position)


EVENTS = Operation(
    name="v1_events",
    path="/api/v1/events",
    summary="What happens, as it happens: server-sent events, one an event of the log",
    handler=_events,
    tag="events",
    query=EventsQuery,
    media_type=EVENT_STREAM,
)
