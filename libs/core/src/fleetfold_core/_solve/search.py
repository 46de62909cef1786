"""The search for a way to seat shards where greedy found none: exact, while its steps last."""

from collections.abc import Iterable, Iterator, Sequence

from fleetfold_contracts.ids import DeviceId
from fleetfold_core._solve.seating import Party, Ranked, Seat, seat
from fleetfold_core.feasible import room_reason
from fleetfold_core.state import DeviceState

MAX_DEPTH = 100
"""More shards than this are not searched for: each is a level of the search."""

Room = tuple[int, int, bool, bool]
"""All that decides what a device takes: free bytes, free share, whether one shard has it whole, whether it is empty."""

Holding = dict[DeviceId, tuple[Room, DeviceState]]
"""The devices that were given shards: the room that they had before, and what they are now."""

Situation = tuple[int, tuple[tuple[Room, Room], ...]]
"""How many shards are seated, and the rooms that this changed: all that decides whether the others find a seat."""


class Search:
    """A search, depth first, that gives up when its steps are used up: steps, so that no clock decides."""

    def __init__(self, party: Party, budget_steps: int) -> None:
        """A step is a look at whether one device takes one shard."""
        self._party = party
        self._steps_left = budget_steps
        self.gave_up = len(party.shards) > MAX_DEPTH
        self._hopeless: set[tuple[Room, ...]] = set()
        self._dead_ends: set[Situation] = set()

    def run(self, devices: Iterable[Ranked]) -> list[Seat]:
        """Seats for all shards on these devices; none when it finds no way.

        The device with the least room is tried first: greedy has failed, so room is short, and scores come second.
        """
        ordered = sorted(devices, key=lambda entry: (_room(entry[-1]), entry))
        tightest_first = [device for _, _, device in ordered]
        rooms = tuple(map(_room, tightest_first))
        if self.gave_up or rooms in self._hopeless or not self._may_hold(tightest_first):
            return []
        self._dead_ends.clear()
        seats = self._seat_rest(tightest_first, {}, [])
        if not seats:
            self._hopeless.add(rooms)
        return seats

    def _may_hold(self, devices: Sequence[DeviceState]) -> bool:
        shards = self._party.shards
        if self._party.one_each and len(devices) < len(shards):
            return False
        free_bytes = sum(device.free_bytes for device in devices)
        free_milli = sum(device.free_milli for device in devices)
        asked_bytes = sum(shard.memory_bytes for shard in shards)
        return free_bytes >= asked_bytes and free_milli >= sum(shard.gpu_milli for shard in shards)

    def _seat_rest(self, devices: Sequence[DeviceState], holding: Holding, seats: list[Seat]) -> list[Seat]:
        if len(seats) == len(self._party.order):
            return seats
        situation = len(seats), tuple(sorted((before, _room(now)) for before, now in holding.values()))
        if situation in self._dead_ends:
            return []
        index = self._party.order[len(seats)]
        for before, device in self._choices(devices, holding, index):
            seated = {device.device_id: (before, self._party.seated(device, index))}
            found = self._seat_rest(devices, holding | seated, [*seats, seat(index, device)])
            if found or self.gave_up:
                return found
        self._dead_ends.add(situation)
        return []

    def _choices(
        self, devices: Sequence[DeviceState], holding: Holding, index: int
    ) -> Iterator[tuple[Room, DeviceState]]:
        """The devices that take a shard, one of each room: those with the same room lead to the same."""
        shard = self._party.shards[index]
        tried: set[Room] = set()
        for device in devices:
            if not self._step():
                return
            held = holding.get(device.device_id)
            if held is not None and self._party.one_each:
                continue
            before, now = held or (_room(device), device)
            room = _room(now)
            if room not in tried and room_reason(now, shard) is None:
                tried.add(room)
                yield before, now

    def _step(self) -> bool:
        self._steps_left -= 1
        self.gave_up = self._steps_left < 0
        return not self.gave_up


def _room(device: DeviceState) -> Room:
    return device.free_bytes, device.free_milli, device.whole, not device.shards
