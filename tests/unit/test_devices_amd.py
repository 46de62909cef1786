"""The AMD adapter through the real binding, on a fake library (`tests/support/fake_drivers.py`)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Precision, Vendor
from fleetfold_contracts.samples import Absence, DeviceProcess, ThrottleReason
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.meter import (
    CLOCK,
    MEMORY,
    MEMORY_CLOCK,
    PCIE_THROUGHPUT,
    POWER,
    POWER_LIMIT,
    READINGS,
    THROTTLED,
    UTILIZATION,
)
from fleetfold_devices.port import Fault, Wanted
from fleetfold_devices.vendors.amd._faults import MEANINGS
from tests.support.fake_drivers import MIB, FakeDrivers, Reader, values

FIRST = "AMD-00000000000000a0"
SECOND = "AMD-00000000000000a1"
PARTITIONS = [f"{FIRST}-p{number}" for number in range(4)]
UNWANTED = dict.fromkeys(PCIE_THROUGHPUT, Absence.DISABLED)


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDrivers]:
    with closing(FakeDrivers(tmp_path_factory.mktemp("drivers"))) as drivers:
        yield drivers


@pytest.fixture
def read(drivers: FakeDrivers) -> Reader:
    return drivers.amd()


def test_devices_are_told_as_they_are(read: Reader) -> None:
    seen = read("healthy")
    assert seen.problems == []
    assert [device.device_id for device in seen.devices] == [FIRST, SECOND]
    assert seen.devices[1] == Capabilities(
        device_id=SECOND,
        device_type=DeviceType.ROCM,
        device_name="AMD Instinct MI210",
        vendor=Vendor.AMD,
        max_memory_bytes=65520 * MIB,
        compute_units=104,
        memory_bandwidth_gbps=1638.0,
        driver_version="6.12.12",
        supports_fp64=True,
        supports_tensor_cores=True,
        precisions=(Precision.FP64, Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8),
        model="MI210",
        pci_address="0000:04:00.0",
    )


def test_readings_come_in_our_units(read: Reader) -> None:
    [[sample, _]] = read("healthy").samples
    assert values(sample, READINGS) == [
        2048 * MIB, 65520 * MIB, 35.0, 187.0, 300.0, 58.0, 1700.0, 1600.0, False, None, None,
    ]  # fmt: skip
    assert sample.absent == UNWANTED


def test_pcie_throughput_is_read_where_it_is_wanted(read: Reader) -> None:
    [[sample, _]] = read("healthy", wanted=Wanted(pcie_throughput=True)).samples
    # 5,000 packets of 256 bytes are received in a second, 1,000 sent.
    assert values(sample, PCIE_THROUGHPUT) == [10.24, 2.048]


def test_heat_and_the_power_brake_throttle_and_the_power_limit_does_not(read: Reader) -> None:
    seen = read("healthy", "hot", "braked")
    assert [(sample.throttled, sample.throttle_reasons) for sample, _ in seen.samples] == [
        (False, (ThrottleReason.POWER,)),
        (True, (ThrottleReason.HEAT,)),
        (True, (ThrottleReason.HARDWARE,)),
    ]


def test_an_accelerator_that_counts_is_held_back_by_what_it_counted_since(read: Reader) -> None:
    seen = read("accelerator", "accelerator", "accelerator,hot", "+discover", "accelerator,hot")
    first, *later = [sample for sample, _ in seen.samples]
    assert (first.throttled, first.absent["throttled"]) == (None, Absence.PENDING)
    assert [sample.throttle_reasons for sample in later] == [
        (ThrottleReason.POWER,),
        (ThrottleReason.POWER, ThrottleReason.HEAT),
        (ThrottleReason.POWER, ThrottleReason.HEAT),
    ]
    assert [sample.throttled for sample in later] == [False, True, True]


def test_figures_that_are_marked_as_not_read_are_absent(read: Reader) -> None:
    seen = read("healthy", "not-read", "healthy")
    marked = (*MEMORY, *UTILIZATION, *POWER, *POWER_LIMIT, *CLOCK, *MEMORY_CLOCK, *THROTTLED)
    absent = seen.samples[1][0].absent
    assert {reading: absent.get(reading) for reading in marked} == dict.fromkeys(marked, Absence.UNSUPPORTED)
    assert seen.samples[2][0].absent == UNWANTED


def test_a_sensor_that_a_card_lacks_is_tried_once(read: Reader, tmp_path: Path) -> None:
    read("healthy", "healthy", "healthy", calls=tmp_path / "calls")
    # For each of two cards one try of the edge, and three readings of the hottest spot.
    assert (tmp_path / "calls").read_text().split().count("amdsmi_get_temp_metric") == 2 * (1 + 3)


def test_cards_without_a_serial_number_are_known_by_their_slots_and_models(read: Reader) -> None:
    ids = [device.device_id for device in read("no-serial").devices]
    assert ids == ["desk-0000-03-00-0-740f", "desk-0000-04-00-0-740f"]


def test_an_apu_works_in_the_host_s_memory(read: Reader) -> None:
    seen = read("apu")
    assert seen.devices[0].unified_memory
    assert seen.devices[0].max_memory_bytes == host_memory_bytes() == seen.samples[0][0].memory_total_bytes


@pytest.mark.parametrize("state", ["cpx", "cpx-own", "cpx-unnumbered"])
def test_the_partitions_of_a_split_card_are_the_devices_and_have_together_what_it_has(read: Reader, state: str) -> None:
    seen = read(state)
    assert seen.problems == []
    assert [device.device_id for device in seen.devices] == [*PARTITIONS, SECOND]
    assert [device.partition_of for device in seen.devices] == [FIRST] * 4 + [None]
    assert [device.max_memory_bytes for device in seen.devices] == [65520 // 4 * MIB] * 4 + [65520 * MIB]
    assert [device.compute_units for device in seen.devices] == [None] * 4 + [104]


def test_what_is_counted_for_a_card_is_told_by_its_first_partition_alone(read: Reader) -> None:
    seen = read("cpx", "+health", wanted=Wanted(pcie_throughput=True))
    [samples] = seen.samples
    assert [sample.power_watts for sample in samples] == [187.0, None, None, None, 187.0]
    assert [sample.power_limit_watts for sample in samples] == [300.0, None, None, None, 300.0]
    assert [sample.pcie_rx_mbps for sample in samples] == [10.24, None, None, None, 10.24]
    assert [health.ecc_corrected_count for health in seen.health[0]] == [12, None, None, None, 12]
    assert samples[1].absent["power_watts"] is Absence.UNSUPPORTED
    # The card says that 2,048 MiB are used.
    assert [sample.memory_used_bytes for sample in samples] == [512 * MIB] * 4 + [2048 * MIB]


def test_health_tells_errors_and_processes(read: Reader) -> None:
    [[health, _]] = read("healthy", "+health").health
    assert (health.ecc_corrected_count, health.ecc_uncorrected_count) == (12, 1)
    assert health.processes == (
        DeviceProcess(pid=4242, name="python3", memory_bytes=100 * MIB),
        DeviceProcess(pid=4243, memory_bytes=0),
    )


def test_cards_are_linked_by_xgmi_or_else_by_pcie(read: Reader) -> None:
    seen = read("healthy", "+links", "FAKE_GPU=pcie", "+links")
    assert seen.links[0] == [Link(ends=(FIRST, SECOND), kind=LinkKind.XGMI, bandwidth_gbps=800.0, peer_to_peer=True)]
    [slow] = seen.links[1]
    assert (slow.kind, slow.peer_to_peer) == (LinkKind.PCIE, False)
    assert slow.bandwidth_gbps == pytest.approx(16 * 16 * 128 / 130)


def test_partitions_of_a_card_are_linked_to_each_other(read: Reader) -> None:
    [links] = read("cpx", "+links").links
    within = [link for link in links if SECOND not in link.ends]
    assert len(within) == 6
    assert {(link.kind, link.bandwidth_gbps) for link in within} == {(LinkKind.XGMI, None)}


def test_a_reset_is_told_once_and_the_moving_of_memory_is_no_fault(read: Reader) -> None:
    seen = read("healthy", "FAKE_EVENTS=1:3 0:5", "+faults", "+faults")
    assert seen.faults == [[Fault(SECOND, "GPU_PRE_RESET", MEANINGS["GPU_PRE_RESET"])], []]


def test_a_driver_that_reports_no_faults_has_none(read: Reader) -> None:
    assert read("unsupported", "FAKE_EVENTS=1:4", "+faults").faults == [[]]
