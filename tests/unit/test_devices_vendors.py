"""What holds for NVIDIA's and AMD's adapters alike, on fake libraries (`tests/support/fake_drivers.py`)."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest

from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, Sample
from fleetfold_devices.meter import (
    CLOCK,
    ECC,
    HEALTH_READINGS,
    MEMORY_CLOCK,
    PCIE_THROUGHPUT,
    POWER,
    POWER_LIMIT,
    READINGS,
    TEMPERATURE,
    THROTTLED,
    UTILIZATION,
)
from fleetfold_devices.port import Wanted
from tests.support.fake_drivers import LONG_S, FakeDrivers, Reader, values

UNWANTED = dict.fromkeys(PCIE_THROUGHPUT, Absence.DISABLED)


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeDrivers]:
    with closing(FakeDrivers(tmp_path_factory.mktemp("drivers"))) as drivers:
        yield drivers


@pytest.fixture(params=["nvidia", "amd"])
def read(request: pytest.FixtureRequest, drivers: FakeDrivers) -> Reader:
    return getattr(drivers, request.param)()


def test_a_lost_device_has_no_readings_until_the_driver_has_it_back(read: Reader) -> None:
    seen = read("healthy", "lost", "healthy", "+health", "+links", "+discover", "healthy", "+links")
    [_, [other, lost], [_, still_lost], [_, back]] = seen.samples
    for sample in (lost, still_lost):
        assert sample.absent == dict.fromkeys(READINGS, Absence.LOST)
        assert values(sample, READINGS) == [None] * len(READINGS)
    assert seen.health[0][1].absent == dict.fromkeys(HEALTH_READINGS, Absence.LOST)
    assert other.compute_utilization_percent is not None
    assert back.compute_utilization_percent is not None
    assert [len(links) for links in seen.links] == [0, 1]
    assert seen.inventories[0] == seen.inventories[1]


def test_a_device_that_is_lost_at_the_start_is_a_problem_and_hides_no_other(read: Reader) -> None:
    seen = read("lost", "+discover", "healthy", "+discover", "healthy")
    assert [len(found.devices) for found in seen.inventories] == [1, 1, 2]
    [problem] = seen.inventories[0].problems
    assert "GPU 1 does not tell what it is" in problem
    assert [len(samples) for samples in seen.samples] == [1, 1, 2]
    assert seen.problems == []


def test_another_device_in_the_same_slot_is_another_device(read: Reader) -> None:
    before, after = read("healthy", "lost", "FAKE_GPU=swapped", "+discover").inventories
    assert before.devices[0] == after.devices[0]
    assert before.devices[1].pci_address == after.devices[1].pci_address
    assert before.devices[1].device_id != after.devices[1].device_id


def test_looking_for_devices_again_changes_nothing_where_nothing_changed(read: Reader, tmp_path: Path) -> None:
    seen = read("healthy", "+discover", "healthy", calls=tmp_path / "calls")
    assert seen.inventories[0] == seen.inventories[1]
    assert seen.samples[0] == seen.samples[1]
    started = [
        call for call in (tmp_path / "calls").read_text().split() if call in {"nvmlInitWithFlags", "amdsmi_init"}
    ]
    assert len(started) == 1


def test_what_a_device_lacks_is_unsupported_never_zero_and_asked_once(read: Reader, tmp_path: Path) -> None:
    seen = read("unsupported", "unsupported", "+health", calls=tmp_path / "calls")
    lacking = (*UTILIZATION, *POWER, *POWER_LIMIT, *TEMPERATURE, *CLOCK, *MEMORY_CLOCK, *THROTTLED)
    for sample, _ in seen.samples:
        assert sample.absent == dict.fromkeys(lacking, Absence.UNSUPPORTED) | UNWANTED
        assert values(sample, lacking) == [None] * len(lacking)
        assert sample.memory_used_bytes
    assert seen.health[0][0].absent == dict.fromkeys(HEALTH_READINGS, Absence.UNSUPPORTED)
    calls = (tmp_path / "calls").read_text().split()
    assert {calls.count(name) for name in ("nvmlDeviceGetUtilizationRates", "amdsmi_get_gpu_activity")} == {0, 2}


def test_a_reading_out_of_bounds_is_an_error_and_hides_no_other(read: Reader) -> None:
    seen = read("healthy", "nonsense", "+health")
    sample = seen.samples[1][0]
    impossible = ("memory_used_bytes", *UTILIZATION, *POWER, *TEMPERATURE, *CLOCK, *MEMORY_CLOCK)
    assert {reading: sample.absent.get(reading) for reading in impossible} == dict.fromkeys(impossible, Absence.ERROR)
    assert sample.memory_total_bytes
    assert sample.throttle_reasons == ("other",)
    assert seen.health[0][0].absent == dict.fromkeys(ECC, Absence.ERROR)
    assert [used.memory_bytes for used in seen.health[0][0].processes or ()][-2:].count(None) >= 1


def any_numbers() -> list[int]:
    corners = [0, 1, 99, 100, 101, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1, 2**53, 2**63, 2**64 - 1]
    seeded = random.Random(3)
    return corners + [seeded.getrandbits(seeded.randint(1, 64)) for _ in range(40)]


def test_whatever_a_driver_answers_is_told_within_bounds_or_absent_with_a_reason(read: Reader) -> None:
    steps = [step for number in any_numbers() for step in (f"FAKE_VALUE={number}", "healthy", "+health", "+links")]
    seen = read("healthy", *steps, wanted=Wanted(pcie_throughput=True))
    assert len(seen.samples) == 1 + len(any_numbers())
    assert seen.unavailable == []
    for sample in (sample for samples in seen.samples for sample in samples):
        assert set(sample.absent) == missing(sample, READINGS)
        assert sample.memory_used_bytes is None or sample.memory_used_bytes <= (sample.memory_total_bytes or 0)
    for health in (health for of_all in seen.health for health in of_all):
        assert set(health.absent) == missing(health, HEALTH_READINGS)


def missing(struct: Sample | DeviceHealth, readings: tuple[str, ...]) -> set[str]:
    return {reading for reading, value in zip(readings, values(struct, readings), strict=True) if value is None}


def test_what_is_not_wanted_is_disabled_and_not_asked_for(read: Reader, tmp_path: Path) -> None:
    wanted = Wanted(temperature=False, power=False)
    [[sample, _]] = read("healthy", wanted=wanted, calls=tmp_path / "calls").samples
    disabled = (*TEMPERATURE, *POWER, *POWER_LIMIT, *PCIE_THROUGHPUT)
    assert {name for name, reason in sample.absent.items() if reason is Absence.DISABLED} == set(disabled)
    assert sample.compute_utilization_percent is not None
    asked = set((tmp_path / "calls").read_text().split())
    unwanted = {"nvmlDeviceGetPowerUsage", "nvmlDeviceGetTemperatureV", "nvmlDeviceGetPcieThroughput"}
    assert not asked & (unwanted | {"amdsmi_get_gpu_pci_throughput"})


def test_without_a_driver_it_says_what_is_missing(read: Reader) -> None:
    [unavailable] = read("no-driver").unavailable
    assert "driver not loaded" in unavailable.missing.lower()
    assert "install" in unavailable.remedy


def test_a_driver_that_goes_away_is_found_again_with_the_same_devices(read: Reader) -> None:
    seen = read("healthy", "gone", "+health", "+links", "+faults", "+reopen", "FAKE_GPU=healthy", "+reopen", "healthy")
    assert len(seen.unavailable) >= 3
    assert seen.faults == [[]]
    assert seen.inventories[0] == seen.inventories[-1]
    assert seen.samples[0] == seen.samples[-1]


@pytest.mark.parametrize("name", [Vendor.NVIDIA, Vendor.AMD])
def test_without_a_library_it_says_how_to_get_it_and_prints_nothing(name: Vendor, drivers: FakeDrivers) -> None:
    [unavailable] = drivers.reader(name, drivers.broken(name))("healthy").unavailable
    assert "library" in unavailable.missing.lower()
    assert "install" in unavailable.remedy


def test_a_library_without_the_symbols_is_too_old(drivers: FakeDrivers, tmp_path: Path) -> None:
    (tmp_path / "empty.c").write_text("int nothing;")
    drivers.library(tmp_path / "empty" / "libnvidia-ml.so.1", tmp_path / "empty.c")
    [unavailable] = drivers.reader(Vendor.NVIDIA, tmp_path / "empty")("healthy").unavailable
    assert "Function Not Found" in unavailable.missing
    [unavailable] = drivers.amd(without_newest_symbol=True)("healthy").unavailable
    assert "its library cannot be used" in unavailable.missing


def test_one_vendor_that_is_missing_does_not_hide_another(drivers: FakeDrivers, tmp_path: Path) -> None:
    drivers.library(tmp_path / "alone" / "libnvidia-ml.so.1", "nvml.c")
    program = """if True:
        from fleetfold_devices.local import local_sources
        local = local_sources("desk")
        print("nvidia" in {source.name for source in local.sources}, "amd" in {each.vendor for each in local.problems})
    """
    libraries = {"LD_LIBRARY_PATH": str(tmp_path / "alone"), "ROCM_PATH": str(drivers.broken(Vendor.AMD))}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | libraries, check=True, stdout=PIPE, timeout=LONG_S, text=True
    )
    assert finished.stdout.split() == ["True", "True"]


def test_no_binding_is_imported_before_a_source_is_opened() -> None:
    program = """if True:
        import sys, fleetfold_devices.local, fleetfold_devices.vendors.nvidia, fleetfold_devices.vendors.amd
        sys.exit(not {'pynvml', 'amdsmi'}.isdisjoint(sys.modules))
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=LONG_S)
