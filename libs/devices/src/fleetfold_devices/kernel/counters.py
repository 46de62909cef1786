"""Readings that are made of two: what a driver's counters did from one round to the next."""

from collections.abc import Callable
from dataclasses import dataclass, field

from fleetfold_contracts.samples import Absence
from fleetfold_devices.kernel.fdinfo import Utilization
from fleetfold_devices.meter import AbsentError

AVERAGE_OVER_S_MAX = 60.0
"""An average over a longer time tells nothing of now."""


@dataclass(slots=True)
class Rate:
    """How fast a counter counts."""

    clock_ns: Callable[[], int]
    _before: tuple[str, int, int] | None = None

    def per_s(self, counter: str, count: int) -> float:
        """The counts a second since the last call.

        Raises:
            AbsentError: this is the first call, or the first for long; the counter began anew, or is another.
        """
        now_ns = self.clock_ns()
        before, self._before = self._before, (counter, count, now_ns)
        if before is None or before[0] != counter:
            raise AbsentError(Absence.PENDING, "how fast it counts is known from the second time on")
        counted, elapsed_s = count - before[1], (now_ns - before[2]) / 1e9
        if counted < 0 or not 0 < elapsed_s <= AVERAGE_OVER_S_MAX:
            raise AbsentError(Absence.PENDING, "the counter began anew, or was not read for long")
        return counted / elapsed_s


@dataclass(slots=True)
class Counters:
    """What is counted of one device. It outlives looking anew, which must cost no reading."""

    clock_ns: Callable[[], int]
    utilization: Utilization = field(init=False)
    energy: Rate = field(init=False)

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """What was counted before the device slept, or was away, tells nothing of the time since."""
        self.utilization = Utilization()
        self.energy = Rate(self.clock_ns)
