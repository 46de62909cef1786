"""What a node tells of its links to others: what is declared, else what is measured, and only what is news."""

from collections.abc import Iterable

from fleetfold_contracts.events import LinksObserved
from fleetfold_contracts.inventory import Link, LinkKind, Vendor
from fleetfold_devices.isolation.look import Look
from fleetfold_devices.port import Inventory
from fleetfold_telemetry_agent.dead_band import DeadBand
from fleetfold_telemetry_agent.link_book import MAX_MEASURED, LinkBook
from fleetfold_telemetry_agent.peers import PEERS_A_ROUND, Peers
from fleetfold_telemetry_agent.reporter import Fact, Reporter, Seen
from tests.support.examples import a_device, a_node

ETHERNET, RDMA = LinkKind.ETHERNET, LinkKind.RDMA


def link(
    *ends: str, kind: LinkKind = ETHERNET, bandwidth_gbps: float | None = None, latency_us: float | None = None
) -> Link:
    first, second = ends
    return Link(ends=(first, second), kind=kind, bandwidth_gbps=bandwidth_gbps, latency_us=latency_us)


def a_book(*declared: Link, told: Iterable[Link] = ()) -> LinkBook:
    book = LinkBook("a", declared)
    book.recall(told)
    return book


def test_what_is_declared_counts_and_what_it_leaves_out_is_measured() -> None:
    book = a_book(link("a", "b", bandwidth_gbps=25), link("a", "c", kind=RDMA, latency_us=2))
    book.round_trip("b", ETHERNET, 40)
    book.carried("b", ETHERNET, 9)
    assert book.links == (link("a", "b", bandwidth_gbps=25, latency_us=40), link("a", "c", kind=RDMA, latency_us=2))


def test_a_declared_link_is_told_by_its_first_end_alone() -> None:
    assert a_book(link("b", "a"), link("b", "c")).links == ()


def test_a_latency_is_told_anew_when_it_moved_by_more_than_a_quarter() -> None:
    book = a_book()
    told: list[float | None] = []
    for latency_us in (100, 125, 75, 126, 100, 94):
        book.round_trip("b", ETHERNET, latency_us)
        told.append(book.links[0].latency_us)
    assert told == [100, 100, 100, 126, 126, 94]


def test_an_agent_that_starts_again_knows_what_it_measured() -> None:
    before = a_book(link("a", "c", kind=RDMA))
    before.round_trip("b", ETHERNET, 100)
    before.carried("b", ETHERNET, 9)
    after = a_book(told=before.links)
    after.round_trip("b", ETHERNET, 110)
    assert after.links == (link("a", "b", bandwidth_gbps=9, latency_us=100),)


def test_measured_links_are_bounded_and_the_longest_unmeasured_go() -> None:
    book = a_book()
    for index in range(MAX_MEASURED + 3):
        book.round_trip(f"n{index}", ETHERNET, 100)
        book.round_trip("n0", ETHERNET, 100)
    peers = {one.ends[1] for one in book.links}
    assert len(peers) == MAX_MEASURED
    assert peers.isdisjoint({"n1", "n2", "n3"})
    assert "n0" in peers


def test_every_peer_gets_its_turn_and_simulated_ones_and_oneself_none() -> None:
    peers = Peers("n0")
    for index in range(PEERS_A_ROUND + 10):
        peers.joined(a_node(f"n{index}"))
    rounds = [[node.node_id for node in peers.of_this_round()] for _ in range(2)]
    assert [len(one) for one in rounds] == [PEERS_A_ROUND, PEERS_A_ROUND]
    assert set(rounds[0]) | set(rounds[1]) == {f"n{index}" for index in range(1, PEERS_A_ROUND + 10)}


def test_links_of_nodes_and_of_devices_do_not_replace_each_other() -> None:
    reporter = Reporter(a_node("a"), DeadBand(), ticks_between_key_frames=15)
    among_devices, between_nodes = link("gpu0", "gpu1", kind=LinkKind.NVLINK), link("a", "b", latency_us=50)
    look = Look(inventory=Inventory((a_device("gpu0"), a_device("gpu1"))), links=(among_devices,))

    assert links_said(reporter.linked_to([between_nodes])) == [{between_nodes}]
    assert links_said(reporter.tick([Seen(look=look, vendor=Vendor.NVIDIA)])[1]) == [{between_nodes, among_devices}]
    assert links_said(reporter.linked_to([between_nodes])) == []
    assert links_said(reporter.tick([Seen(look=look, vendor=Vendor.NVIDIA)])[1]) == []
    assert links_said(reporter.linked_to([])) == [{among_devices}]


def links_said(facts: Iterable[Fact]) -> list[set[Link]]:
    return [set(event.links) for event, _ in facts if isinstance(event, LinksObserved)]
