"""Taking back what lies in a device's queue and is in no worker's hands.

The distributor pulls from the queue as a worker does. What it gets, nobody holds: a batch that a worker holds, and says
so, is handed to nobody else. So what is moved is never being worked on, however long an item takes.
"""

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta

from fleetfold_bus.port import Bus, BusError, Delivery
from fleetfold_bus.streams import worker_queue
from fleetfold_contracts import codec
from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Batch
from fleetfold_core.handing import taken_back
from fleetfold_core.select import select
from fleetfold_core.state import Lane, State, WorkState
from fleetfold_distributor.works import Works
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger

LOOK_EVERY_S = 0.5
QUEUE_IS_EMPTY_AFTER_S = 0.3

_log = get_logger()


class TakeBack:
    """Looks for queues that hold what should not lie there, and clears them."""

    def __init__(self, bus: Bus, subjects: Subjects, live: LiveState, works: Works, silent_after_s: float) -> None:
        """A device whose batches nobody takes for `silent_after_s` seconds is silent."""
        self._bus = bus
        self._subjects = subjects
        self._live = live
        self._works = works
        self._silent_after = timedelta(seconds=silent_after_s)
        self._looked: dict[DeviceId, datetime] = {}

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                for device_id in self._suspects():
                    await self._clear(device_id)
            except BusError as error:
                _log.info("waiting for the server", reason=str(error))

    def _suspects(self) -> list[DeviceId]:
        """Devices of which something may have to be taken back, none of them looked at a moment ago."""
        now = self._live.server_now()
        if now is None:
            return []
        works = self._works.under_way()
        held = {
            id_
            for work in works
            for id_, lane in work.lanes.items()
            if why(self._live.state, work, id_, lane, now, self._silent_after)
        }
        due = [
            id_
            for id_ in held
            if now - self._looked.get(id_, datetime.min.replace(tzinfo=now.tzinfo)) > self._silent_after
        ]
        self._looked |= dict.fromkeys(due, now)
        return sorted(due)

    async def _clear(self, device_id: DeviceId) -> None:
        queue = worker_queue(self._subjects, device_id, settle_within_s=self._silent_after.total_seconds())
        seen: set[int] = set()
        async with aclosing(self._bus.pull(queue, batch=1)) as deliveries:
            while True:
                try:
                    async with asyncio.timeout(QUEUE_IS_EMPTY_AFTER_S):
                        delivery = await anext(deliveries)
                except TimeoutError:
                    return
                await self._settle(device_id, delivery)
                if delivery.record.sequence in seen:
                    return
                seen.add(delivery.record.sequence)

    async def _settle(self, device_id: DeviceId, delivery: Delivery) -> None:
        try:
            batch = codec.decode(delivery.record.payload, Batch)
        except codec.ContractError:
            await delivery.again(self._silent_after.total_seconds())
            return
        if await self._is_ours(device_id, batch):
            await delivery.done()
        else:
            await delivery.again()

    async def _is_ours(self, device_id: DeviceId, batch: Batch) -> bool:
        """Whether a batch that nobody holds is void, or is made so."""
        await self._live.catch_up()
        state = self._live.state
        work = state.works.get(batch.work_id)
        lane = None if work is None else work.lanes.get(device_id)
        if work is None or lane is None or batch.batch not in lane.handed:
            return True
        now = self._live.server_now()
        assert now is not None, "the work's time was seen"
        reason = why(state, work, device_id, lane, now, self._silent_after)
        if reason is None:
            return False
        decision = taken_back(state, work, device_id, [batch.batch], now, reason=reason, silent=reason == SILENT)
        if not decision.assignments and not work.is_cancelled:
            return False
        await self._works.decide(work, decision)
        return batch.batch not in lane.handed


SILENT = "nobody takes it"


def why(
    state: State, work: WorkState, device_id: DeviceId, lane: Lane, now: datetime, silent_after: timedelta
) -> str | None:
    """Why what nobody has begun of a device's batches should be taken back. None: it should not."""
    if not lane.handed:
        return None
    if work.is_cancelled:
        return "the work is cancelled"
    takers = select(state, work.to)
    if device_id not in takers:
        return "the device takes nothing new" if takers else None
    since = max(next(iter(lane.handed.values())).since, lane.heard or datetime.min.replace(tzinfo=now.tzinfo))
    # Who is through with all that it was handed waits for more, however long ago that was.
    alive = any(
        other.heard is not None and (not other.handed or now - other.heard <= silent_after)
        for id_, other in work.lanes.items()
        if id_ != device_id
    )
    return SILENT if now - since > silent_after and alive else None
