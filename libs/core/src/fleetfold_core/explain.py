"""Why a workload finds no place: the reason of each device, or node, as the state is now."""

from collections.abc import Iterator
from typing import NamedTuple

from fleetfold_contracts.answers import Verdict
from fleetfold_contracts.workloads import Reason, Workload
from fleetfold_core._words import node_words
from fleetfold_core.feasible import (
    device_reason,
    needs_devices,
    needs_rack,
    node_reason,
    obstacle,
    telling_shard,
)
from fleetfold_core.state import DeviceState, NodeState, State


class Miss(NamedTuple):
    """A device that cannot take the most demanding shard; for a workload without shards a node that cannot take it."""

    reason: Reason
    left: int
    """How much it has of what it has too little of: the more, the nearer the miss. 0 where nothing is measured."""
    place_id: str


def explain(state: State, workload: Workload) -> list[Verdict]:
    """Why each device cannot take the most demanding shard of a workload, in the order of their ids.

    Of a model that is to be cut it is the least part that is asked for.

    A device that can take it is left out. For a workload without shards it is the nodes that are named.
    """
    ordered = sorted(misses(state, workload), key=lambda miss: miss.place_id)
    return [
        Verdict(device_id=miss.place_id, reason=miss.reason, detail=in_words(state, workload, miss)) for miss in ordered
    ]


def misses(state: State, workload: Workload) -> Iterator[Miss]:
    """Each place that `explain` names, without the words."""
    if not needs_devices(workload):
        yield from _node_misses(state, workload)
        return
    shard = telling_shard(workload)
    closed = {miss.place_id: miss.reason for miss in _node_misses(state, workload)}
    for device in state.devices_in(workload.pool):
        node = state.nodes[device.node_id]
        reason = closed.get(device.node_id) or device_reason(device, node, shard, workload.constraints)
        if reason is not None:
            yield Miss(reason, _left(reason, node, device), device.device_id)


def in_words(state: State, workload: Workload, miss: Miss) -> str:
    """A miss in words, with the numbers."""
    if not needs_devices(workload):
        return node_words(state.nodes[miss.place_id], miss.reason, workload.host)
    device = state.devices[miss.place_id]
    if miss.reason is Reason.NO_RACK:
        return node_words(state.nodes[device.node_id], miss.reason, workload.host)
    found = obstacle(state, device, telling_shard(workload), workload.constraints, workload.host)
    assert found is not None, f"{miss.place_id} was missed by {miss.reason}"
    return found[1]


def _node_misses(state: State, workload: Workload) -> Iterator[Miss]:
    for node in state.nodes_in(workload.pool):
        reason = node_reason(node, workload.constraints, workload.host, in_rack=needs_rack(workload))
        if reason is not None:
            yield Miss(reason, _left(reason, node, None), node.node.node_id)


def _left(reason: Reason, node: NodeState, device: DeviceState | None) -> int:
    if reason is Reason.NODE_CPU:
        return node.free_cpu_milli
    if reason is Reason.NODE_MEMORY:
        return node.free_memory_bytes
    if device is None:
        return 0
    if reason is Reason.NO_MEMORY:
        return device.free_bytes
    return device.free_milli if reason is Reason.NO_COMPUTE_SHARE else 0
