"""The agent from its start to its end, on a bus in memory: what it says, to whom it says it again, what it costs."""

import gc
import sys
from contextlib import aclosing
from pathlib import Path
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.port import Record
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.subjects import Subjects, event_scope
from fleetfold_runtime.clock import SystemClock
from fleetfold_telemetry_agent import hosts
from fleetfold_telemetry_agent.hosts import hosts_of
from fleetfold_telemetry_agent.outbox import Outbox
from fleetfold_telemetry_agent.service import NodeReport, serve
from fleetfold_telemetry_agent.settings import AgentSettings
from tests.support.agents import agent_context, running_agent
from tests.support.fake_clock import FakeClock
from tests.support.waiting import eventually

SUBJECTS = Subjects()
NO_GPU = AgentSettings(node_id="desk", labels="rack=a", sample_interval_s=0.2)
TICKS = 10_000
WARM_UP_TICKS = 1000
BLOCKS_MAX = 2000
"""Python's memory goes up and down by some hundred blocks by itself; one kept a tick would be 9,000."""


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    return bus


def describe(fleet: Path, *, gpus: int = 2) -> None:
    """Three nodes with so many GPUs each."""
    fleet.write_text(f'[[nodes]]\nname = "node"\ncount = 3\ndevices = [{{ model = "A10", count = {gpus} }}]\n')


@pytest.fixture
def simulated(tmp_path: Path) -> AgentSettings:
    describe(tmp_path / "fleet.toml")
    return AgentSettings(fleet=str(tmp_path / "fleet.toml"), sample_interval_s=0.2)


@pytest.fixture
def without_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has, the agent sees no sign of it."""
    monkeypatch.setattr(hosts, "shows_signs", Mock(return_value=False))


async def records(bus: MemoryBus, stream: str) -> list[Record]:
    """All that the stream holds now."""
    found: list[Record] = []
    async with aclosing(bus.read(SUBJECTS.stream(stream))) as batches:
        async for batch in batches:
            if not batch:
                break
            found += batch
    return found


async def facts(bus: MemoryBus) -> list[evt.Event]:
    return [codec.decode_event(codec.decode_envelope(record.payload)) for record in await records(bus, EVENTS)]


async def samples(bus: MemoryBus) -> list[NodeSample]:
    return [codec.decode_samples(record.payload) for record in await records(bus, SAMPLES)]


async def run_once(settings: AgentSettings, bus: MemoryBus, *, ticks: int = 2) -> list[evt.Event]:
    """Run an agent for some ticks, and stop it. Gives the facts that it added to the log."""
    before = len(await facts(bus))
    enough = len(await samples(bus)) + ticks
    async with running_agent(agent_context(settings, bus), hosts_of(settings, SystemClock())):
        await eventually(lambda: _so_many_samples(bus, enough), what=f"{ticks} ticks")
    return (await facts(bus))[before:]


async def _so_many_samples(bus: MemoryBus, count: int) -> bool:
    return len(await samples(bus)) >= count


@pytest.mark.usefixtures("without_drivers")
async def test_a_node_without_any_gpu_is_reported_and_says_so_once(bus: MemoryBus) -> None:
    with capture_logs() as logs:
        joined, left = await run_once(NO_GPU, bus, ticks=4)

    assert isinstance(joined, evt.NodeJoined)
    assert (joined.node.node_id, joined.node.labels, joined.node.beat_interval_s) == ("desk", {"rack": "a"}, 0.2)
    assert joined.node.cpu_milli >= 1000
    assert joined.node.memory_bytes > 0
    assert left == evt.NodeLeft(node_id="desk", boot_id=joined.node.boot_id)

    beats = await samples(bus)
    assert [beat.tick for beat in beats] == list(range(len(beats)))
    assert {beat.boot_id for beat in beats} == {joined.node.boot_id}
    assert not any(beat.samples for beat in beats)
    assert [log["event"] for log in logs].count("there is no GPU on this node; it is reported all the same") == 1
    without_driver = [log["reason"].split(":")[0] for log in logs if "reason" in log]
    assert sorted(without_driver) == ["amd", "apple", "intel", "nvidia", "qualcomm"]


async def test_ids_survive_a_restart_boots_are_told_apart_and_what_stands_is_not_said_again(
    bus: MemoryBus, simulated: AgentSettings
) -> None:
    first = await run_once(simulated, bus, ticks=6)
    second = await run_once(simulated, bus, ticks=6)

    joins = [event.node for event in first if isinstance(event, evt.NodeJoined)]
    rejoins = [event.node for event in second if isinstance(event, evt.NodeJoined)]
    assert [node.node_id for node in joins] == [node.node_id for node in rejoins] == ["node-0", "node-1", "node-2"]
    assert {node.boot_id for node in joins}.isdisjoint(node.boot_id for node in rejoins)

    registered = [event.capabilities.device_id for event in first if isinstance(event, evt.DeviceRegistered)]
    assert sorted(registered) == [f"node-{node}-gpu{gpu}" for node in range(3) for gpu in range(2)]
    assert {type(event) for event in second} == {evt.NodeJoined, evt.NodeLeft}


async def test_a_device_that_is_gone_after_a_restart_is_lost(bus: MemoryBus, simulated: AgentSettings) -> None:
    await run_once(simulated, bus, ticks=3)
    describe(Path(simulated.fleet), gpus=1)
    lost = [event.device_id for event in await run_once(simulated, bus, ticks=3) if isinstance(event, evt.DeviceLost)]
    assert lost == ["node-0-gpu1", "node-1-gpu1", "node-2-gpu1"]


async def test_the_facts_of_a_node_lie_in_the_log_in_their_order(bus: MemoryBus, simulated: AgentSettings) -> None:
    said = await run_once(simulated, bus, ticks=3)
    for node in ("node-0", "node-1", "node-2"):
        kinds = [evt.TYPE_OF_EVENT[type(event)] for event in said if event_scope(event) == ("node", node)]
        assert kinds == ["node.joined", "device.registered", "device.registered", "node.left"]


async def test_a_fleet_that_is_described_wrongly_ends_the_agent_with_the_reason(bus: MemoryBus) -> None:
    with pytest.raises(SystemExit, match="openb:0"):
        await serve(agent_context(AgentSettings(fleet="openb:0"), bus))


class Nowhere(MemoryBus):
    """A bus that keeps nothing."""

    async def publish(self, subject: str, payload: bytes) -> None:
        pass


async def test_ten_thousand_ticks_take_no_more_memory_than_a_thousand(simulated: AgentSettings) -> None:
    bus, clock = Nowhere(MemoryBroker(), SUBJECTS), FakeClock()
    context = agent_context(simulated, bus, clock)
    outbox = Outbox(bus, SUBJECTS, clock, limit=simulated.outbox_limit)
    report = NodeReport(context, outbox, hosts_of(simulated, clock)[0])

    async def blocks_after(ticks: int) -> int:
        for _ in range(ticks):
            clock.passes(2.0)
            await report.tick()
        gc.collect()
        return sys.getallocatedblocks()

    before = await blocks_after(WARM_UP_TICKS)
    assert await blocks_after(TICKS - WARM_UP_TICKS) - before < BLOCKS_MAX
