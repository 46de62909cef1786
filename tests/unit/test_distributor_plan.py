"""From a `distribute` command to batches: every item is in one batch or unassigned."""

from collections import Counter
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.commands import Distribute, Selector, Strategy
from fleetfold_contracts.inventory import Vendor
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_distributor.plan import batches, plan_work
from tests.support.examples import a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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
    st.integers(1, 40),
)
def test_items_in_are_items_in_batches_and_items_unassigned(
    count: int, devices: int, strategy: Strategy, limit: int | None, batch_size: int
) -> None:
    command = Distribute(count=count, strategy=strategy, max_per_device=limit, batch_size=batch_size)
    work = plan_work(cluster_of(devices), command, "w")

    laid = list(batches(work, command))

    indexes = Counter(item.index for batch in laid for item in batch.items)
    indexes.update(index for first, run in work.unassigned for index in range(first, first + run))
    assert indexes == dict.fromkeys(range(count), 1)
    assert all(len(batch.items) <= batch_size for batch in laid)
    assert len({(batch.device_id, batch.batch) for batch in laid}) == len(laid)
    per_device = Counter(batch.device_id for batch in laid for _ in batch.items)
    assert limit is None or all(given <= limit for given in per_device.values())
    assert not work.unassigned or work.reason


def test_bodies_travel_with_their_items() -> None:
    command = Distribute(items=tuple(msgspec.Raw(b'{"prompt": %d}' % index) for index in range(7)))
    work = plan_work(cluster_of(2), command, "w")

    bodies = {item.index: msgspec.json.decode(item.body) for batch in batches(work, command) for item in batch.items}

    assert bodies == {index: {"prompt": index} for index in range(7)}


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
    ],
)
def test_what_is_not_there_is_named(command: Distribute, field: str) -> None:
    with pytest.raises(ContractError) as caught:
        plan_work(cluster_of(1), command, "w")
    assert caught.value.field == field
