"""A projector that is killed again and again, in the middle of a snapshot too, comes to what a clean fold comes to."""

import asyncio
import os
import random
import signal
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from fleetfold_bus.port import Record
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.state import At, State
from fleetfold_runtime.origin import origin_of
from fleetfold_runtime.run import run_service
from fleetfold_runtime.stopping import background
from fleetfold_state_projector.service import NAME, serve
from fleetfold_state_projector.settings import ProjectorSettings
from fleetfold_state_projector.snapshots.store import SnapshotStore
from tests.support.cluster import Cluster
from tests.support.examples import GIB
from tests.support.waiting import eventually

KILLS = 50
LIVES_AT_MOST_S = 0.5
DEVICES = 200
SEED = 20260314

_processes = get_context("forkserver")
"""Each projector is forked from a process that has imported everything: Python itself starts too slowly for this."""
_processes.set_forkserver_preload([__name__])


def run_projector(environ: dict[str, str]) -> None:
    """A projector as its `__main__` runs it."""
    run_service(NAME, ProjectorSettings, serve, environ)


async def test_a_projector_that_is_killed_fifty_times_ends_with_what_the_log_says(
    cluster: Cluster, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    folder = tmp_path / "projector"
    await cluster.add_devices(DEVICES)
    environ = {
        "FLEETFOLD_NATS_URL": cluster.url,
        "FLEETFOLD_ROOT": cluster.subjects.root,
        "FLEETFOLD_DATA": str(folder),
        "FLEETFOLD_SNAPSHOT_INTERVAL_S": "0.005",
        "FLEETFOLD_LOG_LEVEL": "error",
    }
    async with background(load(cluster)):
        for kill in range(KILLS):
            process = started(environ)
            if kill == 0:  # from here on there is a snapshot to begin with
                await eventually(lambda: has_kept_something(cluster, folder), what="a snapshot")
            await asyncio.sleep(moments.uniform(0, LIVES_AT_MOST_S))
            process.kill()
            await asyncio.to_thread(process.join)

    last = started(environ)
    await eventually(lambda: stands_for_all(cluster, folder), what="a snapshot that stands for all of the log")
    os.kill(last.pid or 0, signal.SIGTERM)
    await asyncio.to_thread(last.join)
    state = await kept(cluster, folder)
    assert state is not None
    assert state.encode() == (await folded_cleanly(cluster)).encode()


def started(environ: dict[str, str]) -> ForkServerProcess:
    process = _processes.Process(target=run_projector, args=(environ,))
    process.start()
    return process


async def load(cluster: Cluster) -> None:
    """Placements come and go on some devices and samples come of others; now and then something cannot be folded."""
    for number in count():
        name = f"w{number % 50}"
        if number % 100 < 50:
            await cluster.append(decided(name, f"gpu-{number % 50:03}"), f"decided-{number}")
        else:
            await cluster.append(evt.PlacementReleased(pool="default", workload_id=name), f"released-{number}")
        if number % 70 == 0:
            poison = evt.BatchFinished(work_id="none", device_id="gpu-000", batch=1, item_count=1)
            await cluster.append(poison, f"impossible-{number}")
            await cluster.bus.append(cluster.subjects.event(poison), b"no event", message_id=f"unreadable-{number}")
        # Nobody reserves anything on these nodes, so that it does not matter in which order the two streams are folded.
        node = 25 + number % 25
        await cluster.bus.publish(cluster.subjects.samples(f"node-{node:03}"), codec.encode(sampled(node, number)))


def decided(name: str, device_id: str) -> evt.PlacementDecided:
    allocation = Allocation(shard_id="0", device_id=device_id, node_id="node-000", memory_bytes=GIB, gpu_milli=100)
    workload = Workload(workload_id=name, shards=(Shard(memory_bytes=GIB, gpu_milli=100),))
    return evt.PlacementDecided(workload=workload, allocations=(allocation,))


def sampled(node: int, tick: int) -> NodeSample:
    devices = (f"gpu-{4 * node + place:03}" for place in range(4))
    samples = (Sample(device_id=id_, timestamp=datetime.now(UTC), memory_used_bytes=tick) for id_ in devices)
    return NodeSample(node_id=f"node-{node:03}", boot_id="boot", tick=tick, samples=tuple(samples))


async def kept(cluster: Cluster, folder: Path) -> State | None:
    """The state that a projector would begin with."""
    events, samples = cluster.subjects.stream(EVENTS), cluster.subjects.stream(SAMPLES)
    async with SnapshotStore.open(folder) as store:
        return await store.believed(
            await origin_of(cluster.bus, cluster.subjects),
            last_sequence=await cluster.bus.last_sequence(events),
            last_samples_sequence=await cluster.bus.last_sequence(samples),
        )


async def has_kept_something(cluster: Cluster, folder: Path) -> bool:
    return await kept(cluster, folder) is not None


async def stands_for_all(cluster: Cluster, folder: Path) -> bool:
    state = await kept(cluster, folder)
    return (
        state is not None
        and state.position == await cluster.bus.last_sequence(cluster.subjects.stream(EVENTS))
        and state.samples_position == await cluster.bus.last_sequence(cluster.subjects.stream(SAMPLES))
    )


async def folded_cleanly(cluster: Cluster) -> State:
    """What both streams come to, folded once from their start by nobody who could be killed."""
    state = State()
    for record in await records(cluster, EVENTS):
        pool = cluster.subjects.pool_of(record.subject)
        try:
            envelope = codec.decode_envelope(record.payload)
        except codec.ContractError as error:
            park(state, At(sequence=record.sequence, time=record.time, pool=pool), str(error))
            continue
        at = At(sequence=record.sequence, time=record.time, cause=envelope.cause, pool=pool)
        fold(state, codec.decode_event(envelope), at)
    for record in await records(cluster, SAMPLES):
        fold_samples(state, codec.decode_samples(record.payload), record.sequence, record.time)
    return state


async def records(cluster: Cluster, stream: str) -> list[Record]:
    found: list[Record] = []
    async with aclosing(cluster.bus.read(cluster.subjects.stream(stream))) as lists:
        async for some in lists:
            if not some:
                break
            found += some
    return found
