"""Limits and order hold where items fail and devices come back."""

from fleetfold_contracts.commands import Distribute
from tests.support.work_simulation import Simulation

TWO = {"d0": 1.0, "d1": 1.0}


def test_an_item_that_failed_goes_to_nobody_who_has_had_all_that_it_may_get() -> None:
    failures = {("d0", 4)}

    def fails_once(device: str, item: int) -> bool:
        known = (device, item) in failures
        failures.discard((device, item))
        return known

    simulation = Simulation({"d0": 1.0, "d1": 0.1}, fails_once)
    simulation.run(Distribute(count=10, max_per_device=5, retry_delay_s=0.0), within_s=60)
    assert {device: lane.done for device, lane in simulation.work.lanes.items()} == {"d0": 5, "d1": 5}


def test_what_a_device_held_when_it_was_lost_and_nobody_has_room_for_is_its_own_again_in_its_order() -> None:
    simulation = Simulation(TWO)
    simulation.at(4.5, lambda: simulation.lose("d0"))
    simulation.at(30.0, lambda: simulation.regain("d0"))
    simulation.run(Distribute(count=40, max_per_device=20, batch_size=2), within_s=120)
    assert simulation.work.redone > 0, "it held something when it was lost"
    assert all(places == sorted(places) for places in simulation.handed.values())
    assert {device: lane.done for device, lane in simulation.work.lanes.items()} == {"d0": 20, "d1": 20}
