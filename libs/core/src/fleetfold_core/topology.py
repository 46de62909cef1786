"""What follows from the links of a cluster: how long a transfer takes, how far and how thin the ways are."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from msgspec.structs import replace

from fleetfold_contracts.figures import LinkFigures, TopologyFigures
from fleetfold_contracts.inventory import Link, LinkKind

EXACT_WORK = 2_000_000
"""So many steps (ends x ways) are taken for an exact diameter: some hundreds of devices. A larger one is bounded."""
JUDGED_LINKS = 20_000
"""Of more links than these only the figures by kind are told: whoever asked would wait for seconds."""


def transfer_time_s(link: Link, count_bytes: int) -> float | None:
    """How long so many bytes take over a link; `None` where its bandwidth is not known.

    `latency + bytes x 8 / bandwidth`, the first-order (alpha-beta) cost of a message: R. W. Hockney, "The communication
    challenge for MPP: Intel Paragon and Meiko CS-2", Parallel Computing 20 (1994). An unknown latency counts as none.
    """
    if link.bandwidth_gbps is None:
        return None
    return (link.latency_us or 0.0) / 1e6 + count_bytes * 8 / (link.bandwidth_gbps * 1e9)


def topology_figures(links: Iterable[Link], homes: Mapping[str, str]) -> TopologyFigures:
    """The figures of all links together. `homes` names the node of each device.

    A link that both of its ends tell counts once, as the one told last.
    """
    once = {(min(link.ends), max(link.ends), link.kind): link for link in links}
    counted = list(once.values())
    by_kind: dict[LinkKind, list[Link]] = {}
    for link in counted:
        by_kind.setdefault(link.kind, []).append(link)
    told = TopologyFigures(
        average_bandwidth_gbps=_mean(_bandwidths(counted)),
        by_kind={kind: _of_kind(by_kind[kind]) for kind in sorted(by_kind)},
    )
    return told if len(counted) > JUDGED_LINKS else _judged(told, counted, _ways(counted, homes))


def _judged(told: TopologyFigures, links: Sequence[Link], ways: Mapping[str, set[str]]) -> TopologyFigures:
    diameter, exact = _diameter(ways)
    return replace(
        told,
        part_count=len(_parts(ways)),
        diameter_hops=diameter,
        diameter_is_exact=exact,
        bottleneck_bandwidth_gbps=_bottleneck(links),
    )


def _of_kind(links: Sequence[Link]) -> LinkFigures:
    bandwidths = _bandwidths(links)
    latencies = [link.latency_us for link in links if link.latency_us is not None]
    return LinkFigures(
        link_count=len(links),
        lowest_bandwidth_gbps=min(bandwidths, default=None),
        average_bandwidth_gbps=_mean(bandwidths),
        average_latency_us=_mean(latencies),
        highest_latency_us=max(latencies, default=None),
    )


def _bandwidths(links: Iterable[Link]) -> list[float]:
    return [link.bandwidth_gbps for link in links if link.bandwidth_gbps is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _ways(links: Iterable[Link], homes: Mapping[str, str]) -> dict[str, set[str]]:
    """Each end of a link with those that are one hop away."""
    ways: dict[str, set[str]] = {}
    for first, second in (link.ends for link in links):
        ways.setdefault(first, set()).add(second)
        ways.setdefault(second, set()).add(first)
    for end in list(ways):
        if (home := homes.get(end)) is not None:
            ways[end].add(home)
            ways.setdefault(home, set()).add(end)
    return ways


def _parts(ways: Mapping[str, set[str]]) -> list[str]:
    """One end of each part."""
    firsts: list[str] = []
    seen: set[str] = set()
    for end in ways:
        if end not in seen:
            firsts.append(end)
            seen.update(_hops_from(end, ways))
    return firsts


def _diameter(ways: Mapping[str, set[str]]) -> tuple[int | None, bool]:
    """The longest of the shortest ways, and whether that is exact.

    Where the cluster is too large to go from everywhere, each part is swept twice: from the end that is farthest from
    any one. That is exact for trees, and a lower bound elsewhere.
    """
    if not ways:
        return None, True
    exact = len(ways) * sum(map(len, ways.values())) <= EXACT_WORK
    starts = ways if exact else [_farthest(first, ways) for first in _parts(ways)]
    return max(max(_hops_from(start, ways).values()) for start in starts), exact


def _farthest(start: str, ways: Mapping[str, set[str]]) -> str:
    return list(_hops_from(start, ways))[-1]


def _hops_from(start: str, ways: Mapping[str, set[str]]) -> dict[str, int]:
    """The hops to each end that can be reached, the nearest first."""
    hops = {start: 0}
    waiting = deque((start,))
    while waiting:
        end = waiting.popleft()
        for other in ways[end]:
            if other not in hops:
                hops[other] = hops[end] + 1
                waiting.append(other)
    return hops


def _bottleneck(links: Iterable[Link]) -> float | None:
    """The thinnest link of a maximum spanning forest (Kruskal): over its best way no linked pair has less."""
    known = [link for link in links if link.bandwidth_gbps is not None]
    leaders: dict[str, str] = {}
    thinnest: float | None = None
    for link in sorted(known, key=lambda link: link.bandwidth_gbps or 0.0, reverse=True):
        first, second = (_leader(end, leaders) for end in link.ends)
        if first != second:
            leaders[first] = second
            thinnest = link.bandwidth_gbps
    return thinnest


def _leader(end: str, leaders: dict[str, str]) -> str:
    while (leader := leaders.get(end, end)) != end:
        leaders[end] = leaders.get(leader, leader)  # the way is halved for whoever comes next
        end = leader
    return end
