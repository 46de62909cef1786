"""The openb trace as a log: its nodes join, its jobs arrive in an order that a seed shuffles."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.inventory import Capabilities, DeviceType, Node, Vendor
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Workload
from fleetfold_core.check import check
from fleetfold_core.fleet import Fleets
from fleetfold_core.fold import fold
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import At, Refusal, State
from fleetfold_core.touched import touched
from fleetfold_devices.simulation.trace import TraceNode, job, trace_jobs, trace_nodes

TRACES = ("default", "cpu250", "gpushare80", "gpushare100", "gpuspec10", "gpuspec33", "multigpu20", "multigpu50")
DATA = Path(__file__).parent / "data" / "openb"
START = datetime(2023, 1, 1, tzinfo=UTC)
GPU_BYTES = 16 * 1024**3
"""The trace tells nothing of the GPUs' memory, and its jobs ask for none."""


class Cluster:
    """The trace's nodes, and what becomes of jobs on them: solved, checked and folded, as a service does."""

    def __init__(
        self, order: np.random.Generator | None = None, *, times: int = 1, of: Sequence[TraceNode] | None = None
    ) -> None:
        """`order` shuffles the nodes, of which the first wins where several are as good; each is there so often."""
        self.state = State()
        self.fleets = Fleets(self.state)
        nodes = sorted(of or trace_nodes(), key=lambda node: node.name)
        if order is not None:
            places: list[int] = order.permutation(len(nodes)).tolist()
            nodes = [nodes[place] for place in places]
        self.capacity_milli: int = times * sum(node.gpu_count for node in nodes) * WHOLE_GPU_MILLI
        for place, node in enumerate(node for node in nodes for _ in range(times)):
            self._join(f"n{place:05}", node)
        self.used_milli = 0
        self.fleets.of(DEFAULT_POOL)

    def tell(self, event: evt.Event) -> None:
        """Let something happen."""
        self.fleets.follow(touched(self.state, event))
        fold(self.state, event, At(sequence=self.state.position + 1, time=START))
        assert not self.state.parked_count, self.state.parked

    def solve(self, workload: Workload, strategy: PlacementStrategy) -> Plan | Refusal:
        """What the solver says of a workload now."""
        return solve(self.state, workload, strategy=strategy, fleets=self.fleets)

    def settle(self, workload: Workload, answer: Plan | Refusal) -> None:
        """Let it be decided so."""
        if isinstance(answer, Refusal):
            self.tell(evt.PlacementRefused(workload=workload, summary=answer.summary))
            return
        assert not check(self.state, workload, answer)
        self.tell(evt.PlacementDecided(workload=workload, allocations=answer.allocations, host=answer.host))
        self.used_milli += asked_milli(workload)

    def _join(self, node_id: str, node: TraceNode) -> None:
        host = Node(
            node_id=node_id,
            boot_id="b",
            hostname=node.name,
            cpu_milli=node.cpu_milli,
            memory_bytes=node.memory_bytes,
        )
        self.tell(evt.NodeJoined(node=host))
        for place in range(node.gpu_count):
            gpu = Capabilities(
                device_id=f"{node_id}-{place}",
                device_type=DeviceType.CUDA,
                device_name=node.model,
                vendor=Vendor.OTHER,
                max_memory_bytes=GPU_BYTES,
                model=node.model,
            )
            self.tell(evt.DeviceRegistered(node_id=node_id, capabilities=gpu))


def asked_milli(workload: Workload) -> int:
    """The share of GPUs that a job asks for."""
    return sum(shard.gpu_milli for shard in workload.shards)


@cache
def jobs(trace: str) -> tuple[Workload, ...]:
    """All jobs of one of `TRACES`, in the order of their names."""
    listed = trace_jobs() if trace == "default" else map(job, rows(trace))
    return tuple(sorted(listed, key=lambda workload: workload.workload_id))


def rows(trace: str) -> Iterator[dict[str, str]]:
    """A list of jobs as it was published."""
    with gzip.open(DATA / f"openb_pod_list_{trace}.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {"gpu_spec": "", **row}  # some of the lists have no such column


def arrivals(listed: tuple[Workload, ...], until_milli: float, order: np.random.Generator) -> Iterator[Workload]:
    """Jobs in the published experiment's order, until they ask for so much.

    All are shuffled. Are they too many, some are taken out by chance; are they too few, they are drawn again by chance.
    """
    places: list[int] = order.permutation(len(listed)).tolist()
    queue = [listed[place] for place in places]
    asked = sum(map(asked_milli, queue))
    while asked > until_milli:
        asked -= asked_milli(queue.pop(int(order.integers(len(queue)))))
    yield from queue
    for number in range(len(queue) * 100):
        drawn = listed[int(order.integers(len(listed)))]
        # The experiment compares with the share of one GPU, also where a job asks for several.
        if asked + max((shard.gpu_milli for shard in drawn.shards), default=0) > until_milli:
            return
        asked += asked_milli(drawn)
        yield replace(drawn, workload_id=f"{drawn.workload_id}-{number}")
