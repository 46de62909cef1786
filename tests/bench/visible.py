"""How long a sample takes until it is answered, beside a bare question and answer through the same server."""

import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from nats.aio.client import Client

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import DevicesQuery
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.subjects import Subjects
from tests.bench import echo, raw
from tests.bench.measure import Effort, Report, Series, percentile, repeated_s, take_turns
from tests.bench.stacks import Running, running
from tests.support.cluster import a_device, a_node

SUBJECTS = Subjects()
NODE, DEVICE = "bench-node", "bench-gpu"
QUESTION = DevicesQuery(node_id=NODE)
PERCENTS = (50, 99)

BARE = "echo"
VISIBLE = "published to answered"


async def measure(folder: Path, effort: Effort) -> Report:
    """One after another, while a simulated fleet tells what it reads."""
    async with running(folder, effort.fleets[-1]) as stack:
        client = await raw.connect(stack.stack.url)
        samples = await Samples.of_a_node_that_joined(stack)
        contenders = {
            BARE: lambda: repeated_s(effort.questions, lambda: _echo_s(client)),
            VISIBLE: lambda: repeated_s(effort.questions, samples.visible_s),
        }
        latencies_s = await take_turns(contenders, effort.rounds)
        await client.close()
    series = (
        Series(
            name=f"{name} p{percent}",
            values=tuple(1000 * percentile(round_s, percent) for round_s in rounds_s),
            against=None if name == BARE else f"{BARE} p{percent}",
        )
        for name, rounds_s in latencies_s.items()
        for percent in PERCENTS
    )
    return Report(title=f"Sample to answer, {effort.fleets[-1]}", unit="ms", series=tuple(series))


async def _echo_s(client: Client) -> float:
    question = codec.encode(QUESTION)
    started_s = time.perf_counter()
    await client.request(echo.SUBJECT, question)
    return time.perf_counter() - started_s


class Samples:
    """A node beside the fleet, whose samples are published and asked for at once, until they are told."""

    def __init__(self, stack: Running) -> None:
        self._bus = stack.bus
        self._fleet = stack.fleet
        self._ticks = count()

    @classmethod
    async def of_a_node_that_joined(cls, stack: Running) -> "Samples":
        """A node that the projector knows."""
        for event in (
            evt.NodeJoined(node=a_node(NODE)),
            evt.DeviceRegistered(node_id=NODE, capabilities=a_device(DEVICE)),
        ):
            id_ = f"bench-{type(event).__name__}"
            payload = codec.encode_event(event, id=id_, source="bench", time=datetime.now(UTC))
            appended = await stack.bus.append(SUBJECTS.event(event), payload, message_id=id_)
            await stack.fleet.devices(DevicesQuery(node_id=NODE, at_least=appended.sequence))
        return cls(stack)

    async def visible_s(self) -> float:
        """How long it takes from before a sample is published until an answer has it."""
        tick = next(self._ticks)
        sample = Sample(device_id=DEVICE, timestamp=datetime.now(UTC), memory_used_bytes=tick)
        payload = codec.encode(NodeSample(node_id=NODE, boot_id="boot", tick=tick, samples=(sample,)))
        started_s = time.perf_counter()
        await self._bus.publish(SUBJECTS.samples(NODE), payload)
        while await self._newest() != tick:
            pass  # the next question is the wait
        return time.perf_counter() - started_s

    async def _newest(self) -> int | None:
        device = (await self._fleet.devices(QUESTION)).devices[0]
        return None if device.sample is None else device.sample.memory_used_bytes
