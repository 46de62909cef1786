"""The openb trace with its times: jobs come and go, and the cluster stays full for long.

As published, the jobs fill a hundredth of the cluster at most. Here they share a twentieth of its nodes, and each stays
longer, so that they ask for more than there is. No figures were published for it: the strategies are compared with one
another, of which `pack` is a best fit.
"""

import csv
import heapq
from collections.abc import Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Workload
from fleetfold_core.solve import Plan
from fleetfold_devices.simulation.trace import job, pick_nodes
from tests.bench.measure import Effort, Report, Series
from tests.bench.trace import Cluster, asked_milli

NODES = 60
STAYS_LONGER = 22
STRATEGIES = (PlacementStrategy.SPREAD, PlacementStrategy.PACK, PlacementStrategy.FRAGMENTATION)
SETTLED_AFTER = 0.5
"""The first half of the jobs fills the cluster; what is measured is the second."""


class Visit(NamedTuple):
    """A job, and when it comes and goes."""

    comes_s: int
    goes_s: int
    workload: Workload


async def measure(folder: Path, effort: Effort) -> Report:
    """Each strategy, with the same jobs at the same times."""
    del folder
    visits = list(islice(_visits(), effort.trace_jobs))
    series = [line for strategy in STRATEGIES for line in _lines(strategy, visits)]
    return Report(title="Jobs that come and go, second half", unit="%", series=tuple(series))


def _lines(strategy: PlacementStrategy, visits: list[Visit]) -> list[Series]:
    cluster = Cluster(of=pick_nodes(NODES))
    allocated: list[float] = []
    refused_milli, asked = 0, 0
    going: list[tuple[int, str, int]] = []
    for number, visit in enumerate(visits):
        _let_go(cluster, going, visit.comes_s)
        answer = cluster.solve(visit.workload, strategy)
        cluster.settle(visit.workload, answer)
        if isinstance(answer, Plan):
            heapq.heappush(going, (visit.goes_s, visit.workload.workload_id, asked_milli(visit.workload)))
        if number >= SETTLED_AFTER * len(visits):
            asked += asked_milli(visit.workload)
            refused_milli += 0 if isinstance(answer, Plan) else asked_milli(visit.workload)
            allocated.append(100 * cluster.used_milli / cluster.capacity_milli)
    _let_go(cluster, going, max(visit.goes_s for visit in visits))
    assert_nothing_is_left(cluster)
    return [
        Series(
            name=f"{strategy}: allocated",
            values=(mean(allocated),),
            against=None if strategy is STRATEGIES[0] else f"{STRATEGIES[0]}: allocated",
        ),
        Series(name=f"{strategy}: refused of what was asked", values=(100 * refused_milli / max(asked, 1),)),
    ]


def _let_go(cluster: Cluster, going: list[tuple[int, str, int]], now_s: int) -> None:
    while going and going[0][0] <= now_s:
        _, workload_id, milli = heapq.heappop(going)
        cluster.tell(evt.PlacementReleased(pool=DEFAULT_POOL, workload_id=workload_id))
        cluster.used_milli -= milli


def assert_nothing_is_left(cluster: Cluster) -> None:
    """When all are gone, nothing is reserved: what is held and what is placed have not drifted apart."""
    assert cluster.used_milli == 0
    assert not cluster.state.placements
    assert all(device.free_milli == WHOLE_GPU_MILLI and not device.shards for device in cluster.state.devices.values())
    assert all(node.free_cpu_milli == node.node.cpu_milli for node in cluster.state.nodes.values())


def _visits() -> Iterator[Visit]:
    folder = files("fleetfold_devices.simulation") / "data" / "openb"
    listed = csv.DictReader((folder / "openb_pod_list_default.csv").read_text(encoding="utf-8").splitlines())
    for row in sorted(listed, key=lambda row: (int(row["creation_time"]), row["name"])):
        comes_s, goes_s = int(row["creation_time"]), int(row["deletion_time"])
        yield Visit(comes_s, comes_s + STAYS_LONGER * (goes_s - comes_s), job(row))
