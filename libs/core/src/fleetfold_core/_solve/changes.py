"""What would have to change for a refused workload to fit: the smallest changes, each tried by solving with it."""

from collections.abc import Callable, Iterator
from typing import cast

import msgspec

from fleetfold_contracts.workloads import Change, Constraints, Reason, Workload
from fleetfold_core._words import in_units, some_of
from fleetfold_core.explain import Miss, misses
from fleetfold_core.feasible import ANYWHERE, needs_devices, telling_shard
from fleetfold_core.state import DeviceState, Refusal, State

LOOKS_MAX = 6000
"""So many devices are looked at in all, by one solution after another: the fewer the fleet has, the more is tried."""
TRIED_MAX = 16
TOLD_MAX = 3

Fits = Callable[[State, Workload], bool]


def with_changes(state: State, refusal: Refusal, fits: Fits) -> Refusal:
    """The refusal, with the changes after which the workload fits."""
    tries = min(TRIED_MAX, LOOKS_MAX // max(1, len(state.devices_in(refusal.workload.pool))))
    found: list[Change] = []
    for _, (change, other, asked) in zip(range(tries), _candidates(state, refusal.workload), strict=False):
        if len(found) < TOLD_MAX and fits(other, asked):
            found.append(change)
    if not found:
        return refusal
    summary = f"{refusal.summary}; it would fit {some_of([change.detail for change in found], '; or ')}"
    return msgspec.structs.replace(refusal, summary=summary, changes=tuple(found))


Candidate = tuple[Change, State, Workload]


def _candidates(state: State, workload: Workload) -> Iterator[Candidate]:
    """Changes that may help, the cheapest first, each with the state and the workload as they would be."""
    yield from _without_a_constraint(state, workload)
    yield from _with_a_device_back(state, workload)
    yield from _with_more_memory(state, workload)
    if workload.replicas > 1:
        yield from _with_fewer_replicas(state, workload)


def _without_a_constraint(state: State, workload: Workload) -> Iterator[Candidate]:
    for name in Constraints.__struct_fields__:
        given, free = getattr(workload.constraints, name), getattr(ANYWHERE, name)
        loosened = False if name == "one_shard_per_device" else free
        if given != loosened and not (name == "same_node" and workload.host != type(workload.host)()):
            asked = msgspec.structs.replace(
                workload, constraints=msgspec.structs.replace(workload.constraints, **{name: loosened})
            )
            yield Change(detail=f"without `{name}{_shown(given)}`", without=name), state, asked


def _shown(given: object) -> str:
    match given:
        case bool():
            return ""
        case tuple():
            return f": {some_of([str(value) for value in cast('tuple[object, ...]', given)])}"
        case str() | float():
            return f": {given}"
        case _:
            return ""


def _with_a_device_back(state: State, workload: Workload) -> Iterator[Candidate]:
    for miss in _nearest(state, workload, Reason.CORDONED):
        device = state.devices[miss.place_id].copy()
        device.cordoned = None
        change = Change(detail=f"with {miss.place_id} no longer cordoned", devices=(miss.place_id,))
        yield change, _with_device(state, device), workload


def _with_more_memory(state: State, workload: Workload) -> Iterator[Candidate]:
    if not needs_devices(workload):
        return
    shard = telling_shard(workload)
    nearest = _nearest(state, workload, Reason.NO_MEMORY)
    for miss in nearest:
        more_bytes = shard.memory_bytes - miss.left
        alike = [other.place_id for other in nearest if other.left == miss.left]
        if miss.place_id != alike[0]:
            continue  # it was tried with the others that have as much
        device = state.devices[miss.place_id].copy()
        device.foreign_bytes -= more_bytes
        detail = f"with {in_units(more_bytes)} more on {'one of ' * (len(alike) > 1)}{some_of(alike)}"
        yield Change(detail=detail, devices=tuple(alike), more_bytes=more_bytes), _with_device(state, device), workload


def _with_fewer_replicas(state: State, workload: Workload) -> Iterator[Candidate]:
    for replicas in range(workload.replicas - 1, 0, -1):
        change = Change(detail=f"with {replicas} of {workload.replicas} replicas", replicas=replicas)
        yield change, state, msgspec.structs.replace(workload, replicas=replicas)


def _nearest(state: State, workload: Workload, reason: Reason) -> list[Miss]:
    """The devices that one reason rules out, the nearest miss first."""
    if not needs_devices(workload):
        return []
    found = [miss for miss in misses(state, workload) if miss.reason is reason]
    return sorted(found, key=lambda miss: (-miss.left, miss.place_id))[:TOLD_MAX]


def _with_device(state: State, device: DeviceState) -> State:
    return msgspec.structs.replace(state, devices=state.devices | {device.device_id: device})
