"""The checker of plans. It knows the rules, and nothing of how a plan is found: it shares no code with the solver."""

from collections import Counter
from collections.abc import Iterator, Sequence

from fleetfold_contracts.events import Liveness
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.workloads import (
    WHOLE_GPU_MILLI,
    Allocation,
    Constraints,
    Host,
    HostAllocation,
    Shard,
    Workload,
    name_shards,
    shard_ids,
)
from fleetfold_core._check.abilities import broken_constraints
from fleetfold_core._check.cut import check_cut
from fleetfold_core._check.replicas import check_replicas
from fleetfold_core.solve import Plan
from fleetfold_core.state import DeviceState, NodeState, State


def check(state: State, workload: Workload, plan: Plan) -> list[str]:
    """Every rule that a plan breaks, in words; none for a good plan."""
    faults: list[str] = []
    if state.placement(workload.pool, workload.workload_id) is not None:
        faults.append(f"workload {workload.workload_id} is placed already")
    faults += _shard_faults(workload, plan.allocations)
    by_device: dict[DeviceId, list[Allocation]] = {}
    for allocation in plan.allocations:
        by_device.setdefault(allocation.device_id, []).append(allocation)
    for device_id, on_device in by_device.items():
        faults += (f"device {device_id} {fault}" for fault in _device_faults(state, workload, device_id, on_device))
    faults += _host_faults(workload.host, plan.host)
    faults += _node_faults(state, workload, plan)
    faults += check_replicas(state, workload, plan.allocations)
    return faults


def _shard_faults(workload: Workload, allocations: Sequence[Allocation]) -> Iterator[str]:
    if workload.model is None:
        names = shard_ids(workload)
        asked = dict(zip(names, workload.shards * workload.replicas, strict=True))
        whole = workload.constraints.exclusive
        yield from (
            f"shard {allocation.shard_id} is given other than it asks for"
            for allocation in allocations
            if allocation.shard_id in asked and _given(allocation) != _wanted(asked[allocation.shard_id], whole=whole)
        )
    else:
        names = name_shards([str(place) for place in range(len(allocations) // workload.replicas)], workload.replicas)
        yield from check_cut(workload, allocations, names)
    seen = Counter(allocation.shard_id for allocation in allocations)
    yield from (f"shard {shard_id} has no device" for shard_id in names if shard_id not in seen)
    yield from (f"shard {shard_id} was not asked for" for shard_id in seen if shard_id not in set(names))
    yield from (f"shard {shard_id} sits in {count} places" for shard_id, count in seen.items() if count > 1)


def _given(allocation: Allocation) -> tuple[int, int]:
    return allocation.memory_bytes, allocation.gpu_milli


def _wanted(shard: Shard, *, whole: bool) -> tuple[int, int]:
    return shard.memory_bytes, WHOLE_GPU_MILLI if whole else shard.gpu_milli


def _device_faults(
    state: State, workload: Workload, device_id: DeviceId, on_device: Sequence[Allocation]
) -> Iterator[str]:
    device = state.device_in(workload.pool, device_id)
    if device is None:
        yield "is not known in the pool"
        return
    if any(allocation.node_id != device.node_id for allocation in on_device):
        yield "is not on the node that is named"
    if device.lost is not None or device.fault is not None or device.cordoned is not None:
        yield "is lost, faulted or cordoned"
    node = state.nodes[device.node_id]
    for name in broken_constraints(device, node, workload.constraints):
        yield f"is ruled out by the constraint {name}"
    if workload.constraints.one_shard_per_device and len(on_device) > 1:
        yield "has several shards, and one a device was asked for"
    yield from _room_faults(device, on_device)


def _room_faults(device: DeviceState, on_device: Sequence[Allocation]) -> Iterator[str]:
    in_use_bytes = device.foreign_bytes + device.reserved_bytes
    added_bytes = sum(allocation.memory_bytes for allocation in on_device)
    if added_bytes and in_use_bytes + added_bytes > device.capabilities.max_memory_bytes:
        yield "has too little memory"
    if device.reserved_milli + sum(allocation.gpu_milli for allocation in on_device) > WHOLE_GPU_MILLI:
        yield "has too little of its compute left"
    sitting_count = sum(len(shards) for shards in device.shards.values()) + len(on_device)
    someone_alone = device.whole or any(allocation.gpu_milli == WHOLE_GPU_MILLI for allocation in on_device)
    if someone_alone and sitting_count > 1:
        yield "is taken whole and shared"


def _host_faults(asked: Host, given: HostAllocation | None) -> Iterator[str]:
    amounts = (given.cpu_milli, given.memory_bytes) if given is not None else (0, 0)
    if amounts != (asked.cpu_milli, asked.memory_bytes):
        yield "the node is to give other than is asked of it"


def _node_faults(state: State, workload: Workload, plan: Plan) -> Iterator[str]:
    nodes: set[NodeId] = {allocation.node_id for allocation in plan.allocations}
    nodes |= {plan.host.node_id} if plan.host is not None else set()
    if len(nodes) > 1 and plan.host is not None:
        yield "several nodes are used, and it must be one"
    for node_id in sorted(nodes):
        node = state.node_in(workload.pool, node_id)
        if node is None or node.liveness is not Liveness.LIVE:
            yield f"node {node_id} is not live"
        elif node.cordoned is not None:
            yield f"node {node_id} is cordoned"
        elif not _is_node_allowed(node_id, workload.constraints):
            yield f"node {node_id} is ruled out by a constraint"
        elif _asks_too_much(node, workload.host):
            yield f"node {node_id} has too little CPU or memory"


def _asks_too_much(node: NodeState, host: Host) -> bool:
    cpu_left_milli = max(0, node.node.cpu_milli - node.reserved_cpu_milli)
    memory_left_bytes = max(0, node.node.memory_bytes - node.reserved_memory_bytes)
    return host.cpu_milli > cpu_left_milli or host.memory_bytes > memory_left_bytes


def _is_node_allowed(node_id: NodeId, constraints: Constraints) -> bool:
    chosen = not constraints.nodes or node_id in constraints.nodes
    return chosen and node_id not in constraints.forbidden_nodes
