"""The solver: takes commands, decides on its own fold of the log, and appends under a guard.

Any number of solvers may run: one whose state is behind loses the append, folds on and decides anew, so that no byte of
memory is promised twice.
"""

import asyncio

from fleetfold_bus.port import Appended, ConflictError, Delivery, Guard, Service, UnreachableError
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import COMMANDS, Command
from fleetfold_contracts.ids import CommandId
from fleetfold_placement_solver.decide import VERBS, PoolEvent, decide, pool_of
from fleetfold_runtime.commands import CommandDoor, CommandLoop, command_id_of, outcome_id, rejection
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.metrics import CONFLICTS, DECISION_SECONDS
from fleetfold_runtime.run import Context
from fleetfold_runtime.settings import Settings

NAME = "placement-solver"
VERSION = "0.1.0"
RETRY_AFTER_S = 0.2

_log = get_logger()


async def serve(context: Context[Settings]) -> None:
    """Decide until told to stop."""
    subjects = context.settings.subjects
    live = LiveState(context.bus, subjects, context.clock, with_samples=True)
    context.readiness.check = lambda: live.ready
    loop = CommandLoop(context.bus, subjects, context.clock, live, name=NAME)
    door = CommandDoor(context.bus, subjects, live)
    service = Service(NAME, VERSION, "Puts the shards of a workload on devices", door.endpoints(VERBS))
    async with live.following(context.stop), context.bus.serve(service):
        await loop.run(context.stop, (subjects.all_commands,), Solver(context, live, loop).handle)


class Solver:
    """Turns one command after another into its outcome."""

    def __init__(self, context: Context[Settings], live: LiveState, loop: CommandLoop) -> None:
        """`live` is the state that it decides on."""
        self._bus = context.bus
        self._clock = context.clock
        self._subjects = context.settings.subjects
        self._live = live
        self._loop = loop

    async def handle(self, delivery: Delivery) -> None:
        """Bring about the outcome of a command, unless it is there already or somebody else's to bring about."""
        record = delivery.record
        verb = self._subjects.verb(record.subject)
        if verb in COMMANDS and verb not in VERBS:
            return
        started_s = self._clock.monotonic_s()
        command_id = command_id_of(record, None)
        try:
            command = codec.decode_command(verb, record.payload, record.headers)
            command_id = command_id_of(record, command.command_id)
            if command_id not in self._live.state.outcomes:
                await self._bring_about(command, command_id)
        except codec.ContractError as error:
            await self._loop.append_outcome(rejection(verb, record, error), command_id)
        DECISION_SECONDS.observe(self._clock.monotonic_s() - started_s)

    async def _bring_about(self, command: Command, command_id: CommandId) -> None:
        while command_id not in self._live.state.outcomes:
            event = decide(self._live.state, command)
            try:
                appended = await self._append(event, command_id)
            except ConflictError:
                # A retry of an append whose acknowledgement was lost looks like a conflict too: the log tells which.
                CONFLICTS.inc()
                await self._live.catch_up()
            except UnreachableError as error:
                _log.info("waiting for the server", reason=str(error))
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                await self._live.reached(appended.sequence)
                self._say(event, command_id)

    async def _append(self, event: PoolEvent, command_id: CommandId) -> Appended:
        pool = pool_of(event)
        guard = Guard(self._subjects.pool_events(pool), self._live.state.pool_positions.get(pool, 0))
        payload = self._loop.outcome_payload(event, command_id)
        subject = self._subjects.event(event)
        return await self._bus.append(subject, payload, message_id=outcome_id(command_id), guard=guard)

    def _say(self, event: PoolEvent, command_id: CommandId) -> None:
        self._loop.count(event)
        _log.debug(evt.TYPE_OF_EVENT[type(event)], command=command_id)
