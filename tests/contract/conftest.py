"""Each test of the contract runs on every adapter of the bus."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
from tests.docker.engine import why_not
from tests.docker.nats_container import nats_in_container
from tests.support.streams import remove_streams

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import Bus
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.subjects import Subjects

Connect = Callable[[], Awaitable[Bus]]

MEMORY = "memory"
BINARY = "nats"
IMAGE = "nats-image"

WITH_ENGINE = () if why_not() else (pytest.param(IMAGE, marks=pytest.mark.docker),)
"""That CI has an engine is held by `tests/docker`: here nothing is said about each of the tests."""


@pytest.fixture(scope="session")
def nats_image_url() -> Iterator[str]:
    """The server of the public image."""
    with nats_in_container() as url:
        yield url


@pytest.fixture(params=[MEMORY, BINARY, *WITH_ENGINE])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the broker of the test is; None for the one in memory."""
    if request.param == BINARY:
        server: NatsServer = request.getfixturevalue("shared_nats_server")
        return server.url
    return request.getfixturevalue("nats_image_url") if request.param == IMAGE else None


@pytest.fixture
async def connect(url: str | None, subjects: Subjects) -> AsyncIterator[Connect]:
    """Connects to one and the same broker, as often as it is called."""
    broker = MemoryBroker()

    async def new_bus() -> Bus:
        if url is None:
            bus = MemoryBus(broker, subjects)
        else:
            bus = await NatsBus.connect(url, subjects=subjects, name="contract", wait_s=5)
        closing.push_async_callback(bus.close)
        return bus

    async with AsyncExitStack() as closing:
        yield new_bus
    if url is not None:
        await remove_streams(url, subjects)


@pytest.fixture
async def bus(connect: Connect) -> Bus:
    """A bus with its streams."""
    bus = await connect()
    await bus.ensure_streams()
    return bus
