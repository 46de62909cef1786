"""What is shown of a state: true, and within one message however large the fleet is."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fleetfold_contracts import answers, codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from fleetfold_state_projector import views
from tests.support.examples import GIB, a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE_BYTES = 1024 * 1024


def state_of(events: Iterator[evt.Event]) -> State:
    state = State()
    for sequence, event in enumerate(events, start=1):
        fold(state, event, At(sequence=sequence, time=NOW))
    return state


def fleet(devices: int) -> Iterator[evt.Event]:
    yield evt.NodeJoined(node=a_node("n1"))
    for index in range(devices):
        yield evt.DeviceRegistered(node_id="n1", capabilities=a_device(f"d{index:05}", 24 * GIB))


def placed(name: str, device: str = "d00000") -> evt.PlacementDecided:
    workload = Workload(workload_id=name, shards=(Shard(memory_bytes=1),))
    allocation = Allocation(shard_id="0", device_id=device, node_id="n1", memory_bytes=1)
    return evt.PlacementDecided(workload=workload, allocations=(allocation,))


def pages(state: State) -> Iterator[answers.DevicesAnswer]:
    page = views.devices(state, answers.DevicesQuery())
    yield page
    while page.next_after is not None:
        page = views.devices(state, answers.DevicesQuery(after=page.next_after))
        yield page


def test_a_large_fleet_comes_in_pages_of_one_message_each() -> None:
    state = state_of(fleet(10_000))
    shown = list(pages(state))
    assert [view.capabilities.device_id for page in shown for view in page.devices] == sorted(state.devices)
    assert len(shown) > 1
    assert all(len(codec.encode(page)) < MESSAGE_BYTES for page in shown)


def test_many_placements_fit_one_message_and_are_counted_all() -> None:
    def events() -> Iterator[evt.Event]:
        yield from fleet(1)
        for index in range(5000):
            yield placed(f"workload-{index:05}")

    answer = views.cluster(state_of(events()))
    assert answer.summary.placement_count == 5000
    assert answer.placements[-1].workload_id == "workload-04999"
    assert 0 < len(answer.placements) < 5000
    assert len(codec.encode(answer)) < MESSAGE_BYTES


def test_figures_are_over_the_devices_that_have_the_reading() -> None:
    """Three devices at 30, 40 and 50 % average to 40; a fourth that reads nothing changes no average."""
    state = state_of(fleet(4))
    samples = tuple(
        Sample(device_id=f"d{index:05}", timestamp=NOW, compute_utilization_percent=percent, memory_used_bytes=GIB)
        for index, percent in enumerate((30.0, 40.0, 50.0))
    )
    fold_samples(state, NodeSample(node_id="n1", boot_id="boot", tick=0, samples=samples), 1, NOW)
    summary = views.summary(state)
    assert (summary.device_count, summary.total_memory_bytes) == (4, 4 * 24 * GIB)
    assert summary.average_utilization_percent == pytest.approx(40)
    assert (summary.used_memory_bytes, summary.average_temperature_celsius) == (3 * GIB, None)


def test_a_workload_is_explained_by_what_became_of_it() -> None:
    def status(*events: evt.Event) -> str:
        state = state_of(iter((*fleet(1), *events)))
        return views.explain(state, answers.ExplainQuery(workload_id="w")).status

    refused = evt.PlacementRefused(workload=placed("w").workload, summary="no room")
    assert status(placed("w")) == "placed"
    assert status(refused) == "refused"
    assert status(placed("w"), evt.PlacementReleased(pool="default", workload_id="w")) == "released"
    with pytest.raises(ContractError):
        status()
