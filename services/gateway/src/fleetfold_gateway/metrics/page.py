"""`/metrics`, as text. It is there when the fleet does not answer, too, and says so."""

import asyncio
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fleetfold_client import Fleet, FleetError
from fleetfold_contracts.answers import DevicesAnswer, StateAnswer
from fleetfold_gateway.feed.feed import Feed
from fleetfold_gateway.metrics import devices, fleet
from fleetfold_runtime.logs import get_logger

REQUESTS = Counter("fleetfold_gateway_requests", "Requests by the class of their status", ["status"])
LISTENERS = Gauge("fleetfold_gateway_listeners", "Event streams that are open")
CONNECTED = Gauge("fleetfold_gateway_nats_connected", "1 when the gateway is connected to NATS")
ANSWERED = Gauge("fleetfold_gateway_fleet_answers", "1 when the projector answered just now")

_log = get_logger()


async def exposition(asked: Fleet, feed: Feed) -> tuple[bytes, str]:
    """The page as text, and its content type."""
    LISTENERS.set(feed.listener_count)
    CONNECTED.set(feed.standing.connected)
    families = await _fleets(asked, feed)
    # Ten thousand devices make some megabytes of text: meanwhile others are served.
    text = await asyncio.to_thread(_text, families)
    return text, CONTENT_TYPE_LATEST


async def _fleets(asked: Fleet, feed: Feed) -> list[Metric]:
    try:
        state = await asked.state()
        every = await asked.devices()
    except FleetError as error:
        ANSWERED.set(0)
        _log.info("metrics without the fleet's", reason=str(error))
        return []
    ANSWERED.set(1)
    return list(_families(state, every, feed.recent.position))


def _families(state: StateAnswer, every: DevicesAnswer, log_position: int) -> Iterator[Metric]:
    yield from fleet.families(state, log_position)
    yield from devices.families(every.devices)


class _Once(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """What was asked for."""
        return self._families


def _text(families: list[Metric]) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Once(families))
    return generate_latest(REGISTRY) + generate_latest(registry)
