"""The vendors' real bindings on small C libraries that stand in for the drivers, each library in a process of its own.

They prove how we handle what a driver answers. They prove nothing about a driver.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import msgspec
import pytest

from fleetfold_contracts.inventory import Capabilities, Link, Vendor
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices.port import USUALLY_WANTED, Fault, Wanted
from tests.support.needed import program

FAKES = Path(__file__).parent.parent / "fakes"
MIB = 1024**2
LONG_S = 60


class Unavailable(msgspec.Struct, frozen=True):
    missing: str
    remedy: str


class Found(msgspec.Struct, frozen=True):
    devices: list[Capabilities]
    problems: list[str]


class Seen(msgspec.Struct, frozen=True, rename={"samples": "sample"}):
    """What a process saw, each in the order of its steps. That it can be decoded proves that all is within bounds."""

    inventories: list[Found] = []
    samples: list[list[Sample]] = []
    health: list[list[DeviceHealth]] = []
    links: list[list[Link]] = []
    faults: list[list[Fault]] = []
    unavailable: list[Unavailable] = []

    @property
    def devices(self) -> list[Capabilities]:
        """Those of the last discovery."""
        return self.inventories[-1].devices

    @property
    def problems(self) -> list[str]:
        """Those of the last discovery."""
        return self.inventories[-1].problems


class Reader:
    """A process that reads a vendor's GPUs, with some environment variables. It lives until it is closed."""

    def __init__(self, vendor: Vendor, **environment: Path) -> None:
        variables = {name: str(path) for name, path in environment.items()}
        command = [sys.executable, str(FAKES / "read_source.py"), vendor]
        self._process = subprocess.Popen(command, env=os.environ | variables, stdin=PIPE, stdout=PIPE)

    def __call__(self, *steps: str, wanted: Wanted = USUALLY_WANTED, calls: Path | None = None) -> Seen:
        """Tell a story of such steps as `tests/fakes/read_source.py` names. `calls`: where to write what is called."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        noted = [f"FAKE_CALLS={calls}"] if calls else []
        self._process.stdin.write(msgspec.json.encode({"steps": [*noted, *steps], "wanted": wanted}) + b"\n")
        self._process.stdin.flush()
        # A word that a binding prints makes this no JSON.
        return msgspec.json.decode(self._process.stdout.readline(), type=Seen)

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate(timeout=LONG_S)


class FakeDrivers:
    """Builds the libraries in a directory, each when it is first asked for, and starts what reads them."""

    def __init__(self, directory: Path) -> None:
        if sys.platform != "linux":
            pytest.skip("the fake driver libraries are built for Linux")
        self._gcc = program("gcc")
        self._directory = directory
        self._readers: dict[Path, Reader] = {}

    def nvidia(self, *flags: str) -> Reader:
        """Reads NVIDIA's GPUs. A flag is for the compiler."""
        directory = self._directory / "".join(["nvml", *flags])
        self.library(directory / "libnvidia-ml.so.1", *flags, "nvml.c")
        return self.reader(Vendor.NVIDIA, directory)

    def amd(self, *, without_newest_symbol: bool = False) -> Reader:
        """Reads AMD's GPUs."""
        symbols = amd_symbols()[: -1 if without_newest_symbol else None]
        directory = self._directory / f"amd-{len(symbols)}"
        directory.mkdir(exist_ok=True)
        stubs = (f"__attribute__((weak)) int {symbol}(void) {{ return 2; }}" for symbol in symbols)
        (directory / "stubs.c").write_text("\n".join(stubs), encoding="utf-8")
        self.library(directory / "lib/libamd_smi.so", "amd_smi.c", directory / "stubs.c")
        return self.reader(Vendor.AMD, directory)

    def reader(self, vendor: Vendor, directory: Path) -> Reader:
        """Reads a vendor's GPUs by a library in a directory."""
        if directory not in self._readers:
            self._readers[directory] = Reader(vendor, LD_LIBRARY_PATH=directory, ROCM_PATH=directory)
        return self._readers[directory]

    def close(self) -> None:
        """Let all processes end."""
        for reader in self._readers.values():
            reader.close()

    def library(self, path: Path, *arguments: str | Path) -> None:
        """Builds a library out of sources and flags, unless it is there."""
        if not path.exists():
            path.parent.mkdir(parents=True)
            command = [self._gcc, "-Wall", "-Wextra", "-Werror", "-I", FAKES, "-shared", "-fPIC", "-o", path]
            subprocess.run([*command, *arguments], check=True, cwd=FAKES)

    def broken(self, vendor: Vendor) -> Path:
        """A place where every driver's library is found, and is none. It hides those that this machine may have."""
        place = self._directory / f"broken-{vendor}"
        for name in ("libnvidia-ml.so.1", "libamd_smi.so", "lib/libamd_smi.so"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(b"")
        return place


def amd_symbols() -> list[str]:
    """Every symbol that the binding asks of the library when it is imported."""
    spec = importlib.util.find_spec("amdsmi")
    assert spec is not None
    assert spec.origin is not None
    wrapper = (Path(spec.origin).parent / "amdsmi_wrapper.py").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper)))


def values(struct: msgspec.Struct, readings: tuple[str, ...]) -> list[object]:
    """The readings of a sample or of a device's health."""
    return [getattr(struct, reading) for reading in readings]
