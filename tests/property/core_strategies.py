"""Small clusters, and all that may happen in them: few names, so that most of what happens meets something."""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from hypothesis import strategies as st
from tests.support.story import START

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Vendor
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import (
    WHOLE_GPU_MILLI,
    Allocation,
    Constraints,
    Host,
    HostAllocation,
    Obstacle,
    Reason,
    Shard,
    Workload,
)
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.state import At, State

NODES = ("n1", "n2", "n3")
DEVICES = ("d1", "d2", "d3", "d4", "d5")
WORKLOADS = ("w1", "w2", "w3")
WORKS = ("k1", "k2")

pools = st.sampled_from(("default", "default", "default", "elsewhere"))
boots = st.sampled_from(("b1", "b1", "b2"))
texts = st.sampled_from(("", "because"))
node_ids = st.sampled_from(NODES)
device_ids = st.sampled_from(DEVICES)
workload_ids = st.sampled_from(WORKLOADS)
work_ids = st.sampled_from(WORKS)
sizes = st.integers(0, 12)
"""Bytes, or milli CPUs: the small numbers of small clusters."""
gpu_millis = st.sampled_from((0, 0, 200, 500, 800, WHOLE_GPU_MILLI))
instants = st.integers(0, 10_000).map(lambda seconds: START + timedelta(seconds=seconds))

nodes = st.builds(Node, node_id=node_ids, boot_id=boots, hostname=st.just("host"), cpu_milli=sizes, memory_bytes=sizes)
capabilities = st.builds(
    Capabilities,
    device_id=device_ids,
    device_type=st.sampled_from((DeviceType.CUDA, DeviceType.ROCM)),
    device_name=st.just("GPU"),
    vendor=st.sampled_from((Vendor.NVIDIA, Vendor.AMD)),
    max_memory_bytes=sizes,
    model=st.sampled_from((None, "A10")),
)
shards = st.builds(Shard, memory_bytes=sizes, gpu_milli=gpu_millis)
links = st.builds(Link, ends=st.tuples(device_ids, device_ids), kind=st.sampled_from(LinkKind))


rarely = st.sampled_from((False, False, False, False, True))
"""Most workloads set few limits: else hardly any would find a place."""


def limited(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Seldom some of the names, mostly none."""
    return rarely.flatmap(
        lambda some: st.lists(st.sampled_from(names), unique=True).map(tuple) if some else st.just(())
    )


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Up to four shards, or none, under any constraints."""
    asked = tuple(draw(st.lists(shards, max_size=4)))
    host = draw(st.just(Host()) | st.builds(Host, cpu_milli=sizes, memory_bytes=sizes))
    if not asked and host == Host():
        host = Host(cpu_milli=1)
    limits = Constraints(
        device_types=(DeviceType.CUDA,) if draw(rarely) else (),
        vendors=(Vendor.NVIDIA,) if draw(rarely) else (),
        models=("A10",) if draw(rarely) else (),
        devices=draw(limited(DEVICES)),
        nodes=draw(limited(NODES)),
        forbidden_devices=draw(limited(DEVICES)),
        forbidden_nodes=draw(limited(NODES)),
        same_node=draw(st.booleans()) or (host != Host() and len(asked) > 1),
        one_shard_per_device=draw(st.booleans()),
    )
    return Workload(workload_id=draw(workload_ids), shards=asked, host=host, constraints=limits, pool=draw(pools))


allocations = st.builds(
    Allocation,
    shard_id=st.sampled_from(("0", "1", "2")),
    device_id=device_ids,
    node_id=node_ids,
    memory_bytes=sizes,
    gpu_milli=gpu_millis,
)
obstacles = st.builds(Obstacle, reason=st.sampled_from(Reason), count=st.integers(1, 3))


@st.composite
def distributions(draw: st.DrawFn) -> evt.WorkDistributed:
    """Items in runs over some devices; now and then one run is wrong."""
    assigned: list[evt.Assignment] = []
    reached = 0
    for device_id in draw(st.lists(device_ids, max_size=2)):
        first, count = reached + draw(rarely), draw(st.integers(0, 5))
        assigned.append(evt.Assignment(device_id=device_id, runs=((first, count),)))
        reached += count
    unassigned = draw(st.integers(0, 2))
    return evt.WorkDistributed(
        work_id=draw(work_ids),
        item_count=reached + unassigned,
        batch_size=2,
        assignments=tuple(assigned),
        unassigned=((reached, unassigned),),
    )


of_a_node = {"node_id": node_ids}
of_a_boot = {"node_id": node_ids, "boot_id": boots}
of_a_device = {"node_id": node_ids, "device_id": device_ids}
small = st.integers(0, 3)

EVENTS: dict[type[evt.Event], st.SearchStrategy[evt.Event]] = {
    evt.NodeJoined: st.builds(evt.NodeJoined, node=nodes),
    evt.NodeLeft: st.builds(evt.NodeLeft, **of_a_boot),
    evt.LivenessChanged: st.builds(
        evt.LivenessChanged, **of_a_boot, liveness=st.sampled_from(evt.Liveness), last_seen=instants
    ),
    evt.DeviceRegistered: st.builds(evt.DeviceRegistered, **of_a_node, capabilities=capabilities),
    evt.DeviceLost: st.builds(evt.DeviceLost, **of_a_device, reason=texts),
    evt.DeviceRecovered: st.builds(evt.DeviceRecovered, **of_a_device),
    evt.DeviceFaulted: st.builds(evt.DeviceFaulted, **of_a_device, code=texts, meaning=texts),
    evt.LinksObserved: st.builds(evt.LinksObserved, **of_a_node, links=st.lists(links, max_size=2).map(tuple)),
    evt.DeviceCordoned: st.builds(evt.DeviceCordoned, pool=pools, device_id=device_ids, reason=texts),
    evt.DeviceUncordoned: st.builds(evt.DeviceUncordoned, pool=pools, device_id=device_ids),
    evt.PlacementDecided: st.builds(
        evt.PlacementDecided,
        workload=workloads(),
        allocations=st.lists(allocations, max_size=3).map(tuple),
        host=st.none() | st.builds(HostAllocation, node_id=node_ids, cpu_milli=sizes, memory_bytes=sizes),
    ),
    evt.PlacementRefused: st.builds(
        evt.PlacementRefused, workload=workloads(), summary=texts, obstacles=st.lists(obstacles, max_size=1).map(tuple)
    ),
    evt.PlacementReleased: st.builds(evt.PlacementReleased, pool=pools, workload_id=workload_ids),
    evt.WorkDistributed: distributions(),
    evt.WorkDispatched: st.builds(evt.WorkDispatched, work_id=work_ids),
    evt.BatchFinished: st.builds(
        evt.BatchFinished,
        work_id=work_ids,
        device_id=device_ids,
        batch=small,
        item_count=st.integers(1, 2),
        failures=st.lists(st.builds(evt.ItemFailure, index=small, reason=texts), max_size=2).map(tuple),
    ),
    evt.WorkCompleted: st.builds(evt.WorkCompleted, work_id=work_ids, done=small, failed=small, unassigned=small),
    evt.CommandRejected: st.builds(evt.CommandRejected, verb=texts, reason=texts),
}
"""Each type of event, possible and impossible ones alike."""

readings = st.builds(
    Sample,
    device_id=device_ids,
    timestamp=instants,
    memory_used_bytes=st.none() | sizes,
    compute_utilization_percent=st.none() | st.floats(0, 100),
    temperature_celsius=st.none() | st.floats(0, 120),
)
samples = st.builds(
    NodeSample,
    node_id=node_ids,
    boot_id=boots,
    tick=st.integers(0, 20),
    samples=st.lists(readings, max_size=3).map(tuple),
)


class Step(NamedTuple):
    """One record of one of the two streams, and how it is to be found there."""

    record: evt.Event | NodeSample | None
    """`None`: an event that cannot be read."""
    cause: str | None
    pause_s: int


pauses_s = st.sampled_from((0, 1, 60, 86_400, 4 * 86_400))
causes = st.none() | st.sampled_from(("c1", "c2", "c3", "c4"))
steps = st.builds(Step, record=st.one_of(samples, st.none(), *EVENTS.values()), cause=causes, pause_s=pauses_s)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """A fleet joins, and then anything happens, each type of event as likely as any other."""
    fleet = [evt.NodeJoined(node=node) for node in draw(st.lists(nodes, max_size=3))]
    devices = [
        evt.DeviceRegistered(node_id=draw(node_ids), capabilities=device)
        for device in draw(st.lists(capabilities, max_size=4))
    ]
    joining = [Step(record=event, cause=None, pause_s=1) for event in (*fleet, *devices)]
    return joining + draw(st.lists(steps, max_size=40))


class Reader:
    """Folds the records of a history, as far as it is told to."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._now = START

    def read(self, history: Iterable[Step]) -> "Reader":
        """Fold all of it."""
        for step in history:
            self._now += timedelta(seconds=step.pause_s)
            self._fold(step)
        return self

    def _fold(self, step: Step) -> None:
        at = At(sequence=self.state.position + 1, time=self._now, cause=step.cause)
        if isinstance(step.record, NodeSample):
            fold_samples(self.state, step.record, self.state.samples_position + 1, self._now)
        elif step.record is None:
            park(self.state, at, "unreadable")
        else:
            fold(self.state, step.record, at)
