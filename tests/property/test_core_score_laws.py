"""The score, whatever a device reads."""

from hypothesis import given
from hypothesis import strategies as st

from fleetfold_core.score import Score, best_device, score
from tests.property.core_strategies import examples
from tests.support.examples import a_device
from tests.support.story import Story

max_bytes = st.integers(0, 100)
used_bytes = st.none() | st.integers(0, 200)
percents = st.none() | st.floats(0, 100)
temperatures = st.none() | st.floats(-273.15, 1000)


def scored(memory: int, used: int | None, busy: float | None, celsius: float | None) -> Score:
    return score(Story().node("n1", a_device("d1", memory)).sample("d1", used, busy, celsius).device("d1"))


@examples(100)
@given(memory=max_bytes, used=used_bytes, busy=percents, celsius=temperatures)
def test_a_score_is_within_0_and_1_and_says_what_was_absent(
    memory: int, used: int | None, busy: float | None, celsius: float | None
) -> None:
    found = scored(memory, used, busy, celsius)
    assert 0 <= found.value <= 1
    assert 0.1 <= found.penalty <= 1
    absent = {"compute_utilization_percent": busy, "temperature_celsius": celsius}
    assert found.absent == tuple(name for name, reading in absent.items() if reading is None)


@examples(100)
@given(
    memory=st.integers(1, 100),
    used=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    busy=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    celsius=st.tuples(st.floats(0, 200), st.floats(0, 200)),
)
def test_a_fuller_busier_or_hotter_device_scores_no_better(
    memory: int, used: tuple[int, int], busy: tuple[float, float], celsius: tuple[float, float]
) -> None:
    better = scored(memory, min(used), min(busy), min(celsius))
    assert scored(memory, max(used), min(busy), min(celsius)).value <= better.value
    assert scored(memory, min(used), max(busy), min(celsius)).value <= better.value
    assert scored(memory, min(used), min(busy), max(celsius)).value <= better.value


@examples(100)
@given(
    readings=st.lists(st.tuples(max_bytes, used_bytes, percents, temperatures), max_size=5),
    needed_bytes=st.integers(0, 60),
)
def test_the_best_device_is_the_best_of_those_with_room(
    readings: list[tuple[int, int | None, float | None, float | None]], needed_bytes: int
) -> None:
    story = Story().node("n1", *(a_device(f"d{index}", memory) for index, (memory, *_) in enumerate(readings)))
    for index, (_, used, busy, celsius) in enumerate(readings):
        story.sample(f"d{index}", used, busy, celsius)
    ranked = sorted(
        (-score(device).value, device_id)
        for device_id, device in story.state.devices.items()
        if device.free_bytes >= needed_bytes and score(device).value > 0
    )
    assert best_device(story.state, needed_bytes) == (ranked[0][1] if ranked else None)
