"""The distributor: says what goes where, lays the batches in the devices' queues, and says when all is done.

The event `work.distributed` comes first and settles the plan. The batches follow from it, each under an id of its own,
so that whoever takes over from a distributor that died lays the missing ones, and no other.
"""

import asyncio

from fleetfold_bus.port import BusError, Delivery, Service
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Command, Distribute
from fleetfold_contracts.ids import CommandId
from fleetfold_contracts.work import Batch
from fleetfold_core.state import WorkState
from fleetfold_distributor.plan import batches, plan_work
from fleetfold_runtime.commands import CommandDoor, CommandLoop
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.settings import Settings
from fleetfold_runtime.stopping import background

NAME = "distributor"
VERSION = "0.1.0"
VERB = "distribute"
BATCHES_UNDER_WAY = 500
RETRY_AFTER_S = 0.2

_log = get_logger()


async def serve(context: Context[Settings]) -> None:
    """Distribute until told to stop."""
    subjects = context.settings.subjects
    live = LiveState(context.bus, subjects, context.clock, with_samples=False)
    context.readiness.check = lambda: live.ready
    loop = CommandLoop(context.bus, subjects, context.clock, live, name=NAME, verbs=(VERB,))
    door = CommandDoor(context.bus, subjects, live, context.stop)
    service = Service(NAME, VERSION, "Spreads work items over devices", door.endpoints([VERB]))
    distributor = Distributor(context, live, loop)
    async with live.following(context.stop), background(distributor.complete_works()), context.bus.serve(service):
        await loop.run(context.stop, (subjects.command(VERB),), distributor.bring_about)


class Distributor:
    """Turns `distribute` commands into batches, and finished batches into `work.completed`."""

    def __init__(self, context: Context[Settings], live: LiveState, loop: CommandLoop) -> None:
        """`live` is the state that it plans on."""
        self._bus = context.bus
        self._clock = context.clock
        self._subjects = context.settings.subjects
        self._live = live
        self._loop = loop

    async def bring_about(self, command: Command, command_id: CommandId, delivery: Delivery) -> None:
        """Plan, or take over what is planned already, and lay the batches that are missing."""
        assert isinstance(command, Distribute)
        state = self._live.state
        sequence = state.outcomes.get(command_id)
        if sequence is None:
            planned = plan_work(state, command, command.work_id or command_id)
            sequence = await self._loop.append_outcome(planned, command_id)
        # What the log holds is the plan, also when it was somebody else's.
        outcome = codec.decode_event(codec.decode_envelope((await self._live.event_at(sequence)).payload))
        if not isinstance(outcome, evt.WorkDistributed):
            return
        work = state.works.get(outcome.work_id)
        if work is not None and not work.dispatched:
            await self._dispatch(outcome, command, delivery)

    async def _dispatch(self, work: evt.WorkDistributed, command: Distribute, delivery: Delivery) -> None:
        under_way: list[Batch] = []
        for batch in batches(work, command):
            under_way.append(batch)
            if len(under_way) == BATCHES_UNDER_WAY:
                await self._lay(under_way)
                await delivery.working()
                under_way.clear()
        await self._lay(under_way)
        await self._append(evt.WorkDispatched(work_id=work.work_id), f"{work.work_id}.dispatched")

    async def _lay(self, laid: list[Batch]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for batch in laid:
                tasks.create_task(self._lay_one(batch))

    async def _lay_one(self, batch: Batch) -> None:
        message_id = f"{batch.work_id}.{batch.device_id}.{batch.batch}"
        subject = self._subjects.work(batch.device_id)
        await self._bus.append(subject, codec.encode(batch), message_id=message_id)

    async def complete_works(self) -> None:
        """Say of each work once that it is done, until cancelled."""
        while True:
            position = self._live.state.position
            try:
                for work in self._ended_works():
                    await self._complete(work)
            except BusError as error:
                _log.info("waiting for the server", reason=str(error))
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                await self._live.reached(position + 1)

    def _ended_works(self) -> list[WorkState]:
        works = self._live.state.works.values()
        return [work for work in works if work.dispatched and not work.completed and not any(work.waiting.values())]

    async def _complete(self, work: WorkState) -> None:
        completed = evt.WorkCompleted(
            work_id=work.work_id, done=work.done, failed=work.failed, unassigned=work.unassigned
        )
        await self._append(completed, f"{work.work_id}.completed")

    async def _append(self, event: evt.Event, message_id: str) -> None:
        payload = codec.encode_event(event, id=message_id, source=NAME, time=self._clock.now())
        appended = await self._bus.append(self._subjects.event(event), payload, message_id=message_id)
        await self._live.reached(appended.sequence)
