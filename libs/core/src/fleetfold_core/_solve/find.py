"""The solvers side by side: each proposes, the best plan wins, and what was proved is said."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fleetfold_core._solve import exact
from fleetfold_core._solve.packing import greedy_is_exact, pack
from fleetfold_core._solve.prices import Prices
from fleetfold_core._solve.problem import Problem, Rooms, Seats, Spot
from fleetfold_core._solve.search import Search

GREEDY = "greedy"
PRICES = "prices"
SEARCH = "search"
CONSTRAINT = "constraint"

PRICE_ROUNDS = 12
SMALL_PAIRS = 256
"""With no more shards times spots than this, the best plan is looked for among all."""
EXACT_PAIRS_MAX = 4096
"""With more, the constraint solver is not asked whether there is a way."""
POLISH_STEPS = 1500
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Answer:
    """What the solvers found."""

    seats: Seats
    """All shards', or as far as they came."""
    solver: str
    complete: bool
    """Whether every shard has a seat."""
    proven: bool
    """Whether no plan scores more; or, where not every shard has a seat, whether there is no plan."""


def find(problem: Problem, budget_steps: int) -> Answer:
    """The best plan that the solvers find within a budget of steps."""
    seats, solver = _replica_by_replica(problem)
    if len(seats) == len(problem.needs):
        return _polished(problem, seats, solver, budget_steps)
    answer = _last_resort(problem, seats, budget_steps)
    return _polished(problem, answer.seats, answer.solver, budget_steps) if answer.complete else answer


def _polished(problem: Problem, seats: Seats, solver: str, budget_steps: int) -> Answer:
    """The plan, or on a small instance a better one, if there is one."""
    best = _is_uniform(problem) or problem.value(seats) >= _most(problem) - TOLERANCE
    if best or len(problem.needs) * len(problem.spots) > SMALL_PAIRS:
        return Answer(seats, solver, complete=True, proven=best)
    steps = min(budget_steps, POLISH_STEPS)
    better = exact.search(problem, steps, better_than=problem.value(seats))
    if better.seats is not None:
        return Answer(better.seats, CONSTRAINT, complete=True, proven=better.complete)
    return Answer(seats, solver, complete=True, proven=better.complete)


def _last_resort(problem: Problem, most: Seats, budget_steps: int) -> Answer:
    """Nobody found a plan: look at all ways there are, as far as the steps go."""
    if problem.is_linear():
        return _search_rooms(problem, most, budget_steps)
    if len(problem.needs) * len(problem.spots) > EXACT_PAIRS_MAX:
        return Answer(most, PRICES, complete=False, proven=not _may_hold(problem))
    found = exact.search(problem, budget_steps)
    if found.seats is not None:
        return Answer(found.seats, CONSTRAINT, complete=True, proven=False)
    return Answer(most, CONSTRAINT, complete=False, proven=found.complete)


def _search_rooms(problem: Problem, most: Seats, budget_steps: int) -> Answer:
    if not problem.spots or greedy_is_exact(problem):
        return Answer(most, GREEDY, complete=False, proven=True)
    search = Search(problem, budget_steps)
    for group in _groups(problem, range(len(problem.spots))):
        seats = search.run(group)
        if seats is not None:
            return Answer(seats, SEARCH, complete=True, proven=False)
    return Answer(most, SEARCH, complete=False, proven=not search.gave_up)


def _may_hold(problem: Problem) -> bool:
    """Whether there is as much room as all shards together need."""
    if problem.one_each and len(problem.spots) < len(problem.needs):
        return False
    return sum(spot.free_bytes for spot in problem.spots) >= sum(shard.memory_bytes for shard in problem.needs)


def _is_uniform(problem: Problem) -> bool:
    """Whether all spots are alike, and none is nearer to another: then any plan is as good as any other."""
    return len(problem.regions.near) <= 1 and len({spot[:4] for spot in problem.spots}) <= 1


def _most(problem: Problem) -> float:
    """No plan scores more: every replica sits on the best spots that there are."""
    return problem.replicas * _hope(problem, range(len(problem.spots)))


def _replica_by_replica(problem: Problem) -> tuple[Seats, str]:
    """The best seats for one replica, then for the next in what is left."""
    rooms = Rooms(problem)
    seats: Seats = {}
    apart = problem.apart_by()
    for first in range(0, len(problem.needs), len(problem.shards)):
        found = _one_replica(problem, rooms, first)
        seats |= found
        if len(found) < len(problem.shards):
            break
        for index, spot in found.items():
            rooms.take(spot, problem.needs[index])
        if apart is not None:
            rooms.close(_sharing(problem, apart, found.values()))
    return seats, GREEDY if len(problem.regions.near) <= 1 else PRICES


def _sharing(problem: Problem, what: Callable[[Spot], str | None], used: Iterable[int]) -> list[int]:
    taken = {what(problem.spots[spot]) for spot in used}
    return [place for place, spot in enumerate(problem.spots) if what(spot) in taken]


def _one_replica(problem: Problem, rooms: Rooms, first: int) -> Seats:
    """The seats in the best group that takes all shards; where none does, in the one that takes most."""
    best: Seats = {}
    best_value = -1.0
    for hoped, group in _by_hope(problem, rooms):
        if best_value >= hoped - TOLERANCE:
            break
        seats = _in_group(problem, rooms, first, group)
        complete = len(seats) == len(problem.shards)
        value = problem.value(seats) if complete else -1.0
        if (complete and value > best_value + TOLERANCE) or (best_value < 0 and len(seats) > len(best)):
            best, best_value = seats, value
    return best


def _in_group(problem: Problem, rooms: Rooms, first: int, group: Sequence[int]) -> Seats:
    asking = range(first, first + len(problem.shards))
    if len({problem.regions.of_spot[spot] for spot in group}) <= 1:
        return pack(problem, rooms.copy(), asking, group)
    return Prices(problem, rooms, group, first).run(PRICE_ROUNDS).seats or {}


def _by_hope(problem: Problem, rooms: Rooms) -> list[tuple[float, list[int]]]:
    """The groups of open spots, each with the most that a replica could score there, the most hopeful first."""
    groups = _groups(problem, [spot for spot in range(len(problem.spots)) if rooms.open[spot]])
    hopeful = [(_hope(problem, group), group) for group in groups]
    return sorted(hopeful, key=lambda entry: (-entry[0], [problem.spots[spot][:4] for spot in entry[1]], entry[1]))


def _hope(problem: Problem, group: Sequence[int]) -> float:
    count = len(problem.shards)
    if problem.one_each:
        return sum(problem.spots[spot].value for spot in group[:count])
    return count * problem.spots[group[0]].value if group else 0.0


def _groups(problem: Problem, spots: Iterable[int]) -> list[list[int]]:
    """The spots that a replica's shards may share out among them: all, or those of one node or rack."""
    what = problem.group_of()
    groups: dict[str | None, list[int]] = {}
    for spot in spots:
        groups.setdefault(what(problem.spots[spot]) if what else None, []).append(spot)
    return list(groups.values())
