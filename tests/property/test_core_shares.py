"""A fleet in shares is the same fleet: what the shares say, put together, is what one projector of all of it says."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import DeviceOrder, DevicesQuery, DeviceStatus, ExplainQuery
from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.shares import Share
from fleetfold_contracts.workloads import Shard, Workload
from fleetfold_core.facts import facts, forget_samples
from fleetfold_core.part import Part
from fleetfold_core.views.cluster import cluster, cluster_part, merged_cluster
from fleetfold_core.views.devices import DeviceIds, devices, merged_devices
from fleetfold_core.views.explained import explain, explain_part, merged_explanation
from fleetfold_core.views.figures import aggregate, aggregate_part, merged_aggregate
from tests.property.core_strategies import Cluster, clusters, examples, node_ids, sizes
from tests.support.examples import a_device
from tests.support.story import START, Story

REFUSED = evt.PlacementRefused(workload=Workload(workload_id="asked", shards=(Shard(memory_bytes=3),)), summary="full")

counts = st.integers(1, 4)
queries = st.builds(
    DevicesQuery,
    vendor=st.none() | st.sampled_from((Vendor.NVIDIA, Vendor.AMD)),
    node_id=st.none() | node_ids,
    status=st.none() | st.sampled_from(DeviceStatus),
    min_free_bytes=st.just(0) | sizes,
    sort=st.sampled_from(DeviceOrder),
    limit=st.none() | st.integers(1, 3),
)


def rounded(samples: NodeSample) -> NodeSample:
    """The same with whole percents: their sum is the same in any order."""
    told = [
        replace(
            sample,
            compute_utilization_percent=float(int(sample.compute_utilization_percent or 0)),
            temperature_celsius=float(int(sample.temperature_celsius or 0)),
        )
        for sample in samples.samples
    ]
    return replace(samples, samples=tuple(told))


def read_by(share: Share, samples: NodeSample) -> NodeSample:
    """Those of another share's node are of no boot that is known: they change nothing."""
    return samples if share.holds(samples.node_id) else replace(samples, boot_id="elsewhere")


class Fleet:
    """A state of all of it, and for each share one that has read the samples of its own nodes alone."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        told = cluster._replace(samples=list(map(rounded, cluster.samples)), since=[*cluster.since, REFUSED])
        self.whole = told.state()
        shares = [Share(number, count) for number in range(1, count + 1)]
        self.states = [told._replace(samples=[read_by(share, one) for one in told.samples]).state() for share in shares]
        self.parts = [Part(share).of(state) for share, state in zip(shares, self.states, strict=True)]


fleets = st.builds(Fleet, clusters(), counts)


@examples(150)
@given(fleet=fleets, query=queries)
def test_pages_of_shares_are_the_pages_of_the_whole(fleet: Fleet, query: DevicesQuery) -> None:
    for _ in range(len(fleet.whole.devices) + 1):
        merged = merged_devices([devices(part, query) for part in fleet.parts], query)
        assert merged == devices(fleet.whole, query)
        if merged.next_after is None:
            return
        query = replace(query, after=merged.next_after)
    raise AssertionError("the pages have no end")


@examples(100)
@given(fleet=fleets)
def test_figures_state_and_reasons_of_shares_are_those_of_the_whole(fleet: Fleet) -> None:
    whole, asked = fleet.whole, ExplainQuery(workload_id="asked")
    assert merged_aggregate([aggregate_part(part) for part in fleet.parts], START) == aggregate(whole, START)
    assert merged_cluster(fleet.states[0], [cluster_part(part) for part in fleet.parts]) == cluster(whole)
    reasons = [explain_part(state, part, asked) for state, part in zip(fleet.states, fleet.parts, strict=True)]
    assert merged_explanation(reasons) == explain(whole, asked)


@examples(50)
@given(fleet=fleets)
def test_a_share_that_is_silent_is_named_and_its_devices_are_left_out(fleet: Fleet) -> None:
    heard, silent = fleet.parts[0], ("2/9",)
    assert merged_aggregate([aggregate_part(heard)], None, silent).cluster.device_count == len(heard.devices)
    named = [
        merged_aggregate([aggregate_part(heard)], None, silent).silent_shares,
        merged_cluster(fleet.states[0], [cluster_part(heard)], silent).summary.silent_shares,
        merged_devices([devices(heard, DevicesQuery())], DevicesQuery(), silent).silent_shares,
    ]
    assert named == [silent] * 3


@examples(50)
@given(cluster=clusters())
def test_a_state_that_forgot_its_samples_reads_them_anew(cluster: Cluster) -> None:
    told, forgot = cluster.state(), cluster.state()
    forget_samples(forgot)
    assert facts(forgot) == facts(told)
    assert not any(device.sample for device in forgot.devices.values())
    assert forgot.samples_position == 0
    assert {id_: node.last_seen for id_, node in forgot.nodes.items()} == {
        id_: node.last_seen for id_, node in told.nodes.items()
    }


@given(names=st.lists(st.text(), max_size=20), count=st.integers(1, 999))
def test_each_name_is_in_one_share(names: list[str], count: int) -> None:
    one = Share(1, count)
    for name in names:
        assert [share for share in (one, *one.others()) if share.holds(name)] == [one.holder(name)]


def test_which_share_a_node_is_in_never_changes() -> None:
    """Projectors of two versions must agree on it."""
    assert [Share(1, 4).holder(f"node-{index}").number for index in range(8)] == [2, 4, 2, 4, 1, 3, 1, 3]


def test_shares_are_about_equal() -> None:
    names = [f"node-{index:05}" for index in range(12_500)]
    sizes_of = [sum(map(Share(number, 4).holds, names)) for number in range(1, 5)]
    assert max(sizes_of) < 1.1 * min(sizes_of), sizes_of


def test_a_device_that_moves_to_a_node_of_another_share_is_in_that_one_alone() -> None:
    """Each share's part, and the order that its pages are told in, follows."""
    here, there = (next(id_ for id_ in map("n{}".format, range(99)) if Share(n, 2).holds(id_)) for n in (1, 2))
    story = Story().node(here, a_device("d1"), a_device("d2")).node(there, a_device("d3"))
    parts, ids = (Part(Share(1, 2)), Part(Share(2, 2))), (DeviceIds(), DeviceIds())

    def shown() -> list[list[str]]:
        pages = [devices(part.of(story.state), DevicesQuery(), of) for part, of in zip(parts, ids, strict=True)]
        return [[view.capabilities.device_id for view in page.devices] for page in pages]

    assert shown() == [["d1", "d2"], ["d3"]]
    for device_id, node_id in (("d1", there), ("d3", here)):
        story.tell(evt.DeviceRegistered(node_id=node_id, capabilities=a_device(device_id)))
    assert shown() == [["d2", "d3"], ["d1"]]
