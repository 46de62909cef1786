"""Items in equal items out, whoever gets them."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from fleetfold_core import runs as run_lists
from fleetfold_core.distribute import Spread, distribute_by_capacity, distribute_by_cost, distribute_uniform
from tests.property.core_strategies import examples

item_counts = st.integers(0, 500)
devices = st.lists(st.sampled_from([f"d{index}" for index in range(12)]), unique=True)
limits = st.none() | st.integers(0, 60)
weights = st.floats(0, 1e12) | st.integers(0, 3).map(float)
weighted = st.dictionaries(st.sampled_from([f"d{index}" for index in range(12)]), weights)


def count(spread: Spread, device: str) -> int:
    return sum(count for _, count in spread.runs.get(device, []))


def assert_conserved(spread: Spread, item_count: int, given_devices: list[str], limit: int | None) -> None:
    """Each item is in one place, in order from device to device, and within the limits."""
    runs = [run for device in given_devices for run in spread.runs.get(device, [])] + spread.unassigned
    assert [item for first, size in runs for item in range(first, first + size)] == list(range(item_count))
    assert all(size > 0 for _, size in runs)
    assert set(spread.runs) <= set(given_devices)
    assert limit is None or all(count(spread, device) <= limit for device in given_devices)
    assert bool(spread.reason) == bool(spread.unassigned)


@examples(100)
@given(item_count=item_counts, names=devices, limit=limits)
def test_uniform_counts_differ_by_one_at_most_and_leave_nothing_that_has_room(
    item_count: int, names: list[str], limit: int | None
) -> None:
    spread = distribute_uniform(item_count, names, limit)
    assert_conserved(spread, item_count, names, limit)
    counts = [count(spread, name) for name in names]
    assert counts == sorted(counts, reverse=True)
    assert not counts or max(counts) - min(counts) <= 1
    assert not spread.unassigned or all(size == limit for size in counts)


@examples(100)
@given(item_count=item_counts, shares=weighted)
def test_without_a_limit_each_device_is_within_one_of_its_exact_share(
    item_count: int, shares: dict[str, float]
) -> None:
    spread = distribute_by_capacity(item_count, shares)
    assert_conserved(spread, item_count, list(shares), None)
    total = sum(map(Fraction, shares.values()))
    for device, weight in shares.items():
        exact = item_count * Fraction(weight) / total if total else Fraction(0)
        assert abs(count(spread, device) - exact) < 1
        assert weight > 0 or not count(spread, device)
    assert bool(spread.unassigned) == (item_count > 0 and not total)


@examples(100)
@given(item_count=item_counts, shares=weighted, limit=st.integers(0, 60))
def test_a_limit_holds_and_what_it_keeps_back_goes_to_those_with_room(
    item_count: int, shares: dict[str, float], limit: int
) -> None:
    spread = distribute_by_capacity(item_count, shares, limit)
    assert_conserved(spread, item_count, list(shares), limit)
    working = [device for device, weight in shares.items() if weight > 0]
    assert not spread.unassigned or all(count(spread, device) == limit for device in working)
    with_room = [device for device in working if count(spread, device) < limit]
    total = sum(Fraction(shares[device]) for device in with_room)
    theirs = sum(count(spread, device) for device in with_room)
    for device in with_room:
        assert abs(count(spread, device) - theirs * Fraction(shares[device]) / total) <= 1


@examples(100)
@given(item_count=item_counts, shares=weighted, limit=limits)
def test_a_heavier_device_gets_no_less(item_count: int, shares: dict[str, float], limit: int | None) -> None:
    spread = distribute_by_capacity(item_count, shares, limit)
    by_weight = sorted(shares, key=lambda device: shares[device])
    for lighter, heavier in pairwise(by_weight):
        if shares[lighter] < shares[heavier]:
            assert count(spread, lighter) <= count(spread, heavier)


def best_end(costs: list[float], device_count: int) -> float:
    """The end of the best plan on devices of one speed, found by trying all."""
    loads = {(0.0,) * device_count}
    for cost in costs:
        loads = {
            tuple(sorted((*load[:place], load[place] + cost, *load[place + 1 :])))
            for load in loads
            for place in range(device_count)
        }
    return min(max(load) for load in loads)


@examples(100)
@given(
    costs=st.lists(st.integers(1, 100).map(float), min_size=1, max_size=8),
    names=st.lists(st.sampled_from(["d0", "d1", "d2", "d3"]), min_size=1, max_size=4, unique=True),
)
def test_what_is_planned_by_cost_ends_at_most_a_third_later_than_the_best_plan(
    costs: list[float], names: list[str]
) -> None:
    spread = distribute_by_cost(costs, dict.fromkeys(names, 1.0))
    assert run_lists.covers([run for runs in spread.runs.values() for run in runs], 0, len(costs))
    end = max(sum(costs[item] for item in run_lists.numbers(runs)) for runs in spread.runs.values())
    graham = Fraction(4, 3) - Fraction(1, 3 * len(names))
    assert end <= graham * Fraction(best_end(costs, len(names)))


@examples(100)
@given(
    item_count=st.integers(0, 200),
    shares=st.dictionaries(st.sampled_from([f"d{index}" for index in range(6)]), st.integers(0, 3).map(float)),
    limit=limits,
    places=st.lists(st.integers(0, 7), max_size=200),
    strategy=st.sampled_from(("uniform", "capacity", "cost")),
)
def test_what_lies_near_a_device_goes_there_as_far_as_its_limit_allows(
    item_count: int, shares: dict[str, float], limit: int | None, places: list[int], strategy: str
) -> None:
    wanted = {
        device: [item for item, place in enumerate(places[:item_count]) if f"d{place}" == device] for device in shares
    }
    near = {device: run_lists.of_numbers(items) for device, items in wanted.items() if items}
    match strategy:
        case "uniform":
            shares = dict.fromkeys(shares, 1.0)
            spread = distribute_uniform(item_count, list(shares), limit, near)
        case "capacity":
            spread = distribute_by_capacity(item_count, shares, limit, near)
        case _:
            spread = distribute_by_cost([float(item % 5) for item in range(item_count)], shares, limit, near)

    assert run_lists.covers(
        [*(run for runs in spread.runs.values() for run in runs), *spread.unassigned], 0, item_count
    )
    for device, weight in shares.items():
        given_to = list(run_lists.numbers(spread.runs.get(device, [])))
        assert given_to == sorted(given_to)
        assert limit is None or len(given_to) <= limit
        assert weight or not given_to
        assert not weight or set(wanted[device][:limit]) <= set(given_to)
