"""One model in shards on mixed fleets: how near a plan comes to what none can exceed, and how long it takes.

The bound is that of the relaxation with prices, after many more rounds than the solver has: the best plan lies between
the solver's and the bound.
"""

import time
from pathlib import Path

from fleetfold_contracts.workloads import Workload
from fleetfold_core._solve.prices import Prices
from fleetfold_core._solve.problem import Rooms, state_problem
from fleetfold_core.check import check
from fleetfold_core.shard_score import Scorer
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import State
from tests.bench.instances import SIZES, instance
from tests.bench.measure import Effort, Report, Series

BOUND_ROUNDS = 60


async def measure(folder: Path, effort: Effort) -> Report:
    """The solver alone, in CPU time, on fresh seeds."""
    del folder
    series: list[Series] = []
    for shards, devices in SIZES:
        found = [_solved(*instance(shards, devices, seed)) for seed in range(effort.rounds)]
        what = f"{shards} shards, {devices} devices"
        bounds, scores, times_ms = zip(*found, strict=True)
        series.append(Series(name=f"{what}: bound of the score", values=bounds))
        series.append(Series(name=f"{what}: the plan's score", values=scores, against=series[-1].name))
        series.append(Series(name=f"{what}: solved, ms", values=times_ms))
    return Report(title="A model in shards", unit="score and ms", series=tuple(series))


def _solved(state: State, workload: Workload) -> tuple[float, float, float]:
    """What no plan's score exceeds, the score of the solver's plan, and how many ms it took."""
    started_s = time.process_time()
    plan = solve(state, workload)
    taken_s = time.process_time() - started_s
    assert isinstance(plan, Plan), plan.summary
    assert check(state, workload, plan) == []
    problem = state_problem(state, workload, workload.shards, Scorer(state, workload))
    bound = Prices(problem, Rooms(problem), range(len(problem.spots)), 0).run(BOUND_ROUNDS).bound
    return bound, sum(allocation.score for allocation in plan.allocations), taken_s * 1000
