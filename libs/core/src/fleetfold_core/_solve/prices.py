"""The way through a fleet for shards that follow each other: prices on what devices have, and a shortest path.

With a price on the room of every spot, shards no longer compete: the best seats are a best path through the regions,
one step a shard, which dynamic programming finds. What a path puts on a spot beyond its room raises that spot's price
for the next path (Lagrangian relaxation of the rooms, by subgradients: Fisher, "The Lagrangian Relaxation Method for
Solving Integer Programming Problems", 1981). Each path is mended into a plan by packing what it sends to a region into
that region; and each gives a bound that no plan can exceed, so that a plan that reaches it is known to be the best.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Shard
from fleetfold_core._solve.mending import Draft
from fleetfold_core._solve.problem import Problem, Rooms, Seats

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

REACHES = (1, 2, 4, 8, 16)
"""First prices: as if the best spots were filled, so many times as many as are needed when nothing but room counts."""
RING_STARTS_MAX = 4
TOLERANCE = 1e-9


class Found(NamedTuple):
    """The best plan found for one replica, and what no plan exceeds."""

    seats: Seats | None
    value: float
    bound: float


class Prices:
    """A search for the seats of one replica."""

    def __init__(self, problem: Problem, rooms: Rooms, spots: Sequence[int], first: int) -> None:
        """Only `spots` are used, as `rooms` has left them; the replica's shards begin at `first`."""
        self._problem = problem
        self._rooms = rooms
        self._first = first
        of_spot = problem.regions.of_spot
        # Spots lie together by region, the best first.
        ordered = sorted((spot for spot in spots if rooms.open[spot]), key=lambda spot: (of_spot[spot], spot))
        self._spots: Ints = np.array(ordered, dtype=np.intp)
        self._values: Floats = np.array([problem.spots[spot].value for spot in ordered])
        kinds = sorted(set(problem.shards), key=lambda shard: (shard.memory_bytes, shard.gpu_milli))
        self._kind_of: Ints = np.array([kinds.index(shard) for shard in problem.shards], dtype=np.intp)
        self._use = _uses(problem, rooms, ordered, kinds)
        used = sorted({of_spot[spot] for spot in ordered})
        number = {region: place for place, region in enumerate(used)}
        starts = np.searchsorted([of_spot[spot] for spot in ordered], used)
        self._starts: Ints = starts.astype(np.intp)
        self._members = dict(zip(used, (part.tolist() for part in np.split(self._spots, starts[1:])), strict=True))
        self._used = used
        self._near = _padded(
            [[number[near] for near in problem.regions.near[region] if near in number] for region in used]
        )

    def run(self, rounds: int) -> Found:
        """Look for the best seats, by so many paths."""
        best = Found(None, -np.inf, np.inf)
        if not len(self._spots) or not np.isfinite(self._use).any(axis=1).all():
            return best._replace(bound=-np.inf)
        prices: Floats = np.zeros(len(self._spots))
        pull = 1.0
        for turn in range(rounds):
            if turn < len(REACHES):
                prices = self._first_prices(REACHES[turn])
            path, path_value, load = self._best_path(prices)
            found = self._plan(path)
            bound = min(best.bound, path_value + float(prices.sum()))
            better = found.value > best.value + TOLERANCE
            best = Found(*(found if better else best)[:2], bound)
            if best.value >= bound - TOLERANCE:
                break
            pull = 1.0 if better else pull * 0.8
            prices = self._next_prices(prices, load, path_value + float(prices.sum()) - best.value, pull)
        return best

    def _plan(self, path: Sequence[int]) -> Found:
        draft = Draft(self._problem, self._rooms.copy(), self._members, self._first)
        draft.fill([self._used[region] for region in path])
        if not draft.holds():
            return Found(None, -np.inf, np.inf)
        draft.improve()
        return Found(draft.seats, self._problem.value(draft.seats), np.inf)

    def _first_prices(self, reach: int) -> Floats:
        """Prices at which the spots that are filled are worth no more than the next best one."""
        fits = np.isfinite(self._use)
        mean_use = np.maximum(np.where(fits, self._use, 0.0).sum(axis=0) / np.maximum(fits.sum(axis=0), 1), 1e-6)
        held = np.where(fits.any(axis=0), 1.0 / mean_use, 0.0)
        order = np.argsort(-self._values, kind="stable")
        needed = int(np.searchsorted(np.cumsum(held[order]), len(self._kind_of))) + 1
        last = self._values[order[min(needed * reach, len(order)) - 1]]
        return np.maximum(0.0, self._values - last) / mean_use

    def _next_prices(self, prices: Floats, load: Floats, gap: float, pull: float) -> Floats:
        """Raise the prices of spots that a path overfills, and lower those of the others (Polyak's step)."""
        excess = np.where((load > 0) | (prices > 0), load - 1.0, 0.0)
        length = float(excess @ excess)
        if not length or not np.isfinite(gap):
            return prices * 0.5 + np.where(load > 1, 0.1, 0.0)
        return np.maximum(0.0, prices + pull * gap / length * excess)

    def _best_path(self, prices: Floats) -> tuple[list[int], float, Floats]:
        """The best region for each shard at these prices, what the path is worth, and how full it makes each spot."""
        with np.errstate(invalid="ignore"):
            worth = self._values - self._use * prices
        worth[~np.isfinite(self._use)] = -np.inf
        of_region: Floats = np.maximum.reduceat(worth, self._starts, axis=1)
        table = of_region[self._kind_of]
        path, value = _walk(table, self._near, None)
        if self._problem.ring:
            starts = np.argsort(-table[0], kind="stable")[:RING_STARTS_MAX]
            path = max((_walk(table, self._near, int(start)) for start in starts), key=lambda walk: walk[1])[0]
        return path, value, self._load(path, worth)

    def _load(self, path: Sequence[int], worth: Floats) -> Floats:
        load: Floats = np.zeros(len(self._spots))
        ends = [*self._starts[1:].tolist(), len(self._spots)]
        chosen: dict[tuple[int, int], int] = {}
        for kind, region in zip(self._kind_of.tolist(), path, strict=True):
            start = int(self._starts[region])
            spot = chosen.get((kind, region))
            if spot is None:
                spot = chosen[kind, region] = start + int(np.argmax(worth[kind, start : ends[region]]))
            load[spot] += min(self._use[kind, spot], 1.0)
        return load


def _walk(table: Floats, near: Ints, start: int | None) -> tuple[list[int], float]:
    """The best path: a region for each shard (a row of `table`), each near the one before.

    With a `start` it begins there, and ends near it.
    """
    count, region_count = table.shape
    if region_count == 1:
        return [0] * count, float(table.sum())
    rows: Ints = np.arange(region_count, dtype=np.intp)
    reached = table[0].copy()
    if start is not None:
        reached[rows != start] = -np.inf
    came_from = np.zeros(table.shape, dtype=np.intp)
    for step in range(1, count):
        around = reached[near]
        best = around.argmax(axis=1)
        came_from[step] = near[rows, best]
        reached = table[step] + around[rows, best]
    if start is not None:
        reached[~np.isin(rows, near[start])] = -np.inf
    path = [int(np.argmax(reached))]
    value = float(reached[path[0]])
    for step in range(count - 1, 0, -1):
        path.append(int(came_from[step, path[-1]]))
    return path[::-1], value


def _uses(problem: Problem, rooms: Rooms, spots: Sequence[int], kinds: Sequence[Shard]) -> Floats:
    """The share of a spot's room that a shard of each kind takes; infinite where there is none for it.

    It is the share of what is scarcer, memory or compute: were both counted, a plan might be taken to overfill a spot
    that it does not, and the bound would be none.
    """
    free_bytes = np.array([rooms.free_bytes[spot] for spot in spots], dtype=np.float64)
    free_milli = np.array([rooms.free_milli[spot] for spot in spots], dtype=np.float64)
    empty = np.array([rooms.empty[spot] for spot in spots], dtype=np.bool_)
    asked_bytes = sum(shard.memory_bytes for shard in problem.shards) / max(1.0, float(free_bytes.sum()))
    asked_milli = sum(shard.gpu_milli for shard in problem.shards) / max(1.0, float(free_milli.sum()))
    uses: list[Floats] = []
    for shard in kinds:
        whole = shard.gpu_milli == WHOLE_GPU_MILLI
        fits = (shard.memory_bytes <= free_bytes) & (shard.gpu_milli <= free_milli) & (empty | (not whole))
        of_memory = asked_bytes >= asked_milli
        asked, free = (shard.memory_bytes, free_bytes) if of_memory else (shard.gpu_milli, free_milli)
        share = np.ones(len(spots)) if whole or problem.one_each else asked / np.maximum(1.0, free)
        uses.append(np.where(fits, share, np.inf))
    return np.array(uses)


def _padded(near: Sequence[Sequence[int]]) -> Ints:
    """Lists of numbers as one array: the shorter ones repeat their first."""
    widest = max(map(len, near), default=0)
    return np.array([[*around, *[around[0]] * (widest - len(around))] for around in near], dtype=np.intp)
