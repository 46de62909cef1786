"""The topology: nodes, their devices and links, and what follows from all links together."""

from collections.abc import Iterator

from fleetfold_contracts.figures import TopologyAnswer, TopologyFigures, TopologyNode, TopologyQuery
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.inventory import Link
from fleetfold_core.state import State
from fleetfold_core.topology import topology_figures
from fleetfold_core.views._fitting import WHOLE_BYTES, fitting


class KeptFigures:
    """The figures of a state's links, computed anew only when links or devices are others."""

    def __init__(self) -> None:
        self._links: list[tuple[Link, ...]] = []
        self._device_count = 0
        self._figures = TopologyFigures()

    def of(self, state: State) -> TopologyFigures:
        """The figures as they are now."""
        links = list(state.links.values())
        if (links, len(state.devices)) != (self._links, self._device_count):
            homes = {device_id: device.node_id for device_id, device in state.devices.items()}
            self._figures = topology_figures((link for seen in links for link in seen), homes)
            self._links, self._device_count = links, len(state.devices)
        return self._figures


def topology(state: State, query: TopologyQuery, figures: KeptFigures | None = None) -> TopologyAnswer:
    """The part of the topology that a query asks for. Who asks often keeps the `figures`."""
    shown, more = fitting(_nodes(state, query), WHOLE_BYTES)
    return TopologyAnswer(
        position=state.position,
        figures=(figures or KeptFigures()).of(state),
        nodes=shown,
        next_after=shown[-1].node_id if more else None,
    )


def _nodes(state: State, query: TopologyQuery) -> Iterator[TopologyNode]:
    devices: dict[NodeId, list[DeviceId]] = {}
    for device_id, device in state.devices.items():
        devices.setdefault(device.node_id, []).append(device_id)
    for node_id in sorted(state.nodes):
        if query.node_id in (None, node_id) and (query.after is None or node_id > query.after):
            ids = tuple(sorted(devices.get(node_id, ())))
            yield TopologyNode(node_id=node_id, device_ids=ids, links=state.links.get(node_id, ()))
