"""Whether a device may take a shard: every rule, each with the reason that it gives."""

from collections.abc import Sequence
from math import gcd

import msgspec

from fleetfold_contracts.events import Liveness
from fleetfold_contracts.inventory import RACK_LABEL
from fleetfold_contracts.workloads import (
    WHOLE_GPU_MILLI,
    Constraints,
    Cut,
    Host,
    Model,
    Reason,
    Shard,
    Spread,
    Workload,
)
from fleetfold_core._words import device_words, label_of, node_words
from fleetfold_core.model_memory import estimate, total_bytes
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
    reason = device_reason(device, node, shard, constraints)
    return None if reason is None else (reason, device_words(device, node, reason, shard, constraints))


def reason_against(
    state: State, device: DeviceState, shard: Shard, constraints: Constraints = ANYWHERE, host: Host = NOTHING
) -> Reason | None:
    """The reason of `obstacle` alone, for whoever asks many devices."""
    node = state.nodes[device.node_id]
    return node_reason(node, constraints, host) or device_reason(device, node, shard, constraints)


def demand(shard: Shard) -> tuple[bool, int, int]:
    """By this shards are more or less demanding: to want a device whole comes first, then memory, then the share."""
    return shard.gpu_milli == WHOLE_GPU_MILLI, shard.memory_bytes, shard.gpu_milli


def needs_devices(workload: Workload) -> bool:
    """Whether a workload needs devices, and not a node alone."""
    return bool(workload.shards) or workload.model is not None


def asked_shards(workload: Workload) -> tuple[Shard, ...]:
    """The shards of one replica as they are placed: where a device is to be theirs alone, they take all of it."""
    if not workload.constraints.exclusive:
        return workload.shards
    return tuple(msgspec.structs.replace(shard, gpu_milli=WHOLE_GPU_MILLI) for shard in workload.shards)


def telling_shard(workload: Workload) -> Shard:
    """The shard by which devices are judged: the most demanding one; of a model that is to be cut, the least part."""
    if workload.model is None:
        return max(asked_shards(workload), key=demand)
    return least_part(workload.model, exclusive=workload.constraints.exclusive)


def least_part(model: Model, *, exclusive: bool = False) -> Shard:
    """The smallest shard that a model may be cut into: one layer, or the least part of every layer."""
    most_parts = gcd(model.attention_heads, model.hidden_size)
    a_layer = total_bytes(estimate(model, 1))
    a_slice = total_bytes(estimate(model, model.layers, most_parts))
    by_cut = {Cut.PIPELINE: a_layer, Cut.TENSOR: a_slice, Cut.AUTO: min(a_layer, a_slice)}
    return Shard(memory_bytes=by_cut[model.cut], gpu_milli=WHOLE_GPU_MILLI if exclusive else model.gpu_milli)


def needs_rack(workload: Workload) -> bool:
    """Whether only nodes that say in which rack they stand can take a workload."""
    return workload.constraints.same_rack or workload.spread is Spread.RACK


def node_reason(node: NodeState, constraints: Constraints, host: Host, *, in_rack: bool = False) -> Reason | None:
    """Why nothing of a workload can sit on a node, whatever its devices. `in_rack`: its rack must be known."""
    if node.liveness is not Liveness.LIVE:
        return Reason.NODE_NOT_LIVE
    if node.cordoned is not None:
        return Reason.CORDONED
    node_id = node.node.node_id
    if constraints.nodes and node_id not in constraints.nodes:
        return Reason.NOT_CHOSEN
    if node_id in constraints.forbidden_nodes:
        return Reason.FORBIDDEN
    if (in_rack or constraints.same_rack) and RACK_LABEL not in node.node.labels:
        return Reason.NO_RACK
    if host.cpu_milli > node.free_cpu_milli:
        return Reason.NODE_CPU
    return Reason.NODE_MEMORY if host.memory_bytes > node.free_memory_bytes else None


def device_reason(device: DeviceState, node: NodeState, shard: Shard, constraints: Constraints) -> Reason | None:
    """Why a shard cannot sit on a device that is on an open node."""
    reason = out_of_use(device)
    if reason is None and constraints != ANYWHERE:
        reason = _barred(device, constraints) or _unable(device, constraints) or _unmarked(device, node, constraints)
    return reason or room_reason(device, shard)


def room_reason(device: DeviceState, shard: Shard) -> Reason | None:
    """Why a shard has no room on a device, beside those that sit there."""
    if device.whole or (device.shards and shard.gpu_milli == WHOLE_GPU_MILLI):
        return Reason.DEVICE_TAKEN
    if shard.gpu_milli > device.free_milli:
        return Reason.NO_COMPUTE_SHARE
    return Reason.NO_MEMORY if shard.memory_bytes > device.free_bytes else None


def out_of_use(device: DeviceState) -> Reason | None:
    """Why nothing new may sit on a device, whoever asks."""
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


def _unable(device: DeviceState, constraints: Constraints) -> Reason | None:
    """What a device cannot do, or does not tell that it can; or that it is too hot to do it."""
    capabilities = device.capabilities
    least = constraints.min_compute_capability
    if least is not None and capability_order(capabilities.compute_capability) < capability_order(least):
        return Reason.COMPUTE_CAPABILITY
    if constraints.needs_fp64 and not capabilities.supports_fp64:
        return Reason.NO_FP64
    if constraints.needs_tensor_cores and not capabilities.supports_tensor_cores:
        return Reason.NO_TENSOR_CORES
    if not set(constraints.precisions) <= set(capabilities.precisions):
        return Reason.NO_PRECISION
    celsius = device.sample.temperature_celsius if device.sample is not None else None
    limit = constraints.max_temperature_celsius
    return Reason.TOO_HOT if limit is not None and celsius is not None and celsius > limit else None


def _unmarked(device: DeviceState, node: NodeState, constraints: Constraints) -> Reason | None:
    """What a device's labels, and where it has none of a name its node's, say against it."""
    for name, values in constraints.labels.items():
        if not _is_marked(label_of(device, node, name), values):
            return Reason.WRONG_LABEL
    for name, values in constraints.forbidden_labels.items():
        if _is_marked(label_of(device, node, name), values):
            return Reason.FORBIDDEN_LABEL
    return None


def _is_marked(label: str | None, values: Sequence[str]) -> bool:
    return label is not None and (not values or label in values)


def capability_order(capability: str | None) -> tuple[int, ...]:
    """A compute capability as what can be compared: the unknown one comes before all."""
    return tuple(map(int, capability.split("."))) if capability is not None else ()
