"""Shards onto devices: greedy, and where greedy may miss a way, a search that stops after so many steps. Pure.

Neither changes a device: where one takes a shard, a copy that holds it stands in for it from there on.
"""

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import groupby, pairwise

import msgspec

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.workloads import Workload, shard_ids
from fleetfold_core.feasible import demand, room_reason
from fleetfold_core.score import score_value
from fleetfold_core.state import DeviceState

MAX_SEARCH_DEPTH = 100
"""More shards than this are not searched for: each is a level of the search."""

Room = tuple[int, int, bool, bool]
"""All that decides what a device takes: free bytes, free share, whether one shard has it whole, whether it is empty."""

Ranked = tuple[float, DeviceId, DeviceState]
"""A device behind what orders it: its score, negated so that the best comes first, then its id."""


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, by its place in the workload's list, on a device with the score that it had then."""

    index: int
    device_id: DeviceId
    node_id: NodeId
    score: float


class Party:
    """The shards of a workload as they are seated: the most demanding first."""

    def __init__(self, workload: Workload) -> None:
        """Order the shards: those that want a device whole, then by memory, then by share."""
        self.workload = workload
        self.shards = workload.shards
        self.shard_ids = shard_ids(workload)
        self.one_each = workload.constraints.one_shard_per_device
        self.order = sorted(range(len(self.shards)), key=lambda index: demand(self.shards[index]), reverse=True)

    @property
    def greedy_is_exact(self) -> bool:
        """Whether greedy finds a way whenever there is one.

        Shards that are all alike fill a device up in one way only. And where each device takes one shard and each shard
        needs no less than the next in everything, whatever takes a shard takes all behind it: no choice is a wrong one.
        """
        ordered = [self.shards[index] for index in self.order]
        if self.one_each:
            return all(one.gpu_milli >= other.gpu_milli for one, other in pairwise(ordered)) and all(
                one.memory_bytes >= other.memory_bytes for one, other in pairwise(ordered)
            )
        return demand(ordered[0]) == demand(ordered[-1])

    def seated(self, device: DeviceState, index: int) -> DeviceState:
        """The device as it is with one shard more."""
        shard = self.shards[index]
        copy = device.copy()
        copy.hold(self.workload.workload_id, self.shard_ids[index], shard.memory_bytes, shard.gpu_milli)
        return copy


def greedy(party: Party, devices: Iterable[Ranked]) -> list[Seat]:
    """Give each shard the best scored device that has room. Fewer seats than shards: there was no room for the next."""
    queue = list(devices)
    heapify(queue)
    seats: list[Seat] = []
    for _, alike in groupby(party.order, key=lambda index: demand(party.shards[index])):
        # A device without room for a shard has none for those like it, and may have some for the smaller ones.
        passed_over: list[Ranked] = []
        for index in alike:
            while queue and room_reason(queue[0][-1], party.shards[index]) is not None:
                passed_over.append(heappop(queue))
            if not queue:
                return seats
            seats.append(_take_first(party, queue, index))
        for entry in passed_over:
            heappush(queue, entry)
    return seats


def _take_first(party: Party, queue: list[Ranked], index: int) -> Seat:
    _, _, device = queue[0]
    if party.one_each:
        heappop(queue)
    else:
        heapreplace(queue, ranked(party.seated(device, index)))
    return _seat(index, device)


class Search:
    """A search, depth first, that gives up when its steps are used up: steps, so that no clock decides."""

    def __init__(self, party: Party, budget_steps: int) -> None:
        """A step is a look at whether one device takes one shard."""
        self._party = party
        self._steps_left = budget_steps
        self.gave_up = len(party.shards) > MAX_SEARCH_DEPTH
        self._hopeless: set[tuple[Room, ...]] = set()

    def run(self, devices: Iterable[Ranked]) -> list[Seat]:
        """Seats for all shards on these devices; none when it finds no way.

        The device with the least room is tried first: greedy has failed, so room is short, and scores come second.
        """
        ordered = sorted(devices, key=lambda entry: (_room(entry[-1]), entry))
        tightest_first = [device for _, _, device in ordered]
        rooms = tuple(map(_room, tightest_first))
        if self.gave_up or rooms in self._hopeless or not self._may_hold(tightest_first):
            return []
        seats: list[Seat] = []
        if not self._descend(tightest_first, seats):
            self._hopeless.add(rooms)
        return seats

    def _may_hold(self, devices: Sequence[DeviceState]) -> bool:
        shards = self._party.shards
        if self._party.one_each and len(devices) < len(shards):
            return False
        return sum(device.free_bytes for device in devices) >= sum(shard.memory_bytes for shard in shards) and sum(
            device.free_milli for device in devices
        ) >= sum(shard.gpu_milli for shard in shards)

    def _descend(self, rooms: list[DeviceState], seats: list[Seat]) -> bool:
        if len(seats) == len(self._party.order):
            return True
        index = self._party.order[len(seats)]
        tried: set[Room] = set()
        for place, device in enumerate(rooms):
            if not self._step():
                return False
            room = _room(device)
            if room in tried or room_reason(device, self._party.shards[index]) is not None:
                continue
            # Devices with the same room differ in nothing that could help: one of them stands for all.
            tried.add(room)
            seats.append(_seat(index, device))
            if self._descend(self._after(rooms, place, index), seats):
                return True
            seats.pop()
        return False

    def _after(self, rooms: list[DeviceState], place: int, index: int) -> list[DeviceState]:
        kept = [] if self._party.one_each else [self._party.seated(rooms[place], index)]
        return rooms[:place] + kept + rooms[place + 1 :]

    def _step(self) -> bool:
        self._steps_left -= 1
        self.gave_up = self._steps_left < 0
        return not self.gave_up


def _room(device: DeviceState) -> Room:
    return device.free_bytes, device.free_milli, device.whole, not device.shards


def ranked(device: DeviceState) -> Ranked:
    """A device in the order of scores: the best first, and of equals the one with the least id."""
    return -score_value(device), device.capabilities.device_id, device


def _seat(index: int, device: DeviceState) -> Seat:
    return Seat(index=index, device_id=device.device_id, node_id=device.node_id, score=score_value(device))
