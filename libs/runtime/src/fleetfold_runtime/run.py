"""How a service starts, runs and ends: the same for all of them."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import uvloop

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import Bus, BusError
from fleetfold_runtime.clock import Clock, SystemClock
from fleetfold_runtime.health import health_endpoint
from fleetfold_runtime.logs import configure_logs, get_logger
from fleetfold_runtime.settings import Settings, SettingsError, load_settings
from fleetfold_runtime.stopping import stop_on_signals, unless_stopped

SettingsT = TypeVar("SettingsT", bound=Settings)


class Readiness:
    """Whether a service does its work: what `/readyz` tells."""

    def __init__(self) -> None:
        """Not ready until something says when it is."""
        self.check: Callable[[], bool] = lambda: False

    def now(self) -> bool:
        """Whether it does its work at this moment."""
        return self.check()


@dataclass(frozen=True, slots=True)
class Context(Generic[SettingsT]):
    """What a service is given to run with."""

    settings: SettingsT
    bus: Bus
    clock: Clock
    stop: asyncio.Event
    readiness: Readiness


def run_service(
    name: str,
    kind: type[SettingsT],
    service: Callable[[Context[SettingsT]], Awaitable[None]],
    environ: Mapping[str, str],
) -> None:
    """Run a service until SIGTERM or SIGINT. Ends the process with 2 when a setting or a stream is wrong."""
    try:
        settings = load_settings(kind, environ)
    except SettingsError as error:
        sys.exit(f"{name}: {error}")
    configure_logs(name, form=settings.log_format, level=settings.log_level)
    _collect_seldom()
    failed = False
    try:
        uvloop.run(_run(name, settings, service))
    except* BusError as errors:
        failed = True
        for error in _each_of(errors):
            get_logger().error("cannot go on", reason=str(error))
    if failed:
        sys.exit(2)


def _each_of(errors: BaseExceptionGroup[BusError]) -> Iterator[BusError]:
    """The errors themselves: what ran beside each other groups them, and the groups in groups."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _each_of(error)
        else:
            yield error


def _collect_seldom() -> None:
    # A state is a great many objects and hardly any rubbish, and each look for cycles goes through all of them.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _run(name: str, settings: SettingsT, service: Callable[[Context[SettingsT]], Awaitable[None]]) -> None:
    log = get_logger()
    stop = stop_on_signals()
    readiness = Readiness()
    with health_endpoint(settings.health_port, readiness.now):
        bus = await _connect(name, settings, stop)
        if bus is None:
            return
        log.info("started", nats=settings.nats_url, root=settings.root)
        try:
            await bus.ensure_streams()
            await service(Context(settings, bus, SystemClock(), stop, readiness))
        finally:
            await bus.close()
    log.info("stopped")


async def _connect(name: str, settings: Settings, stop: asyncio.Event) -> NatsBus | None:
    # A service may start before its server does: it waits, unless it is told to stop.
    connecting = NatsBus.connect(settings.nats_url, subjects=settings.subjects, name=name, replicas=settings.replicas)
    return await unless_stopped(stop, connecting)
