"""What can be done over HTTP: one entry an operation, from which both the routes and the OpenAPI document are made."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fleetfold_client import Fleet
from fleetfold_gateway.feed.feed import Feed
from fleetfold_gateway.http.access import Access, Role
from fleetfold_gateway.http.asking import NoQuery
from fleetfold_gateway.http.shared import Shared

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operation works with."""

    fleet: Fleet
    feed: Feed
    shared: Shared
    access: Access


Handler = Callable[[Desk, Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `answer` is the struct that it answers with; a command answers with its outcome instead."""

    name: str
    path: str
    summary: str
    handler: Handler
    tag: str
    query: type[msgspec.Struct] = NoQuery
    answer: type[msgspec.Struct] | None = None
    verb: str | None = None
    """The command that it takes. None: it is a question."""
    role: Role = Role.VIEW
    media_type: str = "application/json"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return "GET" if self.verb is None else "POST"
