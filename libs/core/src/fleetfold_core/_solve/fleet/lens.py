"""Constraints as masks over the columns: which devices, and which nodes, they leave."""

from typing import NamedTuple

import msgspec
import numpy as np

from fleetfold_contracts.inventory import Capabilities
from fleetfold_contracts.workloads import Constraints
from fleetfold_core._solve.fleet.columns import A_WORD, Columns, Flags
from fleetfold_core.feasible import ANYWHERE, NOTHING, device_reason, node_reason
from fleetfold_core.state import DeviceState, NodeState

LENSES_KEPT = 100


class Lens(NamedTuple):
    """What some constraints leave, whatever is free there. `None`: all."""

    nodes: Flags | None = None
    """Per node, for what needs no device."""
    nodes_with_devices: Flags | None = None
    """Per node, for what needs devices: where `devices` is `None` too, they are all left on a node, or none is."""
    devices: Flags | None = None
    """Per place: on some node only a part of the devices is left."""
    key: bytes = b""
    """The constraints, so that what was worked out for them is found again."""


EVERYTHING = Lens()


class Lenses:
    """The lenses in use. Devices that are alike but for their ids are looked at once."""

    def __init__(self, columns: Columns) -> None:
        """The columns must stand for the same nodes and devices as long as the lenses are used."""
        self._columns = columns
        self._kinds: list[tuple[DeviceState, NodeState]] = []
        self._kind_of_place = np.full(columns.share.shape, -1, np.int64)
        self._find_kinds()
        self._lenses: dict[bytes, Lens] = {}

    def of(self, constraints: Constraints) -> Lens:
        """The lens of some constraints."""
        if constraints == ANYWHERE:
            return EVERYTHING
        key = msgspec.msgpack.encode(constraints)
        if key not in self._lenses:
            if len(self._lenses) >= LENSES_KEPT:
                self._lenses.clear()
            self._lenses[key] = self._grind(constraints, key)
        return self._lenses[key]

    def _find_kinds(self) -> None:
        known: dict[tuple[bytes, bytes], int] = {}
        for row, (node, devices) in enumerate(zip(self._columns.nodes, self._columns.devices, strict=True)):
            labels = msgspec.msgpack.encode(node.node.labels)
            for place, device in enumerate(devices):
                key = msgspec.msgpack.encode(_without_ids(device.capabilities)), labels
                if key not in known:
                    known[key] = len(self._kinds)
                    self._kinds.append((_when_new(device), node))
                self._kind_of_place[row, place] = known[key]

    def _grind(self, constraints: Constraints, key: bytes) -> Lens:
        nodes = self._nodes_left(constraints)
        devices = self._devices_left(constraints) & nodes[:, None]
        there = self._kind_of_place >= 0
        nodes_with_devices: Flags = np.any(devices, axis=1)
        in_parts = bool(np.any(devices != (there & nodes_with_devices[:, None])))
        return Lens(nodes, nodes_with_devices, devices if in_parts else None, key)

    def _nodes_left(self, constraints: Constraints) -> Flags:
        left = (node_reason(NodeState(node=node.node), constraints, NOTHING) is None for node in self._columns.nodes)
        return np.fromiter(left, np.bool_, len(self._columns.nodes))

    def _devices_left(self, constraints: Constraints) -> Flags:
        whatever_id = msgspec.structs.replace(constraints, devices=(), forbidden_devices=())
        kinds_left = [device_reason(device, node, A_WORD, whatever_id) is None for device, node in self._kinds]
        left = np.array([*kinds_left, False])[self._kind_of_place]  # the last stands for a place without a device
        if constraints.devices:
            left &= self._places(constraints.devices)
        if constraints.forbidden_devices:
            left &= ~self._places(constraints.forbidden_devices)
        return left

    def _places(self, device_ids: tuple[str, ...]) -> Flags:
        places = np.zeros(self._kind_of_place.shape, np.bool_)
        for device_id in device_ids:
            row = self._columns.row_of_device(device_id)
            if row is not None:
                on_node = [device.device_id for device in self._columns.devices[row]]
                places[row, on_node.index(device_id)] = True
        return places


def _without_ids(capabilities: Capabilities) -> Capabilities:
    return msgspec.structs.replace(capabilities, device_id="any", pci_address=None, partition_of=None)


def _when_new(device: DeviceState) -> DeviceState:
    """A device as it is when nothing is wrong with it and nobody sits on it."""
    return DeviceState(node_id=device.node_id, capabilities=device.capabilities)
