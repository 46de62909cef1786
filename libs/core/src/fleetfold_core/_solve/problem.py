"""What is to be decided, in numbers: needs of shards, rooms of devices, and what must sit together or apart."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fleetfold_contracts.inventory import RACK_LABEL
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Shard, Spread, Workload
from fleetfold_core._solve.regions import Regions, regions
from fleetfold_core.feasible import demand, device_reason, needs_rack, node_reason
from fleetfold_core.shard_score import Scorer
from fleetfold_core.state import DeviceState, NodeState, State

Seats = dict[int, int]
"""The spot of each shard, both by their places in a problem."""


class Spot(NamedTuple):
    """A device that may take a shard, and what room it has."""

    value: float
    """What a shard there adds to the plan's score."""
    free_bytes: int
    free_milli: int
    empty: bool
    """Whether nobody sits there, so that a shard may have it whole."""
    node_id: str
    rack: str | None
    device_id: str


Room = tuple[int, int, bool]
"""All that decides what a device takes: free bytes, free thousandths, whether it is empty."""


@dataclass(frozen=True)
class Problem:
    """Shards, replica by replica, to be given spots. The best spot comes first; of equal ones that with more room."""

    shards: tuple[Shard, ...]
    """Those of one replica."""
    replicas: int
    spread: Spread
    one_each: bool
    same_node: bool
    same_rack: bool
    ring: bool
    spots: tuple[Spot, ...]
    regions: Regions
    """Which spots may be neighbours. One region for all of them: whoever follows whom is no matter."""

    @cached_property
    def needs(self) -> tuple[Shard, ...]:
        """The shards of all replicas, one after another."""
        return self.shards * self.replicas

    def value(self, seats: Seats) -> float:
        """The score of a plan: the sum of its shards' scores, in an order that depends on nothing else."""
        return sum(sorted(self.spots[spot].value for spot in seats.values()))

    def group_of(self) -> Callable[[Spot], str | None] | None:
        """What the shards of a replica must share, as what tells it of a spot."""
        if self.same_node:
            return _node_of
        return _rack_of if self.same_rack else None

    def apart_by(self) -> Callable[[Spot], str | None] | None:
        """What no two replicas may share, as what tells it of a spot."""
        return {Spread.NONE: None, Spread.NODE: _node_of, Spread.RACK: _rack_of}[self.spread]

    def is_linear(self) -> bool:
        """Whether nothing but room, and one group for all, decides: no neighbours, nothing to be kept apart."""
        grouped = self.group_of() is not None
        return len(self.regions.near) <= 1 and (self.replicas == 1 or (self.spread is Spread.NONE and not grouped))


def _node_of(spot: Spot) -> str | None:
    return spot.node_id


def _rack_of(spot: Spot) -> str | None:
    return spot.rack


class Rooms:
    """What is left of spots while shards are given to them."""

    def __init__(self, problem: Problem) -> None:
        """All of the spots, as they stand."""
        self._one_each = problem.one_each
        self.free_bytes = [spot.free_bytes for spot in problem.spots]
        self.free_milli = [spot.free_milli for spot in problem.spots]
        self.empty = [spot.empty for spot in problem.spots]
        self.open = [True] * len(problem.spots)
        """Whether it may take another shard of ours."""

    def copy(self) -> "Rooms":
        """What is left now, to try things on."""
        twin = object.__new__(Rooms)
        twin._one_each = self._one_each
        twin.free_bytes, twin.free_milli = self.free_bytes.copy(), self.free_milli.copy()
        twin.empty, twin.open = self.empty.copy(), self.open.copy()
        return twin

    def room(self, spot: int) -> Room:
        """What is left of a spot; of a closed one, nothing."""
        if not self.open[spot]:
            return -1, -1, False
        return self.free_bytes[spot], self.free_milli[spot], self.empty[spot]

    def become(self, other: "Rooms") -> None:
        """Take over what is left in other rooms."""
        self.free_bytes, self.free_milli = other.free_bytes, other.free_milli
        self.empty, self.open = other.empty, other.open

    def take(self, spot: int, shard: Shard) -> bool:
        """Let a shard sit on a spot, if there is room for it."""
        if not self.fits(spot, shard):
            return False
        self.free_bytes[spot] -= shard.memory_bytes
        self.free_milli[spot] -= shard.gpu_milli
        self.empty[spot] = False
        self.open[spot] = not self._one_each and shard.gpu_milli < WHOLE_GPU_MILLI
        return True

    def leave(self, spot: int, shard: Shard, *, empty: bool) -> None:
        """Undo `take`; `empty` is whether nobody sits there now."""
        self.free_bytes[spot] += shard.memory_bytes
        self.free_milli[spot] += shard.gpu_milli
        self.empty[spot] = empty
        self.open[spot] = True

    def fits(self, spot: int, shard: Shard) -> bool:
        """Whether there is room for a shard on a spot."""
        return (
            self.open[spot]
            and shard.memory_bytes <= self.free_bytes[spot]
            and shard.gpu_milli <= self.free_milli[spot]
            and (self.empty[spot] or shard.gpu_milli < WHOLE_GPU_MILLI)
        )

    def close(self, spots: Iterable[int]) -> None:
        """Let nothing more sit on some spots."""
        for spot in spots:
            self.open[spot] = False


def state_problem(state: State, workload: Workload, shards: tuple[Shard, ...], scorer: Scorer) -> Problem:
    """The problem that a workload, with these shards, is in a state."""
    constraints = workload.constraints
    spots = tuple(_spots(state, workload, shards, scorer))
    neighbours = constraints.neighbours if len(shards) > 1 or workload.model is not None else None
    return Problem(
        shards=shards,
        replicas=workload.replicas,
        spread=workload.spread if workload.replicas > 1 else Spread.NONE,
        one_each=constraints.one_shard_per_device,
        same_node=constraints.same_node,
        same_rack=constraints.same_rack,
        ring=neighbours is not None and neighbours.ring,
        spots=spots,
        regions=regions(state, neighbours, [(spot.node_id, spot.device_id) for spot in spots]),
    )


def open_nodes(state: State, workload: Workload) -> list[NodeState]:
    """The nodes on which something of a workload may sit."""
    constraints, host, in_rack = workload.constraints, workload.host, needs_rack(workload)
    return [
        node for node in state.nodes_in(workload.pool) if node_reason(node, constraints, host, in_rack=in_rack) is None
    ]


def _spots(state: State, workload: Workload, shards: Sequence[Shard], scorer: Scorer) -> list[Spot]:
    least = _least(shards)
    nodes = {node.node.node_id: node for node in open_nodes(state, workload)}
    found = [
        _spot(device, node, scorer.value(device))
        for device in state.devices_in(workload.pool)
        if (node := nodes.get(device.node_id)) is not None
        and device_reason(device, node, least, workload.constraints) is None
    ]
    return sorted(found, key=_best_first)


def _best_first(spot: Spot) -> tuple[float, int, int, bool, str]:
    return -spot.value, -spot.free_bytes, -spot.free_milli, not spot.empty, spot.device_id


def _least(shards: Sequence[Shard]) -> Shard:
    """What takes no more than any of the shards: a device that cannot take it can take none of them."""
    return Shard(
        memory_bytes=min(shard.memory_bytes for shard in shards), gpu_milli=min(shard.gpu_milli for shard in shards)
    )


def _spot(device: DeviceState, node: NodeState, value: float) -> Spot:
    return Spot(
        value=value,
        free_bytes=device.free_bytes,
        free_milli=device.free_milli,
        empty=not device.shards,
        node_id=device.node_id,
        rack=node.node.labels.get(RACK_LABEL),
        device_id=device.device_id,
    )


def most_demanding_first(shards: Sequence[Shard]) -> list[int]:
    """The places of shards, the most demanding one first."""
    return sorted(range(len(shards)), key=lambda index: demand(shards[index]), reverse=True)
