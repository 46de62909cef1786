"""What is known of the links of a node to others: declared, or else measured. Pure."""

from collections.abc import Iterable

import msgspec

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Link, LinkKind

WORTH_TELLING_SHARE = 0.25
"""A latency that moved by less than this is told as it was."""
MAX_MEASURED = 1024
"""So many measured links fit into one message with room to spare. Beyond that the longest unmeasured go."""
MEASURED_KINDS = (LinkKind.SOCKET, LinkKind.ETHERNET)


class LinkBook:
    """The links of one node. What is declared of a link stands; what is left out there is measured."""

    def __init__(self, node_id: NodeId, declared: Iterable[Link]) -> None:
        """Of the declared links, the node tells those of which it is the first end."""
        self._node_id = node_id
        self._declared = {(link.ends[1], link.kind): link for link in declared if link.ends[0] == node_id}
        self._measured: dict[tuple[NodeId, LinkKind], Link] = {}

    def recall(self, told: Iterable[Link]) -> None:
        """Take over what was measured in earlier runs."""
        for link in told:
            peer = link.ends[1]
            if link.ends[0] == self._node_id and link.kind in MEASURED_KINDS and link.latency_us is not None:
                self._measured[peer, link.kind] = link

    def round_trip(self, peer: NodeId, kind: LinkKind, latency_us: float) -> None:
        """The latency to a peer was measured."""
        known = self._known(peer, kind)
        before_us = known.latency_us
        if before_us is not None and abs(latency_us - before_us) <= WORTH_TELLING_SHARE * before_us:
            latency_us = before_us
        self._keep(peer, msgspec.structs.replace(known, latency_us=latency_us))

    def carried(self, peer: NodeId, kind: LinkKind, bandwidth_gbps: float) -> Link:
        """The bandwidth to a peer was measured. Gives the link as it is known now."""
        self._keep(peer, msgspec.structs.replace(self._known(peer, kind), bandwidth_gbps=bandwidth_gbps))
        return self._links()[peer, kind]

    @property
    def links(self) -> tuple[Link, ...]:
        """All that is known, ready to be told."""
        return tuple(self._links().values())

    def _known(self, peer: NodeId, kind: LinkKind) -> Link:
        return self._measured.get((peer, kind)) or Link(ends=(self._node_id, peer), kind=kind)

    def _keep(self, peer: NodeId, link: Link) -> None:
        self._measured.pop((peer, link.kind), None)
        self._measured[peer, link.kind] = link
        if len(self._measured) > MAX_MEASURED:
            del self._measured[next(iter(self._measured))]

    def _links(self) -> dict[tuple[NodeId, LinkKind], Link]:
        filled = {key: _filled(link, self._measured.get(key)) for key, link in self._declared.items()}
        return self._measured | filled


def _filled(declared: Link, measured: Link | None) -> Link:
    if measured is None:
        return declared
    bandwidth_gbps = declared.bandwidth_gbps or measured.bandwidth_gbps
    latency_us = measured.latency_us if declared.latency_us is None else declared.latency_us
    return msgspec.structs.replace(declared, bandwidth_gbps=bandwidth_gbps, latency_us=latency_us)
