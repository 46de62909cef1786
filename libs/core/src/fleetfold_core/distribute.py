"""Items spread over devices: items in equal items assigned plus items unassigned, always.

Each strategy takes what lies `near` a device: items that shall go there, as far as its limit allows. Within a device
items keep their order.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_core import runs as run_lists
from fleetfold_core._lanes import Lanes
from fleetfold_core.state import Run

Near = Mapping[DeviceId, Sequence[Run]]
"""Items that shall go to a device, each named once."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Which items go where, as runs (first, count) of their places in the list."""

    runs: dict[DeviceId, list[Run]]
    """Each device's, in the order in which the devices were given. Who gets nothing has none."""
    unassigned: list[Run]
    reason: str = ""
    """Why some are unassigned."""


def distribute_uniform(
    item_count: int, devices: Sequence[DeviceId], max_per_device: int | None = None, near: Near | None = None
) -> Spread:
    """Spread items evenly: counts differ by at most one, and the first devices take what is left over.

    What lies near a device may make its count larger than the others'.
    """
    assert len(set(devices)) == len(devices), "a device is given twice"
    return distribute_by_capacity(item_count, dict.fromkeys(devices, 1.0), max_per_device, near)


def distribute_by_capacity(
    item_count: int, weights: Mapping[DeviceId, float], max_per_device: int | None = None, near: Near | None = None
) -> Spread:
    """Spread items in proportion to weights (0 or more), by the largest remainder, so that each count is within one of
    the exact share. A weight of 0 gets none. What a limit keeps from a device goes to the others by their weights.
    """
    exact = _as_integers({device: weight for device, weight in weights.items() if weight > 0})
    near = _within_limit(near or {}, exact, max_per_device)
    floors = {device: run_lists.size(runs) for device, runs in near.items()}
    assigned = _placeable(item_count, len(exact), max_per_device)
    counts = dict.fromkeys(weights, 0) | _bounded(assigned, exact, floors, max_per_device)
    shortage = _shortage(len(exact), max_per_device) if exact or not weights else "every device has a weight of 0"
    return _laid_out(item_count, counts, near, shortage)


def distribute_by_cost(
    costs: Sequence[float],
    speeds: Mapping[DeviceId, float],
    max_per_device: int | None = None,
    near: Near | None = None,
) -> Spread:
    """Spread items that say how long they take, for the earliest end: the longest first, each to the device that would
    be through with it first (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", 1969).

    A cost is 0 or more, in any unit; a device of speed 2 takes half as long, and one of speed 0 gets none. Items of one
    cost are alike, so each device gets neighbours of them: the plan stays short.
    """
    lanes = Lanes({device: speed for device, speed in speeds.items() if speed > 0}, max_per_device)
    near = _within_limit(near or {}, lanes.speeds, max_per_device)
    for device, runs in near.items():
        for index in run_lists.numbers(runs):
            lanes.put(device, costs[index])
    placed = {index for runs in near.values() for index in run_lists.numbers(runs)}
    longest_first = sorted((index for index in range(len(costs)) if index not in placed), key=lambda i: -costs[i])
    chosen: dict[DeviceId, list[int]] = {device: list(run_lists.numbers(runs)) for device, runs in near.items()}
    left: list[int] = []
    for cost, alike in groupby(longest_first, key=lambda index: costs[index]):
        indexes = list(alike)
        counts = lanes.take(cost, len(indexes))
        for device in sorted(counts):
            chosen.setdefault(device, []).extend(indexes[: counts[device]])
            del indexes[: counts[device]]
        left += indexes
    in_order = {device: run_lists.of_numbers(sorted(chosen[device])) for device in speeds if chosen.get(device)}
    shortage = _shortage(len(lanes.speeds), max_per_device)
    return _spread(len(costs), in_order, run_lists.of_numbers(sorted(left)), shortage)


def _within_limit(near: Near, weights: Mapping[DeviceId, object], limit: int | None) -> dict[DeviceId, list[Run]]:
    """Of what lies near each device that takes part, as much as its limit allows."""
    allowed = {device: run_lists.merged(runs) for device, runs in near.items() if device in weights}
    if limit is None:
        return allowed
    return {device: run_lists.first_of(runs, limit) for device, runs in allowed.items()}


def _placeable(item_count: int, device_count: int, max_per_device: int | None) -> int:
    if max_per_device is None:
        return item_count if device_count else 0
    return min(item_count, device_count * max_per_device)


def _as_integers(weights: Mapping[DeviceId, float]) -> dict[DeviceId, int]:
    """Weights on a common scale, without rounding: a float is a whole number over a power of two."""
    ratios = {device: weight.as_integer_ratio() for device, weight in weights.items()}
    scale = max((denominator for _, denominator in ratios.values()), default=1)
    return {device: numerator * (scale // denominator) for device, (numerator, denominator) in ratios.items()}


def _bounded(
    item_count: int, weights: Mapping[DeviceId, int], floors: Mapping[DeviceId, int], limit: int | None
) -> dict[DeviceId, int]:
    """Counts by weight, none below its floor or past the limit; `item_count` fits between all of these.

    Who has more near it than its share gets no more than that, unless the others are full.
    """
    counts: dict[DeviceId, int] = {}
    open_weights = dict(weights)
    total = sum(weights.values())
    left = item_count
    for device in sorted(floors, key=lambda device: (-(floors[device] / weights[device]), device)):
        if floors[device] * total < left * weights[device]:
            break
        counts[device] = floors[device]
        left -= floors[device]
        total -= open_weights.pop(device)
    room = left if limit is None else min(left, limit * len(open_weights))
    counts |= _capped(room if open_weights else 0, open_weights, limit)
    missing = item_count - sum(counts.values())
    for device in weights:
        more = min(missing, missing if limit is None else limit - counts[device])
        counts[device] += more
        missing -= more
    return counts


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


def _laid_out(
    item_count: int, counts: Mapping[DeviceId, int], near: Mapping[DeviceId, list[Run]], shortage: str
) -> Spread:
    rest = _others(item_count, near)
    runs: dict[DeviceId, list[Run]] = {}
    for device, count in counts.items():
        own = near.get(device, [])
        filled = run_lists.first_of(rest, count - run_lists.size(own))
        rest = _behind(rest, filled)
        if count:
            runs[device] = run_lists.merged([*own, *filled])
    return _spread(item_count, runs, rest, shortage)


def _others(item_count: int, near: Mapping[DeviceId, list[Run]]) -> list[Run]:
    """The items that lie near nobody."""
    others: list[Run] = []
    reached = 0
    for first, count in sorted(run for runs in near.values() for run in runs):
        others.append((reached, first - reached))
        reached = first + count
    others.append((reached, item_count - reached))
    return [run for run in others if run[1]]


def _behind(rest: list[Run], taken: list[Run]) -> list[Run]:
    """What is left of runs whose first ones were taken."""
    if not taken:
        return rest
    first, count = rest[len(taken) - 1]
    end = sum(taken[-1])
    left = [(end, first + count - end)] if end < first + count else []
    return left + rest[len(taken) :]


def _spread(item_count: int, runs: dict[DeviceId, list[Run]], left: list[Run], shortage: str) -> Spread:
    if not left:
        return Spread(runs=runs, unassigned=[])
    reason = f"{shortage}: {run_lists.size(left)} of {item_count} items are left"
    return Spread(runs=runs, unassigned=left, reason=reason)


def _shortage(device_count: int, max_per_device: int | None) -> str:
    if not device_count:
        return "there is no device for them"
    devices = "1 device takes" if device_count == 1 else f"{device_count} devices take"
    return f"{devices} at most {max_per_device} each"
