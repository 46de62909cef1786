"""What `/api/gpu/…` answers: devices in a few figures, and how they hang together."""

from collections import defaultdict

from fleetfold_client import Fleet
from fleetfold_contracts.answers import DevicesQuery, DeviceView, NodeView, StateQuery
from fleetfold_contracts.figures import TopologyQuery
from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Link
from fleetfold_gateway.http.views import AtLeast, DeviceRow, DeviceRows, GpuLink, GpuNode, GpuTopology

MEGABYTE = 1024 * 1024


async def devices(fleet: Fleet, query: AtLeast) -> DeviceRows:
    """Every device in a few figures."""
    answer = await fleet.devices(DevicesQuery(at_least=query.at_least))
    return DeviceRows(position=answer.position, devices=tuple(map(row, answer.devices)))


async def topology(fleet: Fleet, query: AtLeast) -> GpuTopology:
    """Nodes, devices and links. All three stand for one log position or later ones, the answer for the first."""
    answer = await fleet.devices(DevicesQuery(at_least=query.at_least))
    joined = await fleet.topology(TopologyQuery(at_least=answer.position))
    state = await fleet.state(StateQuery(at_least=answer.position))
    on_node: dict[NodeId, list[DeviceView]] = defaultdict(list)
    for device in answer.devices:
        on_node[device.node_id].append(device)
    return GpuTopology(
        position=answer.position,
        nodes=tuple(_node(node, on_node[node.node_id]) for node in state.nodes),
        links=tuple(_link(node.node_id, link) for node in joined.nodes for link in node.links),
    )


def row(device: DeviceView) -> DeviceRow:
    """A device in a few figures."""
    sample = device.sample
    total_bytes = (sample and sample.memory_total_bytes) or device.capabilities.max_memory_bytes
    return DeviceRow(
        device_id=device.capabilities.device_id,
        node_id=device.node_id,
        memory_used_mb=_megabytes(sample and sample.memory_used_bytes),
        memory_total_mb=_megabytes(total_bytes),
        temperature_c=sample and sample.temperature_celsius,
        utilization_percent=sample and sample.compute_utilization_percent,
    )


def _node(node: NodeView, devices: list[DeviceView]) -> GpuNode:
    return GpuNode(
        node_id=node.node_id, hostname=node.hostname, liveness=node.liveness, devices=tuple(map(row, devices))
    )


def _link(seen_by: NodeId, link: Link) -> GpuLink:
    source, target = link.ends
    return GpuLink(
        source=source,
        target=target,
        kind=link.kind,
        seen_by=seen_by,
        bandwidth_gbps=link.bandwidth_gbps,
        latency_us=link.latency_us,
        peer_to_peer=link.peer_to_peer,
    )


def _megabytes(count_bytes: int | None) -> float | None:
    return None if count_bytes is None else round(count_bytes / MEGABYTE, 1)
