"""The NATS server is killed while an agent reports: it goes on looking, and what matters is there when NATS is back."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from fleetfold_bus.streams import SAMPLES
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import NodeSample
from fleetfold_devices.isolation.isolated import IsolatedSource
from fleetfold_runtime.clock import SystemClock
from fleetfold_telemetry_agent.hosts import ThisHost
from fleetfold_telemetry_agent.reporter import Seen
from fleetfold_telemetry_agent.settings import AgentSettings
from fleetfold_telemetry_agent.vendor_watch import VendorWatch
from tests.fakes.scripted_vendor import Script
from tests.support.agents import agent_context, running_agent
from tests.support.cluster import Cluster, Logged
from tests.support.examples import a_node
from tests.support.scripted import ScriptedVendor
from tests.support.waiting import eventually

TICK_S = 0.2
FLAPS = 3
ENOUGH_LOOKS = 3


class CountedHost(ThisHost):
    """A host that counts how often it was looked at."""

    look_count = 0

    async def look(self) -> list[Seen]:
        seen = await super().look()
        self.look_count += 1
        return seen

    async def looked_at(self) -> None:
        """Wait until it has been looked at a few times more."""
        until = self.look_count + ENOUGH_LOOKS
        await eventually(lambda: _is(self.look_count >= until), what="more looks at the devices")


@pytest.fixture
def vendor(tmp_path: Path) -> ScriptedVendor:
    return ScriptedVendor(tmp_path)


def host_of(vendor: ScriptedVendor, settings: AgentSettings) -> CountedHost:
    source = IsolatedSource("scripted", vendor.command)
    watch = VendorWatch(Vendor.NVIDIA, source, settings, SystemClock(), patience_s=TICK_S / 4, is_there=lambda: True)
    return CountedHost(a_node("desk"), [watch])


async def test_facts_of_an_outage_arrive_in_order_and_samples_go_on_with_one_key_frame(
    own_cluster: Cluster, nats_server: NatsServer, vendor: ScriptedVendor
) -> None:
    settings = AgentSettings(root=own_cluster.subjects.root, sample_interval_s=TICK_S, key_frame_interval_s=3600)
    healthy, lossy = Script(devices=["a", "b"]), Script(devices=["a", "b"], lost=["b"])
    vendor.plays(healthy)
    host = host_of(vendor, settings)

    async with running_agent(agent_context(settings, own_cluster.bus), [host]):
        await own_cluster.log(lambda logged: _kinds(logged).count("device.registered") == 2)
        await host.looked_at()
        nats_server.kill()
        for _ in range(FLAPS):
            for script in (lossy, healthy):
                vendor.plays(script)
                await host.looked_at()
        nats_server.start()
        flaps = ["device.lost", "device.recovered"] * FLAPS
        await own_cluster.log(lambda logged: _kinds(logged)[-len(flaps) :] == flaps)
        await eventually(lambda: _beats_again(own_cluster), what="samples after the outage")
        await host.looked_at()

    before, after = await _around_the_outage(own_cluster)
    assert [message.key_frame for message in before if message.key_frame] == [True]
    key_frames = [message for message in after if message.key_frame]
    assert [sample.device_id for message in key_frames for sample in message.samples] == ["a", "b"]
    assert after[-1].tick - before[-1].tick > len(after), "what was not sent is not sent later"


def _kinds(logged: Sequence[Logged]) -> list[str]:
    return [evt.TYPE_OF_EVENT[type(entry.event)] for entry in logged]


async def _beats_again(cluster: Cluster) -> bool:
    _, after = await _around_the_outage(cluster)
    return any(message.key_frame for message in after)


async def _around_the_outage(cluster: Cluster) -> tuple[list[NodeSample], list[NodeSample]]:
    """The messages of the samples, parted where the longest run of ticks is missing."""
    messages = await _messages(cluster)
    gaps = [later.tick - earlier.tick for earlier, later in pairwise(messages)]
    if not gaps or max(gaps) == 1:
        return messages, []
    at = gaps.index(max(gaps)) + 1
    return messages[:at], messages[at:]


async def _messages(cluster: Cluster) -> list[NodeSample]:
    messages: list[NodeSample] = []
    async with aclosing(cluster.bus.read(cluster.subjects.stream(SAMPLES))) as batches:
        async for records in batches:
            if not records:
                break
            messages += [codec.decode_samples(record.payload) for record in records]
    return messages


async def _is(true: object) -> bool:
    return bool(true)
