"""The Apple adapter on a program that stands in for macmon. It proves nothing about macmon, nor about a Mac."""

import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Capabilities, DeviceType, Precision, Vendor
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices import meter
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import VendorUnavailableError, Wanted
from fleetfold_devices.vendors import apple
from fleetfold_devices.vendors.apple import AppleSource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAKE = Path(__file__).parent.parent / "fakes" / "macmon.py"
GIB = 1024**3

NEWER: dict[str, Any] = {
    "timestamp": "2026-01-01T00:00:00+00:00",
    "temp": {"cpu_temp_avg": 50.1, "gpu_temp_avg": 43.5},
    "memory": {"ram_total": 64 * GIB, "ram_usage": 20 * GIB, "swap_total": 0, "swap_usage": 0},
    "gpu_freq_mhz": 461,
    "gpu_scaled_ratio": 0.02,
    "gpu_active_ratio": 0.25,
    "gpu_power": 3.5,
    "all_power": 30.0,
    "soc": {"mac_model": "Mac15,8", "chip_name": "Apple M3 Max", "memory_gb": 64, "gpu_cores": 40},
}
OLDER = {key: value for key, value in NEWER.items() if not key.startswith("gpu_f") and "ratio" not in key} | {
    "gpu_usage": [461, 0.125]
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the program that stands in is a script of a shell")


class Macmon:
    """A program to be opened, and what it will write."""

    def __init__(self, place: Path) -> None:
        self.program = place / "macmon"
        self._play = place / "play"
        self.program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "{self._play}" "$@"\n')
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def plays(self, *lines: object) -> None:
        texts = [line if isinstance(line, bytes) else str(line).encode() for line in lines]
        self._play.write_bytes(b"\n".join(texts))

    @contextmanager
    def opened(self, wanted: Wanted = Wanted(), *, silent_s_max: float = 30.0) -> Generator[AppleSource]:  # noqa: B008
        with closing(AppleSource("mac", wanted, program=self.program, silent_s_max=silent_s_max)) as source:
            yield source

    @property
    def pid(self) -> int:
        return int(Path(f"{self._play}.pid").read_text())


@pytest.fixture
def macmon(tmp_path: Path) -> Macmon:
    return Macmon(tmp_path)


def until(true: Callable[[], bool], within_s: float = 30.0) -> None:
    ends_at_s = monotonic() + within_s
    while not true():
        assert monotonic() < ends_at_s, "it did not come true"
        sleep(0.01)


def first_sample(macmon: Macmon, report: object, wanted: Wanted = Wanted()) -> Sample:  # noqa: B008
    macmon.plays(json.dumps(report))
    with macmon.opened(wanted) as source:
        source.discover()
        [sample] = source.sample(NOW)
        return sample


def test_the_gpu_is_told_as_it_is(macmon: Macmon) -> None:
    macmon.plays(json.dumps(NEWER))
    with macmon.opened() as source:
        inventory = source.discover()
    assert inventory.problems == ()
    assert inventory.devices == (
        Capabilities(
            device_id="mac-apple-gpu",
            device_type=DeviceType.METAL,
            device_name="Apple M3 Max",
            vendor=Vendor.APPLE,
            max_memory_bytes=64 * GIB,
            unified_memory=True,
            compute_units=40,
            supports_fp64=False,
            precisions=(Precision.FP32, Precision.FP16),
            model="M3 Max",
            driver_version=inventory.devices[0].driver_version,
        ),
    )


@pytest.mark.parametrize(("report", "percent"), [(NEWER, 25.0), (OLDER, 12.5)])
def test_readings_of_newer_and_older_versions_come_in_our_units(
    macmon: Macmon, report: dict[str, Any], percent: float
) -> None:
    sample = first_sample(macmon, report)
    assert (sample.memory_used_bytes, sample.memory_total_bytes) == (20 * GIB, 64 * GIB)
    assert (sample.compute_utilization_percent, sample.clock_rate_mhz) == (percent, 461.0)
    assert (sample.power_watts, sample.temperature_celsius) == (3.5, 43.5)
    lacking = (*meter.POWER_LIMIT, *meter.MEMORY_CLOCK, *meter.THROTTLED)
    assert {sample.absent[reading] for reading in lacking} == {Absence.UNSUPPORTED}


def test_all_of_the_time_in_single_precision_is_no_more_than_all(macmon: Macmon) -> None:
    assert first_sample(macmon, NEWER | {"gpu_active_ratio": 1.0000001}).compute_utilization_percent == 100.0


@pytest.mark.parametrize("told", [True, "0.5", [0.5], -0.5, 3.0])
def test_what_is_no_share_of_the_time_is_an_error(macmon: Macmon, told: object) -> None:
    sample = first_sample(macmon, NEWER | {"gpu_active_ratio": told})
    assert sample.absent["compute_utilization_percent"] is Absence.ERROR


def test_zero_degrees_are_no_reading(macmon: Macmon) -> None:
    sample = first_sample(macmon, NEWER | {"temp": {"gpu_temp_avg": 0.0}})
    assert sample.absent["temperature_celsius"] is Absence.ERROR


def test_what_macmon_does_not_tell_is_unsupported_and_never_zero(macmon: Macmon) -> None:
    sample = first_sample(macmon, {"memory": NEWER["memory"]})
    lacking = (*meter.UTILIZATION, *meter.POWER, *meter.TEMPERATURE, *meter.CLOCK)
    assert {sample.absent[reading] for reading in lacking} == {Absence.UNSUPPORTED}
    assert {getattr(sample, reading) for reading in lacking} == {None}
    assert sample.memory_used_bytes == 20 * GIB


def test_a_mac_that_does_not_tell_its_memory_is_a_problem(macmon: Macmon) -> None:
    macmon.plays(json.dumps({"gpu_power": 1.0}))
    with macmon.opened() as source:
        inventory = source.discover()
        assert source.sample(NOW) == ()
    assert inventory.devices == ()
    assert "ram_total" in inventory.problems[0]


def test_what_is_not_wanted_is_disabled(macmon: Macmon) -> None:
    sample = first_sample(macmon, NEWER, Wanted(temperature=False, power=False))
    assert sample.absent["power_watts"] is sample.absent["temperature_celsius"] is Absence.DISABLED


def test_the_newest_line_counts_and_other_lines_do_not(macmon: Macmon) -> None:
    lines = [json.dumps(NEWER), "a warning", b"\xff\xfe{", "[1, 2]", json.dumps(NEWER | {"gpu_power": 9.0}), "{broken"]
    macmon.plays(*lines)
    with macmon.opened() as source:
        source.discover()
        until(lambda: source.sample(NOW)[0].power_watts == 9.0)


def test_a_macmon_that_ends_makes_the_source_unavailable_until_it_is_opened_anew(macmon: Macmon) -> None:
    macmon.plays(json.dumps(NEWER))
    with macmon.opened() as source:
        before = source.discover()
        os.kill(macmon.pid, signal.SIGKILL)

        def unavailable() -> bool:
            try:
                source.sample(NOW)
            except VendorUnavailableError as error:
                return "ended" in error.missing
            return False

        until(unavailable)
        with pytest.raises(VendorUnavailableError):
            source.discover()
    with macmon.opened() as source:
        assert source.discover() == before


def test_a_macmon_that_says_why_it_ends_is_quoted(macmon: Macmon) -> None:
    macmon.plays("Error: no Apple chip here", "!exit 1")
    with macmon.opened() as source, pytest.raises(VendorUnavailableError) as unavailable:
        source.discover()
    assert "Error: no Apple chip here" in unavailable.value.missing


def test_a_macmon_that_is_too_old_says_how_to_get_a_newer_one(macmon: Macmon) -> None:
    macmon.plays("!old")
    with macmon.opened() as source, pytest.raises(VendorUnavailableError) as unavailable:
        source.discover()
    assert "--soc-info" in unavailable.value.missing
    assert "brew upgrade macmon" in unavailable.value.remedy


def test_a_macmon_that_says_nothing_is_not_waited_for_for_ever(macmon: Macmon) -> None:
    macmon.plays("")
    with macmon.opened(silent_s_max=0.2) as source, pytest.raises(VendorUnavailableError) as unavailable:
        source.discover()
    assert "says nothing" in unavailable.value.missing


def test_a_macmon_that_falls_silent_is_not_believed_any_more(macmon: Macmon, monkeypatch: pytest.MonkeyPatch) -> None:
    macmon.plays(json.dumps(NEWER))
    with macmon.opened() as source:
        source.discover()
        source.sample(NOW)
        monkeypatch.setattr("fleetfold_devices.vendors.macmon.monotonic", lambda: monotonic() + 31)
        with pytest.raises(VendorUnavailableError) as unavailable:
            source.sample(NOW)
    assert "says nothing" in unavailable.value.missing


@pytest.mark.parametrize("lines", [[json.dumps(NEWER)], ["!deaf", json.dumps(NEWER)]])
def test_closing_ends_macmon(macmon: Macmon, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    monkeypatch.setattr("fleetfold_devices.vendors.macmon.ENDS_WITHIN_S", 0.2)
    macmon.plays(*lines)
    with macmon.opened() as source:
        source.discover()
        pid = macmon.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_without_the_program_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(apple, "PLACES", (str(tmp_path),))
    with pytest.raises(VendorUnavailableError) as unavailable:
        AppleSource("mac")
    assert "brew install macmon" in unavailable.value.remedy
    with pytest.raises(VendorUnavailableError):
        AppleSource("mac", program=tmp_path / "macmon")


def test_the_program_is_found_where_a_service_does_not_look(
    macmon: Macmon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    macmon.plays(json.dumps(NEWER))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(apple, "PLACES", (str(tmp_path),))
    with closing(AppleSource("mac")) as source:
        assert len(source.discover().devices) == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="this is a Mac")
def test_elsewhere_than_on_a_mac_there_is_nothing_to_be_done() -> None:
    with pytest.raises(VendorUnavailableError) as unavailable:
        AppleSource("desk")
    assert unavailable.value.missing == "this is no Mac"


def test_it_has_no_links_no_faults_and_no_processes(macmon: Macmon) -> None:
    macmon.plays(json.dumps(NEWER))
    with macmon.opened() as source:
        source.discover()
        assert (source.links(), source.faults()) == ((), ())
        [health] = source.health(NOW)
    assert health.absent == dict.fromkeys(meter.HEALTH_READINGS, Absence.UNSUPPORTED)


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from([-1, 0, 10**400, 1e308])
)
BELOW = st.sampled_from(["gpu_temp_avg", "ram_usage", "ram_total", "chip_name", "gpu_cores"])
ANYTHING = st.one_of(LEAVES, st.lists(LEAVES, max_size=3), st.dictionaries(BELOW, LEAVES, max_size=3))
CHANGES = st.dictionaries(st.sampled_from(sorted({*NEWER, *OLDER})), ANYTHING, max_size=4)


@given(change=CHANGES)
@settings(deadline=None)
def test_whatever_macmon_tells_is_a_sample_in_bounds(change: dict[str, Any]) -> None:
    for told, newest in ((NEWER, NEWER | change), (NEWER | change, NEWER), (OLDER, OLDER | change)):
        check_bounds(told, newest)


def check_bounds(told: dict[str, Any], newest: dict[str, Any]) -> None:
    found, meters = meter.inventory(
        "apple", [told], lambda report: apple.identified("mac", report, lambda: newest, Wanted())
    )
    assert codec.decode(codec.encode(found.devices), tuple[Capabilities, ...]) == found.devices
    assert len(found.devices) + len(found.problems) == 1
    for device_meter in meters:
        sample = device_meter.sample(NOW)
        assert codec.decode(codec.encode(sample), Sample) == sample
        assert set(sample.absent) == {name for name in READINGS if getattr(sample, name) is None}
