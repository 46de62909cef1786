"""What is free in a pool, as arrays: a row a node, and in it a place for each of its devices."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
import numpy.typing as npt

from fleetfold_contracts.ids import DeviceId, PoolId
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Shard
from fleetfold_core.feasible import ANYWHERE, NOTHING, node_reason, out_of_use, room_reason
from fleetfold_core.state import DeviceState, NodeState, State
from fleetfold_core.touched import Touched

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CLOSED = -1
"""What a node's CPU, or a device's share, reads while nothing may sit there; and a place without a device."""

NO_ROW = -1
UNKNOWN = (NO_ROW, None)

A_WORD = Shard()
"""A shard that asks for nothing: what has no room for it is closed."""


class Columns:
    """A pool's nodes and devices, in the order of their ids, with what is free of each.

    `n` nodes, `g` places a node (as many as the largest node has devices).
    """

    def __init__(self, state: State, pool: PoolId) -> None:
        """Read all of a pool."""
        self._pool: PoolId = pool
        self.nodes: list[NodeState] = sorted(state.nodes_in(pool), key=lambda node: node.node.node_id)
        self.devices = _devices_by_node(state, pool, self.nodes)
        self._known_nodes = {node.node.node_id: (row, node) for row, node in enumerate(self.nodes)}
        self._known_devices = {
            device.device_id: (row, device) for row, devices in enumerate(self.devices) for device in devices
        }
        self._as_read = [
            (node.node, [device.capabilities for device in devices])
            for node, devices in zip(self.nodes, self.devices, strict=True)
        ]
        shape = len(self.nodes), max([1, *map(len, self.devices)])
        self.cpu_milli: Integers = np.full(shape[0], CLOSED, np.int64)
        self.memory_bytes: Integers = np.full(shape[0], CLOSED, np.int64)
        self.share: Integers = np.full(shape, CLOSED, np.int64)
        """Thousandths of each device: `WHOLE_GPU_MILLI` if, and only if, it is empty."""
        self.free_bytes: Integers = np.zeros(shape, np.int64)
        self.usable_bytes: Integers = np.ones(shape, np.int64)
        """The memory of each device without what others use of it."""
        self.memory_share: Integers = np.zeros(shape, np.int64)
        """Thousandths of that memory that are free."""
        self.free_milli: Integers = np.zeros(shape[0], np.int64)
        """The free shares of each node's devices together."""
        for index in range(shape[0]):
            self.read(index)

    def read(self, index: int) -> None:
        """Read a node, and its devices, anew."""
        node, devices = self.nodes[index], self.devices[index]
        is_open = node_reason(node, ANYWHERE, NOTHING) is None
        self.cpu_milli[index] = node.free_cpu_milli if is_open else CLOSED
        self.memory_bytes[index] = node.free_memory_bytes if is_open else CLOSED
        if not devices:
            return
        shares = [_share(device) if is_open else CLOSED for device in devices]
        free_bytes = [device.free_bytes for device in devices]
        usable_bytes = [_usable_bytes(device) for device in devices]
        own = slice(len(devices))
        self.share[index, own] = shares
        self.free_bytes[index, own] = free_bytes
        self.usable_bytes[index, own] = usable_bytes
        self.memory_share[index, own] = [
            free * WHOLE_GPU_MILLI // usable for free, usable in zip(free_bytes, usable_bytes, strict=True)
        ]
        self.free_milli[index] = sum(share for share in shares if share > 0)

    def room(self, nodes: Integers, gpu_milli: int = 0, gpu_bytes: int = 0) -> Integers:
        """What would be free of the devices of some nodes, each with so much less.

        It is the least of the share and of the memory as a share of it all, and 0 where a device is closed.
        """
        of_memory = self.memory_share[nodes]
        if gpu_bytes:
            free_bytes = np.maximum(self.free_bytes[nodes] - gpu_bytes, 0)
            of_memory = free_bytes * WHOLE_GPU_MILLI // self.usable_bytes[nodes]
        return np.minimum(np.maximum(self.share[nodes] - gpu_milli, 0), of_memory)

    def row_of_device(self, device_id: DeviceId) -> int | None:
        """The row of the node that a device is on, if it is in the pool."""
        known = self._known_devices.get(device_id)
        return known[0] if known is not None else None

    def rows_of(self, state: State, touched: Touched) -> list[int] | None:
        """The rows to be read anew; `None` when nodes or devices came, went or are others than when all was read."""
        rows: set[int] = set()
        for node_id in touched.nodes:
            row, node = self._known_nodes.get(node_id, UNKNOWN)
            if state.node_in(self._pool, node_id) is not node:
                return None
            rows.add(row)
        for device_id in touched.devices:
            row, device = self._known_devices.get(device_id, UNKNOWN)
            if state.device_in(self._pool, device_id) is not device:
                return None
            rows.add(row)
        rows.discard(NO_ROW)
        return sorted(rows) if all(map(self._is_as_read, rows)) else None

    def _is_as_read(self, row: int) -> bool:
        node, capabilities = self._as_read[row]
        return self.nodes[row].node is node and all(
            device.capabilities is known and device.node_id == node.node_id
            for device, known in zip(self.devices[row], capabilities, strict=True)
        )


def _devices_by_node(state: State, pool: PoolId, nodes: Iterable[NodeState]) -> list[list[DeviceState]]:
    ordered = sorted(state.devices_in(pool), key=lambda device: (device.node_id, device.device_id))
    by_node = {node_id: list(devices) for node_id, devices in groupby(ordered, key=lambda device: device.node_id)}
    return [by_node.get(node.node.node_id, []) for node in nodes]


def _share(device: DeviceState) -> int:
    if (out_of_use(device) or room_reason(device, A_WORD)) is not None:
        return CLOSED
    return min(device.free_milli, WHOLE_GPU_MILLI - 1) if device.shards else WHOLE_GPU_MILLI


def _usable_bytes(device: DeviceState) -> int:
    return max(1, device.capabilities.max_memory_bytes - device.foreign_bytes)
