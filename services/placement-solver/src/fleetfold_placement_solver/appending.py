"""Appending what changes a pool's ledger: guarded by all that was folded of it."""

import asyncio

from fleetfold_bus.port import Appended, ConflictError, Guard
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.subjects import event_scope
from fleetfold_placement_solver.settings import SolverSettings
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.metrics import CONFLICTS
from fleetfold_runtime.run import Context


class PoolLog:
    """Appends the events of pools, one at a time: whoever decides holds `turn` until the event is in the log."""

    def __init__(self, context: Context[SolverSettings], live: LiveState, source: str) -> None:
        """`live` is the state that is decided on; `source` is who says so."""
        self.turn = asyncio.Lock()
        self._bus = context.bus
        self._clock = context.clock
        self._subjects = context.settings.subjects
        self._live = live
        self._source = source

    async def append(self, event: evt.Event, id: str, cause: str | None) -> bool:  # noqa: A002
        """Append an event that was decided on the state as it is. False: it moved on meanwhile; decide anew.

        Either way the state is folded on when this returns. A retry of an append whose acknowledgement was lost looks
        like a conflict too: then the state holds what it brought about.
        """
        try:
            appended = await self._append(event, id, cause)
        except ConflictError:
            CONFLICTS.inc()
            await self._live.catch_up()
            return False
        await self._live.reached(appended.sequence)
        return True

    async def _append(self, event: evt.Event, id: str, cause: str | None) -> Appended:  # noqa: A002
        scope, pool = event_scope(event)
        assert scope == "pool", f"{type(event).__name__} needs no guard"
        guard = Guard(self._subjects.pool_events(pool), self._live.state.pool_positions.get(pool, 0))
        payload = codec.encode_event(event, id=id, source=self._source, time=self._clock.now(), cause=cause)
        return await self._bus.append(self._subjects.event(event), payload, message_id=id, guard=guard)
