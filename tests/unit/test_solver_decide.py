"""What comes of a command, given a state."""

from datetime import UTC, datetime

import pytest

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.workloads import Reason, Shard, Workload
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_placement_solver.decide import decide
from tests.support.examples import GIB, a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(*events: evt.Event) -> State:
    state = State()
    facts = (evt.NodeJoined(node=a_node("n1")), evt.DeviceRegistered(node_id="n1", capabilities=a_device("d1")))
    for event in (*facts, *events):
        fold(state, event, At(sequence=state.position + 1, time=NOW))
    return state


def place(memory_bytes: int = 30 * GIB) -> cmd.Place:
    return cmd.Place(workload=Workload(workload_id="w", shards=(Shard(memory_bytes=memory_bytes),)))


def test_a_decision_names_the_position_that_it_stands_on() -> None:
    state = after()
    decided = decide(state, place())
    assert isinstance(decided, evt.PlacementDecided)
    assert [allocation.device_id for allocation in decided.allocations] == ["d1"]
    assert decided.decided_at_sequence == state.position


def test_a_refusal_says_what_stands_in_the_way() -> None:
    refused = decide(after(), place(41 * GIB))
    assert isinstance(refused, evt.PlacementRefused)
    assert [(obstacle.reason, obstacle.count) for obstacle in refused.obstacles] == [(Reason.NO_MEMORY, 1)]
    assert "41.0 GiB" in refused.obstacles[0].detail


def test_a_cordon_keeps_new_workloads_away_until_it_is_taken_back() -> None:
    cordoned = decide(after(), cmd.Cordon(device_id="d1", reason="fan"))
    state = after(cordoned)
    assert isinstance(decide(state, place()), evt.PlacementRefused)
    assert isinstance(
        decide(after(cordoned, decide(state, cmd.Uncordon(device_id="d1"))), place()), evt.PlacementDecided
    )


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (place(), "$.workload.workload_id"),
        (cmd.Release(workload_id="nothing"), "$.workload_id"),
        (cmd.Release(workload_id="w", pool="elsewhere"), "$.workload_id"),
        (cmd.Cordon(device_id="nowhere"), "$.device_id"),
        (cmd.Uncordon(device_id="d1", pool="elsewhere"), "$.device_id"),
    ],
)
def test_what_makes_no_sense_is_named(command: cmd.Command, field: str) -> None:
    state = after(decide(after(), place()))
    with pytest.raises(ContractError) as caught:
        decide(state, command)
    assert caught.value.field == field
