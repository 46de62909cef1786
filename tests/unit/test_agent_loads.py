"""What sits on simulated devices, by the event log: it rises with what is placed and handed out, and goes with it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.samples import Sample
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from fleetfold_runtime.stopping import background
from fleetfold_telemetry_agent.loads import WORKING_PERCENT, Load, Loads
from fleetfold_telemetry_agent.service import serve
from fleetfold_telemetry_agent.settings import AgentSettings
from tests.support.agents import agent_context
from tests.support.waiting import eventually

GIB = 1024**3
SUBJECTS = Subjects()
OURS = ("lab-gpu0", "lab-gpu1")
ELSEWHERE = "desk-gpu0"


def placed(workload: str, *, gib: int = 0, gpu_milli: int = 0, on: Sequence[str] = OURS[:1]) -> evt.PlacementDecided:
    shard = Shard(memory_bytes=gib * GIB, gpu_milli=gpu_milli)
    allocations = [
        Allocation(shard_id=str(index), device_id=device, node_id="lab", memory_bytes=gib * GIB, gpu_milli=gpu_milli)
        for index, device in enumerate(on)
    ]
    return evt.PlacementDecided(
        workload=Workload(workload_id=workload, shards=(shard,) * len(on)), allocations=tuple(allocations)
    )


def released(workload: str) -> evt.PlacementReleased:
    return evt.PlacementReleased(pool="default", workload_id=workload)


def dispatched(work: str, *, batches: int, on: Sequence[str] = OURS[:1]) -> evt.WorkDispatched:
    parts = (
        evt.HandOut(device_id=device, batch=batch, runs=((batch, 1),)) for device in on for batch in range(batches)
    )
    return evt.WorkDispatched(work_id=work, batches=tuple(parts))


def finished(work: str, batch: int, on: str = OURS[0]) -> evt.BatchFinished:
    return evt.BatchFinished(work_id=work, device_id=on, batch=batch, item_count=1)


def loads_after(*events: evt.Event) -> Loads:
    loads = Loads(OURS)
    for event in events:
        loads.fold(event)
    return loads


def test_a_placement_is_a_load_until_it_is_released() -> None:
    first, second = placed("a", gib=4, gpu_milli=300), placed("b", gib=2, gpu_milli=500, on=OURS)
    assert loads_after(first, second).on(OURS[0]) == Load(6 * GIB, 80.0)
    assert loads_after(first, second).on(OURS[1]) == Load(2 * GIB, 50.0)
    assert loads_after(first, second, released("b")).on(OURS[0]) == Load(4 * GIB, 30.0)
    assert loads_after(first, second, released("b"), released("a")).on(OURS[0]) == Load()


def test_a_device_is_busy_until_its_last_batch_is_through() -> None:
    work = dispatched("w", batches=3)
    assert loads_after(work).on(OURS[0]) == Load(0, WORKING_PERCENT)
    assert loads_after(work, finished("w", 0), finished("w", 2)).on(OURS[0]) == Load(0, WORKING_PERCENT)
    assert loads_after(work, finished("w", 0), finished("w", 2), finished("w", 1)).on(OURS[0]) == Load()


def test_a_work_that_is_completed_keeps_no_device_busy() -> None:
    work = dispatched("w", batches=3, on=OURS)
    loads = loads_after(work, evt.WorkCompleted(work_id="w", done=10))
    assert [loads.on(device) for device in OURS] == [Load(), Load()]


def test_a_device_whose_batches_were_given_to_others_is_idle() -> None:
    moved = evt.WorkReassigned(work_id="w", number=1, device_id=OURS[0], batches=(0, 1))
    assert loads_after(dispatched("w", batches=2), moved).on(OURS[0]) == Load()


def test_two_works_on_a_device_keep_it_busy_until_both_are_through_and_never_beyond_full() -> None:
    both = [dispatched(work, batches=1) for work in ("v", "w")]
    assert loads_after(*both, placed("a", gpu_milli=900)).on(OURS[0]) == Load(0, 100.0)
    assert loads_after(*both, finished("v", 0)).on(OURS[0]) == Load(0, WORKING_PERCENT)
    assert loads_after(*both, finished("v", 0), finished("w", 0)).on(OURS[0]) == Load()


def test_only_the_devices_whose_load_may_have_changed_are_named() -> None:
    loads = Loads(OURS)
    assert loads.fold(placed("elsewhere", gib=1, on=[ELSEWHERE])) == set()
    assert loads.fold(placed("both", gib=1, on=[OURS[1], ELSEWHERE])) == {OURS[1]}
    assert loads.fold(dispatched("w", batches=2, on=[OURS[0], ELSEWHERE])) == {OURS[0]}
    assert loads.fold(finished("w", 0)) == set()
    assert loads.fold(finished("w", 1)) == {OURS[0]}
    assert loads.fold(released("both")) == {OURS[1]}


EVENTS = st.one_of(
    st.builds(
        placed,
        st.sampled_from("ab"),
        gib=st.integers(0, 3),
        gpu_milli=st.integers(0, 500),
        on=st.lists(st.sampled_from((*OURS, ELSEWHERE)), unique=True, min_size=1),
    ),
    st.builds(released, st.sampled_from("ab")),
    st.builds(dispatched, st.sampled_from("vw"), batches=st.integers(0, 4)),
    st.builds(finished, st.sampled_from("vw"), st.integers(0, 3), st.sampled_from((*OURS, ELSEWHERE))),
    st.builds(evt.WorkCompleted, work_id=st.sampled_from("vw"), done=st.just(0)),
)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_the_log_holds_everything_that_ends_leaves_nothing_behind(events: list[evt.Event]) -> None:
    loads = loads_after(*events)
    for device in OURS:
        assert loads.on(device).memory_bytes >= 0
        assert 0 <= loads.on(device).utilization_percent <= 100
    for ending in (*map(released, "ab"), *(evt.WorkCompleted(work_id=work, done=0) for work in "vw")):
        loads.fold(ending)
    assert [loads.on(device) for device in OURS] == [Load(), Load()]


@pytest.fixture
async def bus() -> MemoryBus:
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    return bus


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    (tmp_path / "fleet.toml").write_text('[[nodes]]\nname = "lab"\ndevices = [{ model = "A10", count = 2 }]\n')
    return AgentSettings(fleet=str(tmp_path / "fleet.toml"), sample_interval_s=0.2, utilization_dead_band_points=0)


@asynccontextmanager
async def an_agent(settings: AgentSettings, bus: MemoryBus) -> AsyncGenerator[None]:
    async with background(serve(agent_context(settings, bus))):
        yield


async def append(bus: MemoryBus, event: evt.Event, id_: str) -> None:
    payload = codec.encode_event(event, id=id_, source="test", time=datetime(2026, 1, 1, tzinfo=UTC))
    await bus.append(SUBJECTS.event(event), payload, message_id=id_)


async def newest_sample(bus: MemoryBus, after: int) -> Sample | None:
    """What the first device read last, behind a position of the stream of samples."""
    newest = None
    async for records in bus.read(SUBJECTS.stream(SAMPLES), after=after):
        if not records:
            break
        for record in records:
            for sample in codec.decode_samples(record.payload).samples:
                newest = sample if sample.device_id == OURS[0] else newest
    return newest


async def reads(bus: MemoryBus, *, gib: int, percent: float) -> None:
    """Wait until the first device reads such a load, and what others put on it."""
    after = await bus.last_sequence(SUBJECTS.stream(SAMPLES))

    async def holds() -> bool:
        sample = await newest_sample(bus, after)
        if sample is None or sample.memory_used_bytes is None or sample.compute_utilization_percent is None:
            return False
        others_bytes, others_percent = 0.2 * 24 * GIB, 8.0
        return (
            gib * GIB <= sample.memory_used_bytes <= gib * GIB + others_bytes
            and percent <= sample.compute_utilization_percent <= percent + others_percent
        )

    await eventually(holds, what=f"{gib} GiB and {percent} %")


async def test_readings_follow_the_log_and_a_new_agent_reads_the_same(bus: MemoryBus, settings: AgentSettings) -> None:
    async with an_agent(settings, bus):
        await append(bus, placed("a", gib=8), "1")
        await append(bus, dispatched("w", batches=1), "2")
        await reads(bus, gib=8, percent=WORKING_PERCENT)
        await append(bus, finished("w", 0), "3")
        await reads(bus, gib=8, percent=0)

    async with an_agent(settings, bus):
        await reads(bus, gib=8, percent=0)
        await append(bus, released("a"), "4")
        await reads(bus, gib=0, percent=0)
