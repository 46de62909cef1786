"""Whether a device may take a shard: every rule, each with the reason that it gives."""

from fleetfold_contracts.events import Liveness
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Constraints, Host, Reason, Shard, Workload
from fleetfold_core._words import device_words, node_words
from fleetfold_core.state import DeviceState, NodeState, State

ANYWHERE = Constraints()
NOTHING = Host()


def obstacle(
    state: State, device: DeviceState, shard: Shard, constraints: Constraints = ANYWHERE, host: Host = NOTHING
) -> tuple[Reason, str] | None:
    """Why a device cannot take a shard, and the same in words with the numbers; `None` when it can.

    `host` is what the workload needs of the device's node beside it.
    """
    node = state.nodes[device.node_id]
    reason = node_reason(node, constraints, host)
    if reason is not None:
        return reason, node_words(node, reason, host)
    reason = device_reason(device, shard, constraints)
    return None if reason is None else (reason, device_words(device, reason, shard))


def reason_against(
    state: State, device: DeviceState, shard: Shard, constraints: Constraints = ANYWHERE, host: Host = NOTHING
) -> Reason | None:
    """The reason of `obstacle` alone, for whoever asks many devices."""
    return node_reason(state.nodes[device.node_id], constraints, host) or device_reason(device, shard, constraints)


def demand(shard: Shard) -> tuple[bool, int, int]:
    """By this shards are more or less demanding: to want a device whole comes first, then memory, then the share."""
    return shard.gpu_milli == WHOLE_GPU_MILLI, shard.memory_bytes, shard.gpu_milli


def largest_shard(workload: Workload) -> Shard:
    """The most demanding shard of a workload that has some."""
    return max(workload.shards, key=demand)


def node_reason(node: NodeState, constraints: Constraints, host: Host) -> Reason | None:
    """Why nothing of a workload can sit on a node, whatever its devices."""
    if node.liveness is not Liveness.LIVE:
        return Reason.NODE_NOT_LIVE
    if node.cordoned is not None:
        return Reason.CORDONED
    node_id = node.node.node_id
    if constraints.nodes and node_id not in constraints.nodes:
        return Reason.NOT_CHOSEN
    if node_id in constraints.forbidden_nodes:
        return Reason.FORBIDDEN
    if host.cpu_milli > node.free_cpu_milli:
        return Reason.NODE_CPU
    return Reason.NODE_MEMORY if host.memory_bytes > node.free_memory_bytes else None


def device_reason(device: DeviceState, shard: Shard, constraints: Constraints) -> Reason | None:
    """Why a shard cannot sit on a device, whatever its node."""
    return _out_of_use(device) or _barred(device, constraints) or room_reason(device, shard)


def room_reason(device: DeviceState, shard: Shard) -> Reason | None:
    """Why a shard has no room on a device, beside those that sit there."""
    if device.whole or (device.shards and shard.gpu_milli == WHOLE_GPU_MILLI):
        return Reason.DEVICE_TAKEN
    if shard.gpu_milli > device.free_milli:
        return Reason.NO_COMPUTE_SHARE
    return Reason.NO_MEMORY if shard.memory_bytes > device.free_bytes else None


def _out_of_use(device: DeviceState) -> Reason | None:
    if device.lost is not None or device.fault is not None:
        return Reason.LOST
    return Reason.CORDONED if device.cordoned is not None else None


def _barred(device: DeviceState, constraints: Constraints) -> Reason | None:
    capabilities = device.capabilities
    if constraints.device_types and capabilities.device_type not in constraints.device_types:
        return Reason.WRONG_TYPE
    if constraints.vendors and capabilities.vendor not in constraints.vendors:
        return Reason.WRONG_VENDOR
    if constraints.models and capabilities.model not in constraints.models:
        return Reason.WRONG_MODEL
    if constraints.devices and capabilities.device_id not in constraints.devices:
        return Reason.NOT_CHOSEN
    return Reason.FORBIDDEN if capabilities.device_id in constraints.forbidden_devices else None
