"""An agent in the test's own process: on any bus, with any host."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from fleetfold_bus.port import Bus
from fleetfold_runtime.clock import Clock, SystemClock
from fleetfold_runtime.run import Context, Readiness
from fleetfold_telemetry_agent.hosts import Host
from fleetfold_telemetry_agent.service import Agent
from fleetfold_telemetry_agent.settings import AgentSettings

STOPPED_WITHIN_S = 20.0


def agent_context(settings: AgentSettings, bus: Bus, clock: Clock | None = None) -> Context[AgentSettings]:
    """What an agent is given to run with."""
    return Context(settings, bus, clock or SystemClock(), asyncio.Event(), Readiness())


@asynccontextmanager
async def running_agent(context: Context[AgentSettings], hosts: Sequence[Host]) -> AsyncGenerator[None]:
    """The agent, while the block runs. Then it is stopped in good order."""
    running = asyncio.create_task(Agent(context, hosts).run())
    try:
        yield
    finally:
        context.stop.set()
        async with asyncio.timeout(STOPPED_WITHIN_S):
            await running
