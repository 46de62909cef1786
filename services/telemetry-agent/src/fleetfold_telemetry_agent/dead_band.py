"""The dead band: a sample is published when it moved. Pure."""

import msgspec

from fleetfold_contracts.samples import Sample


class DeadBand(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reading must move to be worth a message. Memory and utilization in points of a hundred."""

    memory_points: float = 1.0
    temperature_celsius: float = 5.0
    utilization_points: float = 10.0


def moved(published: Sample | None, current: Sample, band: DeadBand) -> bool:
    """Whether a device's readings moved by more than the band since they were last published.

    Stale readings always count as moved: their age does.
    """
    if published is None or published.absent != current.absent or published.throttled != current.throttled:
        return True
    if current.stale_s is not None or published.stale_s is not None:
        return True
    return (
        _differs(_memory_percent(published), _memory_percent(current), band.memory_points)
        or _differs(published.temperature_celsius, current.temperature_celsius, band.temperature_celsius)
        or _differs(published.compute_utilization_percent, current.compute_utilization_percent, band.utilization_points)
    )


def _memory_percent(sample: Sample) -> float | None:
    if sample.memory_used_bytes is None or not sample.memory_total_bytes:
        return None
    return 100 * sample.memory_used_bytes / sample.memory_total_bytes


def _differs(before: float | None, after: float | None, band: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > band
