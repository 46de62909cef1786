"""Puts on simulated devices what the event log says sits on them."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.subjects import Subjects
from fleetfold_devices.simulation.simulated import SimulatedNode
from fleetfold_telemetry_agent.loads import Loads


class LoadFollower:
    """Follows the log from its beginning, so that an agent that starts again puts on the same loads."""

    def __init__(self, bus: Bus, subjects: Subjects, nodes: Iterable[SimulatedNode]) -> None:
        """Nothing sits on the devices at first."""
        self._bus = bus
        self._subjects = subjects
        self._node_of = {device_id: node for node in nodes for device_id in node.device_ids}
        self._loads = Loads(self._node_of)

    async def run(self) -> None:
        """Follow what is placed and what is handed out, until cancelled. The two do not touch each other.

        With no simulated device there is nothing to follow.
        """
        if not self._node_of:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(self._subjects.all_pool_events))
            group.create_task(self._follow(self._subjects.work_events))

    async def _follow(self, events: str) -> None:
        async with aclosing(self._bus.read(self._subjects.stream(EVENTS), filter=events)) as batches:
            async for records in batches:
                changed = {device_id for record in records for device_id in self._fold(record)}
                self._put_on(changed)

    def _fold(self, record: Record) -> set[DeviceId]:
        try:
            event = codec.decode_event(codec.decode_envelope(record.payload))
        except codec.ContractError:
            return set()  # Written by another version: what it says of loads is not known here.
        return self._loads.fold(event)

    def _put_on(self, devices: Iterable[DeviceId]) -> None:
        for device_id in devices:
            load = self._loads.on(device_id)
            self._node_of[device_id].set_load(device_id, load.memory_bytes, load.utilization_percent)
