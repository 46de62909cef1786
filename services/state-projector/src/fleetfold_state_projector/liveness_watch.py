"""Says when a node falls silent, and when it is heard again: once, however many projectors watch."""

import asyncio
from datetime import datetime

from fleetfold_bus.port import BusError, ConflictError, Guard
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts.events import LivenessChanged
from fleetfold_contracts.ids import NodeId
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import sleep_unless
from fleetfold_state_projector.liveness import Moment, change, change_id
from fleetfold_state_projector.settings import ProjectorSettings

SOURCE = "state-projector"
LOOK_EVERY_S = 0.25
SAID_AT_ONCE = 100

_log = get_logger()


class LivenessWatch:
    """Looks at the nodes of its share again and again: of no other it knows when they were heard.

    Only projectors write to a node's `...liveness.changed`, each of them under a guard on exactly that subject: of two
    that say the same, one is refused. The guard is asked of the server right before and believed only when all up to it
    is folded, so that not even a record that nobody could fold would keep a node from being spoken of.
    """

    def __init__(self, context: Context[ProjectorSettings], live: LiveState) -> None:
        """`live` knows when each node was seen."""
        self._bus = context.bus
        self._clock = context.clock
        self._stop = context.stop
        self._subjects = context.settings.subjects
        self._share = context.settings.folds
        self._offline_after_s = context.settings.offline_after_s
        self._live = live
        self._listening_since: datetime | None = None

    async def run(self) -> None:
        """Look until told to stop."""
        while not await sleep_unless(self._stop, LOOK_EVERY_S):
            moment = self._moment()
            own = filter(self._share.holds, self._live.state.nodes)
            changed = [node_id for node_id in own if self._change(node_id, moment) is not None]
            for first in range(0, len(changed), SAID_AT_ONCE):
                await asyncio.gather(*map(self._say, changed[first : first + SAID_AT_ONCE]))

    def _moment(self) -> Moment | None:
        now = self._live.server_now()
        if not self._bus.connected or now is None:
            self._listening_since = None
            return None
        self._listening_since = self._listening_since or now
        return Moment(now, self._listening_since)

    def _change(self, node_id: NodeId, moment: Moment | None) -> LivenessChanged | None:
        node = self._live.state.nodes[node_id]
        return None if moment is None else change(node, moment, offline_after_s=self._offline_after_s)

    async def _say(self, node_id: NodeId) -> None:
        try:
            sequence = await self._append(node_id)
        except ConflictError:
            return  # somebody else was faster, or the log moved on: the next look tells
        except BusError as error:
            _log.info("a change of liveness is said later", node=node_id, reason=str(error))
            return
        if sequence is not None:
            await self._live.reached(sequence)
            _log.info(f"a node is {self._live.state.nodes[node_id].liveness} now", node=node_id)

    async def _append(self, node_id: NodeId) -> int | None:
        """The sequence of what was said; None: there is nothing to say."""
        subject = self._subjects.liveness(node_id)
        last_sequence = await self._bus.last_sequence(self._subjects.stream(EVENTS), subject)
        said = self._change(node_id, self._moment())
        if said is None or last_sequence > self._live.state.position:
            return None
        id_ = change_id(said, last_sequence)
        payload = codec.encode_event(said, id=id_, source=SOURCE, time=self._clock.now())
        guard = Guard(subject, last_sequence)
        return (await self._bus.append(subject, payload, message_id=id_, guard=guard)).sequence
