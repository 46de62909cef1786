"""The cluster: whether NATS answers, its streams are as declared, its services there, and its log understood."""

from collections.abc import AsyncIterator

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import BusError
from fleetfold_cli.asking import CONNECT_WITHIN_S
from fleetfold_cli.doctor.findings import Finding, State
from fleetfold_cli.render.words import count
from fleetfold_client import Fleet, FleetError
from fleetfold_contracts.subjects import Subjects

SERVICES = ("telemetry-agent", "state-projector", "placement-solver", "distributor")
ANSWER_WITHIN_S = 2.0


async def cluster_findings(server: str, root: str, *, replicas: int) -> list[Finding]:
    """What can be said of the cluster; of NATS alone, where it does not answer."""
    try:
        bus = await NatsBus.connect(
            server, subjects=Subjects(root), name="doctor", replicas=replicas, wait_s=CONNECT_WITHIN_S
        )
    except BusError as error:
        remedy = "start one with 'fleetfold up', or name yours with --server"
        return [Finding(part="nats", state=State.BROKEN, found=str(error), remedy=remedy)]
    try:
        return [finding async for finding in _findings(bus, server, root)]
    finally:
        await bus.close()


async def _findings(bus: NatsBus, server: str, root: str) -> AsyncIterator[Finding]:
    yield Finding(part="nats", state=State.GOOD, found=f"answers at {server}")
    for stream, problem in (await bus.stream_problems()).items():
        if problem is None:
            yield Finding(part=f"stream {stream}", state=State.GOOD, found="as declared")
        else:
            yield Finding(part=f"stream {stream}", state=State.BROKEN, found=problem)
    for service in SERVICES:
        yield await _service(bus, service)
    yield await _log(Fleet(bus, root=root))


async def _service(bus: NatsBus, service: str) -> Finding:
    try:
        await bus.ask(f"$SRV.PING.{service}", b"", timeout_s=ANSWER_WITHIN_S)
    except BusError as error:
        return Finding(part=service, state=State.BROKEN, found=str(error), remedy="start it: 'fleetfold up' starts all")
    return Finding(part=service, state=State.GOOD, found="answers")


async def _log(fleet: Fleet) -> Finding:
    try:
        state = await fleet.state()
    except FleetError as error:
        return Finding(part="log", state=State.BROKEN, found=f"what is parked is not known: {error}")
    parked = state.summary.unknown_event_count
    if parked == 0:
        return Finding(part="log", state=State.GOOD, found="every event was understood")
    found = f"{count(parked, 'event')} could not be understood, and changed nothing"
    found += "".join(f"\nevent {one.sequence}: {one.reason}" for one in state.parked)
    remedy = "events of a newer version need newer services; 'nats stream get' shows an event by its number"
    return Finding(part="log", state=State.NOTICE, found=found, remedy=remedy)
