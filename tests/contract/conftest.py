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
from fleetfold_contracts.subjects import Subjects

Connect = Callable[[], Awaitable[Bus]]

MEMORY = "memory"
NATS = "nats"
IMAGE = "nats-image"
SERVER_FIXTURES = {NATS: "shared_nats_url", IMAGE: "shared_image_url"}

WITH_ENGINE = () if why_not() else (pytest.param(IMAGE, marks=pytest.mark.docker),)
"""That CI has an engine is held by `tests/docker`: here nothing is said about each of the tests."""


@pytest.fixture(scope="session")
def nats_image_url() -> Iterator[str]:
    """The server of the public image."""
    with nats_in_container() as url:
        yield url


@pytest.fixture
async def shared_image_url(nats_image_url: str, subjects: Subjects) -> AsyncIterator[str]:
    """The same, without the streams that earlier tests have made."""
    yield nats_image_url
    await remove_streams(nats_image_url, subjects)


@pytest.fixture(params=[MEMORY, NATS, *WITH_ENGINE])
async def connect(request: pytest.FixtureRequest, subjects: Subjects) -> AsyncIterator[Connect]:
    """Connects to one and the same broker, as often as it is called."""
    broker = MemoryBroker()
    url = "" if request.param == MEMORY else request.getfixturevalue(SERVER_FIXTURES[request.param])

    async def new_bus() -> Bus:
        if request.param == MEMORY:
            bus = MemoryBus(broker, subjects)
        else:
            bus = await NatsBus.connect(url, subjects=subjects, name="contract", wait_s=5)
        closing.push_async_callback(bus.close)
        return bus

    async with AsyncExitStack() as closing:
        yield new_bus


@pytest.fixture
async def bus(connect: Connect) -> Bus:
    """A bus with its streams."""
    bus = await connect()
    await bus.ensure_streams()
    return bus
