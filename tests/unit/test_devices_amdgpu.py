"""The AMD adapter without ROCm, on trees like those that the kernel's driver amdgpu shows."""

import os
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, DeviceProcess, Sample, ThrottleReason
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.meter import HEALTH_READINGS, PCIE_THROUGHPUT, READINGS
from fleetfold_devices.port import VendorUnavailableError, Wanted
from fleetfold_devices.vendors.amd import AmdgpuSource, open_amd
from tests.support.kernel_tree import GIB, MIB, Tree

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CARD = "sys/devices/pci0000:00/0000:00:01.1/0000:03:00.0"
OTHER = "sys/devices/pci0000:40/0000:40:01.1/0000:43:00.0"
SENSORS = f"{CARD}/hwmon/hwmon3"
NODE = "sys/class/kfd/kfd/topology/nodes/1"
CARD_ID, OTHER_ID = "AMD-00a1b2c3d4e5f607", "AMD-00a1b2c3d4e5f608"
UNWANTED = dict.fromkeys(PCIE_THROUGHPUT, Absence.DISABLED)
EVERYTHING = Wanted(pcie_throughput=True)


def table(*, layout: int = 1, content: int = 3, status: int = 0) -> bytes:
    """The file gpu_metrics: a header, and at its end the reasons for throttling."""
    return struct.pack("<HBB108xQ", 120, layout, content, status)


def amdgpu_card(tree: Tree, device: str = CARD, *, number: int = 0, unique_id: str = CARD_ID[4:]) -> None:
    """A Radeon RX 7900 XTX."""
    sensors = f"{device}/hwmon/hwmon{3 + number}"
    tree.drm(device, "amdgpu", number=number)
    tree.write(
        {
            f"{device}/vendor": "0x1002",
            f"{device}/device": "0x744c",
            f"{device}/revision": "0xc8",
            f"{device}/unique_id": unique_id,
            f"{device}/power/runtime_status": "active",
            f"{device}/mem_info_vram_total": 24 * GIB,
            f"{device}/mem_info_vram_used": 2 * GIB,
            f"{device}/gpu_busy_percent": 37,
            f"{device}/gpu_metrics": table(),
            f"{device}/pcie_bw": "5000 1000 256",
            f"{device}/max_link_speed": "16.0 GT/s PCIe",
            f"{device}/max_link_width": 16,
            f"{device}/pp_dpm_sclk": "0: 500Mhz\n1: 1200Mhz *\n2: 2500Mhz",
            f"{device}/pp_dpm_mclk": "0: 96Mhz *\n1: 1249Mhz",
            f"{device}/ras/umc_err_count": "ue: 1\nce: 12",
            f"{device}/ras/gfx_err_count": "ue: 0\nce: 3",
            f"{sensors}/name": "amdgpu",
            f"{sensors}/temp1_input": 51_000,
            f"{sensors}/temp2_input": 63_000,
            f"{sensors}/power1_average": 187_000_000,
            f"{sensors}/power1_cap": 303_000_000,
            f"{sensors}/freq1_input": 1_950_000_000,
            f"{sensors}/freq2_input": 1_249_000_000,
        }
    )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    amdgpu_card(tree)
    return tree


def opened(tree: Tree, wanted: Wanted = EVERYTHING) -> AmdgpuSource:
    """A source on the tree, which has looked for its devices."""
    source = AmdgpuSource("desk", wanted, root=tree.root)
    assert source.discover().problems == ()
    return source


def read(tree: Tree, wanted: Wanted = EVERYTHING) -> Sample:
    [sample] = opened(tree, wanted).sample(NOW)
    return sample


def test_a_card_is_told_as_it_is(tree: Tree) -> None:
    tree.write(
        {"usr/share/libdrm/amdgpu.ids": "# List\n744C,\tC8,\tAMD Radeon RX 7900 XTX\n744C,\tCC,\tAMD Radeon RX 7900 XT"}
    )
    [device] = opened(tree).discover().devices
    assert device == Capabilities(
        device_id=CARD_ID,
        device_type=DeviceType.VULKAN_LINUX,
        device_name="AMD Radeon RX 7900 XTX",
        vendor=Vendor.AMD,
        max_memory_bytes=24 * GIB,
        driver_version="amdgpu of Linux 6.12.9",
        supports_fp64=True,
        model="RX 7900 XTX",
        pci_address="0000:03:00.0",
    )


def test_what_the_compute_driver_knows_is_told_too(tree: Tree) -> None:
    properties = (
        "cpu_cores_count 0\nsimd_count 192\nsimd_per_cu 2\ngfx_target_version 110000\nlocation_id 768\ndomain 0"
    )
    tree.write(
        {f"{NODE}/properties": properties, f"{Path(NODE).parent}/0/properties": "cpu_cores_count 16\nsimd_count 0"}
    )
    [device] = opened(tree).discover().devices
    assert (device.device_type, device.compute_units) == (DeviceType.ROCM, 96)
    assert device.supports_tensor_cores


def test_readings_come_in_our_units(tree: Tree) -> None:
    assert read(tree) == Sample(
        device_id=CARD_ID,
        timestamp=NOW,
        memory_used_bytes=2 * GIB,
        memory_total_bytes=24 * GIB,
        compute_utilization_percent=37.0,
        power_watts=187.0,
        power_limit_watts=303.0,
        temperature_celsius=51.0,
        clock_rate_mhz=1950.0,
        memory_clock_mhz=1249.0,
        throttled=False,
        pcie_rx_mbps=10.24,
        pcie_tx_mbps=2.048,
    )


def test_without_sensors_of_its_own_a_card_is_read_by_others(tree: Tree) -> None:
    for name in ("freq1_input", "freq2_input", "temp1_input", "power1_average"):
        tree.remove(f"{SENSORS}/{name}")
    tree.write({f"{SENSORS}/power1_input": 99_000_000})
    sample = read(tree)
    assert (sample.clock_rate_mhz, sample.memory_clock_mhz) == (1200.0, 96.0)
    assert (sample.temperature_celsius, sample.power_watts) == (63.0, 99.0)


@pytest.mark.parametrize(
    ("bit", "throttled", "reason"),
    [
        (0, False, ThrottleReason.POWER),
        (16, False, ThrottleReason.POWER),
        (36, True, ThrottleReason.HEAT),
        (47, True, ThrottleReason.HARDWARE),
        (56, False, ThrottleReason.OTHER),
    ],
)
def test_heat_and_the_hardware_throttle(tree: Tree, bit: int, throttled: bool, reason: ThrottleReason) -> None:
    tree.write({f"{CARD}/gpu_metrics": table(status=1 << bit)})
    sample = read(tree)
    assert (sample.throttled, sample.throttle_reasons) == (throttled, (reason,))


def test_what_a_card_lacks_is_unsupported_and_never_zero(tree: Tree) -> None:
    for path in (
        f"{CARD}/hwmon",
        f"{CARD}/ras",
        f"{CARD}/gpu_metrics",
        f"{CARD}/gpu_busy_percent",
        f"{CARD}/pp_dpm_sclk",
    ):
        tree.remove(path)
    sample = read(tree, Wanted())
    present = {"memory_used_bytes", "memory_total_bytes", "memory_clock_mhz"}
    lacking = set(READINGS) - present - set(PCIE_THROUGHPUT)
    assert sample.absent == dict.fromkeys(lacking, Absence.UNSUPPORTED) | UNWANTED
    [health] = opened(tree).health(NOW)
    assert health.absent == {
        "ecc_corrected_count": Absence.UNSUPPORTED,
        "ecc_uncorrected_count": Absence.UNSUPPORTED,
    }


def test_a_card_that_is_asleep_is_not_woken(tree: Tree) -> None:
    source = opened(tree)
    tree.write({f"{CARD}/power/runtime_status": "suspended"})
    for name in ("gpu_busy_percent", "gpu_metrics", "mem_info_vram_used"):
        tree.block(f"{CARD}/{name}")
    [sample], [health] = source.sample(NOW), source.health(NOW)
    assert sample.absent == dict.fromkeys(READINGS, Absence.ASLEEP)
    assert health.absent == dict.fromkeys(HEALTH_READINGS, Absence.ASLEEP)
    assert source.discover().problems == ()


def test_a_card_that_goes_is_lost_until_it_is_back(tree: Tree) -> None:
    source = opened(tree)
    tree.remove(CARD)
    [sample], [health] = source.sample(NOW), source.health(NOW)
    assert sample.absent == dict.fromkeys(READINGS, Absence.LOST)
    assert health.absent == dict.fromkeys(HEALTH_READINGS, Absence.LOST)
    with pytest.raises(VendorUnavailableError, match="amdgpu"):
        source.discover()
    amdgpu_card(tree, number=1)
    [device] = source.discover().devices
    [back] = source.sample(NOW)
    assert (device.device_id, back.compute_utilization_percent) == (CARD_ID, 37.0)


def test_a_card_goes_with_its_serial_number_to_another_slot(tree: Tree) -> None:
    tree.remove(CARD)
    amdgpu_card(tree, OTHER)
    [device] = opened(tree).discover().devices
    assert (device.device_id, device.pci_address) == (CARD_ID, "0000:43:00.0")


def test_cards_without_a_serial_number_are_known_by_their_slots_and_models(tree: Tree) -> None:
    tree.remove(f"{CARD}/unique_id")
    [device] = opened(tree).discover().devices
    assert device.device_id == "desk-0000-03-00-0-744c"


def test_an_apu_works_in_the_host_s_memory(tree: Tree) -> None:
    tree.write({f"{CARD}/gpu_metrics": table(layout=2, content=1)})
    [device] = opened(tree).discover().devices
    assert (device.unified_memory, device.max_memory_bytes) == (True, host_memory_bytes())
    sample = read(tree)
    # The tree's kernel says that nothing is left.
    assert (sample.memory_used_bytes, sample.memory_total_bytes) == (host_memory_bytes(), host_memory_bytes())
    assert sample.absent == {"throttled": Absence.UNSUPPORTED}


def test_health_sums_up_the_errors_and_tells_the_programs(tree: Tree) -> None:
    used = f"drm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-pdev:\t0000:03:00.0\ndrm-memory-vram:\t{100 * 1024} KiB\n"
    tree.program(4242, "python3", used)
    [health] = opened(tree).health(NOW)
    assert (health.ecc_corrected_count, health.ecc_uncorrected_count) == (15, 1)
    assert health.processes == (DeviceProcess(pid=4242, name="python3", memory_bytes=100 * MIB),)


def test_cards_are_linked_by_pcie_or_by_xgmi(tree: Tree) -> None:
    amdgpu_card(tree, OTHER, number=1, unique_id=OTHER_ID[4:])
    tree.write({f"{OTHER}/max_link_speed": "8.0 GT/s PCIe"})
    [link] = opened(tree).links()
    assert (link.ends, link.kind) == ((CARD_ID, OTHER_ID), LinkKind.PCIE)
    assert link.bandwidth_gbps == pytest.approx(8 * 16 * 128 / 130)
    tree.write({f"{device}/xgmi_hive_info/xgmi_hive_id": 4711 for device in (CARD, OTHER)})
    assert opened(tree).links() == (Link(ends=(CARD_ID, OTHER_ID), kind=LinkKind.XGMI),)


def test_a_gpu_that_hung_is_a_fault(tree: Tree) -> None:
    source = opened(tree)
    tree.write({"sys/class/devcoredump/devcd1/data": ""})
    tree.link("sys/class/devcoredump/devcd1/failing_device", CARD)
    assert [fault.device_id for fault in source.faults()] == [CARD_ID]
    assert source.faults() == ()


def test_gpus_with_other_drivers_are_left_to_others(tree: Tree) -> None:
    tree.link(f"{CARD}/driver", "sys/bus/pci/drivers/radeon")
    with pytest.raises(VendorUnavailableError, match="no GPU has the driver amdgpu"):
        AmdgpuSource("desk", root=tree.root)


def test_without_rocm_the_kernel_is_read_and_without_both_rocm_is_asked_for(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetfold_devices.vendors.amd.AmdSource", without_rocm)
    assert [sample.device_id for sample in discovered(open_amd("desk", root=tree.root)).sample(NOW)] == [CARD_ID]
    with pytest.raises(VendorUnavailableError, match="ROCm"):
        open_amd("desk", root=tmp_path / "nothing")


def without_rocm(*_: object, **__: object) -> None:
    raise VendorUnavailableError("amd", "its library cannot be used", "install ROCm")


def discovered(source: object) -> AmdgpuSource:
    assert isinstance(source, AmdgpuSource)
    source.discover()
    return source


NUMBERS = ("mem_info_vram_total", "mem_info_vram_used", "gpu_busy_percent", "hwmon/hwmon3/temp1_input")
MORE_NUMBERS = (
    "hwmon/hwmon3/power1_average",
    "hwmon/hwmon3/power1_cap",
    "hwmon/hwmon3/freq1_input",
    "ras/umc_err_count",
)
TEXTS = ("pcie_bw", "pp_dpm_mclk", "max_link_speed", "max_link_width", "unique_id", "xgmi_hive_info/xgmi_hive_id")
anything = st.one_of(
    st.integers().map(str),
    st.sampled_from(
        ["", "N/A", "nan", "-1", "4294967295", "9" * 5000, "inf GT/s", "9 9 9 9", "ue: 99999999999999999999"]
    ),
    st.text(max_size=20),
    st.binary(max_size=200),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from([*NUMBERS, *MORE_NUMBERS, *TEXTS, "gpu_metrics"]), anything, max_size=6))
def test_whatever_the_files_say_is_told_within_bounds_or_absent(tree: Tree, files: dict[str, str | bytes]) -> None:
    amdgpu_card(tree)
    tree.write({f"{CARD}/xgmi_hive_info/xgmi_hive_id": 0})
    for name, content in files.items():
        (tree.root / CARD / name).write_bytes(content if isinstance(content, bytes) else os.fsencode(content))
    source = AmdgpuSource("desk", EVERYTHING, root=tree.root)
    source.discover()
    source.links()
    for sample in source.sample(NOW):
        assert codec.decode(codec.encode(sample), Sample) == sample
        assert set(sample.absent) == {reading for reading in READINGS if getattr(sample, reading) is None}
    for health in source.health(NOW):
        assert codec.decode(codec.encode(health), DeviceHealth) == health
