"""Problems: what went wrong, as RFC 9457 has it."""

from http import HTTPStatus

import msgspec
from starlette.responses import Response

from fleetfold_client import FleetError, NoAnswerError, RejectedError, UnreachableError
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong (RFC 9457). Without a `type` the `title`, the status in words, says what kind it is."""

    title: str
    status: int
    detail: str
    field: str | None = None
    """Where in the request: a JSON path in the body (`$.workload.shards[0]`), or `?` and a query parameter's name."""
    command_id: str | None = None
    """The command whose outcome is not known: sent again with this id, it is done once."""


class ProblemError(Exception):
    """A request that ends with a problem."""

    def __init__(self, status: int, detail: str, *, field: str | None = None, command_id: str | None = None) -> None:
        super().__init__(detail)
        self.problem = Problem(
            title=HTTPStatus(status).phrase, status=status, detail=detail, field=field, command_id=command_id
        )


def problem_response(problem: Problem) -> Response:
    """A problem as it is answered."""
    headers = {"Cache-Control": "no-store"}
    if problem.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="fleetfold"'
    return Response(codec.encode(problem), problem.status, headers, media_type=MEDIA_TYPE)


def of_body(error: ContractError) -> ProblemError:
    """A body that cannot be read as what it should be."""
    return ProblemError(HTTPStatus.BAD_REQUEST, error.reason, field=error.field)


def of_fleet(error: FleetError, *, rejected: HTTPStatus) -> ProblemError:
    """What the fleet says. `rejected` is the status for what makes no sense to it."""
    match error:
        case RejectedError():
            return ProblemError(rejected, error.reason, field=error.field)
        case NoAnswerError():
            return ProblemError(HTTPStatus.GATEWAY_TIMEOUT, str(error), command_id=error.command_id)
        case UnreachableError():
            return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        case _:
            return ProblemError(HTTPStatus.BAD_GATEWAY, str(error))
