"""Each test of the contract runs on every adapter of the bus."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import Bus
from fleetfold_contracts.subjects import Subjects
from tests.support.servers import SERVERS
from tests.support.streams import remove_streams

Connect = Callable[[], Awaitable[Bus]]

MEMORY = "memory"


@pytest.fixture(params=[MEMORY, *SERVERS])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the broker of the test is; None for the one in memory."""
    return None if request.param == MEMORY else request.getfixturevalue(request.param)


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
