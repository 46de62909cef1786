"""Which devices may be neighbours: devices, or whole nodes, that are linked alike are one region.

Fleets are full of nodes that see each other and the same others, such as those of a rack. So the links of a thousand
devices come down to those of a few regions, and no pair of devices is ever looked at.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fleetfold_contracts.inventory import Link
from fleetfold_contracts.workloads import Neighbours
from fleetfold_core.state import State

Place = tuple[str, str]
"""A device: its node's id, and its own."""


class Regions(NamedTuple):
    """Spots by region. Spots of one region may be neighbours, and so may those of regions that are near each other."""

    of_spot: tuple[int, ...]
    near: tuple[tuple[int, ...], ...]
    """For each region those that are near it, itself among them."""

    def are_near(self, spot: int, other: int) -> bool:
        """Whether two spots may be neighbours."""
        return self.of_spot[other] in self.near[self.of_spot[spot]]


def regions(state: State, neighbours: Neighbours | None, places: Sequence[Place]) -> Regions:
    """The regions of some devices; one for all of them where neighbours are of no matter."""
    if neighbours is None:
        return Regions((0,) * len(places), ((0,),) if places else ())
    near = _near_units(state, neighbours, places)
    numbers: dict[frozenset[str], int] = {}
    # Two units that are near each other and the same others have the same set, and only they.
    region_of = {unit: numbers.setdefault(frozenset(around), len(numbers)) for unit, around in near.items()}
    units = {region: unit for unit, region in region_of.items()}
    around = (sorted({region_of[unit] for unit in near[units[region]]}) for region in range(len(numbers)))
    of_spot = tuple(region_of[device_id if device_id in near else node_id] for node_id, device_id in places)
    return Regions(of_spot, tuple(map(tuple, around)))


def _near_units(state: State, neighbours: Neighbours, places: Sequence[Place]) -> dict[str, set[str]]:
    """What is near each unit: a node, or each device of a node of which links between devices say more."""
    node_of = {device_id: node_id for node_id, device_id in places}
    verdicts = _verdicts(state, neighbours, node_of)
    split = {
        node_of[end]
        for pair, good in verdicts.items()
        for end in pair
        if end in node_of and _tells(pair, good, node_of)
    }
    devices_of: dict[str, list[str]] = {}
    for node_id, device_id in places:
        devices_of.setdefault(node_id, []).append(device_id)
    units = {node_id: devices if node_id in split else [node_id] for node_id, devices in devices_of.items()}
    near = {unit: {unit} for members in units.values() for unit in members}
    for node_id in split & units.keys():
        _link_inside(near, verdicts, units[node_id])
    for (first, second), good in verdicts.items():
        if good and node_of.get(first, first) != node_of.get(second, second):
            _link(near, units.get(first, [first]), units.get(second, [second]))
    return near


def _verdicts(state: State, neighbours: Neighbours, node_of: dict[str, str]) -> dict[tuple[str, str], bool]:
    """For each two ends with a link between them, whether one of their links is good enough."""
    ends = node_of.keys() | node_of.values()
    verdicts: dict[tuple[str, str], bool] = {}
    for link in (link for links in state.links.values() for link in links):
        first, second = sorted(link.ends)
        if first != second and first in ends and second in ends:
            verdicts[first, second] = verdicts.get((first, second), False) or is_good(link, neighbours)
    return verdicts


def is_good(link: Link, neighbours: Neighbours) -> bool:
    """Whether a link is good enough: a figure that is asked for must be told."""
    least, most = neighbours.min_bandwidth_gbps, neighbours.max_latency_us
    fast = least is None or (link.bandwidth_gbps is not None and link.bandwidth_gbps >= least)
    return fast and (most is None or (link.latency_us is not None and link.latency_us <= most))


def _tells(pair: tuple[str, str], good: bool, node_of: dict[str, str]) -> bool:
    """Whether a link makes a difference between the devices of a node."""
    first, second = pair
    inside = node_of.get(first, first) == node_of.get(second, second)
    return not good if inside else good


def _link_inside(near: dict[str, set[str]], verdicts: dict[tuple[str, str], bool], devices: Sequence[str]) -> None:
    for first in devices:
        near[first].update(other for other in devices if verdicts.get((min(first, other), max(first, other)), True))


def _link(near: dict[str, set[str]], firsts: Sequence[str], seconds: Sequence[str]) -> None:
    for first in firsts:
        near.get(first, set()).update(unit for unit in seconds if unit in near)
    for second in seconds:
        near.get(second, set()).update(unit for unit in firsts if unit in near)
