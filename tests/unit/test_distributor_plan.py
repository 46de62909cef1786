"""From a command to a plan: every item is meant for one device, or unassigned."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES, ContractError
from fleetfold_contracts.commands import Distribute, Selector, Source, Strategy
from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_core import runs as run_lists
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State, WorkState
from fleetfold_distributor.plan import plan_drawn, plan_work
from tests.support.examples import a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = Source(stream="SOURCE", subject="source")


def cluster_of(devices: int) -> State:
    state = State()
    facts: list[evt.Event] = [evt.NodeJoined(node=a_node("n1"))]
    facts += [evt.DeviceRegistered(node_id="n1", capabilities=a_device(f"d{index}")) for index in range(devices)]
    for sequence, fact in enumerate(facts, start=1):
        fold(state, fact, At(sequence=sequence, time=NOW))
    return state


@given(
    st.integers(1, 500),
    st.integers(0, 6),
    st.sampled_from(Strategy),
    st.one_of(st.none(), st.integers(0, 60)),
    st.integers(0, 8),
)
def test_items_in_are_items_assigned_and_items_unassigned(
    count: int, devices: int, strategy: Strategy, limit: int | None, near: int
) -> None:
    command = Distribute(
        count=count,
        strategy=strategy,
        costs=tuple(float(item % 7) for item in range(count)) if strategy is Strategy.COST else (),
        near={"n1": ((0, min(near, count)),)},
        max_per_device=limit,
    )
    work = plan_work(cluster_of(devices), command, "w")
    runs = [run for part in work.assignments for run in part.runs]
    assert run_lists.covers([*runs, *work.unassigned], 0, count)
    assert limit is None or all(run_lists.size(part.runs) <= limit for part in work.assignments)
    assert not work.unassigned or work.reason


def test_an_item_goes_to_the_device_or_the_node_that_it_names_while_there_is_room() -> None:
    command = Distribute(count=12, near={"d2": ((3, 4),), "n1": ((0, 2),)}, max_per_device=4)
    work = plan_work(cluster_of(3), command, "w")
    runs = {part.device_id: set(run_lists.numbers(part.runs)) for part in work.assignments}
    assert runs["d2"] == {3, 4, 5, 6}
    assert (0 in runs["d0"], 1 in runs["d1"]) == (True, True)


def test_a_hot_device_gets_less_of_live_work() -> None:
    state = cluster_of(2)
    hot = [Sample(device_id=f"d{index}", timestamp=NOW, temperature_celsius=60.0 + 45 * index) for index in range(2)]
    boot_id = state.nodes["n1"].node.boot_id
    fold_samples(state, NodeSample(node_id="n1", boot_id=boot_id, tick=0, samples=tuple(hot)), 1, NOW)
    work = plan_work(state, Distribute(count=110, strategy=Strategy.LIVE), "w")
    given_to = {part.device_id: run_lists.size(part.runs) for part in work.assignments}
    assert given_to["d0"] > 2 * given_to["d1"] > 0


def drawing(state: State, **options: Any) -> WorkState:
    """A work that draws from a source, and has drawn nothing."""
    command = Distribute(source=SOURCE, **options)
    event = plan_work(state, command, "w", source_end=1000)
    fold(state, event, At(sequence=state.position + 1, time=NOW))
    return state.works["w"]


def test_what_is_drawn_is_planned_on_from_where_the_last_ended() -> None:
    state = cluster_of(2)
    work = drawing(state, batch_size=100)
    for through in (400, 1000):
        event = plan_drawn(state, work, Distribute(source=SOURCE), [100] * 10, through)
        fold(state, event, At(sequence=state.position + 1, time=NOW))
    assert (work.item_count, work.waiting, work.drawn, state.parked) == (20, 20, True, [])
    assert [(chunk.first, chunk.count, chunk.after) for chunk in work.chunks] == [(0, 10, 0), (10, 10, 400)]


def test_items_of_a_source_are_handed_out_in_batches_that_fit_into_a_message() -> None:
    state = cluster_of(1)
    work = drawing(state, batch_size=100)
    sizes_bytes = [10, MAX_PAYLOAD_BYTES + 1, MAX_PAYLOAD_BYTES // 4]
    event = plan_drawn(state, work, Distribute(source=SOURCE), sizes_bytes, 1000)
    assert (event.batch_size, event.unassigned) == (4, ((1, 1),))
    assert event.assignments == (evt.Assignment(device_id="d0", runs=((0, 1), (2, 1))),)
    assert "larger than" in event.reason


def test_a_selector_takes_what_matches_all_its_parts() -> None:
    state = cluster_of(3)
    to = Selector(devices=("d0", "d2"), vendors=(Vendor.AMD,))
    assert plan_work(state, Distribute(count=4, to=to), "w").assignments == ()
    to = Selector(devices=("d0", "d2"), vendors=(Vendor.NVIDIA,))
    given_to = [assignment.device_id for assignment in plan_work(state, Distribute(count=4, to=to), "w").assignments]
    assert given_to == ["d0", "d2"]


def test_a_cordoned_device_gets_nothing_new() -> None:
    state = cluster_of(2)
    fold(state, evt.DeviceCordoned(pool="default", device_id="d0"), At(sequence=state.position + 1, time=NOW))
    assignments = plan_work(state, Distribute(count=4), "w").assignments
    assert [assignment.device_id for assignment in assignments] == ["d1"]


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Distribute(count=1, to=Selector(devices=("d0", "nowhere"))), "$.to.devices[1]"),
        (Distribute(count=1, to=Selector(workload_id="nothing")), "$.to.workload_id"),
        (Distribute(count=1, strategy=Strategy.CAPACITY, weights={"nowhere": 1.0}), "$.weights.nowhere"),
        (Distribute(count=1, to=Selector(nodes=("n9",))), "$.to.nodes[0]"),
        (Distribute(count=1, near={"nowhere": ((0, 1),)}), "$.near.nowhere"),
        (Distribute(count=1, near={"d0": ((1, 1),)}), "$.near.d0"),
        (Distribute(count=3, near={"d0": ((0, 2), (1, 1))}), "$.near.d0"),
    ],
)
def test_what_is_not_there_is_named(command: Distribute, field: str) -> None:
    with pytest.raises(ContractError) as caught:
        plan_work(cluster_of(1), command, "w")
    assert caught.value.field == field
