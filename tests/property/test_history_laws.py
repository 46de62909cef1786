"""Roll-ups lose nothing and count nothing twice, however samples are cut, told again, or a projector is restarted."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_core.rollup import READINGS, Rollup, values_of
from fleetfold_state_projector.history.recorder import MINUTE_S, Recorder
from fleetfold_state_projector.history.store import FILE, HOUR_S, RollupStore
from tests.property.core_strategies import examples

START = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES = ("d1", "d2")

# Whole numbers, so that a sum does not depend on its order.
numbers = st.none() | st.integers(0, 2**40).map(float)
rows = st.lists(st.tuples(*(numbers,) * len(READINGS)), max_size=20)


@examples(100)
@given(parts=st.lists(rows, max_size=4))
def test_the_rollup_of_the_parts_is_the_rollup_of_the_whole(parts: list[list[tuple[float | None, ...]]]) -> None:
    merged = Rollup()
    for part in parts:
        merged.merge(rolled(part))
    whole = rolled([row for part in parts for row in part])
    assert merged.cells == whole.cells == Rollup.decode(whole.encode()).cells


@examples(100)
@given(values=rows)
def test_a_rollup_holds_the_count_the_bounds_and_the_sum_of_what_was_read(
    values: list[tuple[float | None, ...]],
) -> None:
    rollup = rolled(values)
    assert rollup.sample_count == len(values)
    for place in range(len(READINGS)):
        read = [row[place] for row in values if row[place] is not None]
        there = [value for value in read if value is not None]
        expected = (len(there), min(there), sum(there), max(there)) if there else None
        assert rollup.reading(place) == expected


messages = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 2), st.lists(st.sampled_from(DEVICES), unique=True)), max_size=25
)
"""The pause before each message in seconds, by how much its tick is newer (0: it is told again), and its devices."""


@examples(30)
@given(told=messages, cuts=st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=3))
def test_restarts_and_repetitions_count_no_sample_twice(
    told: list[tuple[int, int, list[str]]], cuts: list[tuple[int, bool]]
) -> None:
    """A projector dies at each cut, keeps what was written, and reads the stream on from there."""
    stream = list(messages_of(told))
    expected: dict[tuple[str, int], int] = {}
    newest_tick = -1
    for samples, _, time in stream:
        if samples.tick <= newest_tick:
            continue
        newest_tick = samples.tick
        for sample in samples.samples:
            hour_s = int(time.timestamp()) // HOUR_S * HOUR_S
            expected[sample.device_id, hour_s] = expected.get((sample.device_id, hour_s), 0) + 1
    with TemporaryDirectory() as folder:
        counted = asyncio.run(counts_after_restarts(Path(folder), stream, cuts))
    assert counted == expected


async def counts_after_restarts(
    folder: Path, stream: list[tuple[NodeSample, int, datetime]], cuts: list[tuple[int, bool]]
) -> dict[tuple[str, int], int]:
    for number, (cut, in_good_order) in enumerate((*sorted(cuts), (len(stream), True))):
        async with RollupStore.open(folder, "FLEET_TLM", START) as store:
            recorder = Recorder(newest=5, position=await store.position())
            # What was recorded before a restart is read again: only what is not written yet may count.
            for samples, sequence, time in stream[:cut]:
                recorder.record(samples, sequence, time)
            if in_good_order:
                recorder.close()
            for minute in recorder.closed:
                await store.write(minute, kept_days=365_000, limit_bytes=10**9)
            if number == len(cuts):
                hours = {int(time.timestamp()) // HOUR_S * HOUR_S for _, _, time in stream}
                found = {device: await store.read(device, HOUR_S, hours) for device in DEVICES}
                by_minute = {device: await store.read(device, MINUTE_S, all_minutes(hours)) for device in DEVICES}
                assert total(by_minute) == total(found)
                return {(id_, start): one.sample_count for id_, of in found.items() for start, one in of.items()}
    raise AssertionError("the last round returns")


async def write_minutes(store: RollupStore, count: int, limit_bytes: int) -> None:
    recorder = Recorder(newest=1, position=0)
    for number in range(count):
        time = START + timedelta(minutes=number)
        samples = tuple(Sample(device_id=f"d{index}", timestamp=time, power_watts=1.0) for index in range(50))
        recorder.record(NodeSample(node_id="n", boot_id="b", tick=number, samples=samples), number + 1, time)
        for minute in recorder.closed:
            await store.write(minute, kept_days=1, limit_bytes=limit_bytes)
        recorder.closed.clear()


async def test_what_is_kept_is_bounded_and_the_oldest_minutes_go_first(tmp_path: Path) -> None:
    async with RollupStore.open(tmp_path, "FLEET_TLM", START) as store:
        await write_minutes(store, 600, limit_bytes=400_000)
        size = os.path.getsize(tmp_path / FILE)  # noqa: ASYNC240, PTH202 - nothing else runs
        first_s = int(START.timestamp())
        minutes = await store.read("d0", MINUTE_S, range(first_s, first_s + 600 * MINUTE_S, MINUTE_S))
        hours = await store.read("d0", HOUR_S, range(first_s, first_s + 600 * MINUTE_S, HOUR_S))
    assert size < 1_000_000
    assert len(hours) == 10
    assert 0 < len(minutes) < 300
    assert max(minutes) == first_s + 598 * MINUTE_S


async def test_a_stream_that_was_made_anew_is_read_from_its_start(tmp_path: Path) -> None:
    async with RollupStore.open(tmp_path, "FLEET_TLM", START) as store:
        await write_minutes(store, 3, limit_bytes=10**9)
        assert await store.position() == 2
    async with RollupStore.open(tmp_path, "FLEET_TLM", START + timedelta(days=1)) as store:
        assert await store.position() == 0


def rolled(values: list[tuple[float | None, ...]]) -> Rollup:
    rollup = Rollup()
    for row in values:
        rollup.add(row)
    return rollup


def messages_of(told: list[tuple[int, int, list[str]]]) -> list[tuple[NodeSample, int, datetime]]:
    time, tick, stream = START, 0, list[tuple[NodeSample, int, datetime]]()
    for sequence, (pause_s, newer, devices) in enumerate(told, start=1):
        time += timedelta(seconds=pause_s)
        tick += newer
        samples = tuple(Sample(device_id=device, timestamp=time, power_watts=float(sequence)) for device in devices)
        stream.append((NodeSample(node_id="n", boot_id="b", tick=tick, samples=samples), sequence, time))
    return stream


def all_minutes(hours: set[int]) -> list[int]:
    return [minute for hour in hours for minute in range(hour, hour + HOUR_S, MINUTE_S)]


def total(rollups: dict[str, dict[int, Rollup]]) -> int:
    return sum(rollup.sample_count for of_device in rollups.values() for rollup in of_device.values())


def test_every_reading_with_a_history_is_one_of_a_sample() -> None:
    readings = {name: place for place, name in enumerate(READINGS)}
    sample = msgspec.convert({"device_id": "d", "timestamp": START, **readings}, Sample)
    assert values_of(sample) == tuple(range(len(READINGS)))
