"""Works under way: decides what comes next on each, lays what was handed out, and tells how far it is.

Every decision is an event with a number, so that of several distributors one decides. Batches follow from what the log
says is handed out, each under an id of its own: whoever takes over from a distributor that died lays those that are
missing, and no other.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from fleetfold_bus.port import Bus, BusError
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, WorkId
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Batch
from fleetfold_core.handing import failed_for_good, next_decision
from fleetfold_core.state import HandedOut, WorkState
from fleetfold_distributor.items import Items, ItemsGoneError
from fleetfold_distributor.plan import plan_drawn
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger

NAME = "distributor"
LOOK_EVERY_S = 0.25
"""How long nothing may happen before works are looked at again: what has failed falls due, and who is slow shows."""
RETRY_AFTER_S = 0.2
LAY_AFTER = timedelta(seconds=2)
"""What another distributor handed out is laid by this one too, if it has not come to its end so long after."""
DRAW_ITEMS = 10_000
DRAW_BELOW_ITEMS = 5_000
TELL_EVERY = timedelta(seconds=1)

_log = get_logger()

Handed = tuple[int, DeviceId, int]
"""Which batch: its work's place in the log, its device, its number."""


class Works:
    """Goes on with every work that is under way."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock, live: LiveState, items: Items) -> None:
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._live = live
        self._items = items
        self._laid: dict[int, set[Handed]] = defaultdict(set)
        """What lies in the queues, by the place of its work in the log."""
        self._told: dict[WorkId, tuple[datetime, int]] = {}

    async def run(self) -> None:
        """Go on with them, until cancelled."""
        while True:
            position = self._live.state.position
            try:
                if not await self.step():
                    await self._news(position)
            except BusError as error:
                _log.info("waiting for the server", reason=str(error))
                await asyncio.sleep(RETRY_AFTER_S)

    async def step(self) -> bool:
        """One decision on each work that needs one. Whether there was any."""
        decided = False
        for work in self.under_way():
            try:
                decided = await self._go_on(work) or decided
            except ItemsGoneError as error:
                _log.error("a work cannot go on", work_id=work.work_id, reason=str(error))
        self._forget()
        return decided

    def under_way(self) -> list[WorkState]:
        """The works that are not completed."""
        return [work for work in self._live.state.works.values() if not work.completed]

    async def append(self, event: evt.Event, message_id: str) -> bool:
        """Append what was decided, and wait until it is folded. False: another's decision lies there already."""
        payload = codec.encode_event(event, id=message_id, source=NAME, time=self._clock.now())
        appended = await self._bus.append(self._subjects.event(event), payload, message_id=message_id)
        await self._live.reached(appended.sequence)
        return not appended.duplicate

    async def decide(self, work: WorkState, decision: evt.Event) -> bool:
        """Append a numbered decision. False: another's came first."""
        return await self.append(decision, f"{work.work_id}.{work.sequence}.{work.decisions + 1}")

    async def _news(self, position: int) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._live.reached(position + 1)
        except TimeoutError:
            return

    async def _go_on(self, work: WorkState) -> bool:
        now = self._live.server_now()
        assert now is not None, "a work is in the log, so its time was seen"
        await self._lay([entry for entry in self._not_laid(work) if entry[1].since + LAY_AFTER < now], work)
        await self._give_up(work)
        await self._tell(work, now)
        if not work.drawn and sum(lane.pending_count for lane in work.lanes.values()) < DRAW_BELOW_ITEMS:
            await self._draw(work)
            return True
        decision = next_decision(self._live.state, work, now)
        if decision is None:
            return False
        if await self.decide(work, decision) and isinstance(decision, evt.WorkDispatched):
            ours = {(work.sequence, part.device_id, part.batch) for part in decision.batches}
            await self._lay([entry for entry in self._not_laid(work) if entry[0] in ours], work)
        return True

    def _not_laid(self, work: WorkState) -> Iterator[tuple[Handed, HandedOut]]:
        for device, lane in work.lanes.items():
            for number, batch in lane.handed.items():
                handed = (work.sequence, device, number)
                if handed not in self._laid[work.sequence]:
                    yield handed, batch

    async def _lay(self, entries: list[tuple[Handed, HandedOut]], work: WorkState) -> None:
        batches = [
            Batch(
                work_id=work.work_id, device_id=handed[1], batch=handed[2], items=await self._items.of(work, out.runs)
            )
            for handed, out in entries
        ]
        await asyncio.gather(*(self._lay_one(batch, work.sequence) for batch in batches))

    async def _lay_one(self, batch: Batch, sequence: int) -> None:
        message_id = f"{batch.work_id}.{batch.device_id}.{batch.batch}.{sequence}"
        await self._bus.append(self._subjects.work(batch.device_id), codec.encode(batch), message_id=message_id)
        self._laid[sequence].add((sequence, batch.device_id, batch.batch))

    async def _give_up(self, work: WorkState) -> None:
        for item in failed_for_good(work):
            (found,) = await self._items.of(work, [(item, 1)])
            trouble = work.troubles.get(item)
            if trouble is not None:
                event = evt.ItemFailed(work_id=work.work_id, index=item, tries=tuple(trouble.tries), body=found.body)
                last = trouble.tries[-1].at.timestamp()
                await self.append(event, f"{work.work_id}.{work.sequence}.{item}.failed.{last:.6f}")

    async def _draw(self, work: WorkState) -> None:
        assert work.source is not None, "only a source is drawn from"
        records = await self._items.peek(work.source, work.drawn_through, work.source_end, DRAW_ITEMS)
        through = records[-1].sequence if len(records) == DRAW_ITEMS else work.source_end
        command = await self._items.command(work)
        sizes_bytes = [len(record.payload) for record in records]
        await self.decide(work, plan_drawn(self._live.state, work, command, sizes_bytes, through))

    async def _tell(self, work: WorkState, now: datetime) -> None:
        """Say how far it is, if that is news. The id is made of the second, so that one distributor says it."""
        told_at, told_waiting = self._told.get(work.work_id, (now - TELL_EVERY, work.item_count))
        if work.waiting == told_waiting or now - told_at < TELL_EVERY:
            return
        self._told[work.work_id] = (now, work.waiting)
        event = evt.WorkProgressed(
            work_id=work.work_id,
            item_count=work.item_count,
            done=work.done,
            failed=work.failed,
            unassigned=work.unassigned,
            cancelled=work.cancelled,
            waiting=work.waiting,
        )
        await self.append(event, f"{work.work_id}.{work.sequence}.progressed.{int(now.timestamp())}")

    def _forget(self) -> None:
        """What is known of works that are through is not needed any more."""
        sequences = {work.sequence for work in self.under_way()}
        for sequence in self._laid.keys() - sequences:
            del self._laid[sequence]
        self._told = {id_: told for id_, told in self._told.items() if id_ in self._live.state.works}
