"""Commands: what is asked, in the imperative. A person types the bare struct; the subject names its type."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DEFAULT_POOL, CommandId, DeviceId, NodeId, PoolId, Token, WorkId, WorkloadId
from fleetfold_contracts.inventory import Bytes, Count, DeviceType, Vendor
from fleetfold_contracts.placing import PlacementStrategy, Seconds
from fleetfold_contracts.workloads import Workload

MAX_ITEMS = 100_000
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
    CAPACITY = "capacity"


class Selector(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which devices: every part that is given must hold. Empty: every device that is up."""

    devices: tuple[DeviceId, ...] = ()
    workload_id: WorkloadId | None = None
    device_types: tuple[DeviceType, ...] = ()
    vendors: tuple[Vendor, ...] = ()


class Distribute(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Spread items over devices. Give `items` (any JSON values) or their `count`."""

    items: Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    count: Annotated[int, msgspec.Meta(ge=0, le=MAX_ITEMS)] = 0
    """So many items without a body, numbered from 0."""
    to: Selector = Selector()
    strategy: Strategy = Strategy.UNIFORM
    weights: dict[DeviceId, Weight] = {}
    """For `capacity`. Absent: the devices' compute units."""
    max_per_device: Count | None = None
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    work_id: WorkId | None = None
    """Absent: the command's id."""

    def __post_init__(self) -> None:
        """Hold what bounds cannot say."""
        if self.items and self.count:
            raise ValueError("give `items` or `count`, not both")
        if not self.items and not self.count:
            raise ValueError("nothing to distribute: give `items` or a `count` above 0")
        if self.weights and self.strategy is not Strategy.CAPACITY:
            raise ValueError("`weights` need the strategy `capacity`")

    @property
    def item_count(self) -> int:
        """How many items there are."""
        return len(self.items) or self.count


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
}
"""Each verb with its struct. A verb is the last token of the subject that a command is published on."""
