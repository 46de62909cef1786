"""Apple's GPUs, as the program macmon tells of them (`macmon.py`).

Its newer versions have `gpu_active_ratio`, the share of time in which the GPU worked, and `gpu_freq_mhz`. The older
ones have the pair `gpu_usage` instead: the clock in MHz, and a share that counts less at a lower clock.

The package `macmon` on the Python package index is another project, and no help.
"""

import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from os import pathsep
from pathlib import Path
from typing import Any

from fleetfold_contracts.ids import DeviceId, NodeId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, Precision, Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, Sample
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.meter import AbsentError, Meter, Probe
from fleetfold_devices.port import USUALLY_WANTED, Fault, Inventory, VendorUnavailableError, Wanted
from fleetfold_devices.vendors.macmon import PROGRAM, SILENT_S_MAX, Macmon, Report

NAME = Vendor.APPLE.value
PLACES = ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin")
"""Where Homebrew and MacPorts install. The search path of a service often lacks them."""
REMEDY = "install it (brew install macmon; the Python package of that name is another project)"


class AppleSource:
    """The GPU of this Mac. `program` says where macmon is; without it, it is looked for on a Mac.

    Raises:
        VendorUnavailableError: this is no Mac, or macmon is not installed.
    """

    name = NAME

    def __init__(
        self,
        node_id: NodeId,
        wanted: Wanted = USUALLY_WANTED,
        *,
        program: Path | None = None,
        silent_s_max: float = SILENT_S_MAX,
    ) -> None:
        self._node_id = node_id
        self._wanted = wanted
        self._macmon = Macmon(program or _installed(), silent_s_max=silent_s_max)
        self._report: Report = {}
        self._meters: tuple[Meter, ...] = ()

    def discover(self) -> Inventory:
        """See `DeviceSource`. The GPU is a part of the Mac: it is known by the node."""
        found, self._meters = meter.inventory(NAME, [self._macmon.report()], self._identified)
        return found

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`."""
        self._report = self._macmon.report()
        return tuple(device_meter.sample(now) for device_meter in self._meters)

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """See `DeviceSource`. Neither errors of the memory nor processes are told."""
        return tuple(device_meter.health(now) for device_meter in self._meters)

    def links(self) -> tuple[Link, ...]:
        """See `DeviceSource`. It is the only device."""
        return ()

    def faults(self) -> tuple[Fault, ...]:
        """See `DeviceSource`. None are told."""
        return ()

    def close(self) -> None:
        """See `DeviceSource`. Ends macmon."""
        self._macmon.close()

    def _identified(self, report: Report) -> tuple[Capabilities, Meter]:
        return identified(self._node_id, report, lambda: self._report, self._wanted)


def identified(
    node_id: NodeId, report: Report, newest: Callable[[], Report], wanted: Wanted
) -> tuple[Capabilities, Meter]:
    """What a report tells of the GPU, and what reads it from the `newest` one.

    Raises:
        AbsentError: it does not tell the memory.
    """
    device_id = token(f"{node_id}-apple-gpu")
    probes = [Probe(readings, partial(_read, read, newest)) for readings, read in _READS.items()]
    return _capabilities(report, device_id), Meter(device_id, probes, wanted=wanted)


def _read(read: Callable[[Report], Sequence[object]], newest: Callable[[], Report]) -> Sequence[object]:
    return read(newest())


def _installed() -> Path:
    if sys.platform != "darwin":
        raise VendorUnavailableError(NAME, "this is no Mac", "nothing can be done about it")
    found = shutil.which(PROGRAM) or shutil.which(PROGRAM, path=pathsep.join(PLACES))
    if found is None:
        raise VendorUnavailableError(NAME, f"the program {PROGRAM} is not there", REMEDY)
    return Path(found)


def _capabilities(report: Report, device_id: DeviceId) -> Capabilities:
    device_name = _told(report, "soc", "chip_name") or "Apple GPU"
    version, *_ = platform.mac_ver()
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.METAL,
        device_name=device_name,
        vendor=Vendor.APPLE,
        max_memory_bytes=_figure(report, "memory", "ram_total"),
        unified_memory=True,
        compute_units=_told(report, "soc", "gpu_cores"),
        driver_version=f"macOS {version}" if version else None,
        supports_fp64=False,  # Metal has no such numbers
        precisions=(Precision.FP32, Precision.FP16),  # its types `float` and `half`, which every GPU has
        model=short_name(device_name) if isinstance(device_name, str) else None,
    )


def _told(report: Report, *path: str | int) -> Any:
    found: Any = report
    for key in path:
        try:
            found = found[key]
        except (LookupError, TypeError):
            return None
    return found


def _figure(report: Report, *path: str | int) -> Any:
    found = _told(report, *path)
    if found is None:
        raise AbsentError(Absence.UNSUPPORTED, f"{PROGRAM} does not tell {path}")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise AbsentError(Absence.ERROR, f"{PROGRAM} tells {path} as {found!r}")
    return found


def _memory(report: Report) -> Sequence[object]:
    return meter.memory(_figure(report, "memory", "ram_usage"), _figure(report, "memory", "ram_total"))


def _utilization(report: Report) -> Sequence[object]:
    newer = "gpu_active_ratio" in report
    ratio = _figure(report, "gpu_active_ratio") if newer else _figure(report, "gpu_usage", 1)
    # It is told in single precision: all of the time can come as a little more than 1.
    return (round(100 * ratio, 3),)


def _clock(report: Report) -> Sequence[object]:
    newer = "gpu_freq_mhz" in report
    return (_figure(report, "gpu_freq_mhz") if newer else _figure(report, "gpu_usage", 0),)


def _power(report: Report) -> Sequence[object]:
    return (_figure(report, "gpu_power"),)


def _temperature(report: Report) -> Sequence[object]:
    celsius = _figure(report, "temp", "gpu_temp_avg")
    if not celsius:
        raise AbsentError(Absence.ERROR, "0 is the average of no sensors")
    return (celsius,)


_READS: dict[tuple[str, ...], Callable[[Report], Sequence[object]]] = {
    meter.MEMORY: _memory,
    meter.UTILIZATION: _utilization,
    meter.POWER: _power,
    meter.TEMPERATURE: _temperature,
    meter.CLOCK: _clock,
}
