"""The whole cluster but for its devices: nodes, placements, works, links."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from fleetfold_contracts.answers import (
    LinksAnswer,
    LinksQuery,
    LinkView,
    NodeView,
    ParkedView,
    PlacementView,
    PoolView,
    QueuedView,
    StateAnswer,
    Summary,
    WorkView,
)
from fleetfold_contracts.ids import DEFAULT_POOL, NodeId
from fleetfold_contracts.shares import AggregatePart, StatePart
from fleetfold_core.state import NodeState, Placement, Queued, State, WorkState
from fleetfold_core.turns import in_order
from fleetfold_core.views._fitting import LIST_BYTES, QUEUE_BYTES, fitting, newest
from fleetfold_core.views._merging import merged
from fleetfold_core.views.figures import figures_of, tallies

PARKED_SHOWN = 5


def cluster(state: State) -> StateAnswer:
    """Everything but the devices."""
    return merged_cluster(state, [cluster_part(state)])


def cluster_part(state: State) -> StatePart:
    """What the telemetry of a state's nodes has to do with."""
    counts = _devices_by_node(state)
    views = (node_view(node, counts[node_id]) for node_id, node in sorted(state.nodes.items()))
    nodes, more = fitting(views, LIST_BYTES)
    return StatePart(position=state.position, tallies=tallies(state), nodes=nodes, more_nodes=more)


def merged_cluster(state: State, parts: Sequence[StatePart], silent: tuple[str, ...] = ()) -> StateAnswer:
    """Everything but the devices: what the log says, and what parts without a node in common say of their telemetry.

    `silent`: the shares that are not among them.
    """
    nodes, _ = merged([(part.nodes, part.more_nodes) for part in parts], key=lambda node: node.node_id)
    return StateAnswer(
        position=min(part.position for part in parts),
        summary=summary(state, parts, silent),
        pools=pools(state),
        nodes=fitting(nodes, LIST_BYTES)[0],
        placements=newest(map(placement_view, reversed(state.placements.values())), LIST_BYTES),
        queue=fitting(map(queued_view, in_order(state)), QUEUE_BYTES)[0],
        works=newest(map(_work, reversed(state.works.values())), LIST_BYTES),
        parked=tuple(ParkedView(sequence=one.sequence, reason=one.reason) for one in state.parked[-PARKED_SHOWN:]),
    )


def links(state: State, query: LinksQuery) -> LinksAnswer:
    """The links that a query asks for, in the order of the nodes that see them."""
    asked = sorted((id_, seen) for id_, seen in state.links.items() if query.node_id in (None, id_))
    return LinksAnswer(
        position=state.position,
        links=tuple(LinkView(node_id=id_, link=link) for id_, seen in asked for link in seen),
    )


def summary(state: State, parts: Iterable[StatePart | AggregatePart], silent: tuple[str, ...] = ()) -> Summary:
    """The cluster in figures, and what was decided on it. `silent`: the shares that are not among the parts."""
    figures = figures_of([tally for part in parts for tally in part.tallies])
    return Summary(
        **msgspec.structs.asdict(figures),
        node_count=len(state.nodes),
        placement_count=len(state.placements),
        refused_count=state.refused_count,
        rejected_count=state.rejected_count,
        unknown_event_count=state.parked_count,
        silent_shares=silent,
    )


def pools(state: State) -> tuple[PoolView, ...]:
    """The default pool and those that were made, in the order of their ids."""
    devices = Counter(map(state.pool_of, state.devices.values()))
    nodes = Counter(node.pool for node in state.nodes.values())
    placements = Counter(pool for pool, _ in state.placements)
    return tuple(
        PoolView(
            pool=pool,
            node_count=nodes[pool],
            device_count=devices[pool],
            placement_count=placements[pool],
            position=state.pool_positions.get(pool, 0),
        )
        for pool in sorted({DEFAULT_POOL, *state.pools})
    )


def _devices_by_node(state: State) -> Counter[NodeId]:
    return Counter(device.node_id for device in state.devices.values())


def node_view(node: NodeState, device_count: int) -> NodeView:
    """A node as it is shown."""
    return NodeView(
        node_id=node.node.node_id,
        hostname=node.node.hostname,
        liveness=node.liveness,
        pool=node.pool,
        last_seen=node.last_seen,
        cpu_milli=node.node.cpu_milli,
        memory_bytes=node.node.memory_bytes,
        reserved_cpu_milli=node.reserved_cpu_milli,
        reserved_memory_bytes=node.reserved_memory_bytes,
        device_count=device_count,
    )


def queued_view(queued: Queued) -> QueuedView:
    """A workload that waits."""
    return QueuedView(
        workload_id=queued.workload.workload_id,
        pool=queued.workload.pool,
        priority=queued.workload.priority,
        since=queued.since,
        deadline=queued.deadline,
        summary=queued.summary,
        kept_devices=queued.kept_devices,
        preempted_by=queued.preempted_by,
    )


def placement_view(placement: Placement) -> PlacementView:
    """A placement as it is shown."""
    degraded = placement.degraded
    return PlacementView(
        workload_id=placement.workload.workload_id,
        pool=placement.workload.pool,
        allocations=placement.allocations,
        host=placement.host,
        decided_at=placement.decided_at,
        degraded=degraded and "; ".join(filter(None, (degraded.reason, degraded.summary))),
    )


def _work(work: WorkState) -> WorkView:
    return WorkView(
        work_id=work.work_id,
        item_count=work.item_count,
        done=work.done,
        failed=work.failed,
        waiting=work.waiting,
        unassigned=work.unassigned,
        cancelled=work.cancelled,
        redone=work.redone,
        completed=work.completed,
    )
