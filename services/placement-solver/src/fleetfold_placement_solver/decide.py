"""What comes of a command, given a state: the event to append. Pure."""

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.ids import PoolId
from fleetfold_contracts.workloads import Workload
from fleetfold_core.check import check
from fleetfold_core.pools import transfer_obstacle
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import State

VERBS = ("place", "release", "cordon", "uncordon", "transfer")
"""The commands that the solver takes: all that change what may sit on a device."""

PoolEvent = (
    evt.PlacementDecided
    | evt.PlacementRefused
    | evt.PlacementReleased
    | evt.DeviceCordoned
    | evt.DeviceUncordoned
    | evt.NodeCordoned
    | evt.NodeUncordoned
    | evt.NodeTransferred
)


def decide(state: State, command: cmd.Command) -> PoolEvent:
    """The outcome of a command.

    Raises:
        ContractError: it makes no sense in this state.
    """
    match command:
        case cmd.Place():
            return _place(state, command.workload)
        case cmd.Release():
            return _release(state, command)
        case cmd.Cordon():
            return _cordon(state, command)
        case cmd.Uncordon():
            return _uncordon(state, command)
        case cmd.Transfer():
            return _transfer(state, command)
        case _:
            raise AssertionError(f"{type(command).__name__} is not the solver's")


def pool_of(event: PoolEvent) -> PoolId:
    """The pool whose ledger an event changes."""
    if isinstance(event, evt.PlacementDecided | evt.PlacementRefused):
        return event.workload.pool
    return event.pool


def _place(state: State, workload: Workload) -> PoolEvent:
    if state.placement(workload.pool, workload.workload_id) is not None:
        raise ContractError("is placed already; release it first", "$.workload.workload_id")
    answer = solve(state, workload)
    if not isinstance(answer, Plan):
        return evt.PlacementRefused(
            workload=workload,
            summary=answer.summary,
            obstacles=answer.obstacles,
            decided_at_sequence=state.position,
        )
    violations = check(state, workload, answer)
    if violations:
        raise ContractError(f"the solver's plan breaks a rule, which is a fault of ours: {violations[0]}", "$.workload")
    return evt.PlacementDecided(
        workload=workload,
        allocations=answer.allocations,
        host=answer.host,
        solver=answer.solver,
        decided_at_sequence=state.position,
    )


def _release(state: State, command: cmd.Release) -> PoolEvent:
    if state.placement(command.pool, command.workload_id) is None:
        raise ContractError(f"no workload {command.workload_id!r} is placed in pool {command.pool!r}", "$.workload_id")
    return evt.PlacementReleased(pool=command.pool, workload_id=command.workload_id)


def _cordon(state: State, command: cmd.Cordon) -> PoolEvent:
    _refuse_unknown_place(state, command)
    if command.device_id is not None:
        return evt.DeviceCordoned(pool=command.pool, device_id=command.device_id, reason=command.reason)
    assert command.node_id is not None
    return evt.NodeCordoned(pool=command.pool, node_id=command.node_id, reason=command.reason)


def _uncordon(state: State, command: cmd.Uncordon) -> PoolEvent:
    _refuse_unknown_place(state, command)
    if command.device_id is not None:
        return evt.DeviceUncordoned(pool=command.pool, device_id=command.device_id)
    assert command.node_id is not None
    return evt.NodeUncordoned(pool=command.pool, node_id=command.node_id)


def _transfer(state: State, command: cmd.Transfer) -> PoolEvent:
    found = transfer_obstacle(state, command.pool, command.node_ids, command.to)
    if found is not None:
        node_id, why = found
        raise ContractError(why, "$.to" if node_id is None else f"$.node_ids[{command.node_ids.index(node_id)}]")
    return evt.NodeTransferred(pool=command.pool, to=command.to, node_ids=command.node_ids)


def _refuse_unknown_place(state: State, command: cmd.OfDeviceOrNode) -> None:
    pool = command.pool
    if command.device_id is not None and state.device_in(pool, command.device_id) is None:
        raise ContractError(f"no device {command.device_id!r} is known in pool {pool!r}", "$.device_id")
    if command.node_id is not None and state.node_in(pool, command.node_id) is None:
        raise ContractError(f"no node {command.node_id!r} is known in pool {pool!r}", "$.node_id")
