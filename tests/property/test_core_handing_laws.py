"""Works come to their end, whoever is slow, fails or leaves; nothing is lost, and nobody slow holds up the whole."""

from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.commands import Distribute, Selector
from tests.property.core_strategies import examples
from tests.support.work_simulation import ROUND_S, Simulation

FAST_S, SLOW_S = 1.0, 10.0
SIXTEEN = {f"d{index:02}": FAST_S for index in range(16)} | {"d07": SLOW_S}
ITEMS = 1600


def best_s(items: int, item_s: dict[str, float]) -> float:
    """No way of spreading the items ends earlier."""
    return items / sum(1 / seconds for seconds in item_s.values())


def test_a_slow_worker_holds_up_the_whole_by_one_of_its_items_at_most() -> None:
    command = Distribute(count=ITEMS, batch_size=100)
    without_it = best_s(ITEMS, SIXTEEN)
    took_s = Simulation(SIXTEEN).run(command, within_s=10_000)
    assert took_s <= without_it + SLOW_S

    # Each device's share as a work of its own: nobody else may take part, so nobody can take over.
    alone = Distribute(count=ITEMS // len(SIXTEEN), batch_size=100, to=Selector(devices=("d07",)))
    left_alone_s = Simulation(SIXTEEN).run(alone, within_s=10_000)
    assert left_alone_s >= 8 * took_s


@examples(60)
@given(
    items=st.integers(1, 400),
    speeds=st.lists(st.integers(1, 20), min_size=1, max_size=8),
    batch_size=st.sampled_from((1, 7, 100)),
)
def test_whatever_the_speeds_the_end_is_the_slowest_item_late_at_most(
    items: int, speeds: list[int], batch_size: int
) -> None:
    item_s = {f"d{index}": 1.0 / speed for index, speed in enumerate(speeds)}
    took_s = Simulation(item_s).run(Distribute(count=items, batch_size=batch_size), within_s=10_000)
    assert took_s <= best_s(items, item_s) + max(item_s.values()) + 20 * ROUND_S


@examples(60)
@given(
    items=st.integers(1, 300),
    speeds=st.lists(st.integers(1, 20), min_size=2, max_size=6),
    batch_size=st.sampled_from((1, 7, 100)),
    limit=st.sampled_from((None, None, 60)),
    cordons=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 20), st.floats(0, 20)), max_size=3),
    losses=st.lists(st.tuples(st.integers(0, 5), st.floats(0, 20), st.floats(0, 20)), max_size=3),
    bad=st.sets(st.integers(0, 299), max_size=3),
    odd=st.sets(st.tuples(st.integers(0, 5), st.integers(0, 299)), max_size=8),
)
def test_devices_come_and_go_and_items_fail_and_each_item_ends_once(
    items: int,
    speeds: list[int],
    batch_size: int,
    limit: int | None,
    cordons: list[tuple[int, float, float]],
    losses: list[tuple[int, float, float]],
    bad: set[int],
    odd: set[tuple[int, int]],
) -> None:
    item_s = {f"d{index}": 1.0 / speed for index, speed in enumerate(speeds)}
    simulation = Simulation(item_s, lambda device, item: item in bad or (int(device[1:]), item) in odd)
    for comings, away, back in (
        (cordons, simulation.cordon, simulation.uncordon),
        (losses, simulation.lose, simulation.regain),
    ):
        for index, at_s, for_s in comings:
            device = f"d{index % len(speeds)}"
            simulation.at(at_s, lambda away=away, device=device: away(device))
            simulation.at(at_s + for_s, lambda back=back, device=device: back(device))
    simulation.run(
        Distribute(count=items, batch_size=batch_size, max_per_device=limit, retry_delay_s=0.1), within_s=600
    )
    work = simulation.work
    assert work.done + work.failed + work.unassigned == items
    assert work.failed >= len({item for item in bad if item < items - work.unassigned})
    assert limit is None or all(lane.done <= limit for lane in work.lanes.values())
    assert len(simulation.done.keys() | work.dead.keys()) == items - work.unassigned, "nothing is lost"
    if not losses:
        assert simulation.done.total() == work.done, "nothing is done twice"
    assert all(places == sorted(places) for places in simulation.handed.values()), "order is kept within a device"
