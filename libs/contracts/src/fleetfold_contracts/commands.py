"""Commands: what is asked, in the imperative. A person types the bare struct; the subject names its type."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DEFAULT_POOL, CommandId, DeviceId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.inventory import Count, DeviceType, Vendor
from fleetfold_contracts.workloads import Workload

MAX_ITEMS = 100_000

Weight = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every command carries. With the same `command_id` it is done once, however often it arrives."""

    command_id: CommandId | None = None
    """Absent: the header `Nats-Msg-Id`, or else made of its place in the command stream."""


class Place(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Put a workload on devices, whole or not at all."""

    workload: Workload


class Release(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Give back what a workload holds."""

    workload_id: WorkloadId
    pool: PoolId = DEFAULT_POOL


class Cordon(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Let nothing new sit on a device. What is there stays."""

    device_id: DeviceId
    reason: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    pool: PoolId = DEFAULT_POOL


class Uncordon(Command, frozen=True, kw_only=True, omit_defaults=True):
    """Take a cordon back."""

    device_id: DeviceId
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
    "cordon": Cordon,
    "uncordon": Uncordon,
    "distribute": Distribute,
}
"""Each verb with its struct. A verb is the last token of the subject that a command is published on."""
