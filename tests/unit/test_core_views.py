"""What is shown of a state: true, and within one message however large the fleet is."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from fleetfold_contracts import answers, codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.inventory import Capabilities, Vendor
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from fleetfold_core.views.cluster import cluster
from fleetfold_core.views.devices import devices
from fleetfold_core.views.explained import explain
from fleetfold_core.views.figures import aggregate
from tests.support.examples import GIB, a_device, a_node
from tests.support.story import Story

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE_BYTES = 1024 * 1024


def state_of(events: Iterator[evt.Event]) -> State:
    state = State()
    for sequence, event in enumerate(events, start=1):
        fold(state, event, At(sequence=sequence, time=NOW))
    return state


def fleet(count: int) -> Iterator[evt.Event]:
    yield evt.NodeJoined(node=a_node("n1"))
    for index in range(count):
        yield evt.DeviceRegistered(node_id="n1", capabilities=a_device(f"d{index:05}", 24 * GIB))


def placed(name: str, device: str = "d00000") -> evt.PlacementDecided:
    workload = Workload(workload_id=name, shards=(Shard(memory_bytes=1),))
    allocation = Allocation(shard_id="0", device_id=device, node_id="n1", memory_bytes=1)
    return evt.PlacementDecided(workload=workload, allocations=(allocation,))


def pages(state: State) -> Iterator[answers.DevicesAnswer]:
    page = devices(state, answers.DevicesQuery())
    yield page
    while page.next_after is not None:
        page = devices(state, answers.DevicesQuery(after=page.next_after))
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

    answer = cluster(state_of(events()))
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
    shown = cluster(state).summary
    assert (shown.device_count, shown.total_memory_bytes) == (4, 4 * 24 * GIB)
    assert shown.average_utilization_percent == pytest.approx(40)
    assert (shown.used_memory_bytes, shown.average_temperature_celsius) == (3 * GIB, None)


def test_what_a_lost_device_or_an_offline_node_read_last_does_not_count() -> None:
    story = Story().node("n1", a_device("d1", GIB), a_device("d2", GIB)).node("n2", a_device("d3", GIB))
    for device_id, percent in (("d1", 10.0), ("d2", 50.0), ("d3", 90.0)):
        story.sample(device_id, used_bytes=GIB // 2, busy_percent=percent)
    story.tell(evt.DeviceLost(node_id="n1", device_id="d2"), evt.NodeLeft(node_id="n2", boot_id="boot"))
    shown = aggregate(story.state, NOW).cluster
    assert (shown.device_count, shown.total_memory_bytes) == (3, 3 * GIB)
    assert (shown.used_memory_bytes, shown.available_memory_bytes) == (GIB // 2, GIB // 2)
    assert (shown.average_utilization_percent, shown.utilization_device_count) == (10.0, 1)


def test_the_strongest_is_so_many_times_the_weakest() -> None:
    """Compute units x bandwidth x clock: 100 x 400 x 1000 over 50 x 200 x 1000; a third tells no clock."""
    story = Story().node("n1", strong("d1", 100, 400), strong("d2", 50, 200), strong("d3", 1, 1))
    clocks = (("d1", 1000.0), ("d2", 1000.0), ("d3", None))
    samples = tuple(Sample(device_id=id_, timestamp=NOW, clock_rate_mhz=clock) for id_, clock in clocks)
    fold_samples(story.state, NodeSample(node_id="n1", boot_id="boot", tick=0, samples=samples), 1, NOW)
    answer = aggregate(story.state, NOW)
    assert (answer.cluster.heterogeneity, answer.cluster.heterogeneity_device_count) == (4, 2)
    assert answer.by_vendor == {Vendor.NVIDIA: answer.cluster}
    assert answer.by_pool == {"default": answer.cluster}


def strong(device_id: str, units: int, gbps: float) -> Capabilities:
    return replace(a_device(device_id), compute_units=units, memory_bandwidth_gbps=gbps)


def test_devices_are_found_by_their_labels_and_those_of_their_node() -> None:
    node = replace(a_node("n1"), labels={"rack": "a", "zone": "north"})
    story = Story().node("n1", replace(a_device("d1"), labels={"rack": "b"}), a_device("d2"), node=node)

    def found(**labels: str) -> list[str]:
        page = devices(story.state, answers.DevicesQuery(labels=labels))
        return [view.capabilities.device_id for view in page.devices]

    assert (found(rack="a"), found(rack="b"), found(zone="north")) == (["d2"], ["d1"], ["d1", "d2"])
    assert found(zone="north", rack="c") == []


def test_a_place_of_another_order_is_refused_with_its_field() -> None:
    query = answers.DevicesQuery(sort=answers.DeviceOrder.SCORE, after="d00001")
    with pytest.raises(ContractError, match=r"\$\.after"):
        devices(state_of(fleet(1)), query)


def test_a_workload_is_explained_by_what_became_of_it() -> None:
    def status(*events: evt.Event) -> str:
        state = state_of(iter((*fleet(1), *events)))
        return explain(state, answers.ExplainQuery(workload_id="w")).status

    refused = evt.PlacementRefused(workload=placed("w").workload, summary="no room")
    assert status(placed("w")) == "placed"
    assert status(refused) == "refused"
    assert status(placed("w"), evt.PlacementReleased(pool="default", workload_id="w")) == "released"
    with pytest.raises(ContractError):
        status()
