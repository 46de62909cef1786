"""Moving placements off what is out of use: what is broken, and where it goes."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from fleetfold_contracts.ids import DeviceId, NodeId, PoolId, ShardId, WorkloadId
from fleetfold_contracts.workloads import Allocation, Host, Shard, Workload
from fleetfold_core._fold.ledger import Reservation, reserve
from fleetfold_core.check import check
from fleetfold_core.queue import NOTHING_KEPT, Kept, seat
from fleetfold_core.solve import Plan
from fleetfold_core.state import DeviceState, PlaceKey, Placement, Refusal, State
from fleetfold_core.whatif import without


class Out(NamedTuple):
    """Devices and nodes that placements must leave, each with the reason in words."""

    devices: dict[DeviceId, str]
    nodes: dict[NodeId, str]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.devices or self.nodes)


def out_of_use(state: State, now: datetime, grace_s: float) -> Out:
    """What is lost, faulted or offline for longer than the time of grace: a blink moves nothing."""
    latest = now - timedelta(seconds=grace_s)
    due = [place for place, since in state.outages.items() if since <= latest]
    return _named(state, due)


def drained(place: PlaceKey) -> Out:
    """One device, or node, that is being drained."""
    kind, id_ = place
    return Out({id_: f"{id_} is drained"}, {}) if kind == "device" else Out({}, {id_: f"node {id_} is drained"})


def too_hot(state: State, limit_celsius: float) -> dict[DeviceId, str]:
    """The devices in use that are hotter than the limit."""
    return {
        device_id: f"{device_id} is at {celsius:.0f} °C"
        for device_id, device in state.devices.items()
        if device.shards and (celsius := _celsius(device)) is not None and celsius > limit_celsius
    }


def sitting_on(state: State, pool: PoolId, out: Out) -> list[Placement]:
    """The placements that must leave something, the most important first, of those the oldest."""
    names: set[WorkloadId] = set()
    for device in _devices_of(state, out):
        if state.pool_of(device) == pool:
            names.update(device.shards)
    keys = {(pool, name) for name in names}
    keys |= {
        key for key, placement in state.placements.items() if placement.host and placement.host.node_id in out.nodes
    }
    found = [state.placements[key] for key in keys if key in state.placements and key[0] == pool]
    return sorted(found, key=lambda one: (-one.workload.priority, one.decided_at, one.workload.workload_id))


def must_go(state: State, placement: Placement, out: Out) -> tuple[ShardId, ...]:
    """The shards of a placement that sit on what is out."""
    return tuple(
        allocation.shard_id
        for allocation in placement.allocations
        if allocation.device_id in out.devices or state.devices[allocation.device_id].node_id in out.nodes
    )


def reasons(state: State, placement: Placement, out: Out) -> list[str]:
    """Why a placement must leave where it sits, in words."""
    devices = dict.fromkeys(allocation.device_id for allocation in placement.allocations)
    nodes = dict.fromkeys(state.devices[device_id].node_id for device_id in devices)
    if placement.host is not None:
        nodes[placement.host.node_id] = None
    said = [out.nodes[node_id] for node_id in nodes if node_id in out.nodes]
    return said + [out.devices[device_id] for device_id in devices if device_id in out.devices]


def elsewhere(state: State, placement: Placement, out: Out, kept: Kept = NOTHING_KEPT) -> Plan | Refusal:
    """A plan for a placement that leaves what is out. What can stay does; else all of it may go elsewhere."""
    free = without(state, [placement])
    going = set(must_go(state, placement, out))
    if 0 < len(going) < len(placement.allocations):
        plan = _some_elsewhere(state, placement, going, out, kept)
        if plan is not None and not check(free, placement.workload, plan):
            return plan
    answer = seat(free, avoiding(placement.workload, out), placement.strategy, kept)
    return answer if isinstance(answer, Plan) else replace(answer, workload=placement.workload)


def _some_elsewhere(
    state: State, placement: Placement, going: Collection[ShardId], out: Out, kept: Kept
) -> Plan | None:
    """A plan that moves some shards and holds on to the others. What ties the ones to the others is not looked at."""
    staying = tuple(one for one in placement.allocations if one.shard_id not in going)
    holding_on = without(state, [placement])
    trouble = reserve(holding_on, Reservation(workload=placement.workload, allocations=staying, host=placement.host))
    assert trouble is None, trouble
    rest = avoiding(_rest(placement, going, staying), out)
    answer = seat(holding_on, rest, placement.strategy, kept)
    if not isinstance(answer, Plan):
        return None
    moved = {allocation.shard_id: allocation for allocation in answer.allocations}
    merged = tuple(_merged(one, moved.get(one.shard_id)) for one in placement.allocations)
    return replace(answer, allocations=merged, host=placement.host)


def _rest(placement: Placement, going: Collection[ShardId], staying: Iterable[Allocation]) -> Workload:
    """The shards that go, as a workload of their own."""
    workload = placement.workload
    limits = workload.constraints
    taken = tuple(one.device_id for one in staying) if limits.one_shard_per_device else ()
    nodes = tuple({one.node_id for one in staying}) if limits.same_node and workload.replicas == 1 else limits.nodes
    return replace(
        workload,
        shards=tuple(_shard(one) for one in placement.allocations if one.shard_id in going),
        model=None,
        host=Host(),
        replicas=1,
        constraints=replace(
            limits,
            nodes=nodes,
            forbidden_devices=(*limits.forbidden_devices, *taken),
            neighbours=None,
            same_node=False,
            same_rack=False,
        ),
    )


def _shard(allocation: Allocation) -> Shard:
    return Shard(shard_id=allocation.shard_id, memory_bytes=allocation.memory_bytes, gpu_milli=allocation.gpu_milli)


def _merged(before: Allocation, after: Allocation | None) -> Allocation:
    """An allocation where it is now: what it says of a model's cut stays."""
    if after is None:
        return before
    return replace(before, device_id=after.device_id, node_id=after.node_id, score=after.score, terms=after.terms)


def avoiding(workload: Workload, out: Out) -> Workload:
    """The same workload, which leaves alone what is out."""
    limits = workload.constraints
    return replace(
        workload,
        constraints=replace(
            limits,
            forbidden_devices=(*limits.forbidden_devices, *out.devices),
            forbidden_nodes=(*limits.forbidden_nodes, *out.nodes),
        ),
    )


def _named(state: State, places: Iterable[PlaceKey]) -> Out:
    out = Out({}, {})
    for kind, id_ in places:
        if kind == "node":
            out.nodes[id_] = f"node {id_} is offline"
        else:
            out.devices[id_] = f"{id_} is {_trouble(state.devices[id_])}"
    return out


def _trouble(device: DeviceState) -> str:
    if device.lost is not None:
        return f"lost: {device.lost}" if device.lost else "lost"
    return f"faulted: {device.fault}"


def _devices_of(state: State, out: Out) -> Iterable[DeviceState]:
    yield from (state.devices[device_id] for device_id in out.devices)
    if out.nodes:
        yield from (device for device in state.devices.values() if device.node_id in out.nodes)


def _celsius(device: DeviceState) -> float | None:
    return None if device.sample is None else device.sample.temperature_celsius
