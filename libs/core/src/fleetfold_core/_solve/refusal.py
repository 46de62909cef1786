"""A refusal, summed up: how many places each reason rules out, and the nearest miss of each."""

from collections.abc import Sequence

from fleetfold_contracts.workloads import Obstacle, Reason, Workload
from fleetfold_core._solve.seating import Seat
from fleetfold_core._words import shard_words, some_of
from fleetfold_core.explain import Miss, in_words, misses
from fleetfold_core.feasible import largest_shard
from fleetfold_core.state import Refusal, State


def refuse(state: State, workload: Workload, most_seated: Sequence[Seat] = (), *, proven: bool = True) -> Refusal:
    """Refuse a workload for which no way was found.

    `most_seated` is as far as the solver came; without `proven` a way may exist that it did not find.
    """
    obstacles = _obstacles(state, workload)
    place_count = len(state.devices_in(workload.pool) if workload.shards else state.nodes_in(workload.pool))
    fitting_count = place_count - sum(obstacle.count for obstacle in obstacles)
    if not fitting_count:
        summary = _none_fits(workload, place_count, obstacles)
        return Refusal(workload=workload, summary=summary, obstacles=tuple(obstacles))
    together = _too_few_together(workload, fitting_count, most_seated)
    summary = f"{fitting_count} devices have room for the largest shard, and not for all together: {together.detail}"
    if not proven:
        summary += "; the search was stopped, so there may be a way"
    return Refusal(workload=workload, summary=summary, obstacles=(together, *obstacles))


def _obstacles(state: State, workload: Workload) -> list[Obstacle]:
    by_reason: dict[Reason, list[Miss]] = {}
    for miss in misses(state, workload):
        by_reason.setdefault(miss.reason, []).append(miss)
    obstacles = [_obstacle(state, workload, group) for group in by_reason.values()]
    return sorted(obstacles, key=lambda obstacle: (-obstacle.count, obstacle.reason))


def _obstacle(state: State, workload: Workload, group: Sequence[Miss]) -> Obstacle:
    nearest = min(group, key=lambda miss: (-miss.left, miss.place_id))
    detail = in_words(state, workload, nearest)
    return Obstacle(reason=nearest.reason, count=len(group), nearest=nearest.place_id, detail=detail)


def _too_few_together(workload: Workload, fitting_count: int, most_seated: Sequence[Seat]) -> Obstacle:
    on_one_node = workload.constraints.same_node and most_seated
    nearest = most_seated[0].node_id if on_one_node else None
    where = f" on node {nearest}" if on_one_node else ""
    detail = f"{len(most_seated)} of {len(workload.shards)} shards find a place{where}"
    return Obstacle(reason=Reason.TOO_FEW_TOGETHER, count=fitting_count, nearest=nearest, detail=detail)


def _none_fits(workload: Workload, place_count: int, obstacles: Sequence[Obstacle]) -> str:
    places = "device" if workload.shards else "node"
    if not place_count:
        return f"there is no {places} in pool {workload.pool!r}"
    what = f"a shard of {shard_words(largest_shard(workload))}" if workload.shards else "it"
    return f"no {places} can take {what}: {some_of([_in_short(obstacle) for obstacle in obstacles], '; ')}"


def _in_short(obstacle: Obstacle) -> str:
    return f"{obstacle.reason.replace('_', ' ')} {obstacle.count} ({obstacle.nearest}: {obstacle.detail})"
