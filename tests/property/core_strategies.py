"""Small clusters, and all that may happen in them: few names, so that most of what happens meets something."""

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Source
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Vendor
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.work_events import WORK_EVENT_TYPES
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
from fleetfold_core import runs
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.handing import failed_for_good, next_decision, taken_back
from fleetfold_core.state import At, NodeState, Placement, Queued, State, WorkState
from tests.support.story import START


def examples(count: int) -> settings:
    """So many examples, however slow the machine is: how long one takes is not what these tests are about."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


NODES = ("n1", "n2", "n3")
HOMES = {"d1": "n1", "d2": "n1", "d3": "n1", "d4": "n2", "d5": "n2"}
DEVICES = tuple(HOMES)
WORKLOADS = ("w1", "w2", "w3")
WORKS = ("k1", "k2")
TENANTS = ("t1", "t2")

pools = st.sampled_from(("default",) * 7 + ("elsewhere",))
boots = st.sampled_from(("b1", "b1", "b2"))
texts = st.sampled_from(("", "because"))
node_ids = st.sampled_from(NODES)
device_ids = st.sampled_from(DEVICES)
workload_ids = st.sampled_from(WORKLOADS)
work_ids = st.sampled_from(WORKS)
sizes = st.integers(0, 12)
"""Bytes, or milli CPUs: the small numbers of small clusters."""
tenants = st.sampled_from((None, *TENANTS))
gpu_millis = st.sampled_from((0, 0, 200, 500, 800, WHOLE_GPU_MILLI))
instants = st.integers(0, 10_000).map(lambda seconds: START + timedelta(seconds=seconds))


def a_small_node(node_id: str) -> Node:
    """A node with room for a few workloads."""
    return Node(node_id=node_id, boot_id="b1", hostname=node_id, cpu_milli=20, memory_bytes=20)


def a_small_device(device_id: str) -> Capabilities:
    """A device with room for a few shards."""
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.CUDA,
        device_name="GPU",
        vendor=Vendor.NVIDIA,
        max_memory_bytes=20,
    )


nodes = st.builds(Node, node_id=node_ids, boot_id=boots, hostname=st.just("host"), cpu_milli=sizes, memory_bytes=sizes)
capabilities = st.builds(
    Capabilities,
    device_id=device_ids,
    device_type=st.sampled_from((DeviceType.CUDA, DeviceType.ROCM)),
    device_name=st.just("GPU"),
    vendor=st.sampled_from((Vendor.NVIDIA, Vendor.AMD)),
    max_memory_bytes=st.integers(0, 16),
    model=st.sampled_from((None, "A10")),
)
shards = st.builds(Shard, memory_bytes=st.integers(0, 7), gpu_milli=gpu_millis)
links = st.builds(Link, ends=st.tuples(device_ids, device_ids), kind=st.sampled_from(LinkKind))


rarely = st.sampled_from((False,) * 7 + (True,))
"""Most workloads set few limits: else hardly any would find a place."""


def limited(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Seldom some of the names, mostly none."""
    return rarely.flatmap(
        lambda some: st.lists(st.sampled_from(names), unique=True).map(tuple) if some else st.just(())
    )


@st.composite
def workloads(draw: st.DrawFn, least_shards: int = 0) -> Workload:
    """Up to four shards under any constraints."""
    count = draw(st.integers(least_shards, 4))
    asked = tuple(draw(st.lists(shards, min_size=count, max_size=count)))
    host = draw(st.just(Host()) | st.just(Host()) | st.builds(Host, cpu_milli=sizes, memory_bytes=sizes))
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
        same_node=draw(st.sampled_from((False, False, True))) or (host != Host() and len(asked) > 1),
        one_shard_per_device=draw(st.booleans()),
    )
    return Workload(
        workload_id=draw(workload_ids),
        shards=asked,
        host=host,
        constraints=limits,
        tenant=draw(tenants),
        pool=draw(pools),
    )


allocations = st.builds(
    Allocation,
    shard_id=st.sampled_from(("0", "1", "2")),
    device_id=device_ids,
    node_id=node_ids,
    memory_bytes=sizes,
    gpu_milli=gpu_millis,
)
some_allocations = st.lists(allocations, max_size=3).map(tuple)
hosts = st.none() | st.builds(HostAllocation, node_id=node_ids, cpu_milli=sizes, memory_bytes=sizes)
obstacles = st.builds(Obstacle, reason=st.sampled_from(Reason), count=st.integers(1, 3))
some_obstacles = st.lists(obstacles, max_size=1).map(tuple)


@st.composite
def distributions(draw: st.DrawFn) -> evt.WorkDistributed:
    """Items in runs over some devices; now and then a device is named twice, or a run is not where it should be."""
    assigned: list[evt.Assignment] = []
    reached = 0
    for device_id in draw(st.lists(device_ids, max_size=2, unique=not draw(rarely))):
        first, count = reached, draw(st.integers(0, 5))
        assigned.append(evt.Assignment(device_id=device_id, runs=((first, count),)))
        reached += count
    unassigned = draw(st.integers(0, 2))
    return evt.WorkDistributed(
        work_id=draw(work_ids),
        item_count=reached + unassigned,
        batch_size=2,
        assignments=tuple(assigned),
        unassigned=((reached + draw(rarely), unassigned),),
        max_tries=2,
        retry_delay_s=1.0,
        source=Source(stream="SOURCE", subject="source") if draw(rarely) else None,
        source_end=2,
    )


of_a_workload = {"pool": pools, "workload_id": workload_ids}
of_a_node = {"node_id": node_ids}
of_a_boot = {"node_id": node_ids, "boot_id": boots}
on_a_node = st.sampled_from([*HOMES.items()] * 3 + [("d1", "n2"), ("d9", "n1")])
"""A device and its node; now and then another node than its own, or a device that is not there."""
small = st.integers(0, 3)
of_a_work = {"work_id": work_ids, "number": st.integers(1, 6)}
item_runs = st.tuples(small, st.integers(1, 2))
assignments = st.builds(evt.Assignment, device_id=device_ids, runs=st.lists(item_runs, max_size=2).map(tuple))
hand_outs = st.builds(
    evt.HandOut, device_id=device_ids, batch=small, runs=st.lists(item_runs, max_size=2).map(tuple), again=rarely
)

EVENTS: dict[type[evt.Event], st.SearchStrategy[evt.Event]] = {
    evt.NodeJoined: st.builds(evt.NodeJoined, node=nodes),
    evt.NodeLeft: st.builds(evt.NodeLeft, **of_a_boot),
    evt.LivenessChanged: st.builds(
        evt.LivenessChanged, **of_a_boot, liveness=st.sampled_from(evt.Liveness), last_seen=instants
    ),
    evt.DeviceRegistered: st.builds(evt.DeviceRegistered, **of_a_node, capabilities=capabilities),
    evt.DeviceLost: on_a_node.map(lambda at: evt.DeviceLost(node_id=at[1], device_id=at[0], reason="gone")),
    evt.DeviceRecovered: on_a_node.map(lambda at: evt.DeviceRecovered(node_id=at[1], device_id=at[0])),
    evt.DeviceFaulted: on_a_node.map(lambda at: evt.DeviceFaulted(node_id=at[1], device_id=at[0], code="79")),
    evt.LinksObserved: st.builds(evt.LinksObserved, **of_a_node, links=st.lists(links, max_size=2).map(tuple)),
    evt.DeviceCordoned: st.builds(evt.DeviceCordoned, pool=pools, device_id=device_ids, reason=texts),
    evt.DeviceUncordoned: st.builds(evt.DeviceUncordoned, pool=pools, device_id=device_ids),
    evt.NodeCordoned: st.builds(evt.NodeCordoned, pool=pools, node_id=node_ids, reason=texts),
    evt.NodeTransferred: st.builds(
        evt.NodeTransferred, pool=pools, to=pools, node_ids=st.lists(node_ids, min_size=1, max_size=2).map(tuple)
    ),
    evt.NodeUncordoned: st.builds(evt.NodeUncordoned, pool=pools, node_id=node_ids),
    evt.DeviceDrainStarted: st.builds(evt.DeviceDrainStarted, pool=pools, device_id=device_ids)
    | st.builds(evt.DeviceDrainStarted, pool=pools, node_id=node_ids),
    evt.DeviceDrainFinished: st.builds(evt.DeviceDrainFinished, pool=pools, device_id=device_ids)
    | st.builds(evt.DeviceDrainFinished, pool=pools, node_id=node_ids),
    evt.PlacementDecided: st.builds(
        evt.PlacementDecided,
        workload=workloads(),
        allocations=some_allocations,
        host=hosts,
        strategy=st.sampled_from(PlacementStrategy),
        preempted=rarely.flatmap(lambda some: st.lists(workload_ids, max_size=2).map(tuple) if some else st.just(())),
    ),
    evt.PlacementRefused: st.builds(
        evt.PlacementRefused, workload=workloads(), summary=texts, obstacles=some_obstacles, stays=rarely
    ),
    evt.PlacementQueued: st.builds(
        evt.PlacementQueued,
        workload=workloads(),
        summary=texts,
        obstacles=some_obstacles,
        preempt=st.booleans(),
        deadline_s=st.none() | st.just(60.0),
        kept_devices=st.lists(device_ids, max_size=2, unique=True).map(tuple),
        kept_node=st.none() | node_ids,
    ),
    evt.PlacementDegraded: st.builds(
        evt.PlacementDegraded, **of_a_workload, shard_ids=st.sampled_from(((), ("0",), ("1",))), reason=texts
    ),
    evt.PlacementMoved: st.builds(evt.PlacementMoved, **of_a_workload, allocations=some_allocations, host=hosts),
    evt.PlacementPreempted: st.builds(evt.PlacementPreempted, **of_a_workload, preempted_by=workload_ids),
    evt.PlacementReleased: st.builds(evt.PlacementReleased, **of_a_workload),
    evt.PlacementPreviewed: st.builds(evt.PlacementPreviewed),
    evt.QuotaSet: st.builds(evt.QuotaSet, pool=pools, tenant=st.sampled_from(TENANTS), gpu_milli=st.none() | sizes),
    evt.RebalanceProposed: st.builds(evt.RebalanceProposed, pool=pools),
    evt.WorkDistributed: distributions(),
    evt.WorkDrawn: st.builds(
        evt.WorkDrawn,
        **of_a_work,
        item_count=small,
        batch_size=st.integers(1, 2),
        through=small,
        assignments=st.just(()) | st.tuples(assignments),
        unassigned=st.just(()) | st.tuples(item_runs),
    ),
    evt.WorkDispatched: st.builds(
        evt.WorkDispatched, **of_a_work, batches=st.lists(hand_outs, min_size=1, max_size=2).map(tuple)
    ),
    evt.WorkReassigned: st.builds(
        evt.WorkReassigned,
        **of_a_work,
        device_id=device_ids,
        batches=st.lists(small, max_size=2).map(tuple),
        assignments=st.lists(assignments, max_size=2).map(tuple),
        silent=st.booleans(),
    ),
    evt.BatchFinished: st.builds(
        evt.BatchFinished,
        work_id=work_ids,
        device_id=device_ids,
        batch=small,
        item_count=st.integers(1, 2),
        failures=st.lists(st.builds(evt.ItemFailure, index=small, reason=texts), max_size=2).map(tuple),
    ),
    evt.ItemFailed: st.builds(evt.ItemFailed, work_id=work_ids, index=small, tries=st.just(())),
    evt.WorkProgressed: st.builds(evt.WorkProgressed, work_id=work_ids, item_count=small),
    evt.WorkCancelled: st.builds(evt.WorkCancelled, work_id=work_ids),
    evt.WorkRetried: st.builds(evt.WorkRetried, work_id=work_ids, items=st.tuples(item_runs)),
    evt.WorkCompleted: st.builds(evt.WorkCompleted, **of_a_work, done=small, failed=small, unassigned=small),
    evt.WorkerJoined: st.builds(evt.WorkerJoined, device_id=device_ids),
    evt.CommandRejected: st.builds(evt.CommandRejected, verb=texts, reason=texts),
}
"""Each type of event, possible and impossible ones alike."""

PLACEMENT_EVENTS = tuple(kind for kind, words in evt.TYPE_OF_EVENT.items() if words.startswith("placement."))
WORK_EVENTS = tuple(WORK_EVENT_TYPES.values())

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
# Drawn in two steps, so that a kind with few types happens as often as one with many.
anything = st.sampled_from(
    [
        samples,
        st.one_of(*(EVENTS[kind] for kind in EVENTS if kind not in (*PLACEMENT_EVENTS, *WORK_EVENTS))),
        st.one_of(*(EVENTS[kind] for kind in PLACEMENT_EVENTS), st.none()),
        st.one_of(*(EVENTS[kind] for kind in WORK_EVENTS)),
    ]
).flatmap(lambda kind: kind)


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


def sequels(state: State) -> list[list[evt.Event | NodeSample]]:
    """What goes on with, or ends, what is under way: for placements, for works, for nodes."""
    placed = [event for placement in state.all_placements() for event in placement_sequels(state, placement)]
    works = [event for work in state.works.values() for event in work_sequels(state, work)]
    ticks = [next_tick(state, node) for node in state.nodes.values()]
    waiting = [event for queued in state.queue.values() for event in queue_sequels(queued)]
    return [[*placed], [*waiting], [*works], [*ticks]]


def placement_sequels(state: State, placement: Placement) -> list[evt.Event]:
    """It is released, degraded, moved to whatever devices, preempted by another."""
    pool, workload_id = placement.workload.pool, placement.workload.workload_id
    shard_ids = tuple(allocation.shard_id for allocation in placement.allocations)
    elsewhere = tuple(
        replace(allocation, device_id=device_id)
        for allocation, device_id in zip(placement.allocations, reversed(state.devices), strict=False)
    )
    return [
        evt.PlacementReleased(pool=pool, workload_id=workload_id),
        evt.PlacementDegraded(pool=pool, workload_id=workload_id, shard_ids=shard_ids[:1]),
        evt.PlacementMoved(pool=pool, workload_id=workload_id, allocations=elsewhere, host=placement.host),
        evt.PlacementDecided(
            workload=Workload(workload_id="w9", shards=(Shard(),), pool=pool),
            allocations=tuple(replace(allocation, shard_id="0") for allocation in placement.allocations[:1]),
            preempted=(workload_id,),
        ),
    ]


def queue_sequels(queued: Queued) -> list[evt.Event]:
    """It is placed, refused, released; or it is said that it was preempted."""
    workload, by = queued.workload, queued.preempted_by or "w9"
    pool, workload_id = workload.pool, workload.workload_id
    return [
        evt.PlacementDecided(workload=workload),
        evt.PlacementRefused(workload=workload, summary="too late"),
        evt.PlacementPreempted(pool=pool, workload_id=workload_id, preempted_by=by),
        evt.PlacementReleased(pool=pool, workload_id=workload_id),
    ]


def next_tick(state: State, node: NodeState) -> NodeSample:
    """What a node samples next, with readings that go up and down."""
    tick = node.last_tick + 1
    sampled = (
        Sample(device_id=device_id, timestamp=START, memory_used_bytes=tick * 7 % 20)
        for device_id, device in state.devices.items()
        if device.node_id == node.node.node_id
    )
    return NodeSample(node_id=node.node.node_id, boot_id=node.node.boot_id, tick=tick, samples=tuple(sampled))


def work_sequels(state: State, work: WorkState) -> list[evt.Event]:
    """What a distributor decides, and what workers say of each batch: in one of three the first item has failed."""
    later = START + timedelta(days=1000)
    decision = next_decision(state, work, later)
    drawn = evt.WorkDrawn(
        work_id=work.work_id,
        number=work.decisions + 1,
        item_count=1,
        batch_size=1,
        through=work.drawn_through + 1,
        assignments=(evt.Assignment(device_id="d1", runs=((work.item_count, 1),)),),
    )
    told = [
        evt.BatchFinished(
            work_id=work.work_id,
            device_id=device_id,
            batch=number,
            item_count=runs.size(batch.runs),
            failures=() if number % 3 else (evt.ItemFailure(index=batch.runs[0][0], reason="bad"),),
            seconds=1.0,
        )
        for device_id, lane in work.lanes.items()
        for number, batch in lane.handed.items()
    ]
    failed = [
        evt.ItemFailed(work_id=work.work_id, index=item, tries=tuple(work.troubles[item].tries))
        for item in failed_for_good(work)
    ]
    back = [
        taken_back(state, work, device_id, list(lane.handed), later, reason="", silent=len(lane.handed) > 1)
        for device_id, lane in work.lanes.items()
        if lane.handed
    ]
    retried = [evt.WorkRetried(work_id=work.work_id, items=((item, 1),)) for item in work.dead]
    decided = ([] if decision is None else [decision]) * 3
    return [*decided, *([] if work.drawn else [drawn]), *told, *failed, *back, *retried]


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """A fleet joins, and then anything happens: the sequel of something, or any event, possible or not."""
    history = [
        *(Step(evt.NodeJoined(node=a_small_node(node_id)), None, 1) for node_id in NODES),
        *(Step(evt.DeviceRegistered(node_id=HOMES[id_], capabilities=a_small_device(id_)), None, 1) for id_ in DEVICES),
    ]
    reader = Reader().read(history)
    for _ in range(draw(st.integers(0, 40))):
        going_on = [st.sampled_from(events) for events in sequels(reader.state) if events]
        record = draw(draw(st.sampled_from([anything, *going_on])))
        history.append(Step(record, draw(causes), draw(pauses_s)))
        reader.read(history[-1:])
    return history


class Cluster(NamedTuple):
    """A cluster that stands still, in parts whose inner order is of no matter."""

    nodes: list[Node]
    devices: list[evt.DeviceRegistered]
    samples: list[NodeSample]
    since: list[evt.Event]

    def state(self) -> State:
        """What comes of telling all of it."""
        joining = [evt.NodeJoined(node=node) for node in self.nodes]
        records = (*joining, *self.devices, *self.samples, *self.since)
        return Reader().read(Step(record, None, 1) for record in records).state


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Up to three nodes and five devices, partly in use, seldom out of order."""
    hosts = [
        Node(node_id=node_id, boot_id="b1", hostname=node_id, cpu_milli=draw(sizes), memory_bytes=draw(sizes))
        for node_id in draw(st.lists(node_ids, min_size=1, unique=True))
    ]
    homes = st.sampled_from([node.node_id for node in hosts])
    fleet = [
        evt.DeviceRegistered(node_id=draw(homes), capabilities=replace(draw(capabilities), device_id=device_id))
        for device_id in DEVICES[: draw(st.sampled_from((0, 2, 3, 4, 5)))]
    ]
    samples = [draw(sample_of(device, tick)) for tick, device in enumerate(fleet) if draw(st.booleans())]
    sitting = [draw(sitter_on(device)) for device in fleet if draw(st.booleans())]
    trouble = [draw(trouble_of(device)) for device in fleet if draw(rarely)]
    return Cluster(hosts, fleet, samples, [*sitting, *trouble])


@st.composite
def sample_of(draw: st.DrawFn, device: evt.DeviceRegistered, tick: int) -> NodeSample:
    """Readings of one device."""
    sample = replace(draw(readings), device_id=device.capabilities.device_id)
    return NodeSample(node_id=device.node_id, boot_id="b1", tick=tick, samples=(sample,))


@st.composite
def sitter_on(draw: st.DrawFn, device: evt.DeviceRegistered) -> evt.PlacementDecided:
    """A workload that sits on a device; it is parked where it has no room."""
    allocation = Allocation(
        shard_id="0",
        device_id=device.capabilities.device_id,
        node_id=device.node_id,
        memory_bytes=draw(st.integers(0, 4)),
        gpu_milli=draw(gpu_millis),
    )
    workload = Workload(workload_id=f"on-{allocation.device_id}", shards=(Shard(),))
    return evt.PlacementDecided(workload=workload, allocations=(allocation,))


@st.composite
def trouble_of(draw: st.DrawFn, device: evt.DeviceRegistered) -> evt.Event:
    """What takes a device, or its node, out of use."""
    device_id, node_id = device.capabilities.device_id, device.node_id
    return draw(
        st.sampled_from(
            [
                evt.DeviceCordoned(pool="default", device_id=device_id),
                evt.DeviceLost(node_id=node_id, device_id=device_id),
                evt.DeviceFaulted(node_id=node_id, device_id=device_id, code="79"),
                evt.NodeLeft(node_id=node_id, boot_id="b1"),
            ]
        )
    )
