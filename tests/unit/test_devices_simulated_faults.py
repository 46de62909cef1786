"""Scripted faults of simulated devices: what goes wrong shows at its ticks, on its device, and nowhere else."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.port import Fault
from fleetfold_devices.simulation.fleet_file import FleetError, load_fleet
from fleetfold_devices.simulation.simulated import THROTTLE_CELSIUS, SimulatedNode

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=2)
DOCUMENT = Path(__file__).parents[2] / "docs" / "fleets.md"
LAB = '[[nodes]]\nname = "lab"\ndevices = [{ model = "A10", count = 2 }]\n[[faults]]\ndevice = "lab-gpu0"\n'


def fleet(tmp_path: Path, text: str) -> SimulatedNode:
    path = tmp_path / "fleet.toml"
    path.write_text(text)
    [node] = load_fleet(str(path))
    return node


def histories(node: SimulatedNode, ticks: int) -> list[list[Sample]]:
    """Of each device, its readings tick by tick."""
    return [list(history) for history in zip(*(node.sample(NOW + tick * TICK) for tick in range(ticks)), strict=True)]


def absent_ticks(history: list[Sample], why: Absence) -> list[int]:
    return [tick for tick, sample in enumerate(history) if set(sample.absent.values()) == {why}]


def test_a_lost_device_reads_nothing_and_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    broken, beside = histories(fleet(tmp_path, LAB + 'kind = "lost"\nat_tick = 3\nfor_ticks = 4'), 12)
    healthy, _ = histories(fleet(tmp_path, LAB + 'kind = "lost"\nat_tick = 100'), 12)

    assert absent_ticks(broken, Absence.LOST) == [3, 4, 5, 6]
    assert [sample for sample in broken if not sample.absent] == healthy[:3] + healthy[7:]
    assert all(not sample.absent for sample in beside)


def test_a_flapping_device_comes_and_goes(tmp_path: Path) -> None:
    scripted = LAB + 'kind = "flapping"\nat_tick = 2\nfor_ticks = 10\nevery_ticks = 3'
    broken, _ = histories(fleet(tmp_path, scripted), 20)
    assert absent_ticks(broken, Absence.LOST) == [2, 3, 4, 8, 9, 10]


def test_a_device_without_a_fan_throttles_and_cools_down_after(tmp_path: Path) -> None:
    broken, beside = histories(fleet(tmp_path, LAB + 'kind = "hot"\nat_tick = 5\nfor_ticks = 25'), 80)
    assert not any(sample.throttled for sample in broken[:5] + beside)
    assert broken[29].throttled
    assert (broken[29].temperature_celsius or 0) > THROTTLE_CELSIUS
    assert not broken[79].throttled


def test_a_wedged_device_shows_its_last_readings_with_their_age(tmp_path: Path) -> None:
    broken, _ = histories(fleet(tmp_path, LAB + 'kind = "wedged"\nat_tick = 4\nfor_ticks = 3'), 8)
    assert [sample.stale_s for sample in broken] == [None, None, None, None, 2.0, 4.0, 6.0, None]
    assert {sample.timestamp for sample in broken[3:7]} == {NOW + 3 * TICK}
    assert len({sample.memory_used_bytes for sample in broken[3:7]}) == 1


def test_a_device_wedged_from_the_start_has_no_readings(tmp_path: Path) -> None:
    broken, _ = histories(fleet(tmp_path, LAB + 'kind = "wedged"\nat_tick = 0\nfor_ticks = 2'), 4)
    assert absent_ticks(broken, Absence.ERROR) == [0, 1]


def test_a_fault_is_reported_once(tmp_path: Path) -> None:
    node = fleet(tmp_path, LAB + 'kind = "fault"\nat_tick = 2\ncode = "XID 79"\nmeaning = "off the bus"')
    reported: list[tuple[Fault, ...]] = []
    for tick in range(5):
        node.sample(NOW + tick * TICK)
        reported.append(node.faults())
    assert reported == [(), (), (Fault("lab-gpu0", "XID 79", "off the bus"),), (), ()]


@pytest.mark.parametrize(
    ("fault", "where", "advice"),
    [
        ('kind = "melted"\nat_tick = 1', "faults[0].kind", "melted"),
        ('kind = "lost"', "faults[0].at_tick", "missing"),
        ('kind = "lost"\nat_tick = -1', "faults[0].at_tick", ">= 0"),
        ('kind = "lost"\nat_tick = 1\nfor_ticks = 0', "faults[0].for_ticks", ">= 1"),
        ('kind = "lost"\nat_tick = 1\nevery_ticks = 2', "faults[0].every_ticks", "flapping"),
        ('kind = "hot"\nat_tick = 1\ncode = "XID 79"', "faults[0].code", "fault"),
        ('kind = "fault"\nat_tick = 1', "faults[0].code", "XID 79"),
        ('kind = "fault"\nat_tick = 1\ncode = "XID 79"\nfor_ticks = 3', "faults[0].for_ticks", "lost"),
        ('kind = "lost"\nat_tick = 1\ncelsius = 90', "faults[0].celsius", "at_tick"),
        (
            'kind = "lost"\nat_tick = 1\n[[faults]]\ndevice = "x"\nkind = "hot"\nat_tick = 1',
            "faults[1].device",
            "lab-",
        ),
    ],
)
def test_a_wrong_fault_is_refused_with_its_field_and_what_to_write(
    tmp_path: Path, fault: str, where: str, advice: str
) -> None:
    with pytest.raises(FleetError) as refused:
        fleet(tmp_path, LAB + fault)
    assert where in refused.value.where
    assert advice in refused.value.problem


def test_the_documented_fleet_breaks_as_the_document_says(tmp_path: Path) -> None:
    document = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert document is not None
    node = fleet(tmp_path, document[1])
    lost, flapping, hot, wedged, _ = histories(node, 60)
    assert absent_ticks(lost, Absence.LOST) == list(range(10, 15))
    assert absent_ticks(flapping, Absence.LOST) == [10, 11, 12, 16, 17, 18]
    assert any(sample.throttled for sample in hot)
    assert [tick for tick, sample in enumerate(wedged) if sample.stale_s is not None] == list(range(20, 30))
    assert [fault.code for fault in node.faults()] == ["XID 79"]
