"""NATS and the services, together."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from fleetfold_cli.nats_server import FREE_PORT
from fleetfold_cli.stack.readiness import services_answer
from fleetfold_cli.stack.server_process import ServerProcess
from fleetfold_cli.stack.service_process import ServiceProcess, ServiceSpec

STATE_PROJECTOR = ServiceSpec("state-projector", "fleetfold_state_projector")
PLACEMENT_SOLVER = ServiceSpec("placement-solver", "fleetfold_placement_solver")
DISTRIBUTOR = ServiceSpec("distributor", "fleetfold_distributor")


def telemetry_agent(fleet: str = "", *, name: str = "telemetry-agent") -> ServiceSpec:
    """The agent of a simulated fleet, or without one of this machine's GPUs."""
    return ServiceSpec(name, "fleetfold_telemetry_agent", {"FLEETFOLD_FLEET": fleet}, answers=False)


def gateway(port: int) -> ServiceSpec:
    """The HTTP API and the page, at a port of this machine."""
    return ServiceSpec("gateway", "fleetfold_gateway", {"FLEETFOLD_HTTP_PORT": str(port)}, answers=False)


class Stack:
    """NATS and some services on this machine, while the block runs. The services stop first, NATS last.

    In `folder` lie NATS's store, the services' data and the logs. `environment` is what the services see beside what
    the stack itself sets. `before_services` is run with the URL of NATS as soon as that listens. With `sync_always`
    what is acknowledged outlasts a loss of power. A start that is cut short stops what it has started.
    """

    def __init__(
        self,
        folder: Path,
        services: Sequence[ServiceSpec],
        *,
        environment: Mapping[str, str],
        root: str,
        port: int = FREE_PORT,
        sync_always: bool = False,
        before_services: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self.folder = folder
        self.server = ServerProcess(folder / "nats", port=port, sync_always=sync_always)
        self.services: dict[str, ServiceProcess] = {}
        self.root = root
        self._specs = services
        self._environment = environment
        self._before_services = before_services
        self._cleanup = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where NATS listens. Known once it has been started."""
        return self.server.url

    async def answering(self) -> None:
        """Wait until every service that answers questions does. It waits for ever: give it a limit."""
        await services_answer(self.url, [spec.name for spec in self._specs if spec.answers])

    @property
    def logs(self) -> Path:
        """The folder of the services' logs."""
        return self.folder / "logs"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as starting:
            await self.server.start()
            starting.callback(self.server.stop)
            starting.push_async_callback(self._stop_services)
            if self._before_services is not None:
                await self._before_services(self.url)
            await self._start_services()
            self._cleanup = starting.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._cleanup.aclose()

    async def _start_services(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        for spec in self._specs:
            self.services[spec.name] = ServiceProcess(spec, self._service_environment(spec), self.logs)
            await self.services[spec.name].start()

    async def _stop_services(self) -> None:
        await asyncio.gather(*(service.stop() for service in self.services.values()))

    def _service_environment(self, spec: ServiceSpec) -> dict[str, str]:
        return {
            **self._environment,
            "FLEETFOLD_NATS_URL": self.url,
            "FLEETFOLD_ROOT": self.root,
            "FLEETFOLD_DATA": str(self.folder / spec.name),
            # One health port cannot serve several services.
            "FLEETFOLD_HEALTH_PORT": "",
        }
