"""Links between nodes: two agents measure the way to each other, over NATS by themselves and over TCP when asked."""

import asyncio
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.agents import ListenAnswer, PingAnswer, ProbeAnswer
from fleetfold_contracts.answers import FailureAnswer, LinksAnswer
from fleetfold_contracts.inventory import Link, LinkKind
from tests.support.cluster import Cluster, Logged
from tests.support.fleetfold_command import Ended, fleetfold
from tests.support.waiting import eventually

DONE, REJECTED, NO_ANSWER = 0, 2, 3
PACE = {"sample_interval_s": "0.5", "topology_interval_s": "0.5"}


def start_agent(cluster: Cluster, node_id: str, **settings: str) -> None:
    cluster.start("telemetry-agent", node_id=node_id, **(PACE | settings))


def newest_links(logged: Sequence[Logged], node_id: str) -> dict[tuple[str, str], Link]:
    """The links that a node sees, by their ends."""
    newest: dict[tuple[str, str], Link] = {}
    for entry in logged:
        if isinstance(entry.event, evt.LinksObserved) and entry.event.node_id == node_id:
            newest = {link.ends: link for link in entry.event.links}
    return newest


async def answered(cluster: Cluster, node_id: str, verb: str, question: bytes = b"{}") -> bytes:
    return await cluster.bus.ask(cluster.subjects.agent(node_id, verb), question, timeout_s=10)


async def ran(cluster: Cluster, *arguments: str) -> Ended:
    """A command, in a thread: the bus of the test goes on meanwhile."""
    return await asyncio.to_thread(
        fleetfold, *arguments, FLEETFOLD_NATS_URL=cluster.url, FLEETFOLD_ROOT=cluster.subjects.root
    )


async def both_joined(cluster: Cluster) -> None:
    await cluster.log(lambda logged: sum(isinstance(entry.event, evt.NodeJoined) for entry in logged) == 2)


async def test_agents_measure_the_round_trip_to_each_other_and_to_no_simulated_node(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "fleet.toml").write_text('[[nodes]]\nname = "sim"\n')
    cluster.start("telemetry-agent", fleet=str(tmp_path / "fleet.toml"))
    start_agent(cluster, "a")
    start_agent(cluster, "b")

    logged = await cluster.log(lambda logged: bool(newest_links(logged, "a")) and bool(newest_links(logged, "b")))

    for node_id, ends in (("a", ("a", "b")), ("b", ("b", "a"))):
        (link,) = newest_links(logged, node_id).values()
        assert (link.ends, link.kind) == (ends, LinkKind.SOCKET)
        assert link.latency_us is not None
        assert 0 < link.latency_us < 1e6
        assert link.bandwidth_gbps is None
    assert codec.decode(await answered(cluster, "b", "ping"), PingAnswer).node_id == "b"


async def test_declared_links_are_told_at_once_by_their_first_end(cluster: Cluster, tmp_path: Path) -> None:
    declared = '[[links]]\nends = ["a", "b"]\nkind = "rdma"\nbandwidth_gbps = 200\nlatency_us = 2\n'
    (tmp_path / "links.toml").write_text(declared + '[[links]]\nends = ["b", "c"]\nkind = "ethernet"\n')
    start_agent(cluster, "a", links=str(tmp_path / "links.toml"))
    logged = await cluster.log(lambda logged: bool(newest_links(logged, "a")))
    assert list(newest_links(logged, "a").values()) == [
        Link(ends=("a", "b"), kind=LinkKind.RDMA, bandwidth_gbps=200, latency_us=2)
    ]


@pytest.mark.parametrize(
    ("text", "fleet", "said"),
    [('[[links]]\nends = ["a", "a"]\nkind = "rdma"', "", "links[0].ends"), ("", "openb:1", "FLEETFOLD_LINKS")],
)
async def test_an_agent_that_is_told_wrongly_of_links_says_so_and_ends(
    cluster: Cluster, tmp_path: Path, text: str, fleet: str, said: str
) -> None:
    (tmp_path / "links.toml").write_text(text)
    agent = cluster.start("telemetry-agent", links=str(tmp_path / "links.toml"), fleet=fleet)
    assert await asyncio.to_thread(agent.process.wait, 20) == 1
    assert said in agent.log.read_text()


async def test_bandwidth_is_measured_when_asked_and_shown_with_the_other_links(cluster: Cluster) -> None:
    cluster.start("state-projector")
    start_agent(cluster, "a")
    start_agent(cluster, "b")
    await both_joined(cluster)

    ended = await ran(cluster, "links", "probe", "a", "b", "--bytes", "8MiB", "--json")
    assert ended.code == DONE, ended.stderr
    answer = codec.decode(ended.stdout.encode(), ProbeAnswer)
    assert answer.byte_count == 8 * 1024**2
    assert (answer.link.ends, answer.link.kind) == (("a", "b"), LinkKind.SOCKET)
    assert answer.link.bandwidth_gbps == answer.bandwidth_gbps
    assert answer.bandwidth_gbps == pytest.approx(8 * answer.byte_count / answer.took_s / 1e9)

    async def shown() -> bool:
        known = await cluster.ask("links", LinksAnswer)
        links = {seen.node_id: seen.link for seen in known.links} if known else {}
        return (
            links.keys() == {"a", "b"}
            and all(link.latency_us is not None for link in links.values())
            and links["a"].bandwidth_gbps == answer.bandwidth_gbps
        )

    await eventually(shown, what="both links, one of them probed, in the answer of the projector")
    listed = await ran(cluster, "links", "--json")
    assert {tuple(seen["link"]["ends"]) for seen in json.loads(listed.stdout)["links"]} == {("a", "b"), ("b", "a")}
    table = (await ran(cluster, "links", "--node", "a")).stdout
    assert "Gbit/s" in table
    assert "socket" in table


async def test_a_probe_that_cannot_be_says_why(cluster: Cluster) -> None:
    start_agent(cluster, "a")
    start_agent(cluster, "b", probe_host="192.0.2.1")  # an address for documents: no machine has it
    await both_joined(cluster)

    for peer, code, said in (
        ("a", REJECTED, "the node itself"),
        ("nobody", REJECTED, "no agent of node 'nobody'"),
        ("not.a.node", REJECTED, "$.peer"),
        ("b", 1, "FLEETFOLD_PROBE_HOST"),
    ):
        ended = await ran(cluster, "links", "probe", "a", peer)
        assert (ended.code, said in ended.stderr) == (code, True), ended.stderr
    assert (await ran(cluster, "links", "probe", "nobody", "a")).code == NO_ANSWER
    assert (await ran(cluster, "links", "probe", "a", "b", "--bytes", "64TiB")).code == REJECTED


async def test_a_stranger_is_sent_away_and_the_one_who_is_awaited_is_heard(cluster: Cluster) -> None:
    start_agent(cluster, "b")
    await eventually(lambda: _answers(cluster, "b"), what="an agent that answers")
    there = codec.decode(await answered(cluster, "b", "listen", b'{"limit_bytes": 300}'), ListenAnswer)

    assert await asyncio.to_thread(_talk, there, "0" * len(there.token)) == b""
    busy = codec.decode(await answered(cluster, "b", "listen"), FailureAnswer)
    assert busy.error.code == "409"
    byte_count, took_s = json.loads(await asyncio.to_thread(_talk, there, there.token))
    assert byte_count == 300
    assert took_s > 0
    await eventually(lambda: _has_gone(there), what="the end of listening")


async def _has_gone(there: ListenAnswer) -> bool:
    try:
        await asyncio.to_thread(_talk, there, there.token)
    except ConnectionRefusedError:
        return True
    return False


def _talk(there: ListenAnswer, token: str) -> bytes:
    """Send a token and 300 bytes. Gives what is answered until the other side closes."""
    with socket.create_connection((there.host, there.port), timeout=10) as connection:
        answer = b""
        with suppress(BrokenPipeError, ConnectionResetError):  # where it is sent away before it has said all
            connection.sendall(token.encode() + bytes(300))
            while part := connection.recv(1024):
                answer += part
        return answer


async def _answers(cluster: Cluster, node_id: str) -> bool:
    try:
        return bool(await answered(cluster, node_id, "ping"))
    except Exception:  # noqa: BLE001 - not there yet, in whatever way
        return False
