"""What follows from links: the formulas on clusters small enough to see, and bounds on large ones."""

import pytest

from fleetfold_contracts import events as evt
from fleetfold_contracts.figures import TopologyQuery
from fleetfold_contracts.inventory import Link, LinkKind
from fleetfold_core.topology import topology_figures, transfer_time_s
from fleetfold_core.views.topology import topology
from tests.support.examples import a_device
from tests.support.story import Story


def link(first: str, second: str, gbps: float | None = None, us: float | None = None) -> Link:
    return Link(ends=(first, second), kind=LinkKind.ETHERNET, bandwidth_gbps=gbps, latency_us=us)


def test_a_transfer_takes_its_latency_and_its_bits_over_the_bandwidth() -> None:
    assert transfer_time_s(link("a", "b", gbps=8, us=500), 10**9) == pytest.approx(1.0005)
    assert transfer_time_s(link("a", "b", gbps=8), 10**9) == pytest.approx(1)
    assert transfer_time_s(link("a", "b", us=500), 10**9) is None


def test_the_bottleneck_is_what_the_best_way_leaves() -> None:
    """a-c has 1 Gbit/s, and 10 over b; d is reached over 5 alone."""
    links = [link("a", "b", 10), link("b", "c", 20), link("a", "c", 1), link("c", "d", 5), link("x", "y")]
    figures = topology_figures(links, {})
    assert figures.bottleneck_bandwidth_gbps == 5
    assert figures.average_bandwidth_gbps == pytest.approx(9)
    assert (figures.part_count, figures.diameter_hops, figures.diameter_is_exact) == (2, 2, True)
    assert figures.by_kind[LinkKind.ETHERNET].link_count == 5


def test_a_link_that_both_ends_tell_counts_once() -> None:
    assert topology_figures([link("a", "b", 10), link("b", "a", 10)], {}).by_kind[LinkKind.ETHERNET].link_count == 1


def test_devices_of_two_nodes_hang_together_through_their_nodes() -> None:
    links = [link("a0", "a1"), link("b0", "b1"), link("a", "b")]
    figures = topology_figures(links, {"a0": "a", "a1": "a", "b0": "b", "b1": "b"})
    assert (figures.part_count, figures.diameter_hops) == (1, 3)


def test_the_diameter_of_a_large_cluster_is_bounded_from_below() -> None:
    """A chain of 3,000 is a tree: two sweeps find its whole length."""
    figures = topology_figures([link(f"n{index}", f"n{index + 1}") for index in range(3000)], {})
    assert (figures.diameter_hops, figures.diameter_is_exact) == (3000, False)


def test_of_very_many_links_the_figures_by_kind_are_told_alone() -> None:
    figures = topology_figures([link(f"n{index}", f"n{index + 1}", 10) for index in range(20_001)], {})
    assert figures.by_kind[LinkKind.ETHERNET].link_count == 20_001
    assert (figures.part_count, figures.diameter_hops, figures.bottleneck_bandwidth_gbps) == (None, None, None)


def test_without_links_nothing_follows() -> None:
    figures = topology_figures([], {})
    assert (figures.part_count, figures.diameter_hops, figures.bottleneck_bandwidth_gbps) == (0, None, None)


def test_the_topology_comes_in_pages_and_names_each_node_once() -> None:
    story = Story()
    for number in range(500):
        node_id = f"n{number:03}"
        ids = [f"{node_id}-g{index}" for index in range(8)]
        story.node(node_id, *map(a_device, ids))
        story.tell(evt.LinksObserved(node_id=node_id, links=tuple(link(a, b, 10) for a in ids for b in ids if a < b)))
    page = topology(story.state, TopologyQuery())
    nodes = list(page.nodes)
    assert page.next_after is not None
    while page.next_after is not None:
        page = topology(story.state, TopologyQuery(after=page.next_after))
        nodes += page.nodes
    assert [node.node_id for node in nodes] == sorted(story.state.nodes)
    assert {len(node.device_ids) for node in nodes} == {8}
    assert page.figures.part_count == 500
