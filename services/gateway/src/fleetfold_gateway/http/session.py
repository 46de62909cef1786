"""Who asks: what the page needs to know before it offers a command."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fleetfold_contracts import codec
from fleetfold_gateway.http.access import Role
from fleetfold_gateway.http.operations import Desk, Operation


class SessionAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What this request's token allows: `anybody` (nothing), `view`, or `operate`."""

    role: str
    guarded: bool
    """Whether tokens are asked for at all."""


async def _session(desk: Desk, request: Request) -> Response:
    answer = SessionAnswer(role=desk.access.role_of(request).name.lower(), guarded=desk.access.guarded)
    return Response(codec.encode(answer), headers={"Cache-Control": "no-store"}, media_type=codec.JSON)


SESSION = Operation(
    name="v1_session",
    path="/api/v1/session",
    summary="What the token of this request allows",
    handler=_session,
    tag="session",
    answer=SessionAnswer,
    role=Role.ANYBODY,
)
"""It asks for no token itself: that there is none, or a wrong one, is its answer."""
