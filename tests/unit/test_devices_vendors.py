"""The NVIDIA and AMD adapters, through the vendors' real bindings, on small C libraries that stand in for the drivers.

They prove how we handle what a driver answers. They prove nothing about the driver.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.meter import CLOCK, MEMORY, POWER, READINGS, TEMPERATURE, THROTTLED, UTILIZATION

FAKES = Path(__file__).parent.parent / "fakes"
MIB = 1024**2

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None or sys.platform != "linux",
    reason="the fake driver libraries are built with gcc on Linux",
)


class Unavailable(msgspec.Struct, frozen=True):
    missing: str
    remedy: str


class Seen(msgspec.Struct, frozen=True):
    samples: list[list[Sample]]
    unavailable: Unavailable | None
    devices: list[Capabilities] = []
    problems: list[str] = []


Read = Callable[..., Seen]


def build(library: Path, *arguments: str | Path) -> Path:
    library.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, *arguments], check=True)
    return library.parent


def read(vendor: Vendor, *states: str, **environment: str) -> Seen:
    """What a process of its own sees. That it can be decoded proves that every reading is within its bounds."""
    command = [sys.executable, FAKES / "read_source.py", vendor, *states]
    finished = subprocess.run(command, env=os.environ | environment, check=True, capture_output=True, timeout=60)
    return msgspec.json.decode(finished.stdout, type=Seen)


def values(sample: Sample, readings: tuple[str, ...]) -> list[object]:
    return [getattr(sample, reading) for reading in readings]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("libraries")


@pytest.fixture(scope="module")
def broken(libraries: Path) -> Path:
    """A place where every driver's library is found, and is none. It hides those that this machine may have."""
    place = libraries / "broken"
    (place / "lib").mkdir(parents=True)
    for name in ("libnvidia-ml.so.1", "libamd_smi.so", "lib/libamd_smi.so"):
        (place / name).write_bytes(b"")
    return place


def nvidia_reader(library: Path) -> Read:
    def read_states(*states: str) -> Seen:
        return read(Vendor.NVIDIA, *states, LD_LIBRARY_PATH=str(library))

    return read_states


@pytest.fixture(scope="module")
def nvidia(libraries: Path) -> Read:
    return nvidia_reader(build(libraries / "nvml" / "libnvidia-ml.so.1", FAKES / "nvml.c"))


@pytest.fixture(scope="module")
def old_nvidia(libraries: Path) -> Read:
    return nvidia_reader(build(libraries / "nvml-old" / "libnvidia-ml.so.1", "-DOLD_DRIVER", FAKES / "nvml.c"))


def amd_symbols() -> list[str]:
    """Every symbol that the binding asks of the library when it is imported."""
    spec = importlib.util.find_spec("amdsmi")
    assert spec is not None
    assert spec.origin is not None
    wrapper = (Path(spec.origin).parent / "amdsmi_wrapper.py").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper)))


def build_amd(place: Path, symbols: list[str]) -> Path:
    stubs = place.with_suffix(".c")
    stubs.write_text("\n".join(f"__attribute__((weak)) int {symbol}(void) {{ return 2; }}" for symbol in symbols))
    build(place / "lib" / "libamd_smi.so", FAKES / "amd_smi.c", stubs)
    return place


@pytest.fixture(scope="module")
def amd(libraries: Path) -> Read:
    place = build_amd(libraries / "amd-smi", amd_symbols())

    def read_states(*states: str) -> Seen:
        return read(Vendor.AMD, *states, ROCM_PATH=str(place))

    return read_states


@pytest.fixture(params=["nvidia", "amd"])
def vendor(request: pytest.FixtureRequest) -> Read:
    """What holds for every vendor."""
    return request.getfixturevalue(request.param)


def test_nvidia_devices_are_told_as_they_are(nvidia: Read) -> None:
    seen = nvidia("healthy")
    assert seen.problems == []
    assert [device.device_id for device in seen.devices] == [
        "GPU-00000000-0000-0000-0000-000000000000",
        "GPU-00000000-0000-0000-0000-000000000001",
    ]
    assert seen.devices[0] == Capabilities(
        device_id="GPU-00000000-0000-0000-0000-000000000000",
        device_type=DeviceType.CUDA,
        device_name="NVIDIA A10",
        vendor=Vendor.NVIDIA,
        max_memory_bytes=(24576 - 512) * MIB,
        compute_units=72,
        memory_bandwidth_gbps=6251 * 2 * 384 / 8 / 1000,
        driver_version="575.51.03",
        supports_fp64=True,
        supports_tensor_cores=True,
        model="A10",
    )


def test_amd_devices_are_told_as_they_are(amd: Read) -> None:
    seen = amd("healthy")
    assert seen.problems == []
    assert seen.devices[1] == Capabilities(
        device_id="AMD-00000000-0000-1000-8000-000000000001",
        device_type=DeviceType.ROCM,
        device_name="AMD Instinct MI210",
        vendor=Vendor.AMD,
        max_memory_bytes=65520 * MIB,
        compute_units=104,
        memory_bandwidth_gbps=1638.0,
        driver_version="6.12.12",
        supports_fp64=True,
        supports_tensor_cores=True,
        model="MI210",
    )


def test_nvidia_readings_come_in_our_units(nvidia: Read) -> None:
    [[sample, _]] = nvidia("healthy").samples
    assert values(sample, READINGS) == [1024 * MIB, (24576 - 512) * MIB, 40.0, 98.5, 61.0, 1695.0, False]
    assert sample.absent == {}


def test_amd_readings_come_in_our_units(amd: Read) -> None:
    [[sample, _]] = amd("healthy").samples
    assert values(sample, READINGS) == [2048 * MIB, 65520 * MIB, 35.0, 187.0, 58.0, 1700.0, None]
    assert sample.absent == {"throttled": Absence.UNSUPPORTED}


def test_heat_throttles_and_the_power_cap_does_not(nvidia: Read) -> None:
    [[cool, _], [hot, _]] = nvidia("healthy", "hot").samples
    assert (cool.throttled, hot.throttled) == (False, True)


def test_an_older_driver_is_read_by_its_older_calls(old_nvidia: Read) -> None:
    [[sample, _]] = old_nvidia("healthy").samples
    # It cannot tell its own memory from that of programs.
    assert values(sample, READINGS) == [(1024 + 512) * MIB, 24576 * MIB, 40.0, 98.5, 61.0, 1695.0, False]


def test_a_lost_device_has_no_readings_until_it_is_back(vendor: Read) -> None:
    [_, [other, lost], [_, back]] = vendor("healthy", "lost", "healthy").samples
    assert lost.absent == dict.fromkeys(READINGS, Absence.LOST)
    assert values(lost, READINGS) == [None] * len(READINGS)
    assert back.compute_utilization_percent is not None
    assert other.compute_utilization_percent is not None


def test_a_device_that_is_lost_at_the_start_is_a_problem_and_hides_no_other(vendor: Read) -> None:
    seen = vendor("lost")
    assert len(seen.devices) == len(seen.samples[0]) == 1
    assert [problem for problem in seen.problems if "GPU 1 does not tell what it is" in problem] == seen.problems != []


def test_what_a_device_lacks_is_unsupported_and_never_zero(vendor: Read) -> None:
    [[sample, _]] = vendor("unsupported").samples
    lacking = (*UTILIZATION, *POWER, *TEMPERATURE, *CLOCK, *THROTTLED)
    assert sample.absent == dict.fromkeys(lacking, Absence.UNSUPPORTED)
    assert values(sample, lacking) == [None] * len(lacking)
    assert sample.memory_used_bytes


def test_a_reading_out_of_bounds_is_an_error_and_hides_no_other(vendor: Read) -> None:
    [_, [sample, _]] = vendor("healthy", "nonsense").samples
    impossible = ("memory_used_bytes", *UTILIZATION, *POWER, *TEMPERATURE, *CLOCK)
    assert {reading: sample.absent.get(reading) for reading in impossible} == dict.fromkeys(impossible, Absence.ERROR)
    assert sample.memory_total_bytes


def test_a_call_that_fails_is_an_error_and_is_asked_again(nvidia: Read) -> None:
    [_, [failed, _], [back, _]] = nvidia("healthy", "failing", "healthy").samples
    assert failed.absent == dict.fromkeys(READINGS, Absence.ERROR)
    assert back.absent == {}


def test_figures_that_amd_marks_as_not_read_are_absent(amd: Read) -> None:
    [_, [sample, _]] = amd("healthy", "not-read").samples
    marked = (*MEMORY, *UTILIZATION, *POWER, *CLOCK)
    assert {reading: sample.absent.get(reading) for reading in marked} == dict.fromkeys(marked, Absence.UNSUPPORTED)


def test_memory_shared_with_the_host_is_marked(nvidia: Read) -> None:
    seen = nvidia("unified")
    assert seen.devices[0].labels == {"memory": "unified"}
    assert seen.devices[0].max_memory_bytes > 0
    assert seen.samples[0][0].absent == dict.fromkeys(MEMORY, Absence.UNSUPPORTED)


def test_memory_that_cannot_be_read_is_not_taken_for_the_host_s(nvidia: Read) -> None:
    seen = nvidia("failing")
    assert seen.devices == []
    assert len(seen.problems) == 2


def test_two_devices_never_share_an_id(nvidia: Read, amd: Read) -> None:
    twins = nvidia("twins")
    assert len(twins.devices) == len(twins.samples[0]) == 1
    assert "has the id of another" in twins.problems[0]
    # Cards without a serial number all have the same UUID, and are known by their slots.
    assert [device.device_id for device in amd("no-serial").devices] == ["desk-0000-03-00-0", "desk-0000-04-00-0"]


def test_without_a_driver_it_says_what_is_missing(vendor: Read) -> None:
    unavailable = vendor("no-driver").unavailable
    assert unavailable is not None
    assert "driver not loaded" in unavailable.missing.lower()
    assert "install" in unavailable.remedy


def test_a_driver_that_goes_away_makes_the_source_unavailable(vendor: Read) -> None:
    seen = vendor("healthy", "gone")
    assert len(seen.devices) == 2
    assert seen.unavailable is not None


@pytest.mark.parametrize("name", [Vendor.NVIDIA, Vendor.AMD])
def test_without_a_library_it_says_how_to_get_it_and_prints_nothing(name: Vendor, broken: Path) -> None:
    # `read` decodes the whole standard output: a word that the binding prints there fails it.
    unavailable = read(name, "healthy", LD_LIBRARY_PATH=str(broken), ROCM_PATH=str(broken)).unavailable
    assert unavailable is not None
    assert "library" in unavailable.missing.lower()
    assert "install" in unavailable.remedy


def test_a_library_without_the_symbols_is_too_old(libraries: Path) -> None:
    empty = libraries / "empty.c"
    empty.write_text("int nothing;")
    unavailable = nvidia_reader(build(libraries / "nvml-empty" / "libnvidia-ml.so.1", empty))("healthy").unavailable
    assert unavailable is not None
    assert "Function Not Found" in unavailable.missing


def test_an_amd_library_without_the_newest_symbol_is_too_old(libraries: Path) -> None:
    *known, newest = amd_symbols()
    place = build_amd(libraries / "amd-smi-old", known)
    unavailable = read(Vendor.AMD, "healthy", ROCM_PATH=str(place)).unavailable
    assert unavailable is not None
    assert newest in unavailable.missing


def test_one_vendor_that_is_missing_does_not_hide_another(libraries: Path, nvidia: Read, broken: Path) -> None:
    assert nvidia("healthy").unavailable is None
    program = """if True:
        from fleetfold_devices.local import local_sources
        local = local_sources("desk")
        print(*(source.name for source in local.sources), *(problem.vendor for problem in local.problems))
    """
    environment = os.environ | {"LD_LIBRARY_PATH": str(libraries / "nvml"), "ROCM_PATH": str(broken)}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, timeout=60, text=True
    )
    assert finished.stdout.split() == ["nvidia", "amd"]


def test_no_binding_is_imported_before_a_source_is_opened() -> None:
    program = "import sys, fleetfold_devices.local; sys.exit(not {'pynvml', 'amdsmi'}.isdisjoint(sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
