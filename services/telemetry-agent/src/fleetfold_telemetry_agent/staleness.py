"""What is shown of devices whose driver does not answer: their last good readings with their age, then none. Pure."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.meter import READINGS


def as_stale(samples: Iterable[Sample], age_s: float) -> tuple[Sample, ...]:
    """The last good readings, marked with their age."""
    return tuple(msgspec.structs.replace(sample, stale_s=age_s) for sample in samples)


def as_lost(samples: Iterable[Sample], now: datetime) -> tuple[Sample, ...]:
    """No readings: too old to be shown, or their driver is gone."""
    absent: dict[str, Absence] = dict.fromkeys(READINGS, Absence.LOST)
    return tuple(Sample(device_id=sample.device_id, timestamp=now, absent=absent) for sample in samples)
