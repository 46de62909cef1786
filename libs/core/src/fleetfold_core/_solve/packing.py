"""Shards onto spots between which links make no difference: as many as will go on the best one, then on the next."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Shard
from fleetfold_core._solve.problem import Problem, Rooms, Seats
from fleetfold_core.feasible import demand


def pack(problem: Problem, rooms: Rooms, asking: Sequence[int], spots: Sequence[int]) -> Seats:
    """Give shards, by their places, to spots, the best of which come first. `rooms` is changed.

    Whoever finds no room has no seat in what comes back. Each shard on a spot counts alike, so what matters is how many
    sit on the best ones: there the small ones sit, and of as many the largest, so that the next spot gets small ones
    again. Where that leaves somebody over, the largest choose first instead.
    """
    if problem.one_each:
        return _largest_choose(problem, rooms, asking, spots)
    before = rooms.copy()
    seats = _best_are_filled(problem, rooms, asking, spots)
    if len(seats) == len(asking):
        return seats
    others = _largest_choose(problem, before, asking, spots)
    if len(others) <= len(seats):
        return seats
    rooms.become(before)
    return others


def greedy_is_exact(problem: Problem) -> bool:
    """Whether `pack` finds room on spots whenever there is some.

    Shards that are all alike fill a spot up in one way only. And where each spot takes one shard and each shard needs
    no less than the next in everything, whatever takes a shard takes all behind it: no choice is a wrong one.
    """
    ordered = sorted(problem.needs, key=demand, reverse=True)
    if problem.one_each:
        return all(
            one.gpu_milli >= other.gpu_milli and one.memory_bytes >= other.memory_bytes
            for one, other in pairwise(ordered)
        )
    return demand(ordered[0]) == demand(ordered[-1])


def _largest_choose(problem: Problem, rooms: Rooms, asking: Sequence[int], spots: Sequence[int]) -> Seats:
    """Each shard takes the best spot that has room, the most demanding one first.

    With one shard a spot no plan scores more, where what takes a shard takes all less demanding ones: two shards could
    always change places so that the larger one has the better spot.
    """
    seats: Seats = {}
    left = list(spots)
    needs = problem.needs
    for index in sorted(asking, key=lambda index: demand(needs[index]), reverse=True):
        place = next((place for place, spot in enumerate(left) if rooms.take(spot, needs[index])), None)
        if place is None:
            continue
        seats[index] = left[place]
        if problem.one_each:
            del left[place]
    return seats


def _best_are_filled(problem: Problem, rooms: Rooms, asking: Sequence[int], spots: Sequence[int]) -> Seats:
    seats: Seats = {}
    needs = problem.needs
    left = sorted(asking, key=lambda index: demand(needs[index]))
    for spot in spots:
        if not left:
            break
        if rooms.fits(spot, needs[left[0]]):
            chosen = set(_most(rooms, spot, [needs[index] for index in left]))
            seats |= {left[place]: spot for place in chosen if rooms.take(spot, needs[left[place]])}
            left = [index for place, index in enumerate(left) if place not in chosen]
    return seats


def _most(rooms: Rooms, spot: int, left: Sequence[Shard]) -> list[int]:
    """Of as many shards as have room on a spot the largest ones; `left` has the least demanding one first."""
    free_bytes, free_milli = rooms.free_bytes[spot], rooms.free_milli[spot]
    if left[0].gpu_milli == WHOLE_GPU_MILLI:
        return [0]
    count = 0
    while count < len(left) and _is_room(left[count], free_bytes, free_milli):
        free_bytes -= left[count].memory_bytes
        free_milli -= left[count].gpu_milli
        count += 1
    chosen = list(range(count))
    sizes = [shard.memory_bytes for shard in left if shard.gpu_milli < WHOLE_GPU_MILLI]
    limit = len(sizes)
    for position in reversed(chosen):
        # The largest of those that may stand for this one leaves the least room unused.
        free_bytes += left[position].memory_bytes
        free_milli += left[position].gpu_milli
        place = min(limit, bisect_right(sizes, free_bytes)) - 1
        while place > position and left[place].gpu_milli > free_milli:
            place -= 1
        free_bytes -= left[place].memory_bytes
        free_milli -= left[place].gpu_milli
        chosen[position] = limit = place
    return chosen


def _is_room(shard: Shard, free_bytes: int, free_milli: int) -> bool:
    return shard.memory_bytes <= free_bytes and shard.gpu_milli <= free_milli and shard.gpu_milli < WHOLE_GPU_MILLI
