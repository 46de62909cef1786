"""A log to read: a fleet joins, and then workloads come and go."""

import asyncio
from datetime import UTC, datetime

from fleetfold_bus.port import Log
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from tests.support.cluster import GIB, a_device, a_node

NODES = 16
DEVICES_A_NODE = 8
DEVICES = NODES * DEVICES_A_NODE
JOINING = NODES + DEVICES
SHARDS = 2
PLACED_AT_ONCE = 100
"""The first so many workloads stay alone; then for each that comes the oldest goes."""

APPENDS_AT_ONCE = 1000


async def write(log: Log, subjects: Subjects, count: int) -> None:
    """Append the first `count` events of the history, in their order."""
    for first in range(0, count, APPENDS_AT_ONCE):
        indexes = range(first, min(first + APPENDS_AT_ONCE, count))
        await asyncio.gather(*(_append(log, subjects, index) for index in indexes))


async def _append(log: Log, subjects: Subjects, index: int) -> None:
    happened = event(index)
    event_id = f"event-{index}"
    payload = codec.encode_event(
        happened, id=event_id, source="bench", time=datetime.now(UTC), cause=f"command-{index}"
    )
    await log.append(subjects.event(happened), payload, message_id=event_id)


def event(index: int) -> evt.Event:
    """An event by its place in the history, from 0."""
    if index < NODES:
        return evt.NodeJoined(node=a_node(node_id(index)))
    if index < JOINING:
        device = index - NODES
        return evt.DeviceRegistered(node_id=node_id(device // DEVICES_A_NODE), capabilities=a_device(device_id(device)))
    return _coming_or_going(index - JOINING)


def _coming_or_going(step: int) -> evt.Event:
    if step < PLACED_AT_ONCE:
        return _decided(step)
    number, goes = divmod(step - PLACED_AT_ONCE, 2)
    return _decided(number + PLACED_AT_ONCE) if not goes else _released(number)


def _decided(number: int) -> evt.PlacementDecided:
    shards = (Shard(memory_bytes=GIB),) * SHARDS
    return evt.PlacementDecided(
        workload=Workload(workload_id=_workload_id(number), shards=shards),
        allocations=tuple(_allocation(number, shard) for shard in range(SHARDS)),
        solver="greedy",
    )


def _released(number: int) -> evt.PlacementReleased:
    return evt.PlacementReleased(pool=DEFAULT_POOL, workload_id=_workload_id(number))


def _allocation(number: int, shard: int) -> Allocation:
    device = (number * SHARDS + shard) % DEVICES
    return Allocation(
        shard_id=str(shard),
        device_id=device_id(device),
        node_id=node_id(device // DEVICES_A_NODE),
        memory_bytes=GIB,
        score=0.9,
    )


def node_id(index: int) -> str:
    """A node of the fleet."""
    return f"node-{index:02}"


def device_id(index: int) -> str:
    """A device of the fleet."""
    return f"gpu-{index:03}"


def _workload_id(number: int) -> str:
    return f"model-{number}"
