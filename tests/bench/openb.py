"""How full a cluster becomes: the openb trace through the solver, beside what was published of other policies.

The experiment is that of "Beware of Fragmentation" (USENIX ATC 2023): jobs arrive one after another, none leaves, one
that does not fit is lost, and what counts is the share of all GPUs that is allocated when jobs for all of them, no more
and no less, have arrived (the mean over the arrivals that are within half a percent of that). FGD, the best published
policy, knows the mix of jobs beforehand; Fleetfold learns it from the jobs that arrived so far.
"""

import csv
from collections import defaultdict
from itertools import islice
from pathlib import Path
from statistics import mean

import numpy as np

from fleetfold_contracts.placing import PlacementStrategy
from tests.bench.measure import Effort, Report, Series
from tests.bench.trace import DATA, TRACES, Cluster, arrivals, asked_milli, jobs

FIRST_SEED = 42
ASKED_IN_ALL = 1.3
PUBLISHED = ("BestFit", "FGD")
OURS = "Fleetfold, fragmentation"
GOAL_OF_ALL_PERCENT = 93.9


async def measure(folder: Path, effort: Effort) -> Report:
    """Each trace, with so many orders of its jobs."""
    del folder
    ours = {
        trace: [allocated_percent(trace, FIRST_SEED + seed, effort.trace_jobs) for seed in range(effort.trace_seeds)]
        for trace in TRACES[: effort.traces]
    }
    series = [line for trace, values in ours.items() for line in _lines(trace, mean(values), published(trace))]
    if len(ours) == len(TRACES):
        theirs = {name: mean(published(trace)[name] for trace in TRACES) for name in PUBLISHED}
        all_ours = mean(mean(values) for values in ours.values())
        series += _lines("mean of all", all_ours, theirs, goal=GOAL_OF_ALL_PERCENT / theirs["FGD"])
    return Report(title="GPUs allocated when all are asked for", unit="%", series=tuple(series))


def allocated_percent(trace: str, seed: int, limit: int | None = None) -> float:
    """How much is allocated when everything is asked for; with a `limit`, after so many jobs."""
    order = np.random.default_rng(seed)
    cluster = Cluster(order)
    asked_so_far = 0
    levels: list[float] = []
    for workload in islice(arrivals(jobs(trace), ASKED_IN_ALL * cluster.capacity_milli, order), limit):
        asked_so_far += asked_milli(workload)
        asked_percent = 100 * asked_so_far / cluster.capacity_milli
        if round(asked_percent) > 100:
            break
        cluster.settle(workload, cluster.solve(workload, PlacementStrategy.FRAGMENTATION))
        if limit is not None or round(asked_percent) == 100:
            levels.append(100 * cluster.used_milli / cluster.capacity_milli)
    return mean(levels)


def published(trace: str) -> dict[str, float]:
    """Each policy's mean over the ten published seeds."""
    by_policy: defaultdict[str, list[float]] = defaultdict(list)
    with (DATA / "published.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["workload"] == f"openb_pod_list_{trace}":
                by_policy[row["sc_policy"].split("-", 1)[1]].append(float(row["100"]))
    return {name: mean(by_policy[name]) for name in PUBLISHED}


def _lines(trace: str, ours: float, theirs: dict[str, float], goal: float = 1.0) -> list[Series]:
    lines = [Series(name=f"{trace}: {name}, published", values=(percent,)) for name, percent in theirs.items()]
    against = f"{trace}: FGD, published"
    return [*lines, Series(name=f"{trace}: {OURS}", values=(ours,), against=against, goal=goal)]
