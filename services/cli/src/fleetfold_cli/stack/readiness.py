"""Whether a stack does its work. Everything here waits for ever: give it a limit."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import NoAnswerError, UnreachableError
from fleetfold_client import Fleet, FleetError
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.subjects import Subjects
from fleetfold_devices.simulation.fleet_file import load_fleet

ASK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Size:
    """How large a fleet is at least."""

    nodes: int = 0
    devices: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.nodes + other.nodes, self.devices + other.devices)


THIS_MACHINE = Size(nodes=1)
"""What its agent will find is not known beforehand."""


def described_size(fleet: str) -> Size:
    """The size of a simulated fleet.

    Raises:
        FleetError: there is no such fleet (of `fleetfold_devices`).
    """
    nodes = load_fleet(fleet)
    return Size(len(nodes), sum(len(node.discover().devices) for node in nodes))


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
        except (NoAnswerError, UnreachableError):
            await asyncio.sleep(ASK_EVERY_S)
        else:
            return


async def fleet_seen(fleet: Fleet, size: Size) -> StateAnswer:
    """Wait until so many nodes are live and so many devices known. Gives the state that shows them."""
    while True:
        try:
            state = await fleet.state()
        except FleetError:
            pass  # The projector, or the server, is still starting.
        else:
            if live_nodes(state) >= size.nodes and state.summary.device_count >= size.devices:
                return state
        await asyncio.sleep(ASK_EVERY_S)


def live_nodes(state: StateAnswer) -> int:
    """How many nodes are heard from."""
    return sum(node.liveness is Liveness.LIVE for node in state.nodes)
