"""The NATS server as a part of the stack."""

import asyncio
from pathlib import Path

from fleetfold_cli.nats_server import NatsServer, NatsServerError
from fleetfold_cli.stack.errors import ServerFailedError
from fleetfold_cli.stack.tether import tethered

LOOK_EVERY_S = 0.2


class ServerProcess:
    """The NATS server, tethered to us."""

    name = "nats-server"

    def __init__(self, store: Path, *, port: int, sync_always: bool) -> None:
        self._server = NatsServer(store, port=port, sync_always=sync_always, launcher=tethered([]))

    @property
    def url(self) -> str:
        """Where it listens. Known once it has been started."""
        return self._server.url

    @property
    def log_file(self) -> Path:
        """What it wrote."""
        return self._server.log_file

    async def start(self) -> None:
        """Start it, and wait until it listens. Nothing else goes on meanwhile, so that no stop can fall in between.

        Raises:
            ServerFailedError: it does not come up.
        """
        try:
            self._server.start()
        except NatsServerError as error:
            raise ServerFailedError(str(error)) from error

    async def ended(self) -> int:
        """Wait until it ends."""
        while self._server.running:  # noqa: ASYNC110 - a process of `subprocess` tells nobody when it ends
            await asyncio.sleep(LOOK_EVERY_S)
        return self._server.exit_code or 0

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._server.stop()
