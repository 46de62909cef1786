"""Reasons in words, with their numbers."""

from collections.abc import Sequence

from fleetfold_contracts.workloads import Constraints, Host, Reason, Shard
from fleetfold_core.state import DeviceState, NodeState

NAMED_AT_MOST = 3
QUOTED_CHARACTERS = 200

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def node_words(node: NodeState, reason: Reason, host: Host) -> str:
    """Why nothing can sit on a node: `reason` is what `node_reason` gave."""
    name = f"node {node.node.node_id}"
    match reason:
        case Reason.NODE_NOT_LIVE:
            return f"{name} is {node.liveness}"
        case Reason.CORDONED:
            return f"{name} is {_quoted('cordoned', node.cordoned)}"
        case Reason.NODE_CPU:
            return f"needs {host.cpu_milli / 1000:g} CPU, {name} has {node.free_cpu_milli / 1000:g} free"
        case Reason.NODE_MEMORY:
            return _needs(host.memory_bytes, node.free_memory_bytes, f"{name} has")
        case Reason.FORBIDDEN:
            return f"{name} is forbidden"
        case Reason.NO_RACK:
            return f"{name} has no label `rack`"
        case _:
            return f"{name} is not among those asked for"


def device_words(  # noqa: C901 - one flat match
    device: DeviceState, node: NodeState, reason: Reason, shard: Shard, constraints: Constraints
) -> str:
    """Why a shard cannot sit on a device: `reason` is what `device_reason` gave."""
    match reason:
        case Reason.LOST:
            return _quoted("lost", device.lost) if device.lost is not None else _quoted("fault", device.fault)
        case Reason.CORDONED:
            return _quoted("cordoned", device.cordoned)
        case Reason.WRONG_TYPE:
            return f"is {device.capabilities.device_type}"
        case Reason.WRONG_VENDOR:
            return f"is of {device.capabilities.vendor}"
        case Reason.WRONG_MODEL:
            return f"is {device.capabilities.model or 'of no known model'}"
        case Reason.FORBIDDEN:
            return "is forbidden"
        case Reason.DEVICE_TAKEN:
            taken = "is taken whole by" if device.whole else "is asked for whole and holds"
            return f"{taken} {some_of(list(device.shards))}"
        case Reason.NO_COMPUTE_SHARE:
            return f"needs {shard.gpu_milli}/1000 of the GPU, has {device.free_milli}/1000 free"
        case Reason.NO_MEMORY:
            return _needs(shard.memory_bytes, device.free_bytes, "has")
        case Reason.NOT_CHOSEN:
            return "is not among those asked for"
        case _:
            return _ability_words(device, node, reason, constraints)


def _ability_words(device: DeviceState, node: NodeState, reason: Reason, constraints: Constraints) -> str:
    capabilities = device.capabilities
    match reason:
        case Reason.COMPUTE_CAPABILITY:
            told = capabilities.compute_capability
            has = f"has {told}" if told else "tells none"
            return f"needs compute capability {constraints.min_compute_capability}, {has}"
        case Reason.NO_FP64:
            return _lacks(capabilities.supports_fp64, "64-bit floating point")
        case Reason.NO_TENSOR_CORES:
            return _lacks(capabilities.supports_tensor_cores, "tensor cores")
        case Reason.NO_PRECISION:
            missing = [precision for precision in constraints.precisions if precision not in capabilities.precisions]
            return _lacks(False if capabilities.precisions else None, some_of(missing))
        case Reason.TOO_HOT:
            celsius = device.sample.temperature_celsius if device.sample is not None else None
            return f"is at {celsius:g} °C, and {constraints.max_temperature_celsius:g} °C is the limit"
        case _:
            return _label_words(device, node, reason, constraints)


def _label_words(device: DeviceState, node: NodeState, reason: Reason, constraints: Constraints) -> str:
    wrong = reason is Reason.WRONG_LABEL
    for name, values in (constraints.labels if wrong else constraints.forbidden_labels).items():
        label = label_of(device, node, name)
        if wrong == (label is None or (bool(values) and label not in values)):
            has = "has no label" if label is None else f"has {label!r} as label"
            wanted = f"; wanted is {some_of([repr(value) for value in values])}" if wrong and values else ""
            return f"{has} {name!r}{wanted}"
    raise AssertionError(f"no label is against {device.device_id}")


def label_of(device: DeviceState, node: NodeState, name: str) -> str | None:
    """A device's label, or else its node's."""
    return device.capabilities.labels.get(name, node.node.labels.get(name))


def _lacks(told: bool | None, what: str) -> str:
    return f"does not tell whether it has {what}" if told is None else f"has no {what}"


def shard_words(shard: Shard) -> str:
    """What a shard asks for."""
    asked = [in_units(shard.memory_bytes)] if shard.memory_bytes else []
    if shard.gpu_milli:
        asked.append(f"{shard.gpu_milli}/1000 of a GPU")
    return ", ".join(asked) or "nothing but a place"


def some_of(things: Sequence[str], separator: str = ", ") -> str:
    """The first few, and how many more there are: what says all of them may not fit into an event."""
    named = separator.join(things[:NAMED_AT_MOST])
    return named if len(things) <= NAMED_AT_MOST else f"{named} and {len(things) - NAMED_AT_MOST} more"


def in_units(count_bytes: int) -> str:
    """Bytes in the unit that suits them: `10.0 GiB`."""
    scale = min(max(0, count_bytes.bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{count_bytes / 1024**scale:.1f} {UNITS[scale]}" if scale else f"{count_bytes} B"


def _quoted(what: str, said: str | None) -> str:
    """What is the matter, and the beginning of what somebody said about it."""
    return f"{what}: {said[:QUOTED_CHARACTERS]}" if said else what


def _needs(needed_bytes: int, free_bytes: int, has: str) -> str:
    needed, free = in_units(needed_bytes), in_units(free_bytes)
    if needed == free:
        # What differs by less than the words can show is shown to the byte.
        needed, free = f"{needed_bytes} B", f"{free_bytes} B"
    return f"needs {needed}, {has} {free} free"
