"""What is asked for (workload, shard, constraints) and what comes of it (allocation, reasons)."""

from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId, ShardId, WorkloadId
from fleetfold_contracts.inventory import MAX_INTEGER, Bytes, DeviceType, Milli, Name, Vendor

MAX_SHARDS = 1024
"""With ids as long as they may be, a decision on so many still fits into the 1 MiB that a NATS server takes."""
WHOLE_GPU_MILLI = 1000

GpuMilli = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_GPU_MILLI, description="Thousandths of one GPU's compute")]


class Shard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a workload that must sit on one device, with what it needs there.

    `gpu_milli` of 1000 takes the device whole: nothing else may sit on it. 0 reserves memory alone.
    """

    memory_bytes: Bytes = 0
    gpu_milli: GpuMilli = 0
    shard_id: ShardId | None = None
    """Absent: its place in the list, as `0`, `1`, …"""


class Host(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a workload needs of its node, beside GPUs. Only a workload that sits on one node may ask for it."""

    cpu_milli: Milli = 0
    memory_bytes: Bytes = 0


class Constraints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a workload may sit. An empty list allows all."""

    device_types: tuple[DeviceType, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    models: tuple[Name, ...] = ()
    devices: tuple[DeviceId, ...] = ()
    nodes: tuple[NodeId, ...] = ()
    forbidden_devices: tuple[DeviceId, ...] = ()
    forbidden_nodes: tuple[NodeId, ...] = ()
    same_node: bool = False
    one_shard_per_device: bool = True


class Workload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for. With no shards it takes CPU and memory of one node alone."""

    workload_id: WorkloadId
    shards: Annotated[tuple[Shard, ...], msgspec.Meta(max_length=MAX_SHARDS)] = ()
    host: Host = Host()
    constraints: Constraints = Constraints()
    pool: PoolId = DEFAULT_POOL

    def __post_init__(self) -> None:
        """Hold what bounds cannot say. msgspec adds the path of the workload to the error."""
        if not self.shards and self.host == Host():
            raise ValueError("asks for nothing: give `shards`, or `host` with what it needs of a node")
        if len(self.shards) < 2:
            return
        if len(set(shard_ids(self))) < len(self.shards):
            raise ValueError("two of its `shards` have the same `shard_id`")
        if not self.constraints.same_node and self.host != Host():
            raise ValueError("`host` is one node's: with several shards set `constraints.same_node`")


def shard_ids(workload: Workload) -> tuple[ShardId, ...]:
    """The ids of a workload's shards, in order: the given one, or the place in the list."""
    return tuple(shard.shard_id or str(index) for index, shard in enumerate(workload.shards))


class Allocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shard on its device, with what is reserved there."""

    shard_id: ShardId
    device_id: DeviceId
    node_id: NodeId
    memory_bytes: Bytes = 0
    gpu_milli: GpuMilli = 0
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """The device's score when it was chosen."""


class HostAllocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is reserved of a node beside its GPUs."""

    node_id: NodeId
    cpu_milli: Milli = 0
    memory_bytes: Bytes = 0


class Reason(StrEnum):
    """Why a device, or a node, cannot take a shard."""

    NO_MEMORY = "no_memory"
    NO_COMPUTE_SHARE = "no_compute_share"
    DEVICE_TAKEN = "device_taken"
    WRONG_TYPE = "wrong_type"
    WRONG_VENDOR = "wrong_vendor"
    WRONG_MODEL = "wrong_model"
    NOT_CHOSEN = "not_chosen"
    FORBIDDEN = "forbidden"
    CORDONED = "cordoned"
    LOST = "lost"
    NODE_NOT_LIVE = "node_not_live"
    NODE_CPU = "node_cpu"
    NODE_MEMORY = "node_memory"
    TOO_FEW_TOGETHER = "too_few_together"


class Obstacle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many devices (nodes, for a workload without shards) one reason rules out, with the nearest miss."""

    reason: Reason
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    nearest: str | None = None
    detail: str = ""
    """In words, with the numbers: `needs 10.0 GiB, has 4.0 GiB free`."""
