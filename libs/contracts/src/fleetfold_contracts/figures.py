"""The cluster in figures: what `<root>.api.aggregate` and `<root>.api.topology` are asked and answer."""

from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DeviceId, NodeId, PoolId
from fleetfold_contracts.inventory import Bytes, Count, Link, LinkKind, Name, Vendor
from fleetfold_contracts.samples import Instant

SilentShares = Annotated[
    tuple[Name, ...],
    msgspec.Meta(description="Such as `2/4`: shares of the fleet that did not answer, and that are not in this"),
]


class Figures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What some devices have together.

    A reading counts while its device is heard: what a lost device, or one of an offline node, read last does not. Each
    figure is over the devices that have the reading, and the count beside it says how many that is.
    """

    device_count: Count = 0
    total_memory_bytes: Bytes = 0
    used_memory_bytes: Bytes = 0
    used_memory_device_count: Count = 0
    available_memory_bytes: Bytes = 0
    """What nobody uses and nobody was promised, on devices that are heard."""
    average_utilization_percent: float | None = None
    utilization_device_count: Count = 0
    average_temperature_celsius: float | None = None
    temperature_device_count: Count = 0
    total_power_watts: float | None = None
    power_device_count: Count = 0
    heterogeneity: float | None = None
    """The strongest device over the weakest, by compute units x memory bandwidth x clock; 1 where all are alike."""
    heterogeneity_device_count: Count = 0


class AggregateQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `aggregate` takes."""

    at_least: Count = 0
    """Wait until the answer stands for this log position."""


class AggregateAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster in figures, and the same by vendor and by pool."""

    position: Count
    cluster: Figures
    time: Instant | None = None
    """The server's time. Absent: nothing was heard yet."""
    by_vendor: dict[Vendor, Figures] = {}
    by_pool: dict[PoolId, Figures] = {}
    silent_shares: SilentShares = ()


class TopologyQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which part of the topology. Empty: from its beginning."""

    node_id: NodeId | None = None
    """Only this node and the links that it sees."""
    after: NodeId | None = None
    """Only the nodes behind this one: what `next_after` of the answer before says."""
    at_least: Count = 0


class TopologyNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node with its devices and the links that it sees."""

    node_id: NodeId
    device_ids: tuple[DeviceId, ...] = ()
    links: tuple[Link, ...] = ()


class LinkFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The links of one kind. Bandwidths and latencies are of those that tell them."""

    link_count: Count
    lowest_bandwidth_gbps: float | None = None
    average_bandwidth_gbps: float | None = None
    average_latency_us: float | None = None
    highest_latency_us: float | None = None


class TopologyFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows from all links together, each counted once however many nodes see it.

    Where there are more than 20,000 links, parts, diameter and bottleneck are not told.
    """

    part_count: Count | None = None
    """Parts without a way from one to another. A device and its node hang together."""
    diameter_hops: Count | None = None
    """The longest of the shortest ways between two ends of a part; from a device to its node is a hop too."""
    diameter_is_exact: bool = True
    """False in a large cluster: the diameter is at least what is said."""
    average_bandwidth_gbps: float | None = None
    bottleneck_bandwidth_gbps: float | None = None
    """What the worst-joined two ends of a link still have between them, over the best way. Links that do not tell
    their bandwidth are no way.
    """
    by_kind: dict[LinkKind, LinkFigures] = {}


class TopologyAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nodes in the order of their ids, as many as one message holds, and the figures of the whole cluster."""

    position: Count
    figures: TopologyFigures
    nodes: tuple[TopologyNode, ...] = ()
    next_after: NodeId | None = None
    """Give it as `after` for the rest. Absent: there is none."""
