"""How items are spread, at the edges."""

import pytest

from fleetfold_core.distribute import distribute_by_capacity, distribute_uniform


def test_the_first_devices_take_what_is_left_over_in_one_run_each() -> None:
    assert distribute_uniform(8, ["c", "a", "b"]).runs == {"c": [(0, 3)], "a": [(3, 3)], "b": [(6, 2)]}


def test_who_gets_nothing_has_no_run() -> None:
    assert distribute_uniform(1, ["a", "b"]).runs == {"a": [(0, 1)]}


@pytest.mark.parametrize("spread", [distribute_uniform(3, []), distribute_by_capacity(3, {})])
def test_without_devices_everything_is_unassigned(spread: object) -> None:
    assert spread == distribute_uniform(3, [])
    assert distribute_uniform(3, []).unassigned == [(0, 3)]
    assert "no device" in distribute_uniform(3, []).reason


def test_a_device_given_twice_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        distribute_uniform(3, ["a", "a"])


def test_nothing_to_spread_is_no_shortage() -> None:
    spread = distribute_uniform(0, ["a"])
    assert (spread.runs, spread.unassigned, spread.reason) == ({}, [], "")


def test_a_limit_of_nothing_leaves_everything_unassigned() -> None:
    assert distribute_by_capacity(4, {"a": 1}, max_per_device=0).unassigned == [(0, 4)]


def test_a_weight_of_nothing_gets_nothing() -> None:
    assert distribute_by_capacity(10, {"a": 0, "b": 5}).runs == {"b": [(0, 10)]}
    nothing = distribute_by_capacity(10, {"a": 0, "b": 0})
    assert (nothing.runs, nothing.unassigned) == ({}, [(0, 10)])
    assert "weight of 0" in nothing.reason


def test_what_passes_a_limit_goes_to_those_with_room_by_their_weights() -> None:
    spread = distribute_by_capacity(20, {"heavy": 8, "a": 1, "b": 1}, max_per_device=8)
    assert spread.runs == {"heavy": [(0, 8)], "a": [(8, 6)], "b": [(14, 6)]}


def test_weights_that_no_float_can_add_up_are_shared_exactly() -> None:
    runs = distribute_by_capacity(10, {"a": 1e12, "b": 1e-12, "c": 1e12}).runs
    assert runs == {"a": [(0, 5)], "c": [(5, 5)]}


def test_equal_remainders_go_to_the_first() -> None:
    assert distribute_by_capacity(2, {"a": 1, "b": 1, "c": 1}).runs == {"a": [(0, 1)], "b": [(1, 1)]}
