"""Devices as lanes that fill up: which of them would be through first with one more item."""

from collections.abc import Mapping
from heapq import heapify, heappop, heappush

from fleetfold_contracts.ids import DeviceId


class Lanes:
    """What each device has to do. Devices of one speed are kept in one heap: the emptiest of them is the best."""

    def __init__(self, speeds: Mapping[DeviceId, float], limit: int | None) -> None:
        self.speeds = speeds
        self._limit = limit
        self._loads = dict.fromkeys(speeds, 0.0)
        self._counts = dict.fromkeys(speeds, 0)
        self._heaps: dict[float, list[tuple[float, DeviceId]]] = {}
        self._stale = True

    def put(self, device: DeviceId, cost: float) -> None:
        """One more item for a device that is given."""
        self._loads[device] += cost
        self._counts[device] += 1
        self._stale = True

    def take(self, cost: float, count: int) -> dict[DeviceId, int]:
        """Up to `count` items of one cost, one after another, each to whoever is through first: how many each gets."""
        taken: dict[DeviceId, int] = {}
        self._line_up()
        for _ in range(count):
            speed = self._best_speed(cost)
            if speed is None:
                break
            load, device = heappop(self._heaps[speed])
            taken[device] = taken.get(device, 0) + 1
            self._loads[device] = load + cost
            self._counts[device] += 1
            if self._has_room(device):
                heappush(self._heaps[speed], (load + cost, device))
        return taken

    def _line_up(self) -> None:
        if not self._stale:
            return
        self._heaps = {speed: [] for speed in self.speeds.values()}
        for device, speed in self.speeds.items():
            if self._has_room(device):
                self._heaps[speed].append((self._loads[device], device))
        for heap in self._heaps.values():
            heapify(heap)
        self._stale = False

    def _best_speed(self, cost: float) -> float | None:
        # Of equal ends the fastest device is taken, so that a cost of 0 does not depend on the order of the heaps.
        ends = (((heap[0][0] + cost) / speed, -speed) for speed, heap in self._heaps.items() if heap)
        best = min(ends, default=None)
        return None if best is None else -best[1]

    def _has_room(self, device: DeviceId) -> bool:
        return self._limit is None or self._counts[device] < self._limit
