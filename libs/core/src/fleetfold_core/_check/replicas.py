"""Whether the shards of a replica are as near each other as was asked, and replicas as far."""

from collections.abc import Iterator, Mapping, Sequence

from fleetfold_contracts.inventory import RACK_LABEL, Link
from fleetfold_contracts.workloads import Allocation, Neighbours, Spread, Workload
from fleetfold_core.state import State


def check_replicas(state: State, workload: Workload, allocations: Sequence[Allocation]) -> Iterator[str]:
    """What is wrong with where the replicas sit; their shards follow each other, replica by replica."""
    count = max(1, len(allocations) // workload.replicas)
    replicas = [allocations[first : first + count] for first in range(0, len(allocations), count)]
    for replica in replicas:
        yield from _faults_within(state, workload, replica)
    yield from _faults_between(state, workload.spread, replicas)


def _faults_within(state: State, workload: Workload, replica: Sequence[Allocation]) -> Iterator[str]:
    constraints = workload.constraints
    if constraints.same_node and len({allocation.node_id for allocation in replica}) > 1:
        yield "several nodes are used, and it must be one"
    racks = _racks(state, replica)
    if constraints.same_rack and (len(racks) > 1 or None in racks):
        yield "several racks are used, or one that is not known, and it must be one"
    if constraints.neighbours is not None:
        yield from _far_neighbours(state, constraints.neighbours, replica)


def _racks(state: State, replica: Sequence[Allocation]) -> set[str | None]:
    nodes = (state.nodes.get(allocation.node_id) for allocation in replica)
    return {node.node.labels.get(RACK_LABEL) if node is not None else None for node in nodes}


LinksBetween = Mapping[frozenset[str], Sequence[Link]]


def _far_neighbours(state: State, asked: Neighbours, replica: Sequence[Allocation]) -> Iterator[str]:
    links = _links_among(state, replica)
    followers = [*replica[1:], *(replica[:1] if asked.ring else ())]
    for one, other in zip(replica, followers, strict=False):
        if not _are_near(links, asked, one, other):
            yield f"shards {one.shard_id} and {other.shard_id} are neighbours without a link that is good enough"


def _are_near(links: LinksBetween, asked: Neighbours, one: Allocation, other: Allocation) -> bool:
    if one.device_id == other.device_id:
        return True
    between_devices = links.get(frozenset((one.device_id, other.device_id)), ())
    if one.node_id == other.node_id:
        return not between_devices or any(_suffices(link, asked) for link in between_devices)
    between_nodes = links.get(frozenset((one.node_id, other.node_id)), ())
    return any(_suffices(link, asked) for link in (*between_devices, *between_nodes))


def _links_among(state: State, replica: Sequence[Allocation]) -> LinksBetween:
    used = {allocation.device_id for allocation in replica} | {allocation.node_id for allocation in replica}
    among: dict[frozenset[str], list[Link]] = {}
    for link in (link for links in state.links.values() for link in links):
        if used.issuperset(link.ends):
            among.setdefault(frozenset(link.ends), []).append(link)
    return among


def _suffices(link: Link, asked: Neighbours) -> bool:
    if asked.min_bandwidth_gbps is not None and (link.bandwidth_gbps or -1.0) < asked.min_bandwidth_gbps:
        return False
    return asked.max_latency_us is None or (link.latency_us is not None and link.latency_us <= asked.max_latency_us)


def _faults_between(state: State, spread: Spread, replicas: Sequence[Sequence[Allocation]]) -> Iterator[str]:
    taken: set[str | None] = set()
    for replica in replicas:
        nodes: set[str | None] = {allocation.node_id for allocation in replica}
        used = {Spread.NONE: set[str | None](), Spread.NODE: nodes, Spread.RACK: _racks(state, replica)}[spread]
        if used & taken or None in used:
            yield f"two replicas share a {spread}, or its {spread} is not known"
        taken |= used
