"""The gateway: follows what happens, and serves it over HTTP."""

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from fleetfold_client import Fleet
from fleetfold_gateway.feed.feed import Feed
from fleetfold_gateway.http.access import Access
from fleetfold_gateway.http.app import application
from fleetfold_gateway.http.operations import Desk
from fleetfold_gateway.http.shared import Shared
from fleetfold_gateway.settings import GatewaySettings
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background

NAME = "gateway"
BACKLOG = 2048
END_WITHIN_S = 2

_log = get_logger()


async def serve(context: Context[GatewaySettings]) -> None:
    """Serve until told to stop."""
    settings = context.settings
    feed = Feed(context.bus, settings.subjects, context.clock)
    desk = Desk(Fleet(context.bus, root=settings.root), feed, Shared(context.clock), Access(settings))
    context.readiness.check = lambda: feed.ready
    listening = _listening_socket(settings)
    async with background(feed.run()), _serving(application(desk, settings, context.clock), listening):
        _log.info("serves", host=settings.http_host, port=listening.getsockname()[1], tokens=desk.access.guarded)
        await context.stop.wait()
        feed.end()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the runtime: it stops the service, which stops the server."""
        yield


def _listening_socket(settings: GatewaySettings) -> socket.socket:
    address = (settings.http_host, settings.http_port)
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        sys.exit(f"{NAME}: cannot listen at {settings.http_host}:{settings.http_port}: {error.strerror}")


@asynccontextmanager
async def _serving(app: ASGIApp, listening: socket.socket) -> AsyncGenerator[None]:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=END_WITHIN_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
