"""The nodes that a node measures its way to, so many a round in rotation. Pure."""

from itertools import islice

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Node

PEERS_A_ROUND = 32
SIMULATED = "simulated"
"""The label of a simulated node: no way leads to it."""


class Peers:
    """All other nodes that have joined, but for simulated ones."""

    def __init__(self, node_id: NodeId) -> None:
        """Nobody is known but oneself."""
        self._node_id = node_id
        self._nodes: dict[NodeId, Node] = {}

    def joined(self, node: Node) -> None:
        """A node has joined, or has joined anew."""
        if node.node_id != self._node_id and SIMULATED not in node.labels:
            self._nodes[node.node_id] = node

    def of_this_round(self) -> list[Node]:
        """Whom to measure now: those for whom it has been longest."""
        chosen = list(islice(self._nodes.values(), PEERS_A_ROUND))
        for node in chosen:
            self._nodes[node.node_id] = self._nodes.pop(node.node_id)
        return chosen
