"""The Intel adapter on trees like those that the drivers xe and i915 show."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, DeviceProcess, Sample, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.kernel.counters import AVERAGE_OVER_S_MAX, Rate
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import VendorUnavailableError, Wanted
from fleetfold_devices.vendors.intel import IntelSource
from tests.support import kernel_tree
from tests.support.kernel_tree import GIB, I915_CARD, MIB, XE_CARD, Clock, Tree, i915_client, xe_client
from tests.support.readings import read_or_absence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENSORS = f"{XE_CARD}/hwmon/hwmon4"
GT = f"{XE_CARD}/tile0/gt0/freq0"
XE_ID = "desk-0000-03-00-0-e20b"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def xe(tree: Tree) -> Tree:
    kernel_tree.xe_card(tree)
    return tree


Open = Callable[..., IntelSource]


@pytest.fixture
def opened(tree: Tree, clock: Clock) -> Open:
    """Opens a source on the tree, and looks for its devices."""

    def open_source(wanted: Wanted = Wanted()) -> IntelSource:  # noqa: B008
        source = IntelSource("desk", wanted, root=tree.root, clock_ns=clock)
        source.discover()
        return source

    return open_source


def later(source: IntelSource, clock: Clock, *, by_s: float = 2.0) -> Sample:
    """The readings of the only device, after some time."""
    clock.advance(by_s)
    [sample] = source.sample(NOW)
    return sample


def values(sample: Sample, readings: tuple[str, ...]) -> list[object]:
    return [getattr(sample, reading) for reading in readings]


def test_a_card_is_told_as_it_is(xe: Tree, opened: Open) -> None:
    xe.write({"usr/share/misc/pci.ids": "8086  Intel Corporation\n\te20b  Battlemage G21 [Arc B580]\n"})
    inventory = opened().discover()
    assert inventory.problems == ()
    assert inventory.devices == (
        Capabilities(
            device_id=XE_ID,
            device_type=DeviceType.INTEL_XE,
            device_name="Intel Arc B580",
            vendor=Vendor.INTEL,
            max_memory_bytes=12 * GIB,
            driver_version="xe of Linux 6.12.9",
            model="Arc B580",
            pci_address="0000:03:00.0",
        ),
    )


def test_an_integrated_gpu_shares_the_memory_of_the_host(tree: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.integrated_card(tree)
    total_bytes = host_memory_bytes()
    available_kib = total_bytes // 4 // 1024
    tree.write({"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable:   {available_kib} kB"})
    source = opened()
    [device] = source.discover().devices
    assert (device.unified_memory, device.max_memory_bytes) == (True, total_bytes)
    assert values(later(source, clock), meter.MEMORY) == [total_bytes - available_kib * 1024, total_bytes]


def test_each_card_is_one_device_whatever_else_the_host_has(xe: Tree, opened: Open) -> None:
    kernel_tree.i915_card(xe)
    kernel_tree.integrated_card(xe)
    xe.drm("sys/devices/pci0000:00/0000:00:1d.0/0000:07:00.0", "amdgpu", number=3)
    assert [device.pci_address for device in opened().discover().devices] == [
        "0000:00:02.0",
        "0000:03:00.0",
        "0000:05:00.0",
    ]


def test_readings_of_xe_come_in_our_units(xe: Tree, opened: Open, clock: Clock) -> None:
    xe.program(4711, "ollama", xe_client(1, cycles=0, all_cycles=1000, vram_mib=100))
    source = opened()
    later(source, clock)
    xe.write({f"{SENSORS}/energy1_input": 5_000_000_000 + 300_000_000})
    xe.program(4711, "ollama", xe_client(1, cycles=750, all_cycles=2000, vram_mib=100))
    sample = later(source, clock)
    assert values(sample, READINGS[:8]) == [100 * MIB, 12 * GIB, 75.0, 150.0, 190.0, 54.0, 2850.0, None]
    assert (sample.throttled, sample.throttle_reasons) == (False, ())
    lacking = dict.fromkeys(meter.MEMORY_CLOCK, Absence.UNSUPPORTED)
    assert sample.absent == lacking | dict.fromkeys(meter.PCIE_THROUGHPUT, Absence.DISABLED)


def test_readings_of_i915_come_in_our_units(tree: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.i915_card(tree)
    tree.program(1, "a", i915_client(1, busy_ns=0, local_kib=1024), node="/dev/dri/card1")
    source = opened()
    later(source, clock)
    tree.write({f"{I915_CARD}/hwmon/hwmon2/energy1_input": 7_000_000 + 20_000_000})
    tree.program(1, "a", i915_client(1, busy_ns=500_000_000, local_kib=1024), node="/dev/dri/card1")
    sample = later(source, clock)
    assert values(sample, (*meter.MEMORY, *meter.UTILIZATION)) == [MIB, 16 * GIB, 25.0]
    assert values(sample, (*meter.POWER, *meter.TEMPERATURE, *meter.CLOCK)) == [10.0, 61.0, 2100.0]
    assert sample.absent["power_limit_watts"] is Absence.DISABLED  # i915 says 0 where there is no limit


def test_a_reading_made_of_two_is_pending_at_first(xe: Tree, opened: Open, clock: Clock) -> None:
    source = opened()
    first = later(source, clock)
    assert {first.absent[reading] for reading in (*meter.POWER, *meter.UTILIZATION)} == {Absence.PENDING}
    assert first.temperature_celsius == 54.0
    second = later(source, clock)
    assert values(second, (*meter.POWER, *meter.UTILIZATION)) == [0.0, 0.0]


def test_looking_anew_costs_no_reading(xe: Tree, opened: Open, clock: Clock) -> None:
    source = opened()
    later(source, clock)
    source.discover()
    assert later(source, clock).power_watts is not None


def test_a_counter_that_begins_anew_costs_one_reading(xe: Tree, opened: Open, clock: Clock) -> None:
    source = opened()
    later(source, clock)
    xe.write({f"{SENSORS}/energy1_input": 1_000_000})
    assert later(source, clock).absent["power_watts"] is Absence.PENDING
    xe.write({f"{SENSORS}/energy1_input": 3_000_000})
    assert later(source, clock).power_watts == 1.0


def test_a_counter_that_stands_at_zero_is_not_read(xe: Tree, opened: Open, clock: Clock) -> None:
    xe.write({f"{SENSORS}/energy1_input": 0})
    source = opened()
    later(source, clock)
    xe.write({f"{SENSORS}/energy2_input": 3_000_000_000 + 80_000_000})
    assert later(source, clock).power_watts == 40.0
    # The two counters have nothing to do with each other.
    xe.write({f"{SENSORS}/energy1_input": 9_000_000_000})
    assert later(source, clock).absent["power_watts"] is Absence.PENDING


def test_power_that_is_told_is_taken_before_the_counter(xe: Tree, opened: Open, clock: Clock) -> None:
    xe.write({f"{SENSORS}/power1_input": 61_500_000})
    assert later(opened(), clock).power_watts == 61.5


@given(
    counts=st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=10),
    steps_s=st.lists(st.floats(0.001, 100), min_size=10, max_size=10),
)
def test_a_rate_is_what_was_counted_in_the_time_or_pending(counts: list[int], steps_s: list[float]) -> None:
    clock = Clock()
    rate = Rate(clock)
    before: int | None = None
    for count, step_s in zip(counts, steps_s, strict=False):
        clock.advance(step_s)
        per_s = read_or_absence(partial(rate.per_s, "energy", count))
        if per_s is Absence.PENDING:
            assert before is None or count < before or step_s > AVERAGE_OVER_S_MAX - 1
        else:
            assert before is not None
            assert step_s < AVERAGE_OVER_S_MAX + 1
            assert per_s == pytest.approx((count - before) / step_s, rel=1e-5)
        before = count


def test_a_program_counts_once_however_many_files_it_has(xe: Tree, opened: Open, clock: Clock) -> None:
    def work(cycles: int, all_cycles: int) -> None:
        shared = xe_client(1, cycles=cycles, all_cycles=all_cycles, vram_mib=10)
        other = xe_client(2, cycles=cycles, all_cycles=all_cycles, vram_mib=1)
        elsewhere = xe_client(3, cycles=all_cycles, all_cycles=all_cycles, vram_mib=500, pci="0000:09:00.0")
        xe.program(10, "parent", shared, shared)
        xe.program(11, "child", shared, other, elsewhere)

    work(100, 1000)
    source = opened()
    later(source, clock)
    work(200, 2000)
    sample = later(source, clock)
    assert sample.compute_utilization_percent == pytest.approx(20.0)
    assert sample.memory_used_bytes == 11 * MIB


@pytest.mark.parametrize(
    ("busy_ns", "capacity", "percent"),
    [(0, 1, 0.0), (10**9, 1, 50.0), (10**9, 2, 25.0), (10**12, 1, 100.0), (10**9, 0, 50.0)],
)
def test_engines_are_busy_for_a_part_of_the_time(
    tree: Tree, opened: Open, clock: Clock, busy_ns: int, capacity: int, percent: float
) -> None:
    kernel_tree.i915_card(tree)
    tree.program(1, "a", i915_client(1, busy_ns=5, capacity=capacity))
    source = opened()
    later(source, clock)
    tree.program(1, "a", i915_client(1, busy_ns=5 + busy_ns, capacity=capacity))
    assert later(source, clock).compute_utilization_percent == pytest.approx(percent)


def test_a_figure_that_goes_back_for_a_while_is_not_taken(tree: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.i915_card(tree)
    source = opened()
    seen: list[float | None] = []
    for busy_ns in (10**9, 2 * 10**9, 10**9, 3 * 10**9):
        tree.program(1, "a", i915_client(1, busy_ns=busy_ns))
        seen.append(later(source, clock).compute_utilization_percent)
    assert seen == [None, pytest.approx(50.0), 0.0, pytest.approx(50.0)]


def test_a_program_that_opens_the_gpu_late_is_noticed(tree: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.i915_card(tree)
    tree.program(1, "a")
    source = opened()
    later(source, clock)
    tree.program(1, "a", i915_client(1, busy_ns=10**9))
    later(source, clock, by_s=10)
    tree.program(1, "a", i915_client(1, busy_ns=2 * 10**9))
    assert later(source, clock).compute_utilization_percent == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("hidden", "why"),
    [({"capabilities": "0000000000000000"}, "CAP_SYS_PTRACE"), ({"namespace": "pid:[4026533000]"}, "--pid=host")],
)
def test_while_programs_are_hidden_nothing_is_said_of_them(
    xe: Tree, opened: Open, clock: Clock, hidden: dict[str, str], why: str
) -> None:
    xe.program(4711, "ollama", xe_client(1, cycles=0, all_cycles=1000, vram_mib=100))
    xe.see_programs(**hidden)
    source = opened()
    later(source, clock)
    sample = later(source, clock)
    about_programs = ("memory_used_bytes", *meter.UTILIZATION)
    assert {reading: sample.absent[reading] for reading in about_programs} == dict.fromkeys(
        about_programs, Absence.ERROR
    )
    assert sample.memory_total_bytes == 12 * GIB
    [health] = source.health(NOW)
    assert health.absent["processes"] is Absence.ERROR
    [problem] = source.discover().problems
    assert why in problem


def test_programs_are_told_with_their_memory(xe: Tree, opened: Open) -> None:
    client = xe_client(1, cycles=0, all_cycles=1, vram_mib=100)
    xe.program(4711, "ollama", client, xe_client(2, cycles=0, all_cycles=1, vram_mib=20))
    xe.program(4712, "firefox", xe_client(3, cycles=0, all_cycles=1, vram_mib=1))
    xe.program(4713, "bash")
    assert opened().health(NOW) == (
        DeviceHealth(
            device_id=XE_ID,
            timestamp=NOW,
            processes=(
                DeviceProcess(pid=4711, name="ollama", memory_bytes=120 * MIB),
                DeviceProcess(pid=4712, name="firefox", memory_bytes=MIB),
            ),
            absent=dict.fromkeys(meter.ECC, Absence.UNSUPPORTED),
        ),
    )


@pytest.mark.parametrize(
    ("names", "throttled", "reasons"),
    [
        (["pl1"], False, (ThrottleReason.POWER,)),
        (["thermal"], True, (ThrottleReason.HEAT,)),
        (["pl1", "prochot"], True, (ThrottleReason.POWER, ThrottleReason.HARDWARE)),
        ([], False, (ThrottleReason.OTHER,)),
    ],
)
def test_heat_throttles_and_the_power_cap_does_not(
    xe: Tree, opened: Open, clock: Clock, names: list[str], throttled: bool, reasons: tuple[ThrottleReason, ...]
) -> None:
    xe.write({f"{GT}/throttle/status": 1} | {f"{GT}/throttle/reason_{name}": 1 for name in names})
    sample = later(opened(), clock)
    assert (sample.throttled, sample.throttle_reasons) == (throttled, reasons)


def test_i915_tells_its_reasons_in_other_files(tree: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.i915_card(tree)
    gt = f"{I915_CARD}/drm/card1/gt/gt0"
    tree.write({f"{gt}/throttle_reason_status": 1, f"{gt}/throttle_reason_ratl": 1})
    assert later(opened(), clock).throttle_reasons == (ThrottleReason.HEAT,)


def test_what_a_card_lacks_is_unsupported_and_never_zero(xe: Tree, opened: Open, clock: Clock) -> None:
    xe.remove(f"{XE_CARD}/hwmon")
    xe.remove(f"{XE_CARD}/tile0/gt0")
    xe.remove(f"{XE_CARD}/tile0/gt1")
    sample = later(opened(), clock)
    lacking = (*meter.POWER, *meter.POWER_LIMIT, *meter.TEMPERATURE, *meter.CLOCK, *meter.THROTTLED)
    assert {sample.absent[reading] for reading in lacking} == {Absence.UNSUPPORTED}
    assert values(sample, lacking) == [None] * len(lacking)
    assert sample.memory_total_bytes == 12 * GIB


def test_what_fails_is_an_error_and_is_asked_again(xe: Tree, opened: Open, clock: Clock) -> None:
    xe.block(f"{SENSORS}/temp2_input")
    source = opened()
    assert later(source, clock).absent["temperature_celsius"] is Absence.ERROR
    xe.remove(f"{SENSORS}/temp2_input")
    xe.write({f"{SENSORS}/temp2_input": 50_000})
    assert later(source, clock).temperature_celsius == 50.0


def test_what_is_not_wanted_is_disabled(xe: Tree, opened: Open, clock: Clock) -> None:
    sample = later(opened(Wanted(temperature=False, power=False)), clock)
    disabled = (*meter.TEMPERATURE, *meter.POWER, *meter.POWER_LIMIT)
    assert {sample.absent[reading] for reading in disabled} == {Absence.DISABLED}


def test_a_card_that_sleeps_is_left_asleep(xe: Tree, opened: Open, clock: Clock) -> None:
    source = opened()
    later(source, clock)
    xe.write({f"{XE_CARD}/power/runtime_status": "suspended"})
    assert later(source, clock).absent == dict.fromkeys(READINGS, Absence.ASLEEP)
    xe.write({f"{XE_CARD}/power/runtime_status": "active"})
    # What it used before it slept tells nothing of the time since.
    assert later(source, clock).absent["power_watts"] is Absence.PENDING
    assert later(source, clock).power_watts is not None


def test_a_lost_card_has_no_readings_until_it_is_back(xe: Tree, opened: Open, clock: Clock) -> None:
    kernel_tree.integrated_card(xe)
    source = opened()
    before = source.discover()
    xe.remove(XE_CARD)
    other, lost = source.sample(NOW)
    assert lost.absent == dict.fromkeys(READINGS, Absence.LOST)
    assert values(lost, READINGS) == [None] * len(READINGS)
    assert other.clock_rate_mhz == 350.0
    # It comes back with other numbers, as after its driver was loaded again.
    kernel_tree.xe_card(xe, number=5, hwmon=9)
    _, back = source.sample(NOW)
    assert (back.device_id, back.temperature_celsius, back.clock_rate_mhz) == (XE_ID, 54.0, 2850.0)
    assert source.discover().devices == before.devices


def test_a_card_whose_driver_goes_is_lost(xe: Tree, opened: Open, clock: Clock) -> None:
    source = opened()
    xe.remove(f"{XE_CARD}/drm")
    assert later(source, clock).absent == dict.fromkeys(READINGS, Absence.LOST)


def test_another_card_in_the_same_slot_is_another_device(xe: Tree, opened: Open) -> None:
    xe.write({f"{XE_CARD}/device": "0xe20c"})
    [device] = opened().discover().devices
    assert device.device_id != XE_ID


def test_a_card_that_does_not_tell_its_memory_is_a_problem_and_hides_no_other(xe: Tree, opened: Open) -> None:
    kernel_tree.integrated_card(xe)
    xe.remove(f"{XE_CARD}/tile0/physical_vram_size_bytes")
    inventory = opened().discover()
    assert [device.pci_address for device in inventory.devices] == ["0000:00:02.0"]
    [problem] = inventory.problems
    assert "its memory is not told" in problem
    assert "render" in problem


@pytest.mark.parametrize("driver", ["amdgpu", "vfio-pci", None])
def test_without_a_driver_it_says_what_is_missing(tree: Tree, driver: str | None) -> None:
    if driver:
        tree.drm(XE_CARD, driver)
    with pytest.raises(VendorUnavailableError) as unavailable:
        IntelSource("desk", root=tree.root)
    assert "xe" in unavailable.value.missing
    assert "modprobe" in unavailable.value.remedy


def test_a_gpu_that_hung_is_a_fault_told_once(xe: Tree, opened: Open) -> None:
    xe.write({"sys/class/devcoredump/devcd1/data": "of old"})
    xe.link("sys/class/devcoredump/devcd1/failing_device", XE_CARD)
    source = opened()
    assert source.faults() == ()
    for number, device in ((2, XE_CARD), (3, "sys/devices/wifi")):
        xe.write({f"sys/class/devcoredump/devcd{number}/data": "dump", f"{device}/uevent": ""})
        xe.link(f"sys/class/devcoredump/devcd{number}/failing_device", device)
    [fault] = source.faults()
    assert (fault.device_id, fault.code) == (XE_ID, "devcoredump")
    assert "devcd2" in fault.meaning
    assert source.faults() == ()


def test_it_has_no_links_and_nothing_to_let_go(xe: Tree, opened: Open) -> None:
    source = opened()
    assert source.links() == ()
    source.close()
