"""What sits on simulated devices, by the event log: memory that is reserved, and work that is under way. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import Bytes
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Allocation

WORKING_PERCENT = 80.0
"""How busy a device is while batches are handed out to it, beside the shares that are placed on it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What sits on a device."""

    memory_bytes: Bytes = 0
    utilization_percent: float = 0.0


class Loads:
    """The loads of some devices. What an event says of others is passed over."""

    def __init__(self, devices: Iterable[DeviceId]) -> None:
        """Nothing sits on any of them at first."""
        self._placed: dict[tuple[PoolId, WorkloadId], tuple[Allocation, ...]] = {}
        self._allocations: dict[DeviceId, list[Allocation]] = {device: [] for device in devices}
        self._handed: defaultdict[WorkId, dict[DeviceId, set[int]]] = defaultdict(dict)
        """The batches of each work that are handed out to a device, by their numbers."""
        self._works_on: dict[DeviceId, set[WorkId]] = {device: set() for device in self._allocations}

    def on(self, device: DeviceId) -> Load:
        """What sits on one of the devices now."""
        allocations = self._allocations[device]
        placed_percent = 100 * sum(allocation.gpu_milli for allocation in allocations) / WHOLE_GPU_MILLI
        working_percent = WORKING_PERCENT if self._works_on[device] else 0.0
        return Load(
            memory_bytes=sum(allocation.memory_bytes for allocation in allocations),
            utilization_percent=min(100.0, placed_percent + working_percent),
        )

    def fold(self, event: evt.Event) -> set[DeviceId]:
        """Take over what happened. Gives the devices whose load may be another now.

        An event that comes twice counts once, and one that ends what never began does nothing.
        """
        match event:
            case evt.PlacementDecided(workload=workload):
                left = [self._place((workload.pool, preempted), ()) for preempted in event.preempted]
                came = self._place((workload.pool, workload.workload_id), event.allocations)
                return came.union(*left)
            case evt.PlacementMoved():
                return self._place((event.pool, event.workload_id), event.allocations)
            case evt.PlacementReleased():
                return self._place((event.pool, event.workload_id), ())
            case evt.WorkDispatched():
                return self._hand_out(event)
            case evt.BatchFinished():
                return self._take_back(event.work_id, event.device_id, {event.batch})
            case evt.WorkReassigned():
                return self._take_back(event.work_id, event.device_id, set(event.batches))
            case evt.WorkCompleted():
                return self._end(event.work_id, set(self._handed.get(event.work_id, ())))
            case _:
                return set()

    def _place(self, key: tuple[PoolId, WorkloadId], allocations: Iterable[Allocation]) -> set[DeviceId]:
        before = self._placed.pop(key, ())
        for allocation in before:
            self._allocations[allocation.device_id].remove(allocation)
        ours = tuple(allocation for allocation in allocations if allocation.device_id in self._allocations)
        for allocation in ours:
            self._allocations[allocation.device_id].append(allocation)
        if ours:
            self._placed[key] = ours
        return {allocation.device_id for allocation in (*before, *ours)}

    def _hand_out(self, event: evt.WorkDispatched) -> set[DeviceId]:
        ours = [part for part in event.batches if part.device_id in self._works_on]
        for part in ours:
            self._handed[event.work_id].setdefault(part.device_id, set()).add(part.batch)
            self._works_on[part.device_id].add(event.work_id)
        return {part.device_id for part in ours}

    def _take_back(self, work: WorkId, device: DeviceId, batches: set[int]) -> set[DeviceId]:
        handed = self._handed.get(work, {}).get(device)
        if handed is None:
            return set()
        handed -= batches
        return set() if handed else self._end(work, {device})

    def _end(self, work: WorkId, devices: set[DeviceId]) -> set[DeviceId]:
        for device in devices:
            del self._handed[work][device]
            self._works_on[device].discard(work)
        if not self._handed.get(work, True):
            del self._handed[work]
        return devices
