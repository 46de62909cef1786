"""What is asked for (workload, shard, constraints) and what comes of it (allocation, reasons)."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId, ShardId, Token, WorkloadId
from fleetfold_contracts.inventory import (
    MAX_INTEGER,
    MAX_LABELS,
    Bytes,
    ComputeCapability,
    Count,
    DeviceType,
    Label,
    Milli,
    Name,
    Precision,
    Vendor,
)

MAX_SHARDS = 768
"""Those of all replicas. With ids as long as they may be, a decision on so many still fits into the 1 MiB that a NATS
server takes."""
MAX_REPLICAS = 256
MAX_ID_CHARACTERS = 128
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


class Neighbours(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How near shards that follow each other must be: on one device, on one node, or on devices or nodes with a link.

    Devices of one node count as linked where nothing is known of a link between them. A least bandwidth or a greatest
    latency is asked of every link that is known; one that does not tell the figure is not good enough.
    """

    min_bandwidth_gbps: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    """Gigabits a second."""
    max_latency_us: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    ring: bool = False
    """Whether the last shard is a neighbour of the first."""


LabelValues = Annotated[dict[Name, tuple[Label, ...]], msgspec.Meta(max_length=MAX_LABELS)]
"""Labels by name, each with the values that it may have. No value: any will do, as long as the label is there."""


class Constraints(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a workload may sit. An empty list allows all. What a device does not tell, it does not have."""

    device_types: tuple[DeviceType, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    models: tuple[Name, ...] = ()
    devices: tuple[DeviceId, ...] = ()
    nodes: tuple[NodeId, ...] = ()
    forbidden_devices: tuple[DeviceId, ...] = ()
    forbidden_nodes: tuple[NodeId, ...] = ()
    min_compute_capability: ComputeCapability | None = None
    needs_fp64: bool = False
    needs_tensor_cores: bool = False
    precisions: tuple[Precision, ...] = ()
    """All of them must be supported."""
    labels: LabelValues = {}
    """The device's label, or where it has none of that name its node's, is one of these."""
    forbidden_labels: LabelValues = {}
    max_temperature_celsius: Annotated[float, msgspec.Meta(ge=-273.15, le=1000)] | None = None
    """A device that is hotter now takes nothing. One that does not tell counts as cool, as it does in the score."""
    exclusive: bool = False
    """Each shard takes its device whole, whatever share it asks for."""
    same_node: bool = False
    """Of each replica, as are the next three."""
    same_rack: bool = False
    """All nodes have the same label `rack`."""
    neighbours: Neighbours | None = None
    one_shard_per_device: bool = True


class Cut(StrEnum):
    """How a model is cut into shards."""

    AUTO = "auto"
    """Into the fewest shards that fit, by layers."""
    PIPELINE = "pipeline"
    """By layers: each shard holds some that follow each other, in proportion to what its device can hold."""
    TENSOR = "tensor"
    """Each layer into equal parts, which divide its attention heads and its hidden size."""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A transformer that the solver cuts into shards. The memory of each is estimated, and shown with the decision."""

    weight_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    layers: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    hidden_size: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    attention_heads: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    key_value_heads: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Absent: as many as attention heads."""
    cache_bytes_per_token: Bytes | None = None
    """Of all layers together. Absent: worked out of heads, hidden size and precision."""
    context_tokens: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0
    """The longest context that the cache is to hold, for each of `sequences`. 0: no cache."""
    sequences: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    precision: Precision = Precision.FP16
    """What cache and activations are held in."""
    cut: Cut = Cut.AUTO
    gpu_milli: GpuMilli = 0
    """What each shard takes of its device's compute."""

    def __post_init__(self) -> None:
        """Hold what bounds cannot say."""
        if self.hidden_size % self.attention_heads:
            raise ValueError("`hidden_size` must be a multiple of `attention_heads`")
        if self.attention_heads % (self.key_value_heads or self.attention_heads):
            raise ValueError("`attention_heads` must be a multiple of `key_value_heads`")


class Spread(StrEnum):
    """What no two replicas may share."""

    NONE = "none"
    NODE = "node"
    RACK = "rack"


class Workload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked for. With neither shards nor a model it takes CPU and memory of one node alone."""

    workload_id: WorkloadId
    shards: Annotated[tuple[Shard, ...], msgspec.Meta(max_length=MAX_SHARDS)] = ()
    model: Model | None = None
    """Instead of shards: the solver cuts it."""
    host: Host = Host()
    constraints: Constraints = Constraints()
    replicas: Annotated[int, msgspec.Meta(ge=1, le=MAX_REPLICAS)] = 1
    """So many times all of it: as one placement, whole or not at all."""
    spread: Spread = Spread.NONE
    priority: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] = 0
    """The higher, the earlier it is placed where several wait."""
    tenant: Token | None = None
    """Whose quota it counts against."""
    pool: PoolId = DEFAULT_POOL

    def __post_init__(self) -> None:
        """Hold what bounds cannot say. msgspec adds the path of the workload to the error."""
        fault = _fault_of_parts(self) or _fault_of_replicas(self) or _fault_of_ids(self)
        if fault is not None:
            raise ValueError(fault)


def _fault_of_parts(workload: Workload) -> str | None:
    if workload.model is not None and workload.shards:
        return "give `shards`, or a `model` to be cut into some, not both"
    if workload.host == Host():
        nothing = not workload.shards and workload.model is None
        return "asks for nothing: give `shards`, `model`, or `host` with what it needs of a node" if nothing else None
    if (len(workload.shards) > 1 or workload.model) and not workload.constraints.same_node:
        return "`host` is one node's: with several shards, or a `model`, set `constraints.same_node`"
    return None


def _fault_of_replicas(workload: Workload) -> str | None:
    if workload.replicas > 1 and workload.host != Host():
        return "`host` is given once: with `host`, ask for each of the `replicas` as a workload of its own"
    if workload.replicas * len(workload.shards) > MAX_SHARDS:
        return f"`replicas` times `shards` are too many: at most {MAX_SHARDS} shards are placed together"
    return None


def _fault_of_ids(workload: Workload) -> str | None:
    ids = shard_ids(workload)
    if len(set(ids)) < len(ids):
        return "two of its `shards` have the same `shard_id`"
    too_long = next((name for name in ids if len(name) > MAX_ID_CHARACTERS), None)
    return None if too_long is None else f"with a replica's number before it, `shard_id` is too long: {too_long}"


def shard_ids(workload: Workload) -> tuple[ShardId, ...]:
    """The ids of a workload's shards, in order, replica by replica: the given one, or the place in the list."""
    return name_shards([shard.shard_id or str(index) for index, shard in enumerate(workload.shards)], workload.replicas)


def name_shards(ids: Sequence[ShardId], replicas: int) -> tuple[ShardId, ...]:
    """The ids of all replicas' shards: of several, each id comes with the replica's number before it."""
    if replicas == 1:
        return tuple(ids)
    return tuple(f"{replica}-{shard_id}" for replica in range(replicas) for shard_id in ids)


class MemoryEstimate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a part of a model needs of its device's memory, and what for."""

    weights_bytes: Bytes = 0
    cache_bytes: Bytes = 0
    """Keys and values of the context."""
    activations_bytes: Bytes = 0
    overhead_bytes: Bytes = 0
    """What the program itself takes: the backend's context, kernels, fragmentation."""


class Allocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A shard on its device, with what is reserved there."""

    shard_id: ShardId
    device_id: DeviceId
    node_id: NodeId
    memory_bytes: Bytes = 0
    gpu_milli: GpuMilli = 0
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """How good the device was when it was chosen."""
    terms: dict[Name, Annotated[float, msgspec.Meta(ge=0, le=1)]] = {}
    """What the score is made of, each 0 to 1, by the names that its formula gives them."""
    layers: tuple[Count, Count] | None = None
    """Of a model that was cut: the first of its layers that are here, and how many."""
    tensor_rank: Count | None = None
    """Of a model whose layers were cut: which part of each is here."""
    memory: MemoryEstimate | None = None
    """What `memory_bytes` is made of, where it was estimated."""


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
    COMPUTE_CAPABILITY = "compute_capability"
    NO_FP64 = "no_fp64"
    NO_TENSOR_CORES = "no_tensor_cores"
    NO_PRECISION = "no_precision"
    WRONG_LABEL = "wrong_label"
    FORBIDDEN_LABEL = "forbidden_label"
    TOO_HOT = "too_hot"
    NO_RACK = "no_rack"
    NOT_CHOSEN = "not_chosen"
    FORBIDDEN = "forbidden"
    CORDONED = "cordoned"
    LOST = "lost"
    NODE_NOT_LIVE = "node_not_live"
    NODE_CPU = "node_cpu"
    NODE_MEMORY = "node_memory"
    TOO_FEW_TOGETHER = "too_few_together"
    OVER_QUOTA = "over_quota"
    KEPT = "kept"


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that would make a refused workload fit. It was tried, on the state that it was refused on."""

    detail: str = ""
    """In words: `with 3.0 GiB more on gpu-7`."""
    without: Name | None = None
    """The constraint to be left out, by the name of its field."""
    devices: tuple[DeviceId, ...] = ()
    """One of these would have to change."""
    more_bytes: Bytes = 0
    """So much more of its memory would have to be free; 0: it would have to take shards again."""
    replicas: Count | None = None
    """So many would fit."""


class Obstacle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many devices (nodes, for a workload without shards) one reason rules out, with the nearest miss."""

    reason: Reason
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    nearest: str | None = None
    detail: str = ""
    """In words, with the numbers: `needs 10.0 GiB, has 4.0 GiB free`."""
