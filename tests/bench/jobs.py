"""How long the solver takes for a job of the openb trace, on its cluster and on one ten times as large."""

import time
from itertools import islice
from pathlib import Path
from statistics import mean

import numpy as np

from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_core.solve import Plan
from tests.bench.measure import Effort, Report, Series, percentile
from tests.bench.trace import Cluster, arrivals, jobs

SEED = 42
SIZES = (1, 10)
NODES = 1213


async def measure(folder: Path, effort: Effort) -> Report:
    """The solver alone, while it learns, in CPU time; and what it takes to say why a job fits nowhere."""
    del folder
    series: list[Series] = []
    for times in SIZES:
        placed_s, refused_s = _times_s(times, effort.trace_jobs)
        for end, times_s in (("placed", placed_s), ("refused", refused_s)):
            series += _lines(times, end, times_s, beside={line.name for line in series})
    return Report(title="A job of the trace, solved", unit="ms", series=tuple(series))


def _times_s(times: int, limit: int | None) -> tuple[list[float], list[float]]:
    order = np.random.default_rng(SEED)
    cluster = Cluster(order, times=times)
    placed_s: list[float] = []
    refused_s: list[float] = []
    # The larger cluster gets as many jobs as the smaller one: they are enough to learn all that it learns.
    for workload in islice(arrivals(jobs("default"), cluster.capacity_milli / times, order), limit):
        started_s = time.process_time()
        answer = cluster.solve(workload, PlacementStrategy.FRAGMENTATION)
        (placed_s if isinstance(answer, Plan) else refused_s).append(time.process_time() - started_s)
        cluster.settle(workload, answer)
    return placed_s, refused_s


def _lines(times: int, end: str, times_s: list[float], beside: set[str]) -> list[Series]:
    """Each figure, against the one of the trace's own cluster where that is there."""
    if not times_s:
        return []
    figures_s = {"mean": mean(times_s), "p50": percentile(times_s, 50), "p99": percentile(times_s, 99)}
    return [
        Series(
            name=f"{times * NODES:,} nodes, {end}, {name}",
            values=(1000 * value_s,),
            against=first if (first := f"{NODES:,} nodes, {end}, {name}") in beside else None,
        )
        for name, value_s in figures_s.items()
    ]
