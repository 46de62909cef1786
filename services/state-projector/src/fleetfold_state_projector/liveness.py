"""Who is heard from: decided against the server's time, never against a clock of ours. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from fleetfold_contracts.events import Liveness, LivenessChanged
from fleetfold_core.state import NodeState, State

MISSED_BEATS = 3


def changes(
    state: State, now: datetime, *, listening_since: datetime, offline_after_s: float
) -> Iterator[LivenessChanged]:
    """What has to be said of the nodes at the server's time `now`.

    A node is stale after three missed beats, and offline after `offline_after_s` (or three beats, if those are longer).
    Nobody was missed before `listening_since`: the server was away.
    """
    for node in state.nodes.values():
        if node.last_seen is None or node.left:
            continue
        liveness = _liveness(node, now - max(node.last_seen, listening_since), offline_after_s)
        unheard = node.last_seen < listening_since
        if liveness is node.liveness or (liveness is Liveness.LIVE and unheard):
            continue
        yield LivenessChanged(
            node_id=node.node.node_id, boot_id=node.node.boot_id, liveness=liveness, last_seen=node.last_seen
        )


def change_id(change: LivenessChanged) -> str:
    """The id of a change: the same whoever says it, so that the log takes it once."""
    seen_ms = int(change.last_seen.timestamp() * 1000)
    return f"{change.node_id}.{change.boot_id}.{change.liveness}.{seen_ms}"


def _liveness(node: NodeState, silence: timedelta, offline_after_s: float) -> Liveness:
    stale_after_s = MISSED_BEATS * node.node.beat_interval_s
    if silence.total_seconds() >= max(offline_after_s, stale_after_s):
        return Liveness.OFFLINE
    if silence.total_seconds() >= stale_after_s:
        return Liveness.STALE
    return Liveness.LIVE
