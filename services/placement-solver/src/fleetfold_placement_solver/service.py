"""The solver: takes commands, decides on its own fold of the log, and appends under a guard.

Any number of solvers may run: one whose state is behind loses the append, folds on and decides anew, so that no byte of
memory is promised twice.
"""

from fleetfold_bus.port import Appended, ConflictError, Delivery, Guard, Service
from fleetfold_contracts.commands import Command
from fleetfold_contracts.ids import CommandId
from fleetfold_placement_solver.decide import VERBS, PoolEvent, decide, pool_of
from fleetfold_runtime.commands import CommandDoor, CommandLoop, outcome_id
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.metrics import CONFLICTS
from fleetfold_runtime.run import Context
from fleetfold_runtime.settings import Settings

NAME = "placement-solver"
VERSION = "0.1.0"


async def serve(context: Context[Settings]) -> None:
    """Decide until told to stop."""
    subjects = context.settings.subjects
    live = LiveState(context.bus, subjects, context.clock, with_samples=True)
    context.readiness.check = lambda: live.ready
    loop = CommandLoop(context.bus, subjects, context.clock, live, name=NAME, verbs=VERBS)
    door = CommandDoor(context.bus, subjects, live, context.stop)
    service = Service(NAME, VERSION, "Puts the shards of a workload on devices", door.endpoints(VERBS))
    async with live.following(context.stop), context.bus.serve(service):
        await loop.run(context.stop, (subjects.all_commands,), Solver(context, live, loop).bring_about)


class Solver:
    """Turns one command after another into its outcome."""

    def __init__(self, context: Context[Settings], live: LiveState, loop: CommandLoop) -> None:
        """`live` is the state that it decides on."""
        self._bus = context.bus
        self._subjects = context.settings.subjects
        self._live = live
        self._loop = loop

    async def bring_about(self, command: Command, command_id: CommandId, _: Delivery) -> None:
        """Decide until the decision is in the log, or somebody else's is."""
        while command_id not in self._live.state.outcomes:
            event = decide(self._live.state, command)
            try:
                appended = await self._append(event, command_id)
            except ConflictError:
                # A retry of an append whose acknowledgement was lost looks like a conflict too: the log tells which.
                CONFLICTS.inc()
                await self._live.catch_up()
            else:
                await self._live.reached(appended.sequence)
                self._loop.count(event)

    async def _append(self, event: PoolEvent, command_id: CommandId) -> Appended:
        pool = pool_of(event)
        guard = Guard(self._subjects.pool_events(pool), self._live.state.pool_positions.get(pool, 0))
        payload = self._loop.outcome_payload(event, command_id)
        subject = self._subjects.event(event)
        return await self._bus.append(subject, payload, message_id=outcome_id(command_id), guard=guard)
