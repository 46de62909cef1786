"""The distributor: says what is meant for whom, hands it out, and sees to it that all of it is done, once.

The event `work.distributed` comes first and settles the plan. What follows is decided on the log: `works` decides,
`take_back` fetches what nobody works on.
"""

from fleetfold_bus.port import BusError, Delivery, Service
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.commands import Cancel, Command, Distribute, Retry
from fleetfold_contracts.ids import CommandId
from fleetfold_core.state import State
from fleetfold_distributor.answering import endpoints
from fleetfold_distributor.items import Items, ItemsGoneError
from fleetfold_distributor.plan import plan_retry, plan_work
from fleetfold_distributor.settings import DistributorSettings
from fleetfold_distributor.take_back import TakeBack
from fleetfold_distributor.works import NAME, Works
from fleetfold_runtime.commands import CommandDoor, CommandLoop
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background

VERSION = "0.1.0"
VERBS = ("distribute", "cancel", "retry")


async def serve(context: Context[DistributorSettings]) -> None:
    """Distribute until told to stop."""
    bus, subjects, clock, stop = context.bus, context.settings.subjects, context.clock, context.stop
    live = LiveState(bus, subjects, clock, with_samples=True)
    context.readiness.check = lambda: live.ready
    loop = CommandLoop(bus, subjects, clock, live, name=NAME, verbs=VERBS)
    door = CommandDoor(bus, subjects, live, stop)
    items = Items(bus, subjects)
    works = Works(bus, subjects, clock, live, items)
    take_back = TakeBack(bus, subjects, live, works, context.settings.silent_after_s)
    answered = [*door.endpoints(VERBS), *endpoints(subjects, live)]
    service = Service(NAME, VERSION, "Spreads work items over devices", answered)
    async with live.following(stop), background(works.run(), take_back.run()), bus.serve(service):
        filters = tuple(map(subjects.command, VERBS))
        await loop.run(stop, filters, Distributor(context, live, loop, items).bring_about)


class Distributor:
    """Turns commands into their outcomes."""

    def __init__(self, context: Context[DistributorSettings], live: LiveState, loop: CommandLoop, items: Items) -> None:
        """`live` is the state that it plans on."""
        self._bus = context.bus
        self._live = live
        self._loop = loop
        self._items = items

    async def bring_about(self, command: Command, command_id: CommandId, delivery: Delivery) -> None:
        """Put the outcome into the log, unless it lies there."""
        if command_id in self._live.state.outcomes:
            return
        match command:
            case Distribute():
                event: evt.Event = await self._planned(command, command_id, delivery)
            case Cancel():
                event = _cancelled(self._live.state, command)
            case Retry():
                event = await self._retried(command)
            case _:
                raise AssertionError(f"{type(command).__name__} is no command of the distributor")
        await self._loop.append_outcome(event, command_id)

    async def _planned(self, command: Distribute, command_id: CommandId, delivery: Delivery) -> evt.WorkDistributed:
        return plan_work(
            self._live.state,
            command,
            command.work_id or command_id,
            command_sequence=delivery.record.sequence,
            source_end=await self._source_end(command),
        )

    async def _source_end(self, command: Distribute) -> int:
        if command.source is None:
            return 0
        try:
            return await self._bus.last_sequence(command.source.stream, command.source.subject)
        except BusError as error:
            if not self._bus.connected:
                raise
            raise ContractError(str(error), "$.source.stream") from None

    async def _retried(self, command: Retry) -> evt.WorkRetried:
        planned = plan_retry(self._live.state, command)
        try:
            await self._items.of(self._live.state.works[command.work_id], planned.items[:1])
        except ItemsGoneError as error:
            raise ContractError(f"its items are gone: {error}", "$.work_id") from None
        return planned


def _cancelled(state: State, command: Cancel) -> evt.WorkCancelled:
    work = state.works.get(command.work_id)
    if work is None or work.completed:
        raise codec.ContractError(f"no work {command.work_id!r} is under way", "$.work_id")
    return evt.WorkCancelled(work_id=command.work_id)
