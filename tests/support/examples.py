"""A node and a device like any other."""

from fleetfold_contracts.inventory import Capabilities, DeviceType, Node, Vendor

GIB = 1024**3


def a_node(node_id: str) -> Node:
    """A node like any other. No agent speaks for it, so it is given a day between two beats."""
    return Node(
        node_id=node_id,
        boot_id="boot",
        hostname=node_id,
        cpu_milli=64_000,
        memory_bytes=256 * GIB,
        beat_interval_s=86_400.0,
    )


def a_device(device_id: str, memory_bytes: int = 40 * GIB) -> Capabilities:
    """A device like any other."""
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.CUDA,
        device_name="Test GPU",
        vendor=Vendor.NVIDIA,
        max_memory_bytes=memory_bytes,
        compute_units=100,
    )
