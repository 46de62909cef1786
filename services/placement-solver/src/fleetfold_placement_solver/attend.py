"""What the solver says by itself: who waits is placed, what is broken moves, what is drained empties. Pure.

Every event has an id made of what it is about and of the log position at which that changed last, so that several
solvers say it once; which of their events counts, the guard of the pool decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_core.fleet import Fleets
from fleetfold_core.heal import Out, avoiding, drained, elsewhere, must_go, out_of_use, reasons, sitting_on
from fleetfold_core.queue import kept_before, way_in
from fleetfold_core.solve import Plan
from fleetfold_core.state import Placement, Queued, Refusal, State
from fleetfold_core.turns import in_order
from fleetfold_core.whatif import without
from fleetfold_placement_solver.seating import attempt, queued


@dataclass(frozen=True)
class Look:
    """What a look at the state goes by."""

    now: datetime
    """The server's time."""
    grace_s: float
    hot: dict[DeviceId, str] = field(default_factory=dict[DeviceId, str])
    """The devices that are too hot, and have been for the time of grace, each in words."""
    fleet_grew: bool = False
    """Whether there are devices that were not there at the last look."""


@dataclass(frozen=True)
class Said:
    """An event to append, guarded, under an id of its own."""

    event: evt.Event
    id: str
    cause: str | None = None


def attend(state: State, look: Look, fleets: Fleets | None = None) -> Iterator[Said | None]:
    """What is to be said now, one after another. `None`: something was looked at, and nothing is to be said of it.

    `fleets`: see `solve`. Between two steps the state may be folded on: each step looks at it anew.
    """
    yield from _expired(state, look)
    yield from _noticed(state)
    yield from _degraded(state, look)
    yield from _healed(state, look)
    yield from _drained(state)
    yield from _seated(state, look, fleets)


def _expired(state: State, look: Look) -> Iterator[Said]:
    for entry in list(state.queue.values()):
        if entry.deadline is not None and entry.deadline <= look.now:
            refused = evt.PlacementRefused(
                workload=entry.workload,
                summary=f"it waited to its deadline: {entry.summary}",
                obstacles=entry.obstacles,
                decided_at_sequence=state.position,
            )
            yield Said(refused, _id(entry, "expired"), entry.cause)


def _noticed(state: State) -> Iterator[Said]:
    for entry in list(state.queue.values()):
        if entry.preempted_by is not None and not entry.noticed:
            workload = entry.workload
            notice = evt.PlacementPreempted(
                pool=workload.pool, workload_id=workload.workload_id, preempted_by=entry.preempted_by
            )
            yield Said(notice, _id(entry, "preempted"))


def _degraded(state: State, look: Look) -> Iterator[Said | None]:
    out = _out(state, look, look.grace_s)
    for pool in {pool for pool, _ in state.placements} if out else ():
        for placement in sitting_on(state, pool, out):
            yield _degrade(state, placement, out)


def _degrade(state: State, placement: Placement, out: Out) -> Said | None:
    broken = must_go(state, placement, out)
    if placement.degraded is not None and placement.degraded.shard_ids == broken:
        return None
    workload = placement.workload
    kept = kept_before(state, workload)
    answer = elsewhere(state, placement, out, kept)
    refusal = answer if isinstance(answer, Refusal) else None
    devices, node = (), None
    if refusal is not None:
        devices, node = way_in(without(state, [placement]), avoiding(workload, out), placement.strategy, kept)
    degraded = evt.PlacementDegraded(
        pool=workload.pool,
        workload_id=workload.workload_id,
        shard_ids=broken,
        reason="; ".join(reasons(state, placement, out))[:4096],
        summary=refusal.summary if refusal is not None else "",
        obstacles=refusal.obstacles if refusal is not None else (),
        kept_devices=devices,
        kept_node=node,
    )
    return Said(degraded, _id(placement, "degraded"))


def _healed(state: State, look: Look) -> Iterator[Said | None]:
    """Move what is degraded, the most important first. What is whole again stays where it is, and that is said too."""
    found = [state.placements[key] for key in state.degraded]
    for placement in sorted(found, key=lambda one: (-one.workload.priority, one.decided_at, one.sequence)):
        if _is_current(state, placement):
            yield _heal(state, placement, _out(state, look, 0))


def _heal(state: State, placement: Placement, out: Out) -> Said | None:
    if not reasons(state, placement, out):
        same = Plan(allocations=placement.allocations, host=placement.host)
        return _moved(state, placement, same, "what it sits on is back")
    answer = elsewhere(state, placement, out, kept_before(state, placement.workload))
    assert placement.degraded is not None
    return _moved(state, placement, answer, placement.degraded.reason) if isinstance(answer, Plan) else None


def _drained(state: State) -> Iterator[Said | None]:
    for (pool, place), sequence in list(state.drains.items()):
        out = drained(place)
        for placement in sitting_on(state, pool, out):
            if _is_current(state, placement):
                answer = elsewhere(state, placement, out, kept_before(state, placement.workload))
                reason = "; ".join(reasons(state, placement, out))
                yield _moved(state, placement, answer, reason) if isinstance(answer, Plan) else None
        if (pool, place) in state.drains and not sitting_on(state, pool, out):
            kind, id_ = place
            finished = evt.DeviceDrainFinished(
                pool=pool, device_id=id_ if kind == "device" else None, node_id=id_ if kind == "node" else None
            )
            yield Said(finished, f"{pool}.{id_}.{sequence}.drained")


def _seated(state: State, look: Look, fleets: Fleets | None) -> Iterator[Said | None]:
    """Place who waits, in order. Of those that ask for the same, one that finds no place speaks for all behind it."""
    found_none: set[bytes] = set()
    for pool in {pool for pool, _ in state.queue}:
        for entry in in_order(state, pool):
            shape = _shape(entry)
            if not _still_waits(state, entry) or shape in found_none:
                continue
            answer = attempt(state, entry.workload, entry.strategy, preempt=entry.preempt, fleets=fleets)
            if isinstance(answer, evt.PlacementDecided):
                yield Said(answer, _id(entry, "placed"), entry.cause)
            else:
                found_none.add(shape)
                yield _waits_for(state, entry, answer, look)


def _waits_for(state: State, entry: Queued, refusal: Refusal, look: Look) -> Said | None:
    """Keep something else for one that waits, where nothing was yet, or what was kept cannot be had any more."""
    hopeless = not entry.kept_devices and entry.kept_node is None
    if entry.summary and not _is_out(state, entry) and not (hopeless and look.fleet_grew):
        return None
    event = queued(state, refusal, strategy=entry.strategy, preempt=entry.preempt)
    same = (event.kept_devices, event.kept_node) == (entry.kept_devices, entry.kept_node)
    return None if same and entry.summary else Said(event, _id(entry, "queued"), entry.cause)


def _is_out(state: State, entry: Queued) -> bool:
    """Whether something that is kept for one that waits takes nothing new."""
    nodes: set[NodeId] = set() if entry.kept_node is None else {entry.kept_node}
    for device_id in entry.kept_devices:
        device = state.devices[device_id]
        nodes.add(device.node_id)
        if device.lost is not None or device.fault is not None or device.cordoned is not None:
            return True
    return any(("node", node_id) in state.outages or state.nodes[node_id].cordoned is not None for node_id in nodes)


def _out(state: State, look: Look, grace_s: float) -> Out:
    out = out_of_use(state, look.now, grace_s)
    return Out({**look.hot, **out.devices}, out.nodes)


def _moved(state: State, placement: Placement, plan: Plan, reason: str) -> Said:
    moved = evt.PlacementMoved(
        pool=placement.workload.pool,
        workload_id=placement.workload.workload_id,
        allocations=plan.allocations,
        host=plan.host,
        reason=reason,
        solver=plan.solver,
        decided_at_sequence=state.position,
    )
    return Said(moved, _id(placement, "moved"))


def _id(entry: Placement | Queued, what: str) -> str:
    return f"{entry.workload.pool}.{entry.workload.workload_id}.{entry.sequence}.{what}"


def _is_current(state: State, placement: Placement) -> bool:
    return state.placement(placement.workload.pool, placement.workload.workload_id) is placement


def _still_waits(state: State, entry: Queued) -> bool:
    return state.queue.get((entry.workload.pool, entry.workload.workload_id)) is entry


def _shape(entry: Queued) -> bytes:
    """All that decides whether a workload finds a place, its turn apart."""
    nameless = msgspec.structs.replace(entry.workload, workload_id="any", priority=0)
    return msgspec.msgpack.encode((nameless, entry.strategy, entry.preempt and entry.workload.priority))
