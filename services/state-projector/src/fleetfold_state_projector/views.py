"""The state as it is shown: answers to `devices`, `state` and `explain`. Pure."""

from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from typing import TypeVar

from fleetfold_contracts import answers, codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_core.explain import explain as explain_refusal
from fleetfold_core.score import score
from fleetfold_core.state import DeviceState, NodeState, Placement, Refusal, State, WorkState

View = TypeVar("View")

DEVICES_BYTES = 700_000
LIST_BYTES = 250_000
"""An answer must fit into one message, of which the server takes 1 MiB."""


def devices(state: State, query: answers.DevicesQuery) -> answers.DevicesAnswer:
    """The devices that a query asks for, in the order of their ids."""
    asked = sorted(device_id for device_id, device in state.devices.items() if _asked_for(device_id, device, query))
    shown = _fitting((_device(state, device_id, state.devices[device_id]) for device_id in asked), DEVICES_BYTES)
    cut = len(shown) < len(asked)
    return answers.DevicesAnswer(
        position=state.position, devices=shown, next_after=shown[-1].capabilities.device_id if cut else None
    )


def cluster(state: State) -> answers.StateAnswer:
    """Everything but the devices."""
    counts = _devices_by_node(state)
    nodes = (_node(node, counts[node_id]) for node_id, node in sorted(state.nodes.items()))
    return answers.StateAnswer(
        position=state.position,
        summary=summary(state),
        nodes=_fitting(nodes, LIST_BYTES),
        placements=_newest(map(_placement, reversed(state.placements.values())), LIST_BYTES),
        works=_newest(map(_work, reversed(state.works.values())), LIST_BYTES),
    )


def links(state: State, query: answers.LinksQuery) -> answers.LinksAnswer:
    """The links that a query asks for, in the order of the nodes that see them."""
    asked = sorted((id_, seen) for id_, seen in state.links.items() if query.node_id in (None, id_))
    return answers.LinksAnswer(
        position=state.position,
        links=tuple(answers.LinkView(node_id=id_, link=link) for id_, seen in asked for link in seen),
    )


def explain(state: State, query: answers.ExplainQuery) -> answers.ExplainAnswer:
    """Why a workload sits where it sits, or nowhere.

    Raises:
        ContractError: nothing is known of it.
    """
    placement = state.placement(query.pool, query.workload_id)
    if placement is not None:
        return _explain_placement(state, query, placement)
    refusal = state.refusal(query.pool, query.workload_id)
    if refusal is not None:
        return _explain_refusal(state, query, refusal)
    if (query.pool, query.workload_id) in state.released:
        return _explain_release(state, query)
    raise ContractError(f"nothing is known of a workload {query.workload_id!r}", "$.workload_id")


def summary(state: State) -> answers.Summary:
    """The cluster in figures."""
    every = list(state.devices.values())
    samples = [device.sample for device in every if device.sample is not None]
    return answers.Summary(
        device_count=len(every),
        node_count=len(state.nodes),
        total_memory_bytes=sum(device.capabilities.max_memory_bytes for device in every),
        used_memory_bytes=sum(sample.memory_used_bytes or 0 for sample in samples),
        average_utilization_percent=_mean(sample.compute_utilization_percent for sample in samples),
        average_temperature_celsius=_mean(sample.temperature_celsius for sample in samples),
        total_power_watts=_total(sample.power_watts for sample in samples),
        placement_count=sum(1 for _ in state.all_placements()),
        refused_count=state.refused_count,
        rejected_count=state.rejected_count,
        unknown_event_count=state.parked_count,
    )


def _fitting(views: Iterable[View], budget_bytes: int) -> tuple[View, ...]:
    """The first of the views, as many as fit."""
    shown: list[View] = []
    for view in views:
        budget_bytes -= len(codec.encode(view)) + 1
        if budget_bytes < 0:
            break
        shown.append(view)
    return tuple(shown)


def _newest(views: Iterable[View], budget_bytes: int) -> tuple[View, ...]:
    """The views that come newest first, as many as fit, the oldest of them first."""
    return _fitting(views, budget_bytes)[::-1]


def _asked_for(device_id: DeviceId, device: DeviceState, query: answers.DevicesQuery) -> bool:
    capabilities = device.capabilities
    return (
        (query.after is None or device_id > query.after)
        and query.vendor in (None, capabilities.vendor)
        and query.device_type in (None, capabilities.device_type)
        and query.node_id in (None, device.node_id)
    )


def _device(state: State, device_id: DeviceId, device: DeviceState) -> answers.DeviceView:
    return answers.DeviceView(
        node_id=device.node_id,
        capabilities=device.capabilities,
        liveness=state.nodes[device.node_id].liveness,
        sample=device.sample,
        score=score(device).value,
        lost=device.lost,
        fault=device.fault,
        cordoned=device.cordoned,
        free_bytes=device.free_bytes,
        reserved_bytes=device.reserved_bytes,
        reserved_milli=device.reserved_milli,
        workloads=state.workloads_on(device_id),
    )


def _devices_by_node(state: State) -> Counter[NodeId]:
    return Counter(device.node_id for device in state.devices.values())


def _node(node: NodeState, device_count: int) -> answers.NodeView:
    return answers.NodeView(
        node_id=node.node.node_id,
        hostname=node.node.hostname,
        liveness=node.liveness,
        last_seen=node.last_seen,
        cpu_milli=node.node.cpu_milli,
        memory_bytes=node.node.memory_bytes,
        reserved_cpu_milli=node.reserved_cpu_milli,
        reserved_memory_bytes=node.reserved_memory_bytes,
        device_count=device_count,
    )


def _placement(placement: Placement) -> answers.PlacementView:
    return answers.PlacementView(
        workload_id=placement.workload.workload_id,
        pool=placement.workload.pool,
        allocations=placement.allocations,
        host=placement.host,
        decided_at=placement.decided_at,
    )


def _work(work: WorkState) -> answers.WorkView:
    return answers.WorkView(
        work_id=work.work_id,
        item_count=work.item_count,
        done=work.done,
        failed=work.failed,
        waiting=work.item_count - work.done - work.failed - work.unassigned,
        unassigned=work.unassigned,
        completed=work.completed,
    )


def _explain_placement(state: State, query: answers.ExplainQuery, placement: Placement) -> answers.ExplainAnswer:
    devices = len({allocation.device_id for allocation in placement.allocations})
    return answers.ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="placed",
        summary=f"{len(placement.allocations)} shards on {devices} devices",
        allocations=placement.allocations,
    )


def _explain_refusal(state: State, query: answers.ExplainQuery, refusal: Refusal) -> answers.ExplainAnswer:
    return answers.ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="refused",
        summary=refusal.summary,
        obstacles=refusal.obstacles,
        verdicts=_fitting(explain_refusal(state, refusal.workload), DEVICES_BYTES),
    )


def _explain_release(state: State, query: answers.ExplainQuery) -> answers.ExplainAnswer:
    released_at = state.released[query.pool, query.workload_id]
    return answers.ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="released",
        summary=f"gave back what it held at {released_at:%Y-%m-%d %H:%M:%S} UTC",
    )


def _mean(readings: Iterable[float | None]) -> float | None:
    there = [reading for reading in readings if reading is not None]
    return fmean(there) if there else None


def _total(readings: Iterable[float | None]) -> float | None:
    there = [reading for reading in readings if reading is not None]
    return sum(there) if there else None
