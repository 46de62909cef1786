"""What each key holds. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator

from fleetfold_contracts import codec
from fleetfold_contracts.ids import NodeId
from fleetfold_core.state import State
from fleetfold_core.touched import Touched
from fleetfold_core.views.cluster import node_view, placement_view
from fleetfold_core.views.devices import view_of

SUMMARY = "summary"
_PLACEMENT, _NODE, _DEVICE = "placement", "node", "device"


def keys_of(touched: Touched) -> Iterator[str]:
    """The keys of what a record touches."""
    return _keys(touched.placements, touched.nodes, touched.devices)


def all_keys(state: State) -> Iterator[str]:
    """Every key that there is to be, but the summary's."""
    return _keys(state.placements, state.nodes, state.devices)


def device_keys(state: State, nodes: set[NodeId]) -> Iterator[str]:
    """The keys of the devices of some nodes."""
    return (f"{_DEVICE}.{id_}" for id_, device in state.devices.items() if device.node_id in nodes)


class Documents:
    """What the keys hold at one moment."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._device_counts = Counter(device.node_id for device in state.devices.values())

    def owner(self, key: str) -> str:
        """By whose name a share of the fleet has a key: a device is its node's, all else is its own."""
        kind, _, name = key.partition(".")
        device = self._state.devices.get(name) if kind == _DEVICE else None
        return name if device is None else device.node_id

    def document(self, key: str) -> bytes | None:
        """What a key holds; None for something that is gone."""
        kind, _, name = key.partition(".")
        if kind == _DEVICE:
            device = self._state.devices.get(name)
            return None if device is None else codec.encode(view_of(self._state, device))
        if kind == _NODE:
            node = self._state.nodes.get(name)
            return None if node is None else codec.encode(node_view(node, self._device_counts[name]))
        pool, _, workload_id = name.partition(".")
        placement = self._state.placements.get((pool, workload_id))
        return None if placement is None else codec.encode(placement_view(placement))


def _keys(placements: Iterable[tuple[str, str]], nodes: Iterable[str], devices: Iterable[str]) -> Iterator[str]:
    # What was decided comes before what was read, for whoever takes them in this order.
    yield from (f"{_PLACEMENT}.{pool}.{workload_id}" for pool, workload_id in placements)
    yield from (f"{_NODE}.{node_id}" for node_id in nodes)
    yield from (f"{_DEVICE}.{device_id}" for device_id in devices)
