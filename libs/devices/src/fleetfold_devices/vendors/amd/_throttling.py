"""Why a card of AMD's runs slower than it could, from the table of figures that its firmware keeps."""

from collections.abc import Mapping

from fleetfold_contracts.samples import Absence, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.meter import AbsentError

NOT_TOLD = 2**64 - 1

APU_TABLES = frozenset({2, 3})
"""The format revisions of the tables of APUs. A card's are of format 1 (kgd_pp_interface.h in the kernel)."""


def _bits(first: int, last: int) -> int:
    return (1 << last + 1) - (1 << first)


STATUS_BITS = {
    ThrottleReason.POWER: _bits(0, 7) | _bits(16, 23),  # limits of power, and of current
    ThrottleReason.HEAT: _bits(32, 45),
    ThrottleReason.HARDWARE: _bits(46, 47),  # a signal from outside, PROCHOT
}
"""By the bits of `indep_throttle_status`, SMU_THROTTLER_… in the kernel's amdgpu_smu.h. Others are `OTHER`."""

RESIDENCIES = {
    "prochot_residency_acc": ThrottleReason.HARDWARE,
    "ppt_residency_acc": ThrottleReason.POWER,
    "socket_thm_residency_acc": ThrottleReason.HEAT,
    "vr_thm_residency_acc": ThrottleReason.HEAT,
    "hbm_thm_residency_acc": ThrottleReason.HEAT,
}
"""Counters of the newer accelerators: each counts on while its reason holds the card back."""


def by_status(status: int) -> tuple[object, ...]:
    """The readings of throttling, from `indep_throttle_status`."""
    found = {reason for reason, bits in STATUS_BITS.items() if status & bits}
    if status & ~sum(STATUS_BITS.values()):
        found.add(ThrottleReason.OTHER)
    return meter.throttling(found)


class Residencies:
    """The counters of a card, from one reading to the next."""

    def __init__(self) -> None:
        self._before: dict[str, int] | None = None

    def readings(self, counters: Mapping[str, int]) -> tuple[object, ...]:
        """The readings of throttling: the reasons that held the card back since this was last asked.

        Raises:
            AbsentError: the card does not count, or this is the first time.
        """
        now = {name: count for name, count in counters.items() if count != NOT_TOLD}
        if not now:
            raise AbsentError(Absence.UNSUPPORTED, for_good=True)
        before, self._before = self._before, now
        if before is None:
            raise AbsentError(Absence.PENDING)
        return meter.throttling({RESIDENCIES[name] for name, count in now.items() if count > before.get(name, count)})
