"""Commands: each verb of the contracts, asked of the fleet, answered with the event that is its outcome."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fleetfold_client import FleetError
from fleetfold_contracts import codec
from fleetfold_contracts.commands import COMMANDS
from fleetfold_contracts.events import TYPE_OF_EVENT
from fleetfold_gateway.http.access import Role
from fleetfold_gateway.http.asking import NoQuery, command_of, query_of
from fleetfold_gateway.http.operations import Desk, Operation
from fleetfold_gateway.http.problems import of_fleet


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command: an event. A refusal is an outcome, not a problem."""

    type: str
    """The event's words, such as `placement.decided`."""
    data: msgspec.Raw


def _command(verb: str) -> Operation:
    async def handle(desk: Desk, request: Request) -> Response:
        query_of(request, NoQuery)
        command = await command_of(request, verb)
        try:
            event = await desk.fleet.do(command)
        except FleetError as error:
            raise of_fleet(error, rejected=HTTPStatus.UNPROCESSABLE_ENTITY) from error
        outcome = Outcome(type=TYPE_OF_EVENT[type(event)], data=msgspec.Raw(codec.encode(event)))
        return Response(codec.encode(outcome), headers={"Cache-Control": "no-store"}, media_type=codec.JSON)

    summary = (COMMANDS[verb].__doc__ or verb).splitlines()[0]
    return Operation(
        name=verb,
        path=f"/api/v1/{verb}",
        summary=summary,
        handler=handle,
        tag="commands",
        verb=verb,
        role=Role.OPERATE,
    )


WRITES = tuple(map(_command, COMMANDS))
