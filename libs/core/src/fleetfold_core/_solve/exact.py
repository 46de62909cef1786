"""The constraint solver: python-constraint, which looks at every way there is while its steps last.

Written as its plain backtracking needs it: capacity that fails on a partial sum, neighbours that cut each other's
domains before they are tried, domains with the best spot last, because the last is taken first. Once a plan is found,
only better ones are let through, so that the last one found is the best there is when the search comes to its end.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from constraint import BacktrackingSolver, Constraint
from constraint import Problem as Asked

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI
from fleetfold_core._solve.problem import Problem, Rooms, Seats, Spot

TOLERANCE = 1e-9

Domains = dict[int, Any]
"""The spots that each shard may still have, as the library's lists with a memory."""
Check = Callable[[Seats, Domains], bool]


class Exact(NamedTuple):
    """The best plan found. `complete`: all ways were looked at, so it is the best one, and none means that none is."""

    seats: Seats | None
    complete: bool


class _OutOfStepsError(Exception):
    """The budget is used up."""


class _Rule(Constraint):
    """What must hold whenever a shard was given a spot."""

    def __init__(self, check: Check) -> None:
        self._check = check

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride] - the library's own returns True, as a type too
        self, variables: Sequence[int], domains: Domains, assignments: Seats, forwardcheck: Any = False
    ) -> bool:
        del variables, forwardcheck  # a rule knows its shards, and always looks ahead
        return self._check(assignments, domains)


def search(problem: Problem, budget_steps: int, *, better_than: float | None = None) -> Exact:
    """Look for the best plan, or for one that scores more than `better_than`. A step is one shard tried on one spot."""
    hope = _Hope(problem, better_than)
    best: Seats | None = None
    try:
        for seats in _solutions(problem, hope, budget_steps):
            best = seats
            hope.least = problem.value(seats)
    except _OutOfStepsError:
        return Exact(best, complete=False)
    return Exact(best, complete=True)


def _solutions(problem: Problem, hope: "_Hope", budget_steps: int) -> Iterator[Seats]:
    asked: Any = Asked(BacktrackingSolver())
    rooms = Rooms(problem)
    for index, shard in enumerate(problem.needs):
        fitting = [spot for spot in reversed(range(len(problem.spots))) if rooms.fits(spot, shard)]
        if not fitting:
            return iter(())
        asked.addVariable(index, fitting)
    everybody = list(range(len(problem.needs)))
    asked.addConstraint(_Rule(_Capacity(problem, budget_steps).holds), everybody)
    asked.addConstraint(_Rule(hope.is_left), everybody)
    for first in range(0, len(everybody), len(problem.shards)):
        _add_rules_of_replica(asked, problem, everybody[first : first + len(problem.shards)])
    apart = problem.apart_by()
    if apart is not None:
        asked.addConstraint(_Rule(_Apart(problem, apart).holds), everybody)
    return asked.getSolutionIter()


def _add_rules_of_replica(asked: Any, problem: Problem, members: list[int]) -> None:
    together = problem.group_of()
    if together is not None:
        asked.addConstraint(_Rule(_Together(problem, together, members).holds), members)
    if len(problem.regions.near) > 1:
        pairs = [*pairwise(members), *([(members[-1], members[0])] if problem.ring else [])]
        for pair in pairs:
            asked.addConstraint(_Rule(_Near(problem, *pair).holds), list(pair))


def _newest(seats: Seats) -> int:
    """The shard that was given a spot last: the library puts what it tries at the end of its dictionary."""
    return next(reversed(seats))


class _Capacity:
    """The room of the spot that was taken last, and the steps that are left."""

    def __init__(self, problem: Problem, budget_steps: int) -> None:
        self._problem = problem
        self._steps_left = budget_steps

    def holds(self, seats: Seats, _: Domains) -> bool:
        """Whether there is room for all who sit on the spot."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise _OutOfStepsError
        problem = self._problem
        here = seats[_newest(seats)]
        sitting = [problem.needs[index] for index, spot in seats.items() if spot == here]
        if len(sitting) > 1 and (problem.one_each or any(shard.gpu_milli == WHOLE_GPU_MILLI for shard in sitting)):
            return False
        spot = problem.spots[here]
        return (
            sum(shard.memory_bytes for shard in sitting) <= spot.free_bytes
            and sum(shard.gpu_milli for shard in sitting) <= spot.free_milli
        )


class _Hope:
    """Only plans that may still score more than the best one so far."""

    def __init__(self, problem: Problem, least: float | None) -> None:
        self.least = least
        self._values = [spot.value for spot in problem.spots]

    def is_left(self, seats: Seats, domains: Domains) -> bool:
        """Whether the shards that wait may have spots that are good enough."""
        if self.least is None:
            return True
        hoped = 0.0
        for index, domain in domains.items():
            # The best spots have the least numbers.
            hoped += self._values[seats[index] if index in seats else min(domain)]
        return hoped > self.least + TOLERANCE


class _Near:
    """Two shards that follow each other: the spots that the second can no longer have are taken from it at once."""

    def __init__(self, problem: Problem, first: int, second: int) -> None:
        self._are_near = problem.regions.are_near
        self._first, self._second = first, second

    def holds(self, seats: Seats, domains: Domains) -> bool:
        """Whether both sit near each other, or the one that waits still may."""
        if self._first in seats and self._second in seats:
            return self._are_near(seats[self._first], seats[self._second])
        known, other = (self._first, self._second) if self._first in seats else (self._second, self._first)
        here, domain = seats[known], domains[other]
        for spot in [spot for spot in domain if not self._are_near(here, spot)]:
            domain.hideValue(spot)
        return bool(domain)


class _Together:
    """The shards of a replica, which share a node or a rack."""

    def __init__(self, problem: Problem, what: Callable[[Spot], str | None], members: Sequence[int]) -> None:
        self._group = [what(spot) for spot in problem.spots]
        self._members = members

    def holds(self, seats: Seats, _: Domains) -> bool:
        """Whether all who sit do so in one group."""
        return len({self._group[seats[index]] for index in self._members if index in seats}) <= 1


class _Apart:
    """Replicas, which share no node or no rack."""

    def __init__(self, problem: Problem, what: Callable[[Spot], str | None]) -> None:
        self._group = [what(spot) for spot in problem.spots]
        self._size = len(problem.shards)

    def holds(self, seats: Seats, _: Domains) -> bool:
        """Whether the shard that sat down last shares nothing with other replicas."""
        newest = _newest(seats)
        replica, here = newest // self._size, self._group[seats[newest]]
        return all(index // self._size == replica or self._group[spot] != here for index, spot in seats.items())
