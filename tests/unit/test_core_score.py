"""What a device's score is made of."""

import pytest

from fleetfold_contracts import events as evt
from fleetfold_core.score import best_device, score
from tests.support.examples import GIB, a_device
from tests.support.story import Story, gib_shard, two_devices


@pytest.mark.parametrize(
    ("celsius", "penalty"), [(20, 1), (80, 1), (84, 0.9), (100, 0.5), (116, 0.1), (130, 0.1), (1000, 0.1)]
)
def test_heat_counts_from_80_degrees_and_never_all(celsius: float, penalty: float) -> None:
    device = two_devices().sample("d1", 12 * GIB, 50, celsius).device("d1")
    assert score(device).penalty == pytest.approx(penalty)
    assert score(device).value == pytest.approx((0.6 * 0.5 + 0.4 * 0.5) * penalty)


def test_memory_that_is_reserved_and_memory_that_others_use_are_both_gone() -> None:
    story = two_devices(20 * GIB).sample("d1", 5 * GIB, 0, 40).place("w", ("d1", gib_shard(5)))
    assert score(story.device("d1")).memory == pytest.approx(0.5)


def test_an_absent_reading_is_named_and_neither_favoured_nor_blamed() -> None:
    story = two_devices().sample("d1", 0).sample("d2", 0, 50, 80)
    unknown, known = score(story.device("d1")), score(story.device("d2"))
    assert unknown.absent == ("compute_utilization_percent", "temperature_celsius")
    assert known.absent == ()
    assert unknown.value == known.value


def test_before_the_first_sample_everything_is_absent() -> None:
    assert len(score(two_devices().device("d1")).absent) == 2


def test_a_device_without_memory_scores_nothing_and_is_never_best() -> None:
    story = Story().node("n1", a_device("d1", 0)).sample("d1", 0, 0, 20)
    assert score(story.device("d1")).value == 0
    assert best_device(story.state, 0) is None


def test_of_equal_devices_the_least_id_is_best_whoever_came_first() -> None:
    assert best_device(Story().node("n1", a_device("d2"), a_device("d1")).state, GIB) == "d1"


@pytest.mark.parametrize(
    "trouble",
    [
        evt.DeviceLost(node_id="n1", device_id="d1"),
        evt.DeviceFaulted(node_id="n1", device_id="d1", code="79"),
        evt.DeviceCordoned(pool="default", device_id="d1"),
    ],
)
def test_a_device_out_of_use_is_not_best(trouble: evt.Event) -> None:
    assert best_device(two_devices().tell(trouble).state, GIB) == "d2"


def test_no_device_is_best_in_an_empty_cluster() -> None:
    assert best_device(Story().state, 0) is None
