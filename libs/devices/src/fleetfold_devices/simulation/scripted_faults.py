"""What goes wrong on a simulated device, and at which tick: pure, so that the same script always plays the same."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import Fault


class FaultKind(StrEnum):
    """What can go wrong."""

    LOST = "lost"
    """It no longer answers, and comes back."""
    FLAPPING = "flapping"
    """It is lost and comes back, again and again."""
    HOT = "hot"
    """Its fan stands still."""
    WEDGED = "wedged"
    """A call into its driver does not return: its last readings are shown with their age."""
    FAULT = "fault"
    """It reports a fault, such as an XID."""


@dataclass(frozen=True, slots=True)
class ScriptedFault:
    """One thing that goes wrong from `at_tick` on. The first sampling is tick 0."""

    kind: FaultKind
    at_tick: int
    for_ticks: int = 20
    every_ticks: int = 2
    """How long a flapping device is away at a time, and then there."""
    code: str = ""
    """What a device that faults reports."""
    meaning: str = ""

    def is_on(self, tick: int) -> bool:
        """Whether it shows at a tick."""
        since = tick - self.at_tick
        if not 0 <= since < self.for_ticks:
            return False
        return self.kind is not FaultKind.FLAPPING or since // self.every_ticks % 2 == 0


class Script:
    """All that goes wrong on one device."""

    def __init__(self, faults: Iterable[ScriptedFault]) -> None:
        """No tick has been played yet."""
        self._faults = tuple(faults)
        self._last_good: Sample | None = None

    def overheats(self, tick: int) -> bool:
        """Whether the fan stands still at a tick."""
        return FaultKind.HOT in self._on(tick)

    def shown(self, sample: Sample, tick: int) -> Sample:
        """What is read of the device where `sample` would be read of a healthy one."""
        on = self._on(tick)
        if on & {FaultKind.LOST, FaultKind.FLAPPING}:
            return _absent(sample, Absence.LOST)
        if FaultKind.WEDGED not in on:
            self._last_good = sample
            return sample
        if self._last_good is None:
            return _absent(sample, Absence.ERROR)
        return _stale(self._last_good, sample.timestamp)

    def reported(self, device_id: str, tick: int) -> list[Fault]:
        """The faults that the device reports at a tick."""
        return [
            Fault(device_id, fault.code, fault.meaning)
            for fault in self._faults
            if fault.kind is FaultKind.FAULT and fault.at_tick == tick
        ]

    def _on(self, tick: int) -> set[FaultKind]:
        return {fault.kind for fault in self._faults if fault.is_on(tick)}


def _absent(sample: Sample, why: Absence) -> Sample:
    return Sample(device_id=sample.device_id, timestamp=sample.timestamp, absent=dict.fromkeys(READINGS, why))


def _stale(last_good: Sample, now: datetime) -> Sample:
    age_s = max(0.0, (now - last_good.timestamp).total_seconds())
    return msgspec.structs.replace(last_good, stale_s=age_s)
