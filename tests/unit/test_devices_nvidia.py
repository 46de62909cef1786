"""The NVIDIA adapter through the real binding, on a fake library (`tests/support/fake_drivers.py`)."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Precision, Vendor
from fleetfold_contracts.samples import Absence, DeviceProcess, ThrottleReason
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.meter import MEMORY, PCIE_THROUGHPUT, READINGS
from fleetfold_devices.port import Fault, Wanted
from fleetfold_devices.vendors.nvidia._identity import has_tensor_cores
from fleetfold_devices.vendors.nvidia._xids import MEANINGS
from tests.support.fake_drivers import MIB, FakeDrivers, Reader, values

FIRST = "GPU-00000000-0000-0000-0000-000000000000"
SECOND = "GPU-00000000-0000-0000-0000-000000000001"
INSTANCES = ["MIG-00000000-0000-0000-0000-000000000010", "MIG-00000000-0000-0000-0000-000000000020"]
UNWANTED = dict.fromkeys(PCIE_THROUGHPUT, Absence.DISABLED)


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDrivers]:
    with closing(FakeDrivers(tmp_path_factory.mktemp("drivers"))) as drivers:
        yield drivers


@pytest.fixture
def read(drivers: FakeDrivers) -> Reader:
    return drivers.nvidia()


@pytest.fixture
def read_old(drivers: FakeDrivers) -> Reader:
    """An older driver, which lacks the newer calls."""
    return drivers.nvidia("-DOLD_DRIVER")


def test_devices_are_told_as_they_are(read: Reader) -> None:
    seen = read("healthy")
    assert seen.problems == []
    assert [device.device_id for device in seen.devices] == [FIRST, SECOND]
    assert seen.devices[0] == Capabilities(
        device_id=FIRST,
        device_type=DeviceType.CUDA,
        device_name="NVIDIA A10",
        vendor=Vendor.NVIDIA,
        max_memory_bytes=(24576 - 512) * MIB,
        compute_units=72,
        memory_bandwidth_gbps=6251 * 2 * 384 / 8 / 1000,
        driver_version="575.51.03",
        supports_fp64=True,
        supports_tensor_cores=True,
        compute_capability="8.6",
        precisions=tuple(precision for precision in Precision if precision is not Precision.FP8),
        model="A10",
        pci_address="0000:65:00.0",
    )


def test_readings_come_in_our_units(read: Reader) -> None:
    [[sample, _]] = read("healthy").samples
    assert values(sample, READINGS) == [
        1024 * MIB, (24576 - 512) * MIB, 40.0, 98.5, 150.0, 61.0, 1695.0, 6251.0, False, None, None,
    ]  # fmt: skip
    assert sample.absent == UNWANTED


def test_pcie_throughput_is_read_where_it_is_wanted(read: Reader) -> None:
    [[sample, _]] = read("healthy", wanted=Wanted(pcie_throughput=True)).samples
    # 5,000 kilobytes a second are received, 2,000 sent.
    assert values(sample, PCIE_THROUGHPUT) == [40.0, 16.0]
    assert sample.absent == {}


def test_heat_and_the_power_brake_throttle_and_the_power_cap_does_not(read: Reader) -> None:
    seen = read("healthy", "hot", "braked")
    assert [(sample.throttled, sample.throttle_reasons) for sample, _ in seen.samples] == [
        (False, (ThrottleReason.POWER,)),
        (True, (ThrottleReason.HEAT, ThrottleReason.HARDWARE)),
        (True, (ThrottleReason.HARDWARE,)),
    ]


def test_an_older_driver_is_read_by_its_older_calls(read_old: Reader) -> None:
    seen = read_old("healthy", "+health")
    [[sample, _]] = seen.samples
    # It cannot tell its own memory from that of programs.
    assert values(sample, MEMORY) == [(1024 + 512) * MIB, 24576 * MIB]
    assert (sample.temperature_celsius, sample.throttled) == (61.0, False)
    assert [used.pid for used in seen.health[0][0].processes or ()] == [4241, 4242, 4243]


def test_what_an_older_driver_lacks_is_tried_once_a_device(read: Reader, tmp_path: Path) -> None:
    read("unified", "unified", calls=tmp_path / "calls")
    calls = (tmp_path / "calls").read_text().split()
    assert calls.count("nvmlDeviceGetMemoryInfo_v2") == 2
    assert calls.count("nvmlDeviceGetTemperatureV") == 4


def test_a_call_that_fails_is_an_error_and_is_asked_again(read: Reader) -> None:
    [_, [failed, _], [back, _]] = read("healthy", "failing", "healthy").samples
    assert failed.absent == dict.fromkeys((name for name in READINGS if name not in UNWANTED), Absence.ERROR) | UNWANTED
    assert back.absent == UNWANTED


def test_memory_shared_with_the_host_is_the_host_s_and_marked(read: Reader) -> None:
    seen = read("unified")
    assert seen.devices[0].unified_memory
    assert seen.devices[0].max_memory_bytes == host_memory_bytes()
    sample = seen.samples[0][0]
    assert sample.memory_total_bytes == host_memory_bytes()
    assert sample.memory_used_bytes is not None
    assert 0 < sample.memory_used_bytes < host_memory_bytes()


def test_a_zero_that_may_be_false_is_believed_after_another_figure(read: Reader) -> None:
    seen = read("unified", "unified,busy", "unified", "+discover", "unified")
    assert [sample.compute_utilization_percent for sample, _ in seen.samples] == [None, 40.0, 0.0, 0.0]
    assert seen.samples[0][0].absent["compute_utilization_percent"] is Absence.UNSUPPORTED


def test_memory_that_cannot_be_read_is_not_taken_for_the_host_s(read: Reader) -> None:
    seen = read("failing")
    assert seen.devices == []
    assert len(seen.problems) == 2


def test_two_devices_never_share_an_id(read: Reader) -> None:
    twins = read("twins")
    assert len(twins.devices) == len(twins.samples[0]) == 1
    assert "has the id of another" in twins.problems[0]


def test_the_instances_of_a_split_card_are_the_devices_and_the_card_is_none(read: Reader) -> None:
    seen = read("mig")
    assert seen.problems == []
    assert [device.device_id for device in seen.devices] == [*INSTANCES, SECOND]
    assert [device.partition_of for device in seen.devices] == [FIRST, FIRST, None]
    instance = seen.devices[0]
    assert (instance.model, instance.max_memory_bytes) == ("A10 MIG 1g.6gb", (24576 // 4 - 512) * MIB)
    assert (instance.compute_units, instance.memory_bandwidth_gbps) == (14, None)
    assert (instance.pci_address, instance.unified_memory) == ("0000:65:00.0", False)


def test_what_is_counted_for_a_card_is_told_by_its_first_instance_alone(read: Reader) -> None:
    seen = read("mig", "+health", wanted=Wanted(pcie_throughput=True))
    [samples] = seen.samples
    assert [sample.power_watts for sample in samples] == [98.5, None, 98.5]
    assert [sample.power_limit_watts for sample in samples] == [150.0, None, 150.0]
    assert [sample.pcie_rx_mbps for sample in samples] == [40.0, None, 40.0]
    assert [health.ecc_corrected_count for health in seen.health[0]] == [12, None, 12]
    assert samples[1].absent["power_watts"] is Absence.UNSUPPORTED
    # Of each instance it is true that its card is as hot as that.
    assert [sample.temperature_celsius for sample in samples] == [61.0] * 3
    assert [sample.clock_rate_mhz for sample in samples] == [1695.0] * 3
    assert [sample.memory_used_bytes for sample in samples] == [1024 * MIB] * 3
    assert [sample.compute_utilization_percent for sample in samples] == [None, None, 40.0]


def test_a_split_card_without_instances_is_a_problem_and_no_loss(read: Reader, tmp_path: Path) -> None:
    seen = read("mig-empty", "+discover", calls=tmp_path / "calls")
    assert [device.device_id for device in seen.devices] == [SECOND]
    assert "no instance was made" in seen.problems[0]
    assert (tmp_path / "calls").read_text().split().count("nvmlInitWithFlags") == 1


def test_health_counts_errors_since_the_driver_was_loaded(read: Reader) -> None:
    [[health, _]] = read("healthy", "+health").health
    assert (health.ecc_corrected_count, health.ecc_uncorrected_count) == (12, 1)
    assert health.absent == {}


def test_processes_are_told_once_by_program_and_without_their_arguments(read: Reader) -> None:
    [[health, _]] = read("healthy", "+health").health
    # One draws, one computes, and one does both.
    assert health.processes == (
        DeviceProcess(pid=4241, memory_bytes=100 * MIB),
        DeviceProcess(pid=4242, name="/usr/bin/python3", memory_bytes=100 * MIB),
        DeviceProcess(pid=4243),
    )


@pytest.mark.parametrize(
    ("state", "link"),
    [
        # Over the slower of the two slots.
        (
            "healthy",
            Link(ends=(FIRST, SECOND), kind=LinkKind.PCIE, bandwidth_gbps=8 * 16 * 128 / 130, peer_to_peer=True),
        ),
        # How fast it is from socket to socket is not known.
        ("far", Link(ends=(FIRST, SECOND), kind=LinkKind.PCIE, peer_to_peer=False)),
        # Four of five are up.
        ("nvlink", Link(ends=(FIRST, SECOND), kind=LinkKind.NVLINK, bandwidth_gbps=4 * 212.496, peer_to_peer=True)),
        ("nvlink,no-speed", Link(ends=(FIRST, SECOND), kind=LinkKind.NVLINK, bandwidth_gbps=800, peer_to_peer=True)),
        ("nvswitch", Link(ends=(FIRST, SECOND), kind=LinkKind.NVLINK, bandwidth_gbps=4 * 212.496, peer_to_peer=True)),
    ],
)
def test_the_best_way_between_two_cards_is_their_link(read: Reader, state: str, link: Link) -> None:
    [[seen]] = read(state, "+links").links
    assert seen.bandwidth_gbps == (None if link.bandwidth_gbps is None else pytest.approx(link.bandwidth_gbps))
    assert (seen.ends, seen.kind, seen.peer_to_peer) == (link.ends, link.kind, link.peer_to_peer)


def test_instances_have_no_links(read: Reader) -> None:
    assert read("mig,nvlink", "+links").links == [[]]


def test_an_xid_is_told_once_with_its_meaning(read: Reader) -> None:
    seen = read("healthy", "FAKE_EVENTS=1:8:79 0:8:4711", "+faults", "+faults")
    assert seen.faults == [[Fault(SECOND, "XID 79", MEANINGS[79]), Fault(FIRST, "XID 4711")], []]
    assert "bus" in MEANINGS[79]


def test_errors_of_the_memory_are_faults_and_changes_of_clocks_are_none(read: Reader) -> None:
    [faults] = read("healthy", "FAKE_EVENTS=0:2:0 0:4:0 0:1:0", "+faults").faults
    assert [(fault.device_id, fault.code) for fault in faults] == [(FIRST, "ECC double-bit")]


def test_a_fault_of_a_split_card_is_one_of_each_instance_that_it_befell(read: Reader) -> None:
    seen = read("mig", "FAKE_EVENTS=0:8:79 0:8:43:2", "+faults")
    assert [(fault.device_id, fault.code) for fault in seen.faults[0]] == [
        (INSTANCES[0], "XID 79"),
        (INSTANCES[1], "XID 79"),
        (INSTANCES[1], "XID 43"),
    ]


def test_no_fault_is_missed_while_devices_are_looked_for(read: Reader) -> None:
    after_loss = read("healthy", "lost", "FAKE_EVENTS=0:8:48", "FAKE_GPU=healthy", "+discover", "+faults")
    assert [fault.code for fault in after_loss.faults[0]] == ["XID 48"]
    at_rest = read("healthy", "FAKE_EVENTS=0:8:62", "+discover", "+faults", "+faults")
    assert [[fault.code for fault in faults] for faults in at_rest.faults] == [["XID 62"], []]


def test_a_driver_that_reports_no_faults_has_none(read: Reader) -> None:
    assert read("unsupported", "FAKE_EVENTS=0:8:79", "+faults").faults == [[]]


@pytest.mark.parametrize(
    ("capability", "device_name", "has"),
    [
        ((6, 0), "Tesla P100-PCIE-16GB", False),
        ((7, 0), "Tesla V100-SXM2-16GB", True),
        ((7, 5), "Tesla T4", True),
        ((7, 5), "NVIDIA GeForce RTX 2080", True),
        ((7, 5), "NVIDIA GeForce GTX 1660", False),
        ((7, 5), "NVIDIA T1000", None),
        ((9, 0), "NVIDIA H100 80GB HBM3", True),
        (None, "NVIDIA A10", None),
    ],
)
def test_tensor_cores_are_known_by_generation(
    capability: tuple[int, int] | None, device_name: str, has: bool | None
) -> None:
    assert has_tensor_cores(capability, device_name) is has
