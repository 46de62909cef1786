"""Who is heard from: decided against the server's time, never against a clock of ours. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from fleetfold_contracts.events import Liveness, LivenessChanged
from fleetfold_core.state import NodeState, State


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a node may be silent."""

    stale_after_s: float
    offline_after_s: float


def changes(state: State, now: datetime, patience: Patience) -> Iterator[LivenessChanged]:
    """What has to be said of the nodes at the server's time `now`."""
    for node in state.nodes.values():
        if node.last_seen is None or node.left:
            continue
        liveness = _liveness(now - node.last_seen, patience)
        if liveness is not node.liveness:
            yield _changed(node, node.last_seen, liveness)


def change_id(change: LivenessChanged) -> str:
    """The id of a change: the same whoever says it, so that the log takes it once."""
    silence = f"{int(change.last_seen.timestamp() * 1000)}"
    return f"{change.node_id}.{change.boot_id}.{change.liveness}.{silence}"


def _liveness(silence: timedelta, patience: Patience) -> Liveness:
    if silence.total_seconds() >= patience.offline_after_s:
        return Liveness.OFFLINE
    if silence.total_seconds() >= patience.stale_after_s:
        return Liveness.STALE
    return Liveness.LIVE


def _changed(node: NodeState, last_seen: datetime, liveness: Liveness) -> LivenessChanged:
    return LivenessChanged(node_id=node.node.node_id, boot_id=node.node.boot_id, liveness=liveness, last_seen=last_seen)
