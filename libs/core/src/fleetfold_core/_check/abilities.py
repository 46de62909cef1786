"""Whether a device is one that a workload allows."""

from collections.abc import Iterator

from fleetfold_contracts.workloads import Constraints
from fleetfold_core.state import DeviceState, NodeState


def broken_constraints(device: DeviceState, node: NodeState, constraints: Constraints) -> Iterator[str]:
    """The names of the constraints that a device, on its node, does not keep."""
    yield from _of_kind(device, constraints)
    yield from _of_ability(device, constraints)
    labels = node.node.labels | device.capabilities.labels
    for name, values in constraints.labels.items():
        if name not in labels or (values and labels[name] not in values):
            yield "labels"
    for name, values in constraints.forbidden_labels.items():
        if name in labels and (not values or labels[name] in values):
            yield "forbidden_labels"


def _of_kind(device: DeviceState, constraints: Constraints) -> Iterator[str]:
    capabilities = device.capabilities
    wanted = {
        "device_types": (constraints.device_types, capabilities.device_type),
        "vendors": (constraints.vendors, capabilities.vendor),
        "models": (constraints.models, capabilities.model),
        "devices": (constraints.devices, capabilities.device_id),
    }
    yield from (name for name, (allowed, value) in wanted.items() if allowed and value not in allowed)
    if capabilities.device_id in constraints.forbidden_devices:
        yield "forbidden_devices"


def _of_ability(device: DeviceState, constraints: Constraints) -> Iterator[str]:
    capabilities = device.capabilities
    if constraints.min_compute_capability is not None and (
        capabilities.compute_capability is None
        or _numbers(capabilities.compute_capability) < _numbers(constraints.min_compute_capability)
    ):
        yield "min_compute_capability"
    if constraints.needs_fp64 and capabilities.supports_fp64 is not True:
        yield "needs_fp64"
    if constraints.needs_tensor_cores and capabilities.supports_tensor_cores is not True:
        yield "needs_tensor_cores"
    if any(precision not in capabilities.precisions for precision in constraints.precisions):
        yield "precisions"
    limit = constraints.max_temperature_celsius
    hot = device.sample.temperature_celsius if device.sample is not None else None
    if limit is not None and hot is not None and hot > limit:
        yield "max_temperature_celsius"


def _numbers(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor)
