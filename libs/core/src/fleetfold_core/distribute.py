"""Items spread over devices: items in equal items assigned plus items unassigned, always."""

from collections.abc import Mapping, Sequence

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_core.state import Run


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Which items go where, as runs (first, count) of their places in the list."""

    runs: dict[DeviceId, list[Run]]
    """Each device's, in the order in which the devices were given. Who gets nothing has none."""
    unassigned: list[Run]
    reason: str = ""
    """Why some are unassigned."""


def distribute_uniform(item_count: int, devices: Sequence[DeviceId], max_per_device: int | None = None) -> Spread:
    """Spread items evenly: counts differ by at most one, and the first devices take what is left over."""
    assert len(set(devices)) == len(devices), "a device is given twice"
    assigned = _placeable(item_count, len(devices), max_per_device)
    each, left_over = divmod(assigned, len(devices) or 1)
    counts = {device: each + (place < left_over) for place, device in enumerate(devices)}
    return _laid_out(item_count, counts, _shortage(len(devices), max_per_device))


def distribute_by_capacity(
    item_count: int, weights: Mapping[DeviceId, float], max_per_device: int | None = None
) -> Spread:
    """Spread items in proportion to weights (0 or more), by the largest remainder, so that each count is within one of
    the exact share. A weight of 0 gets none. What a limit keeps from a device goes to the others by their weights.
    """
    exact = _as_integers({device: weight for device, weight in weights.items() if weight > 0})
    assigned = _placeable(item_count, len(exact), max_per_device)
    counts = dict.fromkeys(weights, 0) | _capped(assigned, exact, max_per_device)
    shortage = _shortage(len(exact), max_per_device) if exact or not weights else "every device has a weight of 0"
    return _laid_out(item_count, counts, shortage)


def _placeable(item_count: int, device_count: int, max_per_device: int | None) -> int:
    if max_per_device is None:
        return item_count if device_count else 0
    return min(item_count, device_count * max_per_device)


def _as_integers(weights: Mapping[DeviceId, float]) -> dict[DeviceId, int]:
    """Weights on a common scale, without rounding: a float is a whole number over a power of two."""
    ratios = {device: weight.as_integer_ratio() for device, weight in weights.items()}
    scale = max((denominator for _, denominator in ratios.values()), default=1)
    return {device: numerator * (scale // denominator) for device, (numerator, denominator) in ratios.items()}


def _capped(item_count: int, weights: Mapping[DeviceId, int], limit: int | None) -> dict[DeviceId, int]:
    """Counts by weight, where none may pass the limit, and `item_count` fits under all limits together.

    The heaviest reach the limit first. Each that does leaves the rest to the others, whose shares grow by it; the first
    that stays below it is followed by none that does not.
    """
    counts: dict[DeviceId, int] = {}
    open_weights = dict(weights)
    total = sum(weights.values())
    for device in sorted(weights, key=lambda device: -weights[device]):
        if limit is None or item_count * weights[device] < limit * total:
            break
        counts[device] = limit
        item_count -= limit
        total -= open_weights.pop(device)
    return counts | _by_largest_remainder(item_count, open_weights)


def _by_largest_remainder(item_count: int, weights: Mapping[DeviceId, int]) -> dict[DeviceId, int]:
    total = sum(weights.values()) or 1
    shares = {device: divmod(item_count * weight, total) for device, weight in weights.items()}
    counts = {device: whole for device, (whole, _) in shares.items()}
    left_over = item_count - sum(counts.values())
    for device in sorted(shares, key=lambda device: -shares[device][1])[:left_over]:
        counts[device] += 1
    return counts


def _laid_out(item_count: int, counts: Mapping[DeviceId, int], shortage: str) -> Spread:
    runs: dict[DeviceId, list[Run]] = {}
    next_item = 0
    for device, count in counts.items():
        if count:
            runs[device] = [(next_item, count)]
            next_item += count
    missing = item_count - next_item
    if not missing:
        return Spread(runs=runs, unassigned=[])
    reason = f"{shortage}: {missing} of {item_count} items are left"
    return Spread(runs=runs, unassigned=[(next_item, missing)], reason=reason)


def _shortage(device_count: int, max_per_device: int | None) -> str:
    if not device_count:
        return "there is no device for them"
    devices = "1 device takes" if device_count == 1 else f"{device_count} devices take"
    return f"{devices} at most {max_per_device} each"
