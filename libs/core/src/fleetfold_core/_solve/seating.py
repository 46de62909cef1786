"""Shards onto devices, greedily. No device is changed: a copy that holds the shard stands in for it."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace
from itertools import groupby, pairwise

import msgspec

from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.workloads import Workload, shard_ids
from fleetfold_core.feasible import demand, room_reason
from fleetfold_core.score import score_value
from fleetfold_core.state import DeviceState

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
    return seat(index, device)


def ranked(device: DeviceState) -> Ranked:
    """A device in the order of scores: the best first, and of equals the one with the least id."""
    return -score_value(device), device.capabilities.device_id, device


def seat(index: int, device: DeviceState) -> Seat:
    """A shard's seat on a device as it is now."""
    return Seat(index=index, device_id=device.device_id, node_id=device.node_id, score=score_value(device))
