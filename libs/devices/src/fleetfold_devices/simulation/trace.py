"""The bundled production trace: nodes and jobs of a GPU cluster of Alibaba (`data/openb/README.md` names the source).

Of each node the trace tells CPU, memory, GPU count and GPU model, of each job what it asks for. It tells neither of
links nor of GPU memory: a job of the trace asks for shares of GPUs alone.
"""

import csv
import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Constraints, Host, Shard, Workload

MIB = 1024**2


@dataclass(frozen=True, slots=True)
class TraceNode:
    """A node of the trace. `model` is a name of `catalogue.MODELS`."""

    name: str
    cpu_milli: int
    memory_bytes: int
    gpu_count: int
    model: str


@cache
def trace_nodes() -> tuple[TraceNode, ...]:
    """The 1,213 nodes that have GPUs, in the trace's order."""
    return tuple(
        TraceNode(
            name=row["sn"],
            cpu_milli=int(row["cpu_milli"]),
            memory_bytes=int(row["memory_mib"]) * MIB,
            gpu_count=int(row["gpu"]),
            model=row["model"],
        )
        for row in _rows("openb_node_list_gpu_node.csv")
    )


def trace_jobs(limit: int | None = None) -> tuple[Workload, ...]:
    """The first `limit` of the 8,152 jobs as workloads, in the trace's order; all without a limit."""
    return tuple(job(row) for row in islice(_rows("openb_pod_list_default.csv"), limit))


def job(row: Mapping[str, str]) -> Workload:
    """A row of a job list as a workload.

    A job with one GPU takes `gpu_milli` thousandths of it; one with several takes that many whole GPUs of one node; one
    without takes CPU and memory alone. `gpu_spec` names the models that it accepts, `A|B`.
    """
    count = int(row["num_gpu"])
    milli = int(row["gpu_milli"]) if count == 1 else WHOLE_GPU_MILLI
    models = tuple(model for model in row["gpu_spec"].split("|") if model)
    return Workload(
        workload_id=row["name"],
        shards=(Shard(gpu_milli=milli),) * count,
        host=Host(cpu_milli=int(row["cpu_milli"]), memory_bytes=int(row["memory_mib"]) * MIB),
        constraints=Constraints(models=models if count else (), same_node=count > 1),
    )


def pick_nodes(count: int) -> tuple[TraceNode, ...]:
    """`count` nodes of the trace, always the same, whose mix of GPU models is like the whole trace's.

    Every model is among them as soon as there is a node for each. `count` is at most the number of the trace's nodes.
    """
    by_model: defaultdict[str, list[TraceNode]] = defaultdict(list)
    for node in trace_nodes():
        by_model[node.model].append(node)
    seats = apportion(count, Counter({model: len(nodes) for model, nodes in by_model.items()}))
    picked = {node for model, nodes in by_model.items() for node in _evenly(nodes, seats[model])}
    return tuple(node for node in trace_nodes() if node in picked)


def apportion(seats: int, sizes: Counter[str]) -> Counter[str]:
    """Share out seats among groups by their sizes, by the method of Huntington and Hill.

    The next seat goes to the group with the largest `size / sqrt(n (n + 1))`, where it has n seats. So each has one
    before any has two, and no group gets more seats than it has members, as long as there are members for all seats.
    """
    given: Counter[str] = Counter()
    claims = [(-math.inf, -size, group) for group, size in sizes.items()]
    heapq.heapify(claims)
    for _ in range(seats):
        _, _, group = claims[0]
        given[group] += 1
        claim = sizes[group] / math.sqrt(given[group] * (given[group] + 1))
        heapq.heapreplace(claims, (-claim, -sizes[group], group))
    return given


def _evenly(nodes: list[TraceNode], count: int) -> list[TraceNode]:
    # Spread over the list, because nodes that stand together in the trace are alike.
    return [nodes[place * len(nodes) // count] for place in range(count)]


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = (files("fleetfold_devices.simulation") / "data" / "openb" / name).read_text(encoding="utf-8")
    return iter(csv.DictReader(text.splitlines()))
