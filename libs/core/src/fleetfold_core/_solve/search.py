"""The search for room where packing found none: exact, while its steps last. For shards that need no neighbours."""

from collections.abc import Iterator, Sequence

from fleetfold_core._solve.problem import Problem, Room, Rooms, Seats, most_demanding_first

MAX_DEPTH = 100
"""More shards than this are not searched for: each is a level of the search."""

Situation = tuple[int, tuple[tuple[Room, Room], ...]]
"""How many shards are seated, and the rooms that this changed: all that decides whether the others find a seat."""


class Search:
    """A search, depth first, that gives up when its steps are used up: steps, so that no clock decides."""

    def __init__(self, problem: Problem, budget_steps: int) -> None:
        """A step is a look at whether one spot takes one shard."""
        self._problem = problem
        self._order = most_demanding_first(problem.needs)
        self._steps_left = budget_steps
        self.gave_up = len(problem.needs) > MAX_DEPTH
        self._rooms = Rooms(problem)
        self._spots: Sequence[int] = ()
        self._before: dict[int, Room] = {}
        self._hopeless: set[tuple[Room, ...]] = set()
        self._dead_ends: set[Situation] = set()

    def run(self, spots: Sequence[int]) -> Seats | None:
        """Seats for all shards on these spots; none when it finds no way.

        The spot with the least room is tried first: packing has failed, so room is short, and scores come second.
        """
        self._spots = sorted(spots, key=lambda spot: (self._room(spot), spot))
        rooms = tuple(map(self._room, self._spots))
        if self.gave_up or rooms in self._hopeless or not self._may_hold():
            return None
        self._dead_ends.clear()
        seats = self._seat_rest({})
        if seats is None:
            self._hopeless.add(rooms)
        return seats

    def _room(self, spot: int) -> Room:
        return self._rooms.room(spot)

    def _may_hold(self) -> bool:
        needs = self._problem.needs
        if self._problem.one_each and len(self._spots) < len(needs):
            return False
        free_bytes = sum(self._rooms.free_bytes[spot] for spot in self._spots)
        free_milli = sum(self._rooms.free_milli[spot] for spot in self._spots)
        asked_bytes = sum(shard.memory_bytes for shard in needs)
        return free_bytes >= asked_bytes and free_milli >= sum(shard.gpu_milli for shard in needs)

    def _seat_rest(self, seats: Seats) -> Seats | None:
        if len(seats) == len(self._order):
            return dict(seats)
        situation = len(seats), tuple(sorted((before, self._room(spot)) for spot, before in self._before.items()))
        if situation in self._dead_ends:
            return None
        index = self._order[len(seats)]
        for spot in self._choices(index):
            found = self._try(seats, index, spot)
            if found is not None or self.gave_up:
                return found
        self._dead_ends.add(situation)
        return None

    def _try(self, seats: Seats, index: int, spot: int) -> Seats | None:
        shard, before = self._problem.needs[index], self._room(spot)
        is_first = self._before.setdefault(spot, before) is before
        self._rooms.take(spot, shard)
        found = self._seat_rest(seats | {index: spot})
        self._rooms.leave(spot, shard, empty=before[2])
        if is_first:
            del self._before[spot]
        return found

    def _choices(self, index: int) -> Iterator[int]:
        """The spots that take a shard, one of each room: those with the same room lead to the same."""
        shard = self._problem.needs[index]
        tried: set[Room] = set()
        for spot in self._spots:
            if not self._step():
                return
            room = self._room(spot)
            if room not in tried and self._rooms.fits(spot, shard):
                tried.add(room)
                yield spot

    def _step(self) -> bool:
        self._steps_left -= 1
        self.gave_up = self._steps_left < 0
        return not self.gave_up
