"""A path through regions made a plan: packed region by region, mended where room ran out, and bettered move by move."""

from collections.abc import Iterator, Mapping, Sequence

from fleetfold_core._solve.packing import pack
from fleetfold_core._solve.problem import Problem, Rooms, Seats

PASSES_MAX = 8

Members = Mapping[int, Sequence[int]]
"""The spots of each region that may be used, the best first."""


class Draft:
    """A plan for one replica in the making: who sits where, and what room is left."""

    def __init__(self, problem: Problem, rooms: Rooms, members: Members, first: int) -> None:
        """The replica's shards begin at `first`; `rooms` is changed."""
        self.problem = problem
        self.rooms = rooms
        self.seats: Seats = {}
        self._members = members
        self._first = first
        self._count = len(problem.shards)

    def fill(self, path: Sequence[int]) -> None:
        """Pack into each region whom the path sends there; who finds no room sits as near as may be, or nowhere."""
        asking: dict[int, list[int]] = {}
        for place, region in enumerate(path):
            asking.setdefault(region, []).append(self._first + place)
        for region, indexes in asking.items():
            self.seats |= pack(self.problem, self.rooms, indexes, self._members[region])
        for index in range(self._first, self._first + self._count):
            if index not in self.seats:
                spot = self._best_spot(index, len(self.problem.spots))
                if spot is not None and self.rooms.take(spot, self.problem.needs[index]):
                    self.seats[index] = spot

    def holds(self) -> bool:
        """Whether everybody has a seat, and all who are to be neighbours are."""
        return len(self.seats) == self._count and all(
            self.problem.regions.are_near(spot, self.seats[other])
            for index, spot in self.seats.items()
            for other in self._neighbours(index)
        )

    def improve(self) -> None:
        """Move one shard after another to a better spot that has room, while that helps."""
        for _ in range(PASSES_MAX):
            worst_first = sorted(self.seats, key=lambda index: (-self.seats[index], index))
            if not sum(self._move_up(index) for index in worst_first):
                return

    def _move_up(self, index: int) -> bool:
        shard, here = self.problem.needs[index], self.seats[index]
        spot = self._best_spot(index, here)
        if spot is None or self.problem.spots[spot].value <= self.problem.spots[here].value:
            return False
        self.rooms.take(spot, shard)
        self.seats[index] = spot
        alone = self.problem.spots[here].empty and here not in self.seats.values()
        self.rooms.leave(here, shard, empty=alone)
        return True

    def _best_spot(self, index: int, before: int) -> int | None:
        """The best spot before one that has room for a shard, and is near its neighbours."""
        shard, found = self.problem.needs[index], before
        for region in self._regions_near(index):
            for spot in self._members[region]:
                if spot >= found:
                    break
                if self.rooms.fits(spot, shard):
                    found = spot
                    break
        return found if found < before else None

    def _regions_near(self, index: int) -> list[int]:
        near, of_spot = self.problem.regions.near, self.problem.regions.of_spot
        around = [near[of_spot[self.seats[other]]] for other in self._neighbours(index) if other in self.seats]
        if not around:
            return list(self._members)
        return [region for region in around[0] if region in self._members and all(region in other for other in around)]

    def _neighbours(self, index: int) -> Iterator[int]:
        place = index - self._first
        if place:
            yield index - 1
        elif self.problem.ring:
            yield index + self._count - 1
        if place + 1 < self._count:
            yield index + 1
        elif self.problem.ring:
            yield self._first
