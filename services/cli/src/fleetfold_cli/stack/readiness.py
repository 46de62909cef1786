"""Whether a stack does its work. Everything here waits for ever: give it a limit."""

import asyncio
from collections.abc import Iterable

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import NoAnswerError
from fleetfold_client import Fleet
from fleetfold_client import NoAnswerError as NoFleetAnswerError
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.subjects import Subjects

ASK_EVERY_S = 0.1


async def services_answer(url: str, names: Iterable[str]) -> None:
    """Wait until each of these services answers the ping of the micro protocol."""
    bus = await NatsBus.connect(url, subjects=Subjects(), name="stack")
    try:
        for name in names:
            await _answers(bus, f"$SRV.PING.{name}")
    finally:
        await bus.close()


async def _answers(bus: NatsBus, subject: str) -> None:
    while True:
        try:
            await bus.ask(subject, b"")
        except NoAnswerError:
            await asyncio.sleep(ASK_EVERY_S)
        else:
            return


async def fleet_seen(fleet: Fleet, node_count: int) -> StateAnswer:
    """Wait until so many nodes are live. Gives the state that shows them."""
    while True:
        try:
            state = await fleet.state()
        except NoFleetAnswerError:
            pass  # The projector is still starting, or starting anew.
        else:
            if live_nodes(state) >= node_count:
                return state
        await asyncio.sleep(ASK_EVERY_S)


def live_nodes(state: StateAnswer) -> int:
    """How many nodes are heard from."""
    return sum(node.liveness is Liveness.LIVE for node in state.nodes)
