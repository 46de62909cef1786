"""What `<root>.api.history` is asked and answers: a device's readings over time."""

from enum import StrEnum

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Count
from fleetfold_contracts.samples import Instant


class Resolution(StrEnum):
    """How fine a history is told."""

    FULL = "full"
    """Each sample, of the newest that are kept."""
    MINUTE = "minute"
    HOUR = "hour"


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which readings of a device, by the server's time."""

    device_id: DeviceId
    start: Instant | None = None
    """Absent: an hour before the end."""
    end: Instant | None = None
    """Absent: now."""
    resolution: Resolution | None = None
    """Absent: the finest in which the range is kept and has at most 750 points."""
    at_least: Count = 0


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reading over time: a value a point, `null` where it was not read. Nothing is made up in between.

    `low` and `high` are the least and the greatest of the samples behind a point; absent at full rate.
    """

    mean: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device's readings, column by column: `times[i]` is when point `i` begins, and each series has its value there.

    A minute, or an hour, without a sample is a point with the count 0 and no values. At full rate such a point stands
    where more than 90 seconds passed without a sample: an agent tells every device each half minute.
    """

    position: Count
    device_id: DeviceId
    resolution: Resolution
    start: Instant
    end: Instant
    times: tuple[Instant, ...] = ()
    sample_counts: tuple[Count, ...] = ()
    """How many samples are behind each point."""
    readings: dict[str, Series] = {}
    """Each reading's series, by its name in a sample."""
