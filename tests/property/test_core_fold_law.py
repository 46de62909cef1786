"""Whatever happens, and in whatever order: the state is what the log says, whole, and the promises in it are kept."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.events import EVENT_TYPES, Liveness
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI
from fleetfold_core import runs
from fleetfold_core.state import DeviceState, NodeState, State, WorkState
from tests.property.core_strategies import EVENTS, Reader, Step, examples, histories

KEPT = 2


@pytest.fixture(autouse=True, scope="module")
def _forgetful() -> Iterator[None]:
    """What is bounded is bounded so tightly that a short history already makes it forget."""
    with pytest.MonkeyPatch.context() as patch:
        bounds = ("placements.REFUSALS_KEPT", "placements.RELEASES_KEPT", "works.COMPLETED_KEPT", "works.DEAD_KEPT")
        for name in ("fold.PARKED_KEPT", *(f"_fold.{bound}" for bound in bounds)):
            patch.setattr(f"fleetfold_core.{name}", KEPT)
        yield


def test_every_type_of_event_happens_in_these_histories() -> None:
    assert set(EVENTS) == set(EVENT_TYPES.values())


@examples(60)
@given(history=histories(), data=st.data())
def test_a_snapshot_and_the_tail_give_what_the_whole_log_gives(history: list[Step], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(history)), label="cut")
    whole = Reader().read(history).state
    reader = Reader().read(history[:cut])
    snapshot = reader.state.encode()
    reader.state = State.decode(snapshot)
    assert reader.state.encode() == snapshot
    assert reader.read(history[cut:]).state.encode() == whole.encode()
    assert Reader().read(history).state.encode() == whole.encode()


@examples(60)
@given(history=histories())
def test_what_is_parked_changes_nothing_but_what_says_so(history: list[Step]) -> None:
    reader = Reader()
    for step in history:
        before = reader.state.encode()
        reader.read([step])
        expected, state = State.decode(before), reader.state
        if state.parked_count > expected.parked_count:
            expected.position, expected.pool_positions = state.position, state.pool_positions
            expected.parked, expected.parked_count = state.parked, state.parked_count
            expected.outcomes, expected.outcome_days = state.outcomes, state.outcome_days
            assert state.encode() == expected.encode()


@examples(60)
@given(history=histories())
def test_books_are_kept(history: list[Step]) -> None:
    """What is reserved is what the placements hold, every item is somewhere, and nothing grows for ever."""
    state = Reader().read(history).state
    for device in state.devices.values():
        assert_device_is_booked(state, device)
    assert state.pools == Counter(node.pool for node in state.nodes.values() if node.pool != "default")
    for node in state.nodes.values():
        assert_node_is_booked(state, node)
    assert_tenants_are_booked(state)
    assert_outages_are_told(state)
    assert set(state.degraded) == {key for key, placement in state.placements.items() if placement.degraded}
    assert not set(state.queue) & set(state.placements)
    for work in state.works.values():
        assert_each_item_waits_in_one_place(work)
    assert max(len(state.refusals), len(state.released), len(state.parked)) <= KEPT
    assert sum(work.completed for work in state.works.values()) <= KEPT
    assert all(0 < sequence <= state.position for sequence in state.outcomes.values())


def assert_device_is_booked(state: State, device: DeviceState) -> None:
    held = [
        (placement.workload.workload_id, allocation.shard_id, allocation)
        for placement in state.all_placements()
        for allocation in placement.allocations
        if allocation.device_id == device.device_id
    ]
    assert device.reserved_bytes == sum(allocation.memory_bytes for *_, allocation in held)
    assert device.reserved_milli == sum(allocation.gpu_milli for *_, allocation in held) <= WHOLE_GPU_MILLI
    assert device.whole == any(allocation.gpu_milli == WHOLE_GPU_MILLI for *_, allocation in held)
    assert not device.whole or len(held) == 1
    sitting = [(workload_id, shard_id) for workload_id, shards in device.shards.items() for shard_id in shards]
    assert sitting == [(workload_id, shard_id) for workload_id, shard_id, _ in held]


def assert_node_is_booked(state: State, node: NodeState) -> None:
    hosts = [placement.host for placement in state.all_placements() if placement.host is not None]
    held = [host for host in hosts if host.node_id == node.node.node_id]
    assert node.reserved_cpu_milli == sum(host.cpu_milli for host in held)
    assert node.reserved_memory_bytes == sum(host.memory_bytes for host in held)


def assert_tenants_are_booked(state: State) -> None:
    held: dict[tuple[str, str], list[int]] = {}
    for placement in state.all_placements():
        if placement.workload.tenant is not None:
            amounts = held.setdefault((placement.workload.pool, placement.workload.tenant), [0, 0])
            amounts[0] += sum(allocation.gpu_milli for allocation in placement.allocations)
            amounts[1] += sum(allocation.memory_bytes for allocation in placement.allocations)
    holds_something = {key: amounts for key, amounts in held.items() if amounts != [0, 0]}
    assert {key: [amounts.gpu_milli, amounts.memory_bytes] for key, amounts in state.held.items()} == holds_something


def assert_outages_are_told(state: State) -> None:
    lost = {id_ for id_, device in state.devices.items() if device.lost is not None or device.fault is not None}
    offline = {id_ for id_, node in state.nodes.items() if node.liveness is Liveness.OFFLINE}
    assert set(state.outages) == {*(("device", id_) for id_ in lost), *(("node", id_) for id_ in offline)}
    draining = {id_ for id_, device in state.devices.items() if device.draining}
    drained_nodes = {id_ for id_, node in state.nodes.items() if node.draining}
    told = {*(("device", id_) for id_ in draining), *(("node", id_) for id_ in drained_nodes)}
    assert {key for _, key in state.drains} == told


def assert_each_item_waits_in_one_place(work: WorkState) -> None:
    """Pending for one device, in one batch, or failed and not in a batch; what is known of them adds up."""
    waiting: list[int] = []
    for lane in work.lanes.values():
        assert lane.pending_count == runs.size(lane.pending)
        assert lane.handed_count == sum(runs.size(batch.runs) for batch in lane.handed.values())
        assert all(number < lane.next_batch for number in lane.handed)
        waiting += runs.numbers(lane.pending)
        for batch in lane.handed.values():
            waiting += runs.numbers(batch.runs)
            tried = {item for item in runs.numbers(batch.runs) if item in work.troubles}
            assert tried == (set(runs.numbers(batch.runs)) if batch.again else set())
    waiting += [item for item, trouble in work.troubles.items() if trouble.waits]
    assert len(set(waiting)) == len(waiting) == work.waiting
    assert all(0 <= item < work.item_count for item in waiting)
    assert min(work.done, work.failed, work.unassigned, work.cancelled, work.redone) >= 0
    assert not work.completed or not waiting
    assert len(work.dead) <= work.failed
