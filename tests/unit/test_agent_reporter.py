"""What an agent says of its node: facts on change alone, samples that moved, and a beat at every tick."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Node
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_telemetry_agent.dead_band import DeadBand, moved
from fleetfold_telemetry_agent.reporter import Reporter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE = Node(node_id="n1", boot_id="b1", hostname="n1", cpu_milli=1000, memory_bytes=1)


def reporter(key_frame_every: int = 15) -> Reporter:
    return Reporter(NODE, DeadBand(), ticks_between_key_frames=key_frame_every)


def sample(memory_percent: int = 50, celsius: float = 60, utilization: float = 30, **more: object) -> Sample:
    return Sample(
        device_id="d1",
        timestamp=NOW,
        memory_used_bytes=memory_percent,
        memory_total_bytes=100,
        temperature_celsius=celsius,
        compute_utilization_percent=utilization,
        **more,  # pyright: ignore[reportArgumentType]
    )


def test_an_unmoved_device_is_told_in_key_frames_alone_and_the_node_beats_at_every_tick() -> None:
    teller = reporter(key_frame_every=5)

    messages = [teller.tick([sample()])[0] for _ in range(11)]

    assert [message.tick for message in messages] == list(range(11))
    assert [message.tick for message in messages if message.samples] == [0, 5, 10]
    assert [message.tick for message in messages if message.key_frame] == [0, 5, 10]


def test_what_moved_beyond_the_band_is_told() -> None:
    before = sample()
    assert not moved(before, sample(51, 65, 40), DeadBand())
    assert moved(before, sample(memory_percent=52), DeadBand())
    assert moved(before, sample(celsius=65.1), DeadBand())
    assert moved(before, sample(utilization=40.5), DeadBand())
    assert moved(before, sample(throttled=True), DeadBand())
    assert moved(before, sample(absent={"power_watts": Absence.ERROR}), DeadBand())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_what_was_told_last_is_never_farther_away_than_the_band(utilizations: list[float]) -> None:
    """The band is measured from what was published, so that a slow drift is told too."""
    teller = reporter(key_frame_every=1000)
    told = 0.0
    for utilization in utilizations:
        message, _ = teller.tick([sample(utilization=utilization)])
        if message.samples:
            told = message.samples[0].compute_utilization_percent or 0.0
        assert abs(told - utilization) <= DeadBand().utilization_points


def test_a_device_is_lost_once_and_recovers_once() -> None:
    teller = reporter()
    lost = Sample(device_id="d1", timestamp=NOW, absent={"memory_used_bytes": Absence.LOST})

    facts = [fact for reading in (sample(), lost, lost, sample(), sample()) for fact in teller.tick([reading])[1]]

    assert [type(event) for event, _ in facts] == [evt.DeviceLost, evt.DeviceRecovered]
    assert len({message_id for _, message_id in facts}) == 2
