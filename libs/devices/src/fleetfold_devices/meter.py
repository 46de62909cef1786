"""From a driver's calls to readings that can be believed: each within its bounds, or absent with the reason."""

import contextlib
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Capabilities
from fleetfold_contracts.samples import Absence, DeviceHealth, DeviceProcess, Sample, ThrottleReason
from fleetfold_devices.port import USUALLY_WANTED, DeviceLostError, Inventory, Wanted

MEMORY = ("memory_used_bytes", "memory_total_bytes")
UTILIZATION = ("compute_utilization_percent",)
POWER = ("power_watts",)
POWER_LIMIT = ("power_limit_watts",)
TEMPERATURE = ("temperature_celsius",)
CLOCK = ("clock_rate_mhz",)
MEMORY_CLOCK = ("memory_clock_mhz",)
THROTTLED = ("throttled",)
THROTTLING = (*THROTTLED, "throttle_reasons")
"""The reasons are empty where `throttled` is absent, and not named as absent themselves."""
PCIE_THROUGHPUT = ("pcie_rx_mbps", "pcie_tx_mbps")
READINGS = (
    *MEMORY,
    *UTILIZATION,
    *POWER,
    *POWER_LIMIT,
    *TEMPERATURE,
    *CLOCK,
    *MEMORY_CLOCK,
    *THROTTLED,
    *PCIE_THROUGHPUT,
)
"""The readings of a sample that can be absent."""

ECC = ("ecc_corrected_count", "ecc_uncorrected_count")
PROCESSES = ("processes",)
HEALTH_READINGS = (*ECC, *PROCESSES)
"""The readings of a device's health that can be absent."""

NAME_CHARACTERS_MAX = 256

Handle = TypeVar("Handle")
Kept = TypeVar("Kept")
Message = TypeVar("Message", Sample, DeviceHealth)


class AbsentError(Exception):
    """A reading is not there. `for_good`: the device lacks it, so that there is no use in asking again."""

    def __init__(self, reason: Absence, detail: str = "", *, for_good: bool = False) -> None:
        super().__init__(detail or reason)
        self.reason = reason
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Probe:
    """One call to a driver, and the readings that it gives, in the same order.

    `read` raises AbsentError where there are none, and DeviceLostError where the device is gone. In place of a reading
    it may give an Absence, and None for one that cannot be true.
    """

    readings: tuple[str, ...]
    read: Callable[[], Sequence[object]]


def always_there() -> None:
    """The gate of a device that can be read at any time."""


class Meter:
    """Reads one device. What the device lacks is asked for once, and then no more. What was read once is not lacking.

    `probes` give the readings of a sample, `health_probes` those of its health. What is not `wanted` is not asked for.
    `gate` is called before each round of either: it raises AbsentError where there is nothing to be read now, and
    DeviceLostError where the device is gone.
    """

    def __init__(
        self,
        device_id: DeviceId,
        probes: Sequence[Probe],
        health_probes: Sequence[Probe] = (),
        *,
        wanted: Wanted = USUALLY_WANTED,
        gate: Callable[[], None] = always_there,
    ) -> None:
        self._device_id = device_id
        self._sample = _Panel(Sample, READINGS, probes, _unwanted(wanted))
        self._health = _Panel(DeviceHealth, HEALTH_READINGS, health_probes)
        self._gate = gate
        self.lost = False
        """Whether the device was gone when it was last read."""

    def sample(self, now: datetime) -> Sample:
        """All the readings. Those of a lost device are all absent."""
        return self._round(self._sample, now)

    def health(self, now: datetime) -> DeviceHealth:
        """The errors of the memory, and the processes. Those of a lost device are absent."""
        return self._round(self._health, now)

    def _round(self, panel: "_Panel[Message]", now: datetime) -> Message:
        self.lost = False
        try:
            self._gate()
            return panel.read(self._device_id, now)
        except AbsentError as error:
            return panel.empty(self._device_id, now, error.reason)
        except DeviceLostError:
            self.lost = True
            return panel.empty(self._device_id, now, Absence.LOST)


class _Panel(Generic[Message]):
    """The probes of a device whose readings go into one message. Those of the `disabled` readings are not asked."""

    def __init__(
        self,
        message: type[Message],
        readings: Sequence[str],
        probes: Sequence[Probe],
        disabled: frozenset[str] = frozenset(),
    ) -> None:
        self._message = message
        self._types = {field.name: field.type for field in msgspec.structs.fields(message)}
        self._readings = frozenset(readings)
        self._probes = tuple(probe for probe in probes if not disabled.issuperset(probe.readings))
        asked = {reading for probe in probes for reading in probe.readings}
        self._lacking = dict.fromkeys((name for name in readings if name not in asked), Absence.UNSUPPORTED)
        self._lacking |= dict.fromkeys(disabled, Absence.DISABLED)
        self._has: set[str] = set()

    def read(self, device_id: DeviceId, now: datetime) -> Message:
        values: dict[str, object] = {}
        absent = dict(self._lacking)
        for probe in self._probes:
            self._take(probe, values, absent)
        return self._told(device_id, now, values, absent)

    def empty(self, device_id: DeviceId, now: datetime, reason: Absence) -> Message:
        return self._told(device_id, now, {}, dict.fromkeys(self._readings, reason))

    def _told(
        self, device_id: DeviceId, now: datetime, values: dict[str, object], absent: dict[str, Absence]
    ) -> Message:
        return msgspec.convert(values | {"device_id": device_id, "timestamp": now, "absent": absent}, self._message)

    def _take(self, probe: Probe, values: dict[str, object], absent: dict[str, Absence]) -> None:
        try:
            found = probe.read()
        except AbsentError as error:
            if error.for_good and self._has.isdisjoint(probe.readings):
                self._give_up(probe)
            found = (error.reason,) * len(probe.readings)
        for reading, value in zip(probe.readings, found, strict=True):
            if self._lacking.get(reading) is Absence.DISABLED:
                continue
            if self._within_bounds(reading, value):
                values[reading] = value
                self._has.add(reading)
            elif reading in self._readings:
                absent[reading] = value if isinstance(value, Absence) else Absence.ERROR

    def _give_up(self, probe: Probe) -> None:
        self._probes = tuple(other for other in self._probes if other is not probe)
        lacking = (reading for reading in probe.readings if reading in self._readings)
        self._lacking = dict.fromkeys(lacking, Absence.UNSUPPORTED) | self._lacking

    def _within_bounds(self, reading: str, value: object) -> bool:
        try:
            return msgspec.convert(value, self._types[reading]) is not None
        except msgspec.ValidationError:
            return False


def _unwanted(wanted: Wanted) -> frozenset[str]:
    groups = (
        (wanted.temperature, TEMPERATURE),
        (wanted.power, (*POWER, *POWER_LIMIT)),
        (wanted.pcie_throughput, PCIE_THROUGHPUT),
    )
    return frozenset(reading for is_wanted, readings in groups if not is_wanted for reading in readings)


def memory(used_bytes: int, total_bytes: int) -> tuple[int | None, int | None]:
    """The two readings of memory, None for what cannot be: no memory at all, or more used than there is."""
    return (used_bytes if used_bytes <= total_bytes else None), (total_bytes or None)


def throttling(reasons: Collection[ThrottleReason]) -> tuple[bool, tuple[ThrottleReason, ...]]:
    """The two readings of throttling: whether heat or the hardware holds the device back, and every reason.

    Running at the power limit does not count: that is how a healthy card works under full load.
    """
    held_back = ThrottleReason.HEAT in reasons or ThrottleReason.HARDWARE in reasons
    return held_back, tuple(reason for reason in ThrottleReason if reason in reasons)


def process(pid: int, name: str | None, memory_bytes: int | None) -> DeviceProcess:
    """A process that uses a device, with as much of its name as is told, and its memory if that can be true."""
    known = {"pid": pid, "name": (name or "").strip()[:NAME_CHARACTERS_MAX] or None}
    try:
        return msgspec.convert(known | {"memory_bytes": memory_bytes}, DeviceProcess)
    except msgspec.ValidationError:
        return msgspec.convert(known, DeviceProcess)


def program(command_line: str | None) -> str | None:
    """The program of a command line. What follows it can hold a secret."""
    words = (command_line or "").split()
    return words[0] if words else None


@dataclass(slots=True)
class Finds(Generic[Kept]):
    """What was found by looking for devices: each with what its source keeps of it, and what could not be told."""

    found: dict[DeviceId, tuple[Capabilities, Kept]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    any_lost: bool = False
    """Whether one no longer answers."""

    @contextlib.contextmanager
    def looking_at(self, what: str) -> Generator[None]:
        """Where the driver does not tell within this block, that is a problem and no failure."""
        try:
            yield
        except (AbsentError, DeviceLostError) as error:
            self.problems.append(f"{what} does not tell what it is: {error}")
            self.any_lost |= isinstance(error, DeviceLostError)

    def add(self, what: str, capabilities: Capabilities, kept: Kept) -> None:
        """Keep a device, unless another with its id was found before.

        Raises:
            AbsentError: what the driver told is out of bounds.
        """
        capabilities = _checked(capabilities)
        if capabilities.device_id in self.found:
            self.problems.append(f"{what} has the id of another: {capabilities.device_id}")
        self.found.setdefault(capabilities.device_id, (capabilities, kept))

    @property
    def inventory(self) -> Inventory:
        """The devices, and the problems."""
        return Inventory(tuple(capabilities for capabilities, _ in self.found.values()), tuple(self.problems))

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What is kept of the devices, in the order of the inventory."""
        return tuple(kept for _, kept in self.found.values())


def inventory(
    source: str, handles: Iterable[Handle], identify: Callable[[Handle], tuple[Capabilities, Kept]]
) -> tuple[Inventory, tuple[Kept, ...]]:
    """The devices behind a driver's handles, and what `identify` keeps of each."""
    finds = Finds[Kept]()
    for index, handle in enumerate(handles):
        what = f"{source} GPU {index}"
        with finds.looking_at(what):
            finds.add(what, *identify(handle))
    return finds.inventory, finds.kept


def _checked(capabilities: Capabilities) -> Capabilities:
    # A driver may answer with anything, and what is out of bounds must not get onto the wire.
    try:
        return msgspec.convert(msgspec.to_builtins(capabilities), Capabilities)
    except msgspec.ValidationError as error:
        raise AbsentError(Absence.ERROR, str(error)) from None
