"""What comes of a command, given a state: the event to append. Pure."""

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.workloads import Workload
from fleetfold_core.fleet import Fleets
from fleetfold_core.heal import Out, elsewhere, must_go, reasons
from fleetfold_core.queue import kept_before
from fleetfold_core.rebalance import proposals
from fleetfold_core.solve import suggest
from fleetfold_core.state import Placement, Refusal, State
from fleetfold_placement_solver import places
from fleetfold_placement_solver.seating import attempt, queued

VERBS = ("place", "release", "move", "cordon", "uncordon", "drain", "transfer", "rebalance", "quota")
"""The commands that the solver takes: all that change what may sit on a device."""

MAX_QUEUED = 10_000
"""So many may wait."""


def decide(  # noqa: C901 - one flat match over the solver's commands
    state: State, command: cmd.Command, fleets: Fleets | None = None
) -> evt.Event:
    """The outcome of a command. `fleets`: see `solve`.

    Raises:
        ContractError: it makes no sense in this state.
    """
    match command:
        case cmd.Place():
            outcome = _place(state, command, fleets)
            return _preview(outcome) if command.dry_run else outcome
        case cmd.Release():
            return _release(state, command)
        case cmd.Move():
            return _move(state, command)
        case cmd.Cordon():
            return places.cordon(state, command)
        case cmd.Uncordon():
            return places.uncordon(state, command)
        case cmd.Drain():
            return places.drain(state, command)
        case cmd.Transfer():
            return places.transfer(state, command)
        case cmd.Rebalance():
            moves = proposals(state, command.pool, command.max_moves)
            return evt.RebalanceProposed(
                pool=command.pool, moves=moves, applied=command.apply, decided_at_sequence=state.position
            )
        case cmd.Quota():
            return evt.QuotaSet(
                pool=command.pool,
                tenant=command.tenant,
                gpu_milli=command.gpu_milli,
                memory_bytes=command.memory_bytes,
            )
        case _:
            raise AssertionError(f"{type(command).__name__} is not the solver's")


PlaceOutcome = evt.PlacementDecided | evt.PlacementRefused | evt.PlacementQueued


def _place(state: State, command: cmd.Place, fleets: Fleets | None) -> PlaceOutcome:
    _refuse_known_workload(state, command.workload)
    answer = attempt(state, command.workload, command.strategy, preempt=command.preempt, fleets=fleets)
    if isinstance(answer, evt.PlacementDecided):
        return answer
    if not command.wait:
        return _refused(state, suggest(state, answer))
    if len(state.queue) >= MAX_QUEUED:
        raise ContractError(
            f"{MAX_QUEUED:,} workloads wait already: ask again when some of them have a place", "$.wait"
        )
    return queued(
        state,
        answer,
        strategy=command.strategy,
        preempt=command.preempt,
        deadline_s=command.deadline_s,
    )


def _preview(outcome: PlaceOutcome) -> evt.PlacementPreviewed:
    match outcome:
        case evt.PlacementDecided():
            return evt.PlacementPreviewed(decided=outcome)
        case evt.PlacementRefused():
            return evt.PlacementPreviewed(refused=outcome)
        case evt.PlacementQueued():
            return evt.PlacementPreviewed(queued=outcome)


def _refuse_known_workload(state: State, workload: Workload) -> None:
    key = (workload.pool, workload.workload_id)
    if key in state.placements:
        raise ContractError("is placed already; release it first", "$.workload.workload_id")
    if key in state.queue:
        raise ContractError("waits already; release it first", "$.workload.workload_id")


def _refused(state: State, refusal: Refusal, *, stays: bool = False) -> evt.PlacementRefused:
    return evt.PlacementRefused(
        workload=refusal.workload,
        summary=refusal.summary,
        obstacles=refusal.obstacles,
        changes=refusal.changes,
        stays=stays,
        decided_at_sequence=state.position,
    )


def _release(state: State, command: cmd.Release) -> evt.PlacementReleased:
    key = (command.pool, command.workload_id)
    if key not in state.placements and key not in state.queue:
        raise ContractError(
            f"no workload {command.workload_id!r} is placed, or waits, in pool {command.pool!r}", "$.workload_id"
        )
    return evt.PlacementReleased(pool=command.pool, workload_id=command.workload_id)


def _move(state: State, command: cmd.Move) -> evt.PlacementMoved | evt.PlacementRefused:
    placement = state.placement(command.pool, command.workload_id)
    if placement is None:
        raise ContractError(f"no workload {command.workload_id!r} is placed in pool {command.pool!r}", "$.workload_id")
    out = _to_avoid(command, placement)
    if not must_go(state, placement, out) and not reasons(state, placement, out):
        raise ContractError(f"{command.workload_id} sits on none of what it is to avoid", "$")
    answer = elsewhere(state, placement, out, kept_before(state, placement.workload))
    if isinstance(answer, Refusal):
        return _refused(state, answer, stays=True)
    return evt.PlacementMoved(
        pool=command.pool,
        workload_id=command.workload_id,
        allocations=answer.allocations,
        host=answer.host,
        reason="a move was asked for",
        solver=answer.solver,
        decided_at_sequence=state.position,
    )


def _to_avoid(command: cmd.Move, placement: Placement) -> Out:
    if command.avoid_devices or command.avoid_nodes:
        return Out(dict.fromkeys(command.avoid_devices, "avoided"), dict.fromkeys(command.avoid_nodes, "avoided"))
    devices = {allocation.device_id: "avoided" for allocation in placement.allocations}
    host = placement.host
    return Out(devices, {host.node_id: "avoided"} if host is not None and not devices else {})
