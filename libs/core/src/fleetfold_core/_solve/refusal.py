"""A refusal, summed up: how many places each reason rules out, and the nearest miss of each."""

from collections.abc import Sequence

from fleetfold_contracts.workloads import Obstacle, Reason, Workload
from fleetfold_core._solve.find import Answer
from fleetfold_core._solve.problem import Problem
from fleetfold_core._words import shard_words, some_of
from fleetfold_core.explain import Miss, in_words, misses
from fleetfold_core.feasible import needs_devices, telling_shard
from fleetfold_core.state import Refusal, State


def refuse(state: State, workload: Workload, problem: Problem | None = None, answer: Answer | None = None) -> Refusal:
    """Refuse a workload for which no way was found.

    `answer` is as far as the solvers came with its `problem`: unless it is proven, there may be a way that they missed.
    Without one, no node alone has room for all.
    """
    obstacles = _obstacles(state, workload)
    place_count = len(state.devices_in(workload.pool) if needs_devices(workload) else state.nodes_in(workload.pool))
    fitting_count = place_count - sum(obstacle.count for obstacle in obstacles)
    if not fitting_count:
        summary = _none_fits(workload, place_count, obstacles)
        return Refusal(workload=workload, summary=summary, obstacles=tuple(obstacles))
    together = _too_few_together(workload, fitting_count, problem, answer)
    what = "a part of it" if workload.model is not None else "the largest shard"
    summary = f"{fitting_count} devices have room for {what}, and not for all together: {together.detail}"
    if answer is not None and not answer.proven:
        summary += "; none was found before the search was stopped, so there may be a way"
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


def _too_few_together(
    workload: Workload, fitting_count: int, problem: Problem | None, answer: Answer | None
) -> Obstacle:
    if problem is None or answer is None:
        detail = "no node has room for all its shards"
        return Obstacle(reason=Reason.TOO_FEW_TOGETHER, count=fitting_count, detail=detail)
    on_one_node = workload.constraints.same_node and workload.replicas == 1 and answer.seats
    nearest = problem.spots[min(answer.seats.values())].node_id if on_one_node else None
    where = f" on node {nearest}" if on_one_node else ""
    detail = f"{len(answer.seats)} of {len(problem.needs)} shards find a place{where}"
    return Obstacle(reason=Reason.TOO_FEW_TOGETHER, count=fitting_count, nearest=nearest, detail=detail)


def _none_fits(workload: Workload, place_count: int, obstacles: Sequence[Obstacle]) -> str:
    places = "device" if needs_devices(workload) else "node"
    if not place_count:
        return f"there is no {places} in pool {workload.pool!r}"
    what = f"a shard of {shard_words(telling_shard(workload))}" if needs_devices(workload) else "it"
    return f"no {places} can take {what}: {some_of([_in_short(obstacle) for obstacle in obstacles], '; ')}"


def _in_short(obstacle: Obstacle) -> str:
    return f"{obstacle.reason.replace('_', ' ')} {obstacle.count} ({obstacle.nearest}: {obstacle.detail})"
