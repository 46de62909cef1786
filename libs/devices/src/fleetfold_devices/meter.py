"""From a driver's calls to samples that can be believed: every reading within its bounds, or absent with the reason."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Capabilities
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.port import DeviceLostError, Inventory

MEMORY = ("memory_used_bytes", "memory_total_bytes")
UTILIZATION = ("compute_utilization_percent",)
POWER = ("power_watts",)
TEMPERATURE = ("temperature_celsius",)
CLOCK = ("clock_rate_mhz",)
THROTTLED = ("throttled",)
READINGS = (*MEMORY, *UTILIZATION, *POWER, *TEMPERATURE, *CLOCK, *THROTTLED)

_TYPES = {field.name: field.type for field in msgspec.structs.fields(Sample)}

Handle = TypeVar("Handle")


class AbsentError(Exception):
    """A reading is not there. `for_good`: the device lacks it, so that there is no use in asking again."""

    def __init__(self, reason: Absence, detail: str = "", *, for_good: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Probe:
    """One call to a driver, and the readings that it gives, in the same order. None stands for one that cannot be true.

    `read` raises AbsentError where there are none, and DeviceLostError where the device is gone.
    """

    readings: tuple[str, ...]
    read: Callable[[], Sequence[object]]


class Meter:
    """Reads one device. What the device lacks is asked for once, and then no more."""

    def __init__(self, device_id: DeviceId, probes: Sequence[Probe]) -> None:
        self._device_id = device_id
        self._probes = tuple(probes)
        asked = {reading for probe in probes for reading in probe.readings}
        self._lacking = {reading: Absence.UNSUPPORTED for reading in READINGS if reading not in asked}

    def sample(self, now: datetime) -> Sample:
        """All the readings. Those of a lost device are all absent."""
        values: dict[str, object] = {}
        absent = dict(self._lacking)
        try:
            for probe in self._probes:
                self._take(probe, values, absent)
        except DeviceLostError:
            values, absent = {}, dict.fromkeys(READINGS, Absence.LOST)
        known = {"device_id": self._device_id, "timestamp": now, "absent": absent}
        return msgspec.convert(values | known, Sample)

    def _take(self, probe: Probe, values: dict[str, object], absent: dict[str, Absence]) -> None:
        try:
            found = probe.read()
        except AbsentError as error:
            absent |= dict.fromkeys(probe.readings, error.reason)
            if error.for_good:
                self._give_up(probe)
            return
        for reading, value in zip(probe.readings, found, strict=True):
            if _within_bounds(reading, value):
                values[reading] = value
            else:
                absent[reading] = Absence.ERROR

    def _give_up(self, probe: Probe) -> None:
        self._probes = tuple(other for other in self._probes if other is not probe)
        self._lacking |= dict.fromkeys(probe.readings, Absence.UNSUPPORTED)


def _within_bounds(reading: str, value: object) -> bool:
    try:
        return msgspec.convert(value, _TYPES[reading]) is not None
    except msgspec.ValidationError:
        return False


def memory(used_bytes: int, total_bytes: int) -> tuple[int | None, int | None]:
    """The two readings of memory, None for what cannot be: no memory at all, or more used than there is."""
    return (used_bytes if used_bytes <= total_bytes else None), (total_bytes or None)


def inventory(
    source: str, handles: Iterable[Handle], identify: Callable[[Handle], tuple[Capabilities, Meter]]
) -> tuple[Inventory, tuple[Meter, ...]]:
    """The devices behind a driver's handles, and their meters. One that cannot be told is a problem, not a failure."""
    found: dict[DeviceId, tuple[Capabilities, Meter]] = {}
    problems: list[str] = []
    for index, handle in enumerate(handles):
        try:
            capabilities, meter = identify(handle)
            capabilities = _checked(capabilities)
        except (AbsentError, DeviceLostError) as error:
            problems.append(f"{source} GPU {index} does not tell what it is: {error}")
            continue
        if capabilities.device_id in found:
            problems.append(f"{source} GPU {index} has the id of another: {capabilities.device_id}")
        found.setdefault(capabilities.device_id, (capabilities, meter))
    devices = tuple(capabilities for capabilities, _ in found.values())
    return Inventory(devices, problems=tuple(problems)), tuple(meter for _, meter in found.values())


def _checked(capabilities: Capabilities) -> Capabilities:
    # A driver may answer with anything, and what is out of bounds must not get onto the wire.
    try:
        return msgspec.convert(msgspec.to_builtins(capabilities), Capabilities)
    except msgspec.ValidationError as error:
        raise AbsentError(Absence.ERROR, str(error)) from None
