"""The ledger: what is promised on each device and node. A promise is kept whole, or not made at all."""

from collections.abc import Sequence

import msgspec

from fleetfold_contracts.ids import DeviceId, PoolId, WorkloadId
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Allocation, HostAllocation, Workload
from fleetfold_core.state import Amounts, DeviceState, Placement, State


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What a workload is to hold."""

    workload: Workload
    allocations: tuple[Allocation, ...]
    host: HostAllocation | None

    @property
    def pool(self) -> PoolId:
        """The ledger that it is to stand in."""
        return self.workload.pool


def reserve(state: State, wanted: Reservation) -> str | None:
    """Reserve what was decided; what stands against it otherwise, and then nothing is changed.

    Only what the log itself says counts here, never telemetry: every reader must come to the same answer.
    """
    trouble = _device_trouble(state, wanted.pool, wanted.allocations) or _host_trouble(state, wanted.pool, wanted.host)
    if trouble is not None:
        return trouble
    for allocation in wanted.allocations:
        device = state.devices[allocation.device_id]
        device.hold(wanted.workload.workload_id, allocation.shard_id, allocation.memory_bytes, allocation.gpu_milli)
    if wanted.host is not None:
        node = state.nodes[wanted.host.node_id]
        node.reserved_cpu_milli += wanted.host.cpu_milli
        node.reserved_memory_bytes += wanted.host.memory_bytes
    _count(state, wanted.workload, wanted.allocations, 1)
    return None


def give_back(state: State, placement: Placement) -> None:
    """Undo what `reserve` did for a placement."""
    for allocation in placement.allocations:
        _leave(state.devices[allocation.device_id], placement.workload.workload_id, allocation)
    if placement.host is not None:
        node = state.nodes[placement.host.node_id]
        node.reserved_cpu_milli -= placement.host.cpu_milli
        node.reserved_memory_bytes -= placement.host.memory_bytes
    _count(state, placement.workload, placement.allocations, -1)


def _leave(device: DeviceState, workload_id: WorkloadId, allocation: Allocation) -> None:
    device.reserved_bytes -= allocation.memory_bytes
    device.reserved_milli -= allocation.gpu_milli
    # Who had the device to itself was alone on it, so whoever leaves, nobody has it to itself from here on.
    device.whole = False
    device.shards.pop(workload_id, None)


def _count(state: State, workload: Workload, allocations: Sequence[Allocation], sign: int) -> None:
    """Add to, or take from, what the workload's tenant holds."""
    if workload.tenant is None:
        return
    key = (workload.pool, workload.tenant)
    before = state.held.get(key, Amounts())
    after = Amounts(
        gpu_milli=before.gpu_milli + sign * sum(allocation.gpu_milli for allocation in allocations),
        memory_bytes=before.memory_bytes + sign * sum(allocation.memory_bytes for allocation in allocations),
    )
    if after == Amounts():
        state.held.pop(key, None)
    else:
        state.held[key] = after


def _device_trouble(state: State, pool: PoolId, allocations: Sequence[Allocation]) -> str | None:
    asked: dict[DeviceId, list[Allocation]] = {}
    for allocation in allocations:
        asked.setdefault(allocation.device_id, []).append(allocation)
    for device_id, on_device in asked.items():
        device = state.device_in(pool, device_id)
        if device is None:
            return f"no device {device_id!r} is known in pool {pool!r}"
        trouble = _overcommitted(device, on_device)
        if trouble is not None:
            return f"device {device_id!r} {trouble}"
    return None


def _overcommitted(device: DeviceState, asked: Sequence[Allocation]) -> str | None:
    asked_bytes = sum(allocation.memory_bytes for allocation in asked)
    if asked_bytes > max(0, device.capabilities.max_memory_bytes - device.reserved_bytes):
        return f"has {device.capabilities.max_memory_bytes} bytes, {device.reserved_bytes} of them reserved"
    milli = device.reserved_milli + sum(allocation.gpu_milli for allocation in asked)
    someone_alone = device.whole or any(allocation.gpu_milli == WHOLE_GPU_MILLI for allocation in asked)
    if someone_alone and (device.shards or len(asked) > 1):
        return "cannot be taken whole and shared"
    return f"would be promised to {milli} thousandths" if milli > WHOLE_GPU_MILLI else None


def _host_trouble(state: State, pool: PoolId, host: HostAllocation | None) -> str | None:
    if host is None:
        return None
    node = state.node_in(pool, host.node_id)
    if node is None:
        return f"no node {host.node_id!r} is known in pool {pool!r}"
    if host.cpu_milli > node.free_cpu_milli or host.memory_bytes > node.free_memory_bytes:
        return f"node {host.node_id!r} would be promised beyond its CPU or memory"
    return None
