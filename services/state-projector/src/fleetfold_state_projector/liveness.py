"""Who is heard from: decided against the server's time, never against a clock of ours. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from fleetfold_contracts.events import Liveness, LivenessChanged
from fleetfold_core.state import NodeState


class Moment(NamedTuple):
    """When nodes are looked at."""

    now: datetime
    """The server's time."""
    listening_since: datetime
    """Nobody was missed before: the server was away."""


def change(node: NodeState, moment: Moment, *, offline_after_s: float) -> LivenessChanged | None:
    """What has to be said of a node at this moment, if anything.

    It is stale after three missed beats, and offline after `offline_after_s` (or three beats, if those are longer).
    Once it was silent, it is live again with the second beat in a row: one alone may be the last for a while.
    """
    if node.last_seen is None or node.left:
        return None
    liveness = _liveness(node, moment.now - max(node.last_seen, moment.listening_since), offline_after_s)
    unheard = node.last_seen < moment.listening_since
    if liveness is node.liveness or (liveness is Liveness.LIVE and unheard):
        return None
    return LivenessChanged(
        node_id=node.node.node_id, boot_id=node.node.boot_id, liveness=liveness, last_seen=node.last_seen
    )


def change_id(said: LivenessChanged, after_sequence: int) -> str:
    """The id of a change that follows the node's change at `after_sequence`: the same whoever says it."""
    return f"{said.node_id}.liveness.{after_sequence}.{said.liveness}"


def _liveness(node: NodeState, silence: timedelta, offline_after_s: float) -> Liveness:
    if silence.total_seconds() >= max(offline_after_s, node.silent_after_s):
        return Liveness.OFFLINE
    if silence.total_seconds() >= node.silent_after_s:
        return Liveness.OFFLINE if node.liveness is Liveness.OFFLINE else Liveness.STALE
    return Liveness.LIVE if node.steady else node.liveness
