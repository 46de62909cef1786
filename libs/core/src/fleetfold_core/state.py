"""The state of the cluster: what the log says, folded. Its owner changes it in place, through `fold` alone."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Literal, TypeVar

import msgspec

from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.commands import Selector, Source
from fleetfold_contracts.events import Liveness, Try
from fleetfold_contracts.ids import (
    DEFAULT_POOL,
    DeviceId,
    NodeId,
    PoolId,
    ShardId,
    Token,
    WorkId,
    WorkloadId,
)
from fleetfold_contracts.inventory import Capabilities, Link, Node
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.samples import Sample
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Allocation, Change, HostAllocation, Obstacle, Workload
from fleetfold_core.jobs import Job

Run = tuple[int, int]
"""So many numbers in a row: the first, and the count."""

MISSED_BEATS = 3
"""So many beats of a node are missed before it counts as silent."""

PlaceKey = tuple[Literal["device", "node"], str]
"""A device or a node, by its id."""

Key = TypeVar("Key")
Value = TypeVar("Value")

_encoder = msgspec.msgpack.Encoder()


class At(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where an event lies in the log: its sequence, the server's time, and what its envelope names as its cause."""

    sequence: int
    time: datetime
    cause: str | None = None
    pool: PoolId | None = None
    """The pool on whose subjects it lies, which moves that pool's guard. Absent: what the event itself says."""


class NodeState(msgspec.Struct, kw_only=True):
    """A node, and what is reserved of it beside its GPUs."""

    node: Node
    pool: PoolId = DEFAULT_POOL
    """The pool that it is in, with all its devices: its CPU and memory can be promised by one ledger alone."""
    liveness: Liveness = Liveness.LIVE
    left: bool = False
    """Whether its agent was stopped in good order: it is not missed."""
    last_seen: datetime | None = None
    last_tick: int = -1
    """The newest tick folded of this boot; -1 before the first."""
    steady: bool = False
    """Whether its newest beat came before the ones since the beat before it could be missed: two beats in a row."""
    cordoned: str | None = None
    """Why nothing new may sit on it, nor on its devices."""
    draining: bool = False
    """Whether what is there moves off. It is cordoned too."""
    reserved_cpu_milli: int = 0
    reserved_memory_bytes: int = 0

    @property
    def silent_after_s(self) -> float:
        """For so long it may say nothing and is not missed."""
        return MISSED_BEATS * self.node.beat_interval_s

    @property
    def free_cpu_milli(self) -> int:
        """What is left of its CPU."""
        return max(0, self.node.cpu_milli - self.reserved_cpu_milli)

    @property
    def free_memory_bytes(self) -> int:
        """What is left of its memory."""
        return max(0, self.node.memory_bytes - self.reserved_memory_bytes)


class DeviceState(msgspec.Struct, kw_only=True):
    """A device: what it is, what it read last, and who sits on it."""

    node_id: NodeId
    capabilities: Capabilities
    sample: Sample | None = None
    lost: str | None = None
    """Why it does not answer."""
    fault: str | None = None
    """The fault that it reported."""
    cordoned: str | None = None
    """Why nothing new may sit on it."""
    draining: bool = False
    """Whether what is there moves off. It is cordoned too."""
    foreign_bytes: int = 0
    """Memory that is used by others than our shards, as far as telemetry tells (`fold_samples` has the rule)."""
    reserved_bytes: int = 0
    reserved_milli: int = 0
    whole: bool = False
    """Whether one shard has it to itself."""
    shards: dict[WorkloadId, tuple[ShardId, ...]] = {}

    @property
    def device_id(self) -> DeviceId:
        """Its id."""
        return self.capabilities.device_id

    @property
    def free_bytes(self) -> int:
        """Memory that nobody uses and nobody was promised."""
        left_bytes = self.capabilities.max_memory_bytes - self.foreign_bytes - self.reserved_bytes
        return left_bytes if left_bytes > 0 else 0  # noqa: FURB136 - asked of every device, and max() costs a call

    @property
    def free_milli(self) -> int:
        """The share of its compute that nobody was promised, in thousandths."""
        return WHOLE_GPU_MILLI - self.reserved_milli

    def hold(self, workload_id: WorkloadId, shard_id: ShardId, memory_bytes: int, gpu_milli: int) -> None:
        """Let a shard sit here. Whether there is room was asked before."""
        self.reserved_bytes += memory_bytes
        self.reserved_milli += gpu_milli
        self.whole = gpu_milli == WHOLE_GPU_MILLI
        self.shards[workload_id] = (*self.shards.get(workload_id, ()), shard_id)

    def copy(self) -> "DeviceState":
        """A copy to try things on."""
        return msgspec.structs.replace(self, shards=dict(self.shards))


class Degraded(msgspec.Struct, frozen=True, kw_only=True):
    """What is the matter with a placement that must move."""

    shard_ids: tuple[ShardId, ...]
    """The shards that sit on what is out of use; none where it is the node that its host is on."""
    reason: str
    since: datetime
    summary: str = ""
    """Why it was not moved at once; empty where it could be."""
    obstacles: tuple[Obstacle, ...] = ()
    kept_devices: tuple[DeviceId, ...] = ()
    """Where nobody else may sit, so that it is not delayed."""
    kept_node: NodeId | None = None


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that is bound to devices."""

    workload: Workload
    allocations: tuple[Allocation, ...]
    host: HostAllocation | None
    decided_at: datetime
    """When it was bound first: a move does not make it younger."""
    sequence: int
    """Of the newest event that changed it. What is said of the placement as it is now has an id made of this."""
    strategy: PlacementStrategy = PlacementStrategy.SCORE
    degraded: Degraded | None = None


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that waits for a place. It holds nothing."""

    workload: Workload
    since: datetime
    """When it began to wait; of one that was displaced, when it was placed first."""
    sequence: int
    """Of the newest event that changed it."""
    cause: str | None = None
    """The command that asked for it."""
    strategy: PlacementStrategy = PlacementStrategy.SCORE
    preempt: bool = False
    deadline: datetime | None = None
    summary: str = ""
    obstacles: tuple[Obstacle, ...] = ()
    kept_devices: tuple[DeviceId, ...] = ()
    """Where those behind it may not sit, so that they do not delay it."""
    kept_node: NodeId | None = None
    preempted_by: WorkloadId | None = None
    """For whom it made room: it was displaced, and comes before those that never had a place."""
    noticed: bool = False
    """Whether it was said that it was preempted."""


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What all workloads of a tenant hold together."""

    gpu_milli: int = 0
    memory_bytes: int = 0


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What all workloads of a tenant may hold together; `None`: no limit."""

    gpu_milli: int | None = None
    memory_bytes: int | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A workload that cannot be placed, and what stands in the way."""

    workload: Workload
    summary: str
    obstacles: tuple[Obstacle, ...] = ()
    changes: tuple[Change, ...] = ()
    """What would make it fit, as far as it was tried."""
    at: datetime | None = None
    """When the log took it; absent while it is a solver's answer alone."""


class HandedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that lies in a device's queue, or in a worker's hands."""

    runs: list[Run]
    since: datetime
    again: bool = False
    """Whether its items have failed before."""


class Lane(msgspec.Struct, kw_only=True):
    """One device's part in a work."""

    pending: list[Run] = []
    """Items that are meant for it and not handed out, in the order in which they will be."""
    pending_count: int = 0
    handed: dict[int, HandedOut] = {}
    """Its batches that are not finished, by their numbers."""
    handed_count: int = 0
    """The items in them."""
    next_batch: int = 0
    done: int = 0
    failed: int = 0
    """Tries that failed."""
    seconds: float = 0.0
    """How long its workers say that they worked."""
    heard: datetime | None = None
    """When one of its workers was heard last."""
    silent: bool = False
    """Whether nobody works for it: what lay in its queue was taken back."""


class Trouble(msgspec.Struct, kw_only=True):
    """An item that has failed, and may be tried again."""

    tries: list[Try]
    due: datetime
    """Not to be tried before."""
    waits: bool = True
    """Whether it is in nobody's hands."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An item that has failed for good; the event at `sequence` holds it whole."""

    sequence: int
    tries: tuple[Try, ...]


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Items that were drawn from a source at once: from place `first` on, behind the source's sequence `after`."""

    first: int
    count: int
    after: int


class WorkState(msgspec.Struct, kw_only=True):
    """A work. Each of its items is done, failed, unassigned, cancelled, or waits."""

    work_id: WorkId
    sequence: int
    """Where the log says that it began."""
    item_count: int
    batch_size: int
    to: Selector = Selector()
    max_per_device: int | None = None
    batches_ahead: int = 2
    max_tries: int = 3
    retry_delay_s: float = 1.0
    command_sequence: int = 0
    source: Source | None = None
    source_end: int = 0
    drawn_through: int = 0
    """The source's sequence up to which its items are known."""
    chunks: list[Chunk] = []
    decisions: int = 0
    """How many decisions were made on it: the next one has the next number."""
    done: int = 0
    failed: int = 0
    unassigned: int = 0
    cancelled: int = 0
    redone: int = 0
    """Items that were told of a second time. They count once."""
    is_cancelled: bool = False
    completed: bool = False
    lanes: dict[DeviceId, Lane] = {}
    troubles: dict[int, Trouble] = {}
    dead: dict[int, DeadLetter] = {}
    """The items that have failed for good, as far as they are remembered."""

    @property
    def waiting(self) -> int:
        """How many items are neither done nor given up."""
        return self.item_count - self.done - self.failed - self.unassigned - self.cancelled

    @property
    def drawn(self) -> bool:
        """Whether all its items are known."""
        return self.source is None or self.is_cancelled or self.drawn_through >= self.source_end

    def lane(self, device_id: DeviceId) -> Lane:
        """A device's part, empty if it had none."""
        return self.lanes.setdefault(device_id, Lane())


class Arrivals(msgspec.Struct, kw_only=True):
    """Which jobs arrived in a pool, and how often: what the next ones will be like, as far as can be told."""

    counts: dict[Job, int] = {}
    """The newer ones weigh more: now and then all counts are halved."""
    total: int = 0
    mix: tuple[tuple[Job, int], ...] = ()
    """The counts as they were when they were last looked at: what is worked out from them holds until the next time."""
    until_renewal: int = 1
    """So many arrivals from now the mix is taken anew."""


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the log that could not be folded, and why."""

    sequence: int
    reason: str


class State(msgspec.Struct, kw_only=True):
    """The cluster at a position of the log.

    Dictionaries keep the order in which the log filled them: what is bounded forgets its oldest, and equal histories
    give equal bytes.
    """

    position: int = 0
    """The sequence of the newest event folded."""
    samples_position: int = 0
    """The sequence of the newest samples folded."""
    pool_positions: dict[PoolId, int] = {}
    """The sequence of the newest event folded in each pool: what a guard expects."""
    nodes: dict[NodeId, NodeState] = {}
    devices: dict[DeviceId, DeviceState] = {}
    pools: dict[PoolId, int] = {}
    """How many nodes are in each pool that was made. All others are in the default one."""
    links: dict[NodeId, tuple[Link, ...]] = {}
    """The links that each node sees."""
    placements: dict[tuple[PoolId, WorkloadId], Placement] = {}
    refusals: dict[tuple[PoolId, WorkloadId], Refusal] = {}
    """The newest refusals of workloads that were not placed since."""
    released: dict[tuple[PoolId, WorkloadId], datetime] = {}
    """When the workloads that were released last were."""
    queue: dict[tuple[PoolId, WorkloadId], Queued] = {}
    """The workloads that wait. `fleetfold_core.queue` says in which order they are looked at."""
    degraded: dict[tuple[PoolId, WorkloadId], None] = {}
    """The placements that must move."""
    drains: dict[tuple[PoolId, PlaceKey], int] = {}
    """The devices and nodes that are being drained, each with the sequence of the event that began it."""
    outages: dict[PlaceKey, datetime] = {}
    """Since when the devices that are lost or faulted are, and the nodes that are offline."""
    quotas: dict[tuple[PoolId, Token], Quota] = {}
    held: dict[tuple[PoolId, Token], Amounts] = {}
    """What each tenant holds, of those that hold something."""
    room_positions: dict[PoolId, int] = {}
    """The sequence of the newest event in each pool that may have made room: who waits is looked at again then."""
    works: dict[WorkId, WorkState] = {}
    """Works under way, and the newest of the completed ones."""
    outcomes: dict[str, int] = {}
    """The sequence of the event that is a command's outcome, for longer than commands are kept.

    The keys are ids of commands, which were checked when they came: to hold a million of them against their pattern
    once more takes longer than all else that a start from a snapshot does.
    """
    outcome_days: list[tuple[int, int]] = []
    """The days (as ordinals) on which outcomes came, each with the sequence of its first."""
    arrivals: dict[PoolId, Arrivals] = {}
    """The mix of jobs that were asked for in each pool."""
    refused_count: int = 0
    rejected_count: int = 0
    parked_count: int = 0
    parked: list[Parked] = []
    """The newest of what could not be folded."""
    stale_decision_count: int = 0
    """Decisions on works that came behind another one, and changed nothing."""
    ignored_sample_count: int = 0
    """Samples of devices, boots or ticks that are not, or no longer, of interest."""

    def placement(self, pool: PoolId, workload_id: WorkloadId) -> Placement | None:
        """Where a workload sits, if it does."""
        return self.placements.get((pool, workload_id))

    def refusal(self, pool: PoolId, workload_id: WorkloadId) -> Refusal | None:
        """Why a workload sits nowhere, if that is how its last request ended."""
        return self.refusals.get((pool, workload_id))

    def all_placements(self) -> Iterator[Placement]:
        """Every placement, the oldest first."""
        return iter(self.placements.values())

    def workloads_on(self, device_id: DeviceId) -> tuple[WorkloadId, ...]:
        """The workloads that have a shard on a device."""
        return tuple(self.devices[device_id].shards)

    def pool_of(self, device: DeviceState) -> PoolId:
        """The pool that a device is in: its node's."""
        return self.nodes[device.node_id].pool

    def device_in(self, pool: PoolId, device_id: DeviceId) -> DeviceState | None:
        """A device, if it is in a pool."""
        device = self.devices.get(device_id)
        return device if device is not None and self.pool_of(device) == pool else None

    def node_in(self, pool: PoolId, node_id: NodeId) -> NodeState | None:
        """A node, if it is in a pool."""
        node = self.nodes.get(node_id)
        return node if node is not None and node.pool == pool else None

    def devices_in(self, pool: PoolId) -> Collection[DeviceState]:
        """The devices of a pool."""
        if not self.pools:
            return self.devices.values() if pool == DEFAULT_POOL else ()
        return [device for device in self.devices.values() if self.pool_of(device) == pool]

    def nodes_in(self, pool: PoolId) -> Collection[NodeState]:
        """The nodes of a pool."""
        if not self.pools:
            return self.nodes.values() if pool == DEFAULT_POOL else ()
        return [node for node in self.nodes.values() if node.pool == pool]

    def encode(self) -> bytes:
        """The state as MessagePack: equal histories give equal bytes."""
        return _encoder.encode(self)

    @staticmethod
    def decode(payload: bytes) -> "State":
        """What `encode` gave.

        Raises:
            ContractError: it is no state.
        """
        try:
            return _decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise ContractError(f"no state: {error}") from None


_decoder = msgspec.msgpack.Decoder(State)


def keep_newest(entries: dict[Key, Value], limit: int) -> None:
    """Forget the oldest entries beyond `limit`."""
    while len(entries) > limit:
        del entries[next(iter(entries))]
