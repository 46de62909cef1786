"""A cluster to reason about: a state that a test tells what happens, one event after another."""

from datetime import UTC, datetime, timedelta

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, Node
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Allocation, Constraints, Shard, Workload
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, DeviceState, State
from tests.support.examples import GIB, a_device, a_node

START = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """What happened so far, as a state. Each event comes a second after the one before."""

    def __init__(self) -> None:
        self.state = State()
        self.now = START
        self._ticks = 0

    def tell(self, *events: evt.Event, cause: str | None = None) -> "Story":
        """Let events happen."""
        for event in events:
            self.now += timedelta(seconds=1)
            fold(self.state, event, At(sequence=self.state.position + 1, time=self.now, cause=cause))
        return self

    def node(self, node_id: str, *devices: Capabilities, node: Node | None = None) -> "Story":
        """Let a node join with its devices."""
        self.tell(evt.NodeJoined(node=node or a_node(node_id)))
        return self.tell(*(evt.DeviceRegistered(node_id=node_id, capabilities=device) for device in devices))

    def sample(
        self,
        device_id: str,
        used_bytes: int | None = None,
        busy_percent: float | None = None,
        celsius: float | None = None,
    ) -> "Story":
        """Let a device's readings come in."""
        self._ticks += 1
        node = self.state.nodes[self.state.devices[device_id].node_id].node
        sample = Sample(
            device_id=device_id,
            timestamp=self.now,
            memory_used_bytes=used_bytes,
            compute_utilization_percent=busy_percent,
            temperature_celsius=celsius,
        )
        samples = NodeSample(node_id=node.node_id, boot_id=node.boot_id, tick=self._ticks, samples=(sample,))
        fold_samples(self.state, samples, self.state.samples_position + 1, self.now)
        return self

    def place(self, workload_id: str, *seats: tuple[str, Shard]) -> "Story":
        """Let a workload be placed: its shards, each with the device that it sits on."""
        return self.tell(self.decided(workload_id, *seats))

    def decided(self, workload_id: str, *seats: tuple[str, Shard]) -> evt.PlacementDecided:
        """The decision that puts shards on devices."""
        allocations = (
            Allocation(
                shard_id=str(index),
                device_id=device_id,
                node_id=self.state.devices[device_id].node_id if device_id in self.state.devices else "n1",
                memory_bytes=shard.memory_bytes,
                gpu_milli=shard.gpu_milli,
            )
            for index, (device_id, shard) in enumerate(seats)
        )
        workload = Workload(
            workload_id=workload_id,
            shards=tuple(shard for _, shard in seats),
            constraints=Constraints(one_shard_per_device=False),
        )
        return evt.PlacementDecided(workload=workload, allocations=tuple(allocations))

    def device(self, device_id: str) -> DeviceState:
        """A device as it stands."""
        return self.state.devices[device_id]


def two_devices(memory_bytes: int = 24 * GIB) -> Story:
    """One node with the devices `d1` and `d2`, which are alike."""
    return Story().node("n1", a_device("d1", memory_bytes), a_device("d2", memory_bytes))


def gib_shard(gib: float, gpu_milli: int = 0) -> Shard:
    """A shard of so many GiB."""
    return Shard(memory_bytes=int(gib * GIB), gpu_milli=gpu_milli)
