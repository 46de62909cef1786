"""The kernel's small files: a number within bounds, or an absence with the reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.samples import Absence
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.kernel import sysfs
from fleetfold_devices.kernel.pci import pci_name
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import DeviceLostError
from tests.support.readings import read_or_absence

PLACE = Path("a/file")


@given(st.integers(-(2**64) + 1, 2**64 - 1))
def test_a_number_of_the_kernel_is_read(number: int) -> None:
    assert sysfs.as_int(str(number), PLACE) == number


@given(st.text())
def test_what_is_no_number_of_the_kernel_is_an_error(text: str) -> None:
    number = read_or_absence(lambda: sysfs.as_int(text, PLACE))
    assert number is Absence.ERROR or abs(int(number)) <= sysfs.INTEGER_MAX


@pytest.mark.parametrize(("text", "number"), [("0x8086", 0x8086), ("56a0", 0x56A0)])
def test_an_id_is_read_with_its_base(tmp_path: Path, text: str, number: int) -> None:
    (tmp_path / "device").write_text(text)
    assert sysfs.read_int(tmp_path / "device", base=16) == number


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe", b"1.5", b"N/A", b"1 2", b"nan", b"9" * 5000])
def test_what_cannot_be_read_is_an_error_for_this_time(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(AbsentError) as absent:
        sysfs.read_int(tmp_path / "file")
    assert (absent.value.reason, absent.value.for_good) == (Absence.ERROR, False)


def test_a_file_that_is_not_there_is_unsupported_for_good(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    for path in (tmp_path / "none", tmp_path / "none" / "below", tmp_path / "file" / "below"):
        with pytest.raises(AbsentError) as absent:
            sysfs.read_text(path)
        assert (absent.value.reason, absent.value.for_good) == (Absence.UNSUPPORTED, True)
        assert sysfs.text_or_none(path) is None


def test_a_file_that_is_there_and_fails_is_an_error_for_this_time(tmp_path: Path) -> None:
    with pytest.raises(AbsentError) as absent:
        sysfs.read_text(tmp_path)
    assert (absent.value.reason, absent.value.for_good) == (Absence.ERROR, False)


def test_the_first_file_that_is_there_counts_even_if_it_fails(tmp_path: Path) -> None:
    none, first, second = (tmp_path / name for name in ("none", "first", "second"))
    first.write_text("1")
    second.write_text("2")
    assert sysfs.read_first_int(none, first, second) == 1
    first.write_text("broken")
    with pytest.raises(AbsentError) as absent:
        sysfs.read_first_int(none, first, second)
    assert absent.value.reason is Absence.ERROR
    with pytest.raises(AbsentError) as absent:
        sysfs.read_first_int(none, none)
    assert absent.value.for_good


def test_sensors_are_found_by_name(tmp_path: Path) -> None:
    for number, name in ((3, "i915_gt0"), (7, "i915")):
        (tmp_path / f"hwmon/hwmon{number}").mkdir(parents=True)
        (tmp_path / f"hwmon/hwmon{number}/name").write_text(f"{name}\n")
    (tmp_path / "hwmon/hwmon1").mkdir()
    assert sysfs.hwmon(tmp_path, "i915") == tmp_path / "hwmon/hwmon7"
    with pytest.raises(AbsentError) as absent:
        sysfs.hwmon(tmp_path, "xe")
    assert absent.value.for_good


def test_a_link_is_told_by_its_end(tmp_path: Path) -> None:
    (tmp_path / "driver").symlink_to("../../bus/pci/drivers/xe")
    assert sysfs.link_name(tmp_path / "driver") == "xe"
    assert sysfs.link_name(tmp_path / "none") == ""
    assert sysfs.link_name(tmp_path) == ""


def test_a_place_that_went_away_has_no_files(tmp_path: Path) -> None:
    assert sysfs.matching(tmp_path / "none", "card*") == []
    assert not sysfs.is_directory(tmp_path / "none")
    assert sysfs.is_directory(tmp_path)


def test_a_file_is_not_lacking_where_the_device_went_away() -> None:
    def lacking() -> tuple[int]:
        raise AbsentError(Absence.UNSUPPORTED, for_good=True)

    def there() -> None:
        pass

    def gone() -> None:
        raise DeviceLostError

    [probe] = sysfs.probes({("clock_rate_mhz",): lacking}, there)
    with pytest.raises(AbsentError):
        probe.read()
    [probe] = sysfs.probes({("clock_rate_mhz",): lacking}, gone)
    with pytest.raises(DeviceLostError):
        probe.read()


def test_memory_of_the_host_is_shared(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    total_bytes = host_memory_bytes()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable: {total_bytes // 1024 // 4} kB\n")
    used_bytes, told_total_bytes = sysfs.shared_memory(tmp_path)
    assert told_total_bytes == total_bytes
    assert used_bytes == total_bytes - total_bytes // 1024 // 4 * 1024


def test_memory_of_the_host_that_is_not_told_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AbsentError) as absent:
        sysfs.shared_memory(tmp_path)
    assert absent.value.reason is Absence.ERROR


PCI_IDS = """# a list
1002  Advanced Micro Devices, Inc.
\t56a0  A device of another maker
8086  Intel Corporation
# in between
\t46a6  Alder Lake-P GT2 [Iris Xe Graphics]
\t56a0  DG2 [Arc A770]
\t\t8086 1020  A board with it
\t9a49  TigerLake-LP GT2
ffff  Illegal Vendor ID
\t1234  None
"""


@pytest.mark.parametrize(
    ("device_id", "name"),
    [(0x56A0, "Arc A770"), (0x46A6, "Iris Xe Graphics"), (0x9A49, "TigerLake-LP GT2"), (0x1234, None), (0x1020, None)],
)
def test_a_pci_device_is_named_as_it_is_sold(tmp_path: Path, device_id: int, name: str | None) -> None:
    assert pci_name(tmp_path, 0x8086, device_id) is None
    (tmp_path / "usr/share/misc").mkdir(parents=True)
    (tmp_path / "usr/share/misc/pci.ids").write_text(PCI_IDS)
    assert pci_name(tmp_path, 0x8086, device_id) == name
