"""Commands: what is asked, in the imperative. A person types the bare struct; the subject names its type."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DEFAULT_POOL, CommandId, DeviceId, NodeId, PoolId, Token, WorkId, WorkloadId
from fleetfold_contracts.inventory import Bytes, Count, DeviceType, Vendor
from fleetfold_contracts.placing import PlacementStrategy, Seconds
from fleetfold_contracts.workloads import Workload

MAX_ITEMS = 100_000
"""As many as one command may hold. More are drawn from a subject."""
MAX_COUNT = 10_000_000
MANY_ITEMS = "Publish them to a subject of a stream, and name that as `source`"
MAX_TRANSFERRED = 1000

ReasonText = Annotated[str, msgspec.Meta(max_length=1024)]
Weight = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every command carries. With the same `command_id` it is done once, however often it arrives."""

    command_id: CommandId | None = None
    """Absent: the header `Nats-Msg-Id`, or else made of its place in the command stream."""


class Place(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Put a workload on devices, whole or not at all."""

    workload: Workload
    strategy: PlacementStrategy = PlacementStrategy.SCORE
    dry_run: bool = False
    """Say what would come of it, and change nothing."""
    wait: bool = False
    """Where it does not fit now: let it wait until it does."""
    deadline_s: Seconds | None = None
    """It waits so long at most, by the server's time, and is refused then. Absent: for ever."""
    preempt: bool = False
    """Where it does not fit now: let placements of a lower priority make room. They wait in its stead."""

    def __post_init__(self) -> None:
        """Hold what bounds cannot say."""
        if self.deadline_s is not None and not self.wait:
            raise ValueError("`deadline_s` is for a workload that waits: set `wait`")


class Release(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give back what a workload holds; if it waits, let it wait no longer."""

    workload_id: WorkloadId
    pool: PoolId = DEFAULT_POOL


class Move(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Put a placed workload elsewhere, in one step. What need not move stays.

    With nothing to avoid, it leaves all the devices that it sits on.
    """

    workload_id: WorkloadId
    avoid_devices: tuple[DeviceId, ...] = ()
    avoid_nodes: tuple[NodeId, ...] = ()
    pool: PoolId = DEFAULT_POOL


class OfDeviceOrNode(Command, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked of one device, or of a node with all its devices."""

    device_id: DeviceId | None = None
    node_id: NodeId | None = None
    """Instead of a device: the node, with all its devices."""
    pool: PoolId = DEFAULT_POOL

    def __post_init__(self) -> None:
        """Hold what bounds cannot say."""
        if (self.device_id is None) is (self.node_id is None):
            raise ValueError("give `device_id` or `node_id`, one of them")


class Cordon(OfDeviceOrNode, frozen=True, kw_only=True, omit_defaults=True):
    """Let nothing new sit on a device, or on a node. What is there stays."""

    reason: ReasonText = ""


class Uncordon(OfDeviceOrNode, frozen=True, kw_only=True, omit_defaults=True):
    """Take a cordon back, or a drain: what was moved off stays where it is."""


class Drain(OfDeviceOrNode, frozen=True, kw_only=True, omit_defaults=True):
    """Let nothing new sit on a device, or on a node, and move off what is there."""

    reason: ReasonText = ""


class Transfer(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Move nodes, each with all its devices, to another pool. What has something on it is not moved."""

    node_ids: Annotated[tuple[NodeId, ...], msgspec.Meta(min_length=1, max_length=MAX_TRANSFERRED)]
    to: PoolId
    """A pool is there as soon as a node is in it."""
    pool: PoolId = DEFAULT_POOL
    """The pool that they leave."""


class Rebalance(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Look for placements that would sit better elsewhere."""

    apply: bool = False
    """Move them; without it they are only named."""
    max_moves: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    pool: PoolId = DEFAULT_POOL


class Quota(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Limit what all workloads of a tenant may hold together. What they hold already stays."""

    tenant: Token
    gpu_milli: Count | None = None
    """Thousandths of GPUs. Absent: no limit."""
    memory_bytes: Bytes | None = None
    """Memory of devices. Absent: no limit."""
    pool: PoolId = DEFAULT_POOL


class Strategy(StrEnum):
    """How items are spread over devices."""

    UNIFORM = "uniform"
    """Evenly."""
    CAPACITY = "capacity"
    """In proportion to `weights`, or else to the devices' compute units."""
    LIVE = "live"
    """In proportion to the devices' scores by their newest readings: who is hot, full or busy gets less."""
    COST = "cost"
    """By `costs`, for the earliest end, where a device is as fast as its weight, or else its compute units."""


class Selector(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which devices: every part that is given must hold. Empty: every device that is up."""

    devices: tuple[DeviceId, ...] = ()
    workload_id: WorkloadId | None = None
    device_types: tuple[DeviceType, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    nodes: tuple[NodeId, ...] = ()
    pool: PoolId = DEFAULT_POOL


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where items are drawn from: what lies on a subject of a JetStream stream when the command is decided.

    Nothing is taken away there. A payload that is no JSON becomes a text.
    """

    stream: Annotated[str, msgspec.Meta(pattern=r"^[^\s.*>/\\]{1,255}\Z")]
    subject: Annotated[str, msgspec.Meta(pattern=r"^[^\s]{1,255}\Z")]
    after: Count = 0
    """Only what lies behind this sequence of the stream."""


class Distribute(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Spread items over devices. Give `items` (any JSON values), their `count`, or a `source` to draw them from.

    Items are told apart by their place alone: equal ones are items of their own.
    """

    items: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    count: Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)] = 0
    """So many items without a body, numbered from 0."""
    source: Source | None = None
    to: Selector = Selector()
    strategy: Strategy = Strategy.UNIFORM
    weights: dict[DeviceId, Weight] = {}
    """For `capacity` and `cost`. Absent: the devices' compute units."""
    costs: Annotated[tuple[Weight, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """For `cost`: how long each item takes, in any unit."""
    near: dict[Token, tuple[tuple[Count, Count], ...]] = {}
    """Items that shall go to a device, or to the devices of a node, as far as its limit allows: its id with runs
    `[first, count]` of their places.
    """
    max_per_device: Count | None = None
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    """The most items that a worker is handed at once."""
    batches_ahead: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """So many batches lie ready for a device, or are worked on there: give more where it has many workers."""
    max_tries: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """An item that failed so often has failed for good."""
    retry_delay_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 1.0
    """The pause before the second try. It doubles with each further one."""
    work_id: WorkId | None = None
    """Absent: the command's id."""

    def __post_init__(self) -> None:
        """Hold what bounds cannot say."""
        given = bool(self.items) + bool(self.count) + (self.source is not None)
        if given > 1:
            raise ValueError("give one of `items`, `count` and `source`, not more")
        if not given:
            raise ValueError("nothing to distribute: give `items`, a `count` above 0, or a `source`")
        if self.weights and self.strategy not in (Strategy.CAPACITY, Strategy.COST):
            raise ValueError("`weights` need the strategy `capacity` or `cost`")
        if (self.strategy is Strategy.COST) != bool(self.costs):
            raise ValueError("the strategy `cost` and `costs` need each other")
        if self.costs and len(self.costs) != self.item_count:
            raise ValueError(f"there are {len(self.costs)} `costs` for {self.item_count} items; give one for each")
        if self.near and self.source is not None:
            raise ValueError("`near` names items by their place, which is not known of a `source`")

    @property
    def item_count(self) -> int:
        """How many items there are; 0 where they are drawn from a source."""
        return len(self.items) or self.count


class Cancel(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Take back what is not started of a work. What a worker holds is finished."""

    work_id: WorkId


class Retry(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Try items that have failed for good once more."""

    work_id: WorkId
    items: Annotated[tuple[Count, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    """Their places. Empty: all that are known to have failed."""


COMMANDS: dict[str, type[Command]] = {
    "place": Place,
    "release": Release,
    "move": Move,
    "cordon": Cordon,
    "uncordon": Uncordon,
    "drain": Drain,
    "transfer": Transfer,
    "rebalance": Rebalance,
    "quota": Quota,
    "distribute": Distribute,
    "cancel": Cancel,
    "retry": Retry,
}
"""Each verb with its struct. A verb is the last token of the subject that a command is published on."""

INSTEAD_OF_TOO_MUCH: dict[str, str] = {"distribute": MANY_ITEMS}
"""What to do where a command would hold more than it may, by its verb."""
