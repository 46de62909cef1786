"""The Qualcomm adapter on trees like those that the drivers msm and kgsl show."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, DeviceProcess, Sample, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.kernel.source import KernelSource
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import VendorUnavailableError, Wanted
from fleetfold_devices.vendors.qualcomm import KgslSource, MsmSource, qualcomm_source
from tests.support import kernel_tree
from tests.support.kernel_tree import KGSL_GPU, MSM_GPU, Clock, Tree, msm_client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOT_TOLD = (*meter.POWER, *meter.POWER_LIMIT, *meter.MEMORY_CLOCK)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(params=[kernel_tree.msm_gpu, kernel_tree.kgsl_gpu])
def either(request: pytest.FixtureRequest, tree: Tree) -> Tree:
    """What holds for both drivers."""
    make: Callable[[Tree], None] = request.param
    make(tree)
    return tree


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(source: KernelSource) -> KernelSource:
    source.discover()
    return source


def sampled(source: KernelSource) -> Sample:
    [sample] = source.sample(NOW)
    return sample


def test_a_gpu_with_msm_is_told_as_it_is(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    inventory = qualcomm_source("desk", root=tree.root).discover()
    assert inventory.problems == ()
    assert inventory.devices == (
        Capabilities(
            device_id="desk-3d00000-gpu",
            device_type=DeviceType.VULKAN_LINUX,
            device_name="Qualcomm Adreno 690",
            vendor=Vendor.QUALCOMM,
            max_memory_bytes=host_memory_bytes(),
            unified_memory=True,
            driver_version="msm of Linux 6.12.9",
            model="Adreno 690",
        ),
    )


def test_a_gpu_with_kgsl_is_told_as_it_is(tree: Tree) -> None:
    kernel_tree.kgsl_gpu(tree)
    tree.see_programs(capabilities="0")  # kgsl tells by itself how busy the GPU is
    inventory = qualcomm_source("phone", root=tree.root).discover()
    assert inventory.problems == ()
    assert inventory.devices == (
        Capabilities(
            device_id="phone-kgsl-3d0",
            device_type=DeviceType.VULKAN_ANDROID,
            device_name="Qualcomm Adreno740v2",
            vendor=Vendor.QUALCOMM,
            max_memory_bytes=host_memory_bytes(),
            unified_memory=True,
            driver_version="kgsl of Linux 6.12.9",
            model="Adreno740v2",
        ),
    )


def test_kgsl_without_android_is_told_as_linux(tree: Tree) -> None:
    kernel_tree.kgsl_gpu(tree)
    tree.remove("system/build.prop")
    [device] = qualcomm_source("board", root=tree.root).discover().devices
    assert device.device_type is DeviceType.VULKAN_LINUX


def test_readings_of_msm_come_in_our_units(tree: Tree, clock: Clock) -> None:
    kernel_tree.msm_gpu(tree)
    source = opened(MsmSource("desk", root=tree.root, clock_ns=clock))
    tree.program(7, "game", msm_client(1, busy_ns=0), msm_client(2, busy_ns=10**12))
    assert sampled(source).absent["compute_utilization_percent"] is Absence.PENDING
    clock.advance(2)
    tree.program(7, "game", msm_client(1, busy_ns=5 * 10**8), msm_client(2, busy_ns=10**12 + 10**8))
    sample = sampled(source)
    assert sample.compute_utilization_percent == pytest.approx(30.0)
    assert (sample.clock_rate_mhz, sample.temperature_celsius, sample.throttled) == (345.0, 43.2, False)
    assert {sample.absent[reading] for reading in NOT_TOLD} == {Absence.UNSUPPORTED}


def test_readings_of_kgsl_come_in_our_units(tree: Tree) -> None:
    kernel_tree.kgsl_gpu(tree)
    sample = sampled(opened(KgslSource("phone", root=tree.root)))
    assert (sample.compute_utilization_percent, sample.clock_rate_mhz) == (45.0, 680.0)
    assert (sample.temperature_celsius, sample.throttled) == (47.1, False)
    assert {sample.absent[reading] for reading in NOT_TOLD} == {Absence.UNSUPPORTED}


def test_it_shares_the_memory_of_the_host(either: Tree) -> None:
    total_bytes = host_memory_bytes()
    available_kib = total_bytes // 2 // 1024
    either.write({"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:   {available_kib} kB"})
    sample = sampled(opened(qualcomm_source("desk", root=either.root)))
    assert sample.memory_total_bytes == total_bytes
    assert sample.memory_used_bytes == total_bytes - available_kib * 1024


def test_a_gpu_that_is_off_is_asleep_and_not_idle(tree: Tree) -> None:
    kernel_tree.kgsl_gpu(tree)
    tree.write({f"{KGSL_GPU}/gpubusy": "      0       0"})
    source = opened(KgslSource("phone", root=tree.root))
    assert sampled(source).absent["compute_utilization_percent"] is Absence.ASLEEP
    tree.write({f"{KGSL_GPU}/gpubusy": "      0 1000000"})
    assert sampled(source).compute_utilization_percent == 0.0


@pytest.mark.parametrize(
    ("told", "celsius"), [("47100", 47.1), ("47", 47.0), ("-5000", -5.0), ("0", None), ("hot", None), ("9" * 30, None)]
)
def test_a_temperature_is_in_degrees_or_thousandths(tree: Tree, told: str, celsius: float | None) -> None:
    kernel_tree.kgsl_gpu(tree)
    tree.write({f"{KGSL_GPU}/temp": told})
    sample = sampled(opened(KgslSource("phone", root=tree.root)))
    assert sample.temperature_celsius == celsius
    assert (celsius is None) == ("temperature_celsius" in sample.absent)


@pytest.mark.parametrize(
    ("make", "file"),
    [
        (kernel_tree.msm_gpu, "sys/class/thermal/cooling_device1/cur_state"),
        (kernel_tree.kgsl_gpu, f"{KGSL_GPU}/thermal_pwrlevel"),
    ],
)
def test_heat_that_forbids_clocks_throttles(tree: Tree, make: Callable[[Tree], None], file: str) -> None:
    make(tree)
    tree.write({file: 2})
    sample = sampled(opened(qualcomm_source("desk", root=tree.root)))
    assert (sample.throttled, sample.throttle_reasons) == (True, (ThrottleReason.HEAT,))


@pytest.mark.parametrize("told", ["37@345000000Hz", "37"])
def test_a_load_that_devfreq_tells_is_taken(tree: Tree, told: str) -> None:
    kernel_tree.msm_gpu(tree)
    tree.write({f"{MSM_GPU}/devfreq/3d00000.gpu/load": told})
    tree.see_programs(capabilities="0")
    assert sampled(opened(MsmSource("desk", root=tree.root))).compute_utilization_percent == 37.0


def test_programs_are_told_without_memory(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    tree.program(7, "game", msm_client(1, busy_ns=0))
    [health] = opened(MsmSource("desk", root=tree.root)).health(NOW)
    assert health.processes == (DeviceProcess(pid=7, name="game"),)


def test_a_gpu_that_hung_is_a_fault(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    source = opened(MsmSource("desk", root=tree.root))
    tree.write({"sys/class/devcoredump/devcd1/data": "dump"})
    tree.link("sys/class/devcoredump/devcd1/failing_device", MSM_GPU)
    assert [fault.device_id for fault in source.faults()] == ["desk-3d00000-gpu"]


def test_what_the_kernel_does_not_show_is_unsupported_and_never_zero(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    tree.remove("sys/class/thermal")
    tree.remove(f"{MSM_GPU}/of_node")
    source = qualcomm_source("desk", root=tree.root)
    [device] = source.discover().devices
    assert device.model == "Adreno"
    sample = sampled(source)
    lacking = (*meter.TEMPERATURE, *meter.THROTTLED, *NOT_TOLD)
    assert {reading: getattr(sample, reading) for reading in lacking} == dict.fromkeys(lacking)


def test_what_fails_is_an_error_and_is_asked_again(tree: Tree) -> None:
    kernel_tree.kgsl_gpu(tree)
    tree.block(f"{KGSL_GPU}/gpuclk")
    source = opened(KgslSource("phone", root=tree.root))
    assert sampled(source).absent["clock_rate_mhz"] is Absence.ERROR
    tree.remove(f"{KGSL_GPU}/gpuclk")
    tree.write({f"{KGSL_GPU}/gpuclk": 250_000_000})
    assert sampled(source).clock_rate_mhz == 250.0


def test_what_is_not_wanted_is_disabled(either: Tree) -> None:
    source = opened(qualcomm_source("desk", Wanted(temperature=False), root=either.root))
    assert sampled(source).absent["temperature_celsius"] is Absence.DISABLED


@pytest.mark.parametrize(
    ("make", "place"), [(kernel_tree.msm_gpu, f"{MSM_GPU}/devfreq"), (kernel_tree.kgsl_gpu, KGSL_GPU)]
)
def test_a_lost_gpu_has_no_readings_until_it_is_back(tree: Tree, make: Callable[[Tree], None], place: str) -> None:
    make(tree)
    source = qualcomm_source("desk", root=tree.root)
    before = source.discover()
    tree.remove(place)
    lost = sampled(source)
    assert lost.absent == dict.fromkeys(READINGS, Absence.LOST)
    make(tree)
    assert sampled(source).clock_rate_mhz is not None
    assert source.discover().devices == before.devices


def test_gpus_of_other_makers_are_none_of_ours(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    tree.link(f"{MSM_GPU}/driver", "sys/bus/platform/drivers/panfrost")
    with pytest.raises(VendorUnavailableError) as unavailable:
        qualcomm_source("desk", root=tree.root)
    assert "msm" in unavailable.value.missing
    assert "modprobe" in unavailable.value.remedy
