"""Instances of one model in shards on a mixed fleet, each from a seed.

Shards of 4 to 12 GiB follow each other in a pipeline. Nodes have four devices (up to 16 devices in all) or eight, all
of 16, 24, 40 or 80 GiB, partly used and partly busy. Several shards may share a device while its memory lasts.
Neighbours sit on one node or on linked ones: nodes of a rack are linked, four to a rack, and so are those of racks that
follow each other in a ring.
"""

from collections.abc import Iterator
from random import Random

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Vendor
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Constraints, Neighbours, Shard, Workload
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from tests.support.story import START

GIB = 1024**3
MIB = 1024**2
SIZES = ((4, 8), (8, 16), (16, 64), (32, 128), (64, 512), (128, 2048))
"""Shards and devices."""
MEMORY_GIB = (16, 24, 40, 80)
NODES_PER_RACK = 4
FEW_DEVICES = 16


def instance(shard_count: int, device_count: int, seed: int) -> tuple[State, Workload]:
    """A fleet as it stands, and the model that is to be placed on it."""
    random = Random(f"{shard_count}-{device_count}-{seed}")
    shards = tuple(Shard(memory_bytes=random.randint(4 * 1024, 12 * 1024) * MIB) for _ in range(shard_count))
    limits = Constraints(neighbours=Neighbours(), one_shard_per_device=False)
    return _fleet(random, device_count), Workload(workload_id="model", shards=shards, constraints=limits)


def _fleet(random: Random, device_count: int) -> State:
    state = State()
    width = 4 if device_count <= FEW_DEVICES else 8
    node_count = device_count // width
    for number in range(node_count):
        node = Node(node_id=f"n{number}", boot_id="b", hostname=f"n{number}", cpu_milli=64_000, memory_bytes=256 * GIB)
        links = tuple(Link(ends=pair, kind=LinkKind.RDMA) for pair in _links_of(number, node_count))
        _tell(state, evt.NodeJoined(node=node))
        _add_devices(state, random, node.node_id, width)
        _tell(state, evt.LinksObserved(node_id=node.node_id, links=links))
    return state


def _add_devices(state: State, random: Random, node_id: str, width: int) -> None:
    memory_bytes = random.choice(MEMORY_GIB) * GIB
    samples: list[Sample] = []
    for place in range(width):
        device = Capabilities(
            device_id=f"{node_id}-g{place}",
            device_type=DeviceType.CUDA,
            device_name="GPU",
            vendor=Vendor.NVIDIA,
            max_memory_bytes=memory_bytes,
        )
        _tell(state, evt.DeviceRegistered(node_id=node_id, capabilities=device))
        samples.append(
            Sample(
                device_id=device.device_id,
                timestamp=START,
                memory_used_bytes=int(memory_bytes * random.uniform(0, 0.6)),
                compute_utilization_percent=random.uniform(0, 100),
                temperature_celsius=random.uniform(30, 90),
            )
        )
    observed = NodeSample(node_id=node_id, boot_id="b", tick=0, samples=tuple(samples))
    fold_samples(state, observed, state.samples_position + 1, START)


def _links_of(number: int, node_count: int) -> Iterator[tuple[str, str]]:
    """The links of a node to those after it in its rack, and to those of the next rack."""
    rack_count = -(-node_count // NODES_PER_RACK)
    rack = number // NODES_PER_RACK
    for other in range(node_count):
        other_rack = other // NODES_PER_RACK
        same = other_rack == rack and other > number
        if same or (other_rack == (rack + 1) % rack_count and other_rack != rack):
            yield f"n{number}", f"n{other}"


def _tell(state: State, event: evt.Event) -> None:
    fold(state, event, At(sequence=state.position + 1, time=START))
