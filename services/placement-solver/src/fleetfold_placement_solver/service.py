"""The solver: takes commands, decides on its own fold of the log, and appends under a guard.

Any number of solvers may run: one whose state is behind loses the append, folds on and decides anew, so that no byte of
memory is promised twice.
"""

from msgspec.structs import replace

from fleetfold_bus.port import Delivery, Service
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Command, Rebalance
from fleetfold_contracts.ids import CommandId
from fleetfold_contracts.subjects import event_scope
from fleetfold_core.check import check
from fleetfold_core.fleet import Fleets
from fleetfold_core.solve import Plan
from fleetfold_core.whatif import without
from fleetfold_placement_solver.appending import PoolLog
from fleetfold_placement_solver.attendant import Attendant
from fleetfold_placement_solver.decide import VERBS, decide
from fleetfold_placement_solver.settings import SolverSettings
from fleetfold_runtime.commands import CommandDoor, CommandLoop, outcome_id
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background

NAME = "placement-solver"
VERSION = "0.1.0"

TIMED = evt.PlacementDecided | evt.PlacementRefused | evt.PlacementQueued | evt.PlacementMoved


async def serve(context: Context[SolverSettings]) -> None:
    """Decide until told to stop."""
    subjects = context.settings.subjects
    live = LiveState(context.bus, subjects, context.clock, with_samples=True)
    context.readiness.check = lambda: live.ready
    loop = CommandLoop(context.bus, subjects, context.clock, live, name=NAME, verbs=VERBS)
    door = CommandDoor(context.bus, subjects, live, context.stop)
    service = Service(NAME, VERSION, "Puts the shards of a workload on devices", door.endpoints(VERBS))
    log = PoolLog(context, live, NAME)
    async with live.following(context.stop), context.bus.serve(service):
        fleets = _fleets_beside(live)
        solver = Solver(context, live, loop, log, fleets)
        async with background(Attendant(context, live, log, fleets).run()):
            await loop.run(context.stop, (subjects.all_commands,), solver.bring_about)


def _fleets_beside(live: LiveState) -> Fleets:
    """The fleets of a live state that follow it. It must have caught up: until then another state may replace it."""
    fleets = Fleets(live.state)
    live.watchers.append(fleets.follow)
    return fleets


class Solver:
    """Turns one command after another into its outcome."""

    def __init__(
        self, context: Context[SolverSettings], live: LiveState, loop: CommandLoop, log: PoolLog, fleets: Fleets
    ) -> None:
        """`live` is the state that it decides on, and `fleets` are that state's."""
        self._clock = context.clock
        self._live = live
        self._fleets = fleets
        self._loop = loop
        self._log = log

    async def bring_about(self, command: Command, command_id: CommandId, _: Delivery) -> None:
        """Decide until the decision is in the log, or somebody else's is."""
        while command_id not in self._live.state.outcomes:
            async with self._log.turn:
                if command_id not in self._live.state.outcomes:
                    await self._decide(command, command_id)
        if isinstance(command, Rebalance) and command.apply:
            await self._make_moves(command_id)

    async def _decide(self, command: Command, command_id: CommandId) -> None:
        started_s = self._clock.monotonic_s()
        try:
            event = decide(self._live.state, command, self._fleets)
        except codec.ContractError:
            if not await self._moved_on():
                raise
            return
        if isinstance(event, TIMED):
            event = replace(event, solve_ms=1000 * (self._clock.monotonic_s() - started_s))
        if event_scope(event)[0] != "pool":
            await self._loop.append_outcome(event, command_id)
        elif await self._log.append(event, outcome_id(command_id), command_id):
            self._loop.count(event)

    async def _moved_on(self) -> bool:
        """Whether another solver said something that this one had not folded: it is folded now.

        No guard holds back a rejection, so what another said a moment ago must be known before one is made.
        """
        position = self._live.state.position
        await self._live.catch_up()
        return self._live.state.position > position

    async def _make_moves(self, command_id: CommandId) -> None:
        """Make the moves that were proposed, each if nothing changed there since. Those that were made are left out."""
        sequence = self._live.state.outcomes[command_id]
        record = await self._live.event_at(sequence)
        proposed = codec.decode_event(codec.decode_envelope(record.payload))
        if isinstance(proposed, evt.RebalanceProposed):
            for move in proposed.moves:
                while not await self._moved(proposed, move, sequence, command_id):
                    pass  # the ledger moved on meanwhile: look again whether it still holds

    async def _moved(
        self, proposed: evt.RebalanceProposed, move: evt.ProposedMove, sequence: int, command_id: CommandId
    ) -> bool:
        async with self._log.turn:
            state = self._live.state
            placement = state.placement(proposed.pool, move.workload_id)
            if placement is None or placement.sequence > sequence:
                return True
            plan = Plan(allocations=move.allocations, host=move.host)
            if check(without(state, [placement]), placement.workload, plan):
                return True
            event = evt.PlacementMoved(
                pool=proposed.pool,
                workload_id=move.workload_id,
                allocations=move.allocations,
                host=move.host,
                reason=f"it sits better there, by {move.gain:.2f}",
                decided_at_sequence=sequence,
            )
            return await self._log.append(event, f"{command_id}.{move.workload_id}.moved", outcome_id(command_id))
