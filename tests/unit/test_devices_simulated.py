"""Simulated devices: repeatable, always within bounds, and following the load that is put on them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Node
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.catalogue import GIB, MODELS
from fleetfold_devices.port import Wanted
from fleetfold_devices.simulation.fleet_file import load_fleet
from fleetfold_devices.simulation.simulated import (
    OTHERS_MEMORY_SHARE_MAX,
    OTHERS_UTILIZATION_PERCENT_MAX,
    RECOVER_CELSIUS,
    THROTTLE_CELSIUS,
    SimulatedNode,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=2)


def node(*models: str, name: str = "n", seed: int = 0) -> SimulatedNode:
    facts = Node(node_id=name, boot_id="b", hostname=name, cpu_milli=1000, memory_bytes=GIB)
    return SimulatedNode(facts, [MODELS[model] for model in models], seed=seed)


def run(source: SimulatedNode, ticks: int) -> list[tuple[Sample, ...]]:
    return [source.sample(NOW + tick * TICK) for tick in range(ticks)]


def hottest(models: int = 40) -> list[list[Sample]]:
    """The histories of many devices that are all fully loaded."""
    source = node(*["T4"] * models)
    for place in range(models):
        source.set_load(f"n-gpu{place}", GIB, 100)
    return [list(history) for history in zip(*run(source, 400), strict=True)]


def test_thousands_of_ticks_stay_within_bounds() -> None:
    source = node(*MODELS)
    source.set_load("n-gpu0", GIB, 100)
    for samples in run(source, 3000):
        for sample in samples:
            assert codec.decode(codec.encode(sample), Sample) == sample
            assert sample.absent == {}
    for sample in source.sample(NOW)[1:]:
        assert sample.memory_used_bytes is not None
        assert sample.memory_total_bytes is not None
        assert sample.memory_used_bytes <= OTHERS_MEMORY_SHARE_MAX * sample.memory_total_bytes


@given(
    seed=st.integers(),
    loads=st.lists(st.tuples(st.integers(0, 2**40), st.floats(0, 100), st.integers(1, 30)), max_size=8),
)
def test_no_load_drives_a_device_out_of_bounds(seed: int, loads: list[tuple[int, float, int]]) -> None:
    source = node("T4", seed=seed)
    for memory_bytes, utilization_percent, ticks in loads:
        source.set_load("n-gpu0", memory_bytes, utilization_percent)
        for [sample] in run(source, ticks):
            assert codec.decode(codec.encode(sample), Sample) == sample
            assert sample.memory_used_bytes is not None
            assert sample.memory_total_bytes is not None
            assert 0 <= sample.memory_used_bytes <= sample.memory_total_bytes


def test_a_seed_repeats_itself_and_another_does_not() -> None:
    assert run(node("A10", "G2", seed=7), 50) == run(node("A10", "G2", seed=7), 50)
    assert run(node("A10", "G2", seed=7), 50) != run(node("A10", "G2", seed=8), 50)


def test_a_device_reads_the_same_whatever_stands_beside_it() -> None:
    alone = [samples[0] for samples in run(node("A10"), 50)]
    among_others = [samples[0] for samples in run(node("A10", "T4", "T4"), 50)]
    assert alone == among_others


def test_the_clock_only_stamps() -> None:
    early, late = node("A10"), node("A10")
    for tick in range(50):
        [first] = early.sample(NOW)
        [second] = late.sample(NOW + tick * timedelta(days=1))
        assert second.timestamp == NOW + tick * timedelta(days=1)
        assert msgspec.structs.replace(second, timestamp=NOW) == first


def test_a_load_shows_in_memory_at_once_and_goes_with_it() -> None:
    loaded, idle = node("A10"), node("A10")
    run(loaded, 5)
    run(idle, 5)
    loaded.set_load("n-gpu0", 10 * GIB, 50)
    [[busy]], [[free]] = run(loaded, 1), run(idle, 1)
    assert busy.memory_used_bytes == (free.memory_used_bytes or 0) + 10 * GIB
    loaded.set_load("n-gpu0", 0, 0)
    [[after]], [[still_free]] = run(loaded, 1), run(idle, 1)
    assert after.memory_used_bytes == still_free.memory_used_bytes


def test_heat_power_and_clock_follow_the_load() -> None:
    loaded, idle = node("A10"), node("A10")
    loaded.set_load("n-gpu0", 0, 60)
    for tick, ([busy], [free]) in enumerate(zip(run(loaded, 100), run(idle, 100), strict=True)):
        assert busy.compute_utilization_percent is not None
        assert 60 <= busy.compute_utilization_percent <= 60 + OTHERS_UTILIZATION_PERCENT_MAX
        for reading in ("power_watts", "clock_rate_mhz", "temperature_celsius"):
            assert getattr(busy, reading) > getattr(free, reading), (tick, reading)


def test_heat_comes_slowly() -> None:
    source = node("A10")
    source.set_load("n-gpu0", 0, 60)
    celsius = [sample.temperature_celsius or 0.0 for [sample] in run(source, 100)]
    steps = [after - before for before, after in pairwise(celsius)]
    assert max(map(abs, steps)) < 4
    assert celsius[-1] - celsius[0] > 20


def test_under_full_load_some_devices_throttle_and_some_do_not() -> None:
    throttling = [any(sample.throttled for sample in history) for history in hottest()]
    assert 0 < sum(throttling) < len(throttling)


def test_a_throttled_device_is_slowed_until_it_has_cooled_down() -> None:
    for history in hottest():
        slowed = [sample.clock_rate_mhz or 0.0 for sample in history if sample.throttled]
        free = [sample.clock_rate_mhz or 0.0 for sample in history if not sample.throttled]
        assert max(slowed, default=0.0) < min(free)
        onsets = [before for before, after in pairwise(history) if after.throttled and not before.throttled]
        ends = [before for before, after in pairwise(history) if before.throttled and not after.throttled]
        assert all((sample.temperature_celsius or 0.0) >= THROTTLE_CELSIUS for sample in onsets)
        assert all((sample.temperature_celsius or 0.0) <= RECOVER_CELSIUS for sample in ends)


@pytest.mark.parametrize(
    ("memory_bytes", "utilization_percent", "field"),
    [
        (-1, 0, "memory_bytes"),
        (0, -0.1, "utilization_percent"),
        (0, 100.1, "utilization_percent"),
        (0, float("nan"), "util"),
    ],
)
def test_a_load_that_cannot_be_is_refused(memory_bytes: int, utilization_percent: float, field: str) -> None:
    with pytest.raises(ValueError, match=field):
        node("A10").set_load("n-gpu0", memory_bytes, utilization_percent)


def test_a_load_needs_a_device() -> None:
    with pytest.raises(KeyError):
        node("A10").set_load("n-gpu1", 0, 0)


def test_what_is_not_wanted_is_absent_as_disabled() -> None:
    [node] = load_fleet("openb:1")
    node.wanted = Wanted(temperature=False, power=False)
    for sample in node.sample(datetime(2026, 1, 1, tzinfo=UTC)):
        assert (sample.temperature_celsius, sample.power_watts) == (None, None)
        assert sample.absent == {"temperature_celsius": Absence.DISABLED, "power_watts": Absence.DISABLED}
        assert sample.compute_utilization_percent is not None
