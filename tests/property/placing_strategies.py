"""Small mixed clusters with racks, links and labels, and workloads that ask for all of it."""

from itertools import combinations

from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Precision, Vendor
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Constraints, Neighbours, Shard, Spread, Workload
from tests.property.core_strategies import Cluster, rarely
from tests.support.story import START

NODES = ("n1", "n2", "n3")
MOST_DEVICES = 5

racks = st.sampled_from(({}, {"rack": "r1"}, {"rack": "r1"}, {"rack": "r2"}))
shards = st.builds(Shard, memory_bytes=st.integers(1, 8), gpu_milli=st.sampled_from((0, 0, 0, 500, 1000)))
sometimes = st.sampled_from((False, False, True))


def a_node(node_id: str, labels: dict[str, str]) -> Node:
    return Node(node_id=node_id, boot_id="b1", hostname=node_id, cpu_milli=20, memory_bytes=20, labels=labels)


@st.composite
def devices(draw: st.DrawFn, device_id: str) -> evt.DeviceRegistered:
    """A device on any of the nodes."""
    capabilities = Capabilities(
        device_id=device_id,
        device_type=DeviceType.CUDA,
        device_name="GPU",
        vendor=draw(st.sampled_from((Vendor.NVIDIA, Vendor.NVIDIA, Vendor.AMD))),
        max_memory_bytes=draw(st.sampled_from((6, 8, 8, 12))),
        compute_units=draw(st.sampled_from((None, 60, 120))),
        compute_capability=draw(st.sampled_from((None, "7.5", "8.6"))),
        precisions=draw(st.sampled_from(((), (Precision.FP16,), (Precision.FP16, Precision.BF16)))),
        supports_fp64=draw(st.sampled_from((None, True, True))),
        labels=draw(st.sampled_from(({}, {}, {"zone": "a"}, {"zone": "b"}))),
    )
    return evt.DeviceRegistered(node_id=draw(st.sampled_from(NODES)), capabilities=capabilities)


@st.composite
def linked_clusters(draw: st.DrawFn) -> Cluster:
    """Three nodes, up to five devices, and links between some of them."""
    nodes = [a_node(node_id, draw(racks)) for node_id in NODES]
    fleet = [draw(devices(f"d{number}")) for number in range(draw(st.integers(1, MOST_DEVICES)))]
    samples = [
        NodeSample(node_id=device.node_id, boot_id="b1", tick=tick, samples=(draw(readings(device)),))
        for tick, device in enumerate(fleet)
    ]
    ends = [*combinations(NODES, 2), *combinations([device.capabilities.device_id for device in fleet], 2)]
    seen = [draw(links(pair)) for pair in ends if draw(sometimes)]
    observed = evt.LinksObserved(node_id="n1", links=tuple(seen))
    return Cluster(nodes, fleet, samples, [observed])


@st.composite
def readings(draw: st.DrawFn, device: evt.DeviceRegistered) -> Sample:
    return Sample(
        device_id=device.capabilities.device_id,
        timestamp=START,
        memory_used_bytes=draw(st.integers(0, 3)),
        compute_utilization_percent=draw(st.sampled_from((0.0, 10.0, 50.0))),
        temperature_celsius=draw(st.sampled_from((40.0, 40.0, 90.0))),
    )


@st.composite
def links(draw: st.DrawFn, ends: tuple[str, str]) -> Link:
    return Link(
        ends=ends,
        kind=LinkKind.PCIE,
        bandwidth_gbps=draw(st.sampled_from((None, 10.0, 100.0))),
        latency_us=draw(st.sampled_from((None, 1.0, 50.0))),
    )


neighbours = st.builds(
    Neighbours,
    min_bandwidth_gbps=st.sampled_from((None, None, 50.0)),
    max_latency_us=st.sampled_from((None, None, 10.0)),
    ring=st.booleans(),
)


@st.composite
def demanding_workloads(draw: st.DrawFn) -> Workload:
    """Up to three shards, or two replicas of up to two, under constraints of every kind."""
    replicas = draw(st.sampled_from((1, 1, 2)))
    asked = draw(st.lists(shards, min_size=1, max_size=4 - replicas))
    constraints = Constraints(
        vendors=(Vendor.NVIDIA,) if draw(rarely) else (),
        min_compute_capability="8.0" if draw(rarely) else None,
        needs_fp64=draw(rarely),
        precisions=(Precision.BF16,) if draw(rarely) else (),
        labels={"zone": draw(st.sampled_from(((), ("a",), ("a", "b"))))} if draw(rarely) else {},
        forbidden_labels={"zone": draw(st.sampled_from(((), ("b",))))} if draw(rarely) else {},
        max_temperature_celsius=80.0 if draw(rarely) else None,
        exclusive=draw(rarely),
        same_node=draw(rarely),
        same_rack=draw(rarely),
        neighbours=draw(neighbours) if draw(sometimes) else None,
        one_shard_per_device=draw(st.booleans()),
    )
    spread = draw(st.sampled_from(Spread))
    return Workload(workload_id="w", shards=tuple(asked), constraints=constraints, replicas=replicas, spread=spread)


def renamed(cluster: Cluster, names: dict[str, str]) -> Cluster:
    """The same cluster with other ids."""

    def new(name: str) -> str:
        return names.get(name, name)

    return Cluster(
        nodes=[replace(node, node_id=new(node.node_id), hostname=new(node.node_id)) for node in cluster.nodes],
        devices=[
            replace(
                device,
                node_id=new(device.node_id),
                capabilities=replace(device.capabilities, device_id=new(device.capabilities.device_id)),
            )
            for device in cluster.devices
        ],
        samples=[
            replace(
                seen,
                node_id=new(seen.node_id),
                samples=tuple(replace(sample, device_id=new(sample.device_id)) for sample in seen.samples),
            )
            for seen in cluster.samples
        ],
        since=[
            replace(
                event,
                node_id=new(event.node_id),
                links=tuple(replace(link, ends=(new(link.ends[0]), new(link.ends[1]))) for link in event.links),
            )
            for event in cluster.since
            if isinstance(event, evt.LinksObserved)
        ],
    )
