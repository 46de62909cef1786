"""What a person types and reads: sizes, lines of events, tables that never show an absent reading as a healthy 0."""

from datetime import UTC, datetime

import msgspec
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleetfold_bus.port import Record
from fleetfold_cli.render.devices import devices_table
from fleetfold_cli.render.events import TELLERS, event_line
from fleetfold_cli.sizes import format_size, parse_size
from fleetfold_client import Happened
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import DevicesAnswer, DeviceStatus, DeviceView
from fleetfold_contracts.codec import Envelope
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, Sample

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
DECIMAL = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS = {"": 1, "B": 1} | BINARY | DECIMAL


@given(st.integers(0, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, gap: str) -> None:
    assert parse_size(f"{number}{gap}{unit}") == number * UNITS[unit]
    assert parse_size(f"{number}{gap}{unit.lower()}") == number * UNITS[unit]


@pytest.mark.parametrize("text", ["", "GiB", "8Gi", "8 gigs", "-1GiB", "1e3", "0.5", "nan", "8GiB 4"])
def test_what_is_no_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"no size; write it as 8GiB|no whole number of bytes"):
        parse_size(text)


@given(st.integers(0, 2**62))
def test_a_shown_size_is_right_to_a_twentieth(size_bytes: int) -> None:
    number, unit = format_size(size_bytes).split()
    assert abs(float(number) * UNITS[unit] - size_bytes) <= size_bytes / 20


def test_every_type_of_event_has_its_line() -> None:
    assert set(TELLERS) == set(evt.TYPE_OF_EVENT)


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (evt.NodeLeft(node_id="n-1", boot_id="b"), "node.left              n-1"),
        (
            evt.LivenessChanged(node_id="n-1", boot_id="b", liveness=evt.Liveness.OFFLINE, last_seen=NOW),
            "n-1 is offline, last seen at",
        ),
        (
            evt.WorkDistributed(
                work_id="w",
                item_count=10,
                batch_size=5,
                assignments=(evt.Assignment(device_id="g", runs=((0, 7),)),),
                unassigned=((7, 3),),
                reason="full",
            ),
            "w: 7 items on 1 device, 3 unassigned: full",
        ),
        (evt.WorkCompleted(work_id="w", done=9, failed=1), "w: 9 done, 1 failed, 0 unassigned"),
        (evt.CommandRejected(verb="place", field="$.x", reason="odd"), "place: $.x: odd"),
    ],
)
def test_an_event_is_told_in_a_line(event: evt.Event, told: str) -> None:
    assert told in event_line(happened(event))


def test_an_event_of_a_newer_version_is_told_by_its_type() -> None:
    line = event_line(happened(None, "fleet.moon.landed.v7"))
    assert "fleet.moon.landed.v7" in line


def happened(event: evt.Event | None, kind: str = "fleet.test.v1") -> Happened:
    envelope = Envelope(specversion="1.0", id="e", type=kind, source="test", time=NOW)
    return Happened(envelope, event, Record("fleet.evt.test", 1, NOW, b""))


def test_what_was_not_read_is_not_shown_as_zero() -> None:
    absent = {"temperature_celsius": Absence.UNSUPPORTED, "power_watts": Absence.ERROR}
    sample = Sample(device_id="g", timestamp=NOW, memory_used_bytes=0, compute_utilization_percent=0, absent=absent)
    read, unread = drawn(device(sample)), drawn(device(None))
    assert read.count("n/a") == 3, "temperature, power, score"
    assert "0 B" in read
    assert "0 %" in read
    assert unread.count("n/a") == 5


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        ({"status": "lost", "lost": "no answer", "cordoned": "hot"}, "lost: no answer"),
        ({"status": "faulted", "fault": "XID 79"}, "faulted: XID 79"),
        ({"status": "cordoned", "cordoned": ""}, "cordoned"),
        ({"status": "cordoned", "cordoned": "hot"}, "cordoned: hot"),
        ({"status": "offline", "cordoned": "hot"}, "offline"),
        ({}, "live"),
    ],
)
def test_the_worst_of_a_device_is_shown(trouble: dict[str, str], state: str) -> None:
    view = msgspec.convert(msgspec.to_builtins(device(None)) | trouble, DeviceView)
    cells = drawn(view).split("  ")
    assert state in [cell.strip() for cell in cells]


def device(sample: Sample | None) -> DeviceView:
    capabilities = Capabilities(
        device_id="g", device_type=DeviceType.CUDA, device_name="GPU", vendor=Vendor.NVIDIA, max_memory_bytes=2**30
    )
    return DeviceView(node_id="n", capabilities=capabilities, status=DeviceStatus.LIVE, sample=sample)


def drawn(view: DeviceView) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        console.print(devices_table(DevicesAnswer(position=1, devices=(view,))))
    return capture.get().splitlines()[1]


def test_a_table_says_which_share_of_the_fleet_is_not_in_it() -> None:
    assert devices_table(DevicesAnswer(position=1)).caption is None
    silent = DevicesAnswer(position=1, silent_shares=("1/2", "2/2"))
    assert "share 1/2, 2/2" in str(devices_table(silent).caption)
