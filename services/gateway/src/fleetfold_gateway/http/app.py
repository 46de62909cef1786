"""The application: every operation at its path, the page, health, and the door before all of it."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from fleetfold_contracts import codec
from fleetfold_gateway.http import site
from fleetfold_gateway.http.access import Role
from fleetfold_gateway.http.commands import WRITES
from fleetfold_gateway.http.door import Door
from fleetfold_gateway.http.events import EVENTS
from fleetfold_gateway.http.operations import Desk, Operation
from fleetfold_gateway.http.problems import ProblemError, problem_response
from fleetfold_gateway.http.rates import Rates
from fleetfold_gateway.http.reads import READS
from fleetfold_gateway.http.session import SESSION
from fleetfold_gateway.metrics.page import exposition
from fleetfold_gateway.openapi import document
from fleetfold_gateway.settings import GatewaySettings
from fleetfold_runtime.clock import Clock

OPERATIONS: tuple[Operation, ...] = (*READS, EVENTS, SESSION, *WRITES)


def application(desk: Desk, settings: GatewaySettings, clock: Clock) -> ASGIApp:
    """Everything that the gateway serves."""
    routes = [
        *(_operation_route(desk, operation) for operation in OPERATIONS),
        Route("/openapi.json", _document),
        Route("/metrics", _metrics(desk)),
        Route("/healthz", _health(lambda: True)),
        Route("/readyz", _health(lambda: desk.feed.ready)),
        *site.routes(),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={ProblemError: _problem, HTTPException: _http_problem, Exception: _fault},
    )
    loopback_only = settings.on_loopback and not desk.access.guarded and not settings.http_open
    return Door(app, rates=Rates(settings.http_rate_per_s), clock=clock, loopback_only=loopback_only)


def _operation_route(desk: Desk, operation: Operation) -> Route:
    async def answer(request: Request) -> Response:
        desk.access.require(request, operation.role)
        return await operation.handler(desk, request)

    return Route(operation.path, answer, methods=[operation.method], name=operation.name)


async def _document(_: Request) -> Response:
    return Response(document(OPERATIONS), headers={"Cache-Control": "no-cache"}, media_type=codec.JSON)


def _metrics(desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        desk.access.require(request, Role.VIEW)
        text, media_type = await exposition(desk.fleet, desk.feed)
        return Response(text, headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    return answer


def _health(good: Callable[[], bool]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        status = HTTPStatus.OK if good() else HTTPStatus.SERVICE_UNAVAILABLE
        return PlainTextResponse(f"{status.value} {status.phrase}\n", status)

    return answer


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError), "it is registered for these"
    return problem_response(error.problem)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "it is registered for these"
    status = HTTPStatus(error.status_code)
    said = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {request.url.path}; /openapi.json says what there is",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not for {request.url.path}; see the header `Allow`",
    }
    response = problem_response(ProblemError(status, said.get(status, error.detail)).problem)
    response.headers.update(error.headers or {})
    return response


async def _fault(_: Request, __: Exception) -> Response:
    # What was the matter goes into the log, not to a stranger.
    return problem_response(
        ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of ours; the log tells more").problem
    )
