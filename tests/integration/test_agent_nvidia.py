"""The agent as a process, on NVIDIA's real binding and a small C library that stands in for the driver."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.samples import Absence, NodeSample, Sample
from tests.support.cluster import Cluster, Logged, ServiceProcess
from tests.support.fake_nvidia import FakeNvidia, nvidia_library

FIRST, SECOND = (f"GPU-00000000-0000-0000-0000-00000000000{number}" for number in range(2))
PACE = {
    "node_id": "desk",
    "sample_interval_s": "0.2",
    "topology_interval_s": "0.5",
    "round_deadline_s": "0.5",
    "topology_deadline_s": "3",
    "stale_limit_s": "2",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvidia_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def driver(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvidia:
    return FakeNvidia(library, tmp_path, monkeypatch)


async def told(cluster: Cluster, *facts: str) -> None:
    """Wait until the log holds these facts at its end, in this order."""
    await cluster.log(lambda logged: _facts(logged)[-len(facts) :] == list(facts))


def _facts(logged: Sequence[Logged]) -> list[str]:
    return [f"{evt.TYPE_OF_EVENT[type(entry.event)]} {evt.about(entry.event)}" for entry in logged]


async def read_until(cluster: Cluster, enough: Callable[[Sample], bool]) -> list[NodeSample]:
    """The samples in their order, up to the first that is enough."""
    messages: list[NodeSample] = []
    async with aclosing(cluster.bus.read(cluster.subjects.stream(SAMPLES))) as batches:
        async for records in batches:
            for record in records:
                messages.append(codec.decode_samples(record.payload))
                if any(map(enough, messages[-1].samples)):
                    return messages
    raise AssertionError("samples are read for ever")


def start(cluster: Cluster, **settings: str) -> ServiceProcess:
    return cluster.start("telemetry-agent", **{**PACE, **settings})


async def test_a_wedged_driver_is_killed_its_gpus_are_stale_then_lost_and_recover_and_the_node_beats_on(
    cluster: Cluster, driver: FakeNvidia
) -> None:
    start(cluster)
    await told(cluster, f"device.registered {SECOND}", "links.observed desk")

    driver.gpus_are("wedged")
    await told(cluster, f"device.lost {FIRST}", f"device.lost {SECOND}")
    driver.gpus_are("healthy")
    log = await cluster.log(lambda logged: _facts(logged)[-1] == f"device.recovered {SECOND}")

    lost = [entry.event for entry in log if isinstance(entry.event, evt.DeviceLost)]
    assert all(event.reason.startswith("nvidia: no answer") for event in lost)
    messages = await read_until(cluster, lambda sample: Absence.LOST in sample.absent.values())
    assert [message.tick for message in messages] == list(range(len(messages))), "not a beat was left out"
    ages = [sample.stale_s for message in messages for sample in message.samples]
    assert any(ages), messages


async def test_a_swapped_gpu_is_another_device_and_a_lost_one_comes_back_as_itself(
    cluster: Cluster, driver: FakeNvidia
) -> None:
    start(cluster)
    await told(cluster, f"device.registered {SECOND}", "links.observed desk")
    driver.gpus_are("lost")
    await cluster.log(lambda logged: f"device.lost {SECOND}" in _facts(logged))
    driver.gpus_are("healthy")
    await cluster.log(lambda logged: f"device.recovered {SECOND}" in _facts(logged))

    driver.gpus_are("lost,swapped")
    await cluster.log(lambda logged: _facts(logged).count(f"device.lost {SECOND}") == 2)
    driver.gpus_are("swapped")
    log = await cluster.log(lambda logged: len(_registered(logged)) == 3)
    assert _registered(log) - {FIRST, SECOND}


def _registered(logged: Sequence[Logged]) -> set[str]:
    return {entry.event.capabilities.device_id for entry in logged if isinstance(entry.event, evt.DeviceRegistered)}


async def test_a_driver_that_is_reloaded_and_an_agent_that_is_killed_leave_the_ids_as_they_were(
    cluster: Cluster, driver: FakeNvidia
) -> None:
    agent = start(cluster)
    await told(cluster, f"device.registered {SECOND}", "links.observed desk")
    driver.gpus_are("gone")
    await told(cluster, f"device.lost {FIRST}", f"device.lost {SECOND}")
    driver.gpus_are("healthy")
    await cluster.log(lambda logged: f"device.recovered {SECOND}" in _facts(logged))

    agent.kill()
    restarted = start(cluster)
    await cluster.log(lambda logged: _facts(logged).count("node.joined desk") == 2)
    await read_until(cluster, lambda sample: sample.device_id == SECOND)
    assert restarted.terminate() == 0
    log = await cluster.log(lambda logged: _facts(logged)[-1] == "node.left desk")
    assert _facts(log)[-2:] == ["node.joined desk", "node.left desk"]
    assert _registered(log) == {FIRST, SECOND}
    assert len({entry.event.node.boot_id for entry in log if isinstance(entry.event, evt.NodeJoined)}) == 2


async def test_temperature_and_power_can_be_turned_off(cluster: Cluster, driver: FakeNvidia) -> None:
    start(cluster, sample_temperature="false", sample_power="false")
    messages = await read_until(cluster, lambda sample: sample.compute_utilization_percent is not None)
    for sample in messages[-1].samples:
        assert (sample.temperature_celsius, sample.power_watts) == (None, None)
        assert sample.absent["temperature_celsius"] == sample.absent["power_watts"] == Absence.DISABLED
