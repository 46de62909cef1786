"""What each event makes of the state."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.inventory import Link, LinkKind, Node
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.workloads import Host, HostAllocation, Shard, Workload
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.state import At, State
from tests.support.examples import GIB, a_device, a_node
from tests.support.story import START, Story, gib_shard, two_devices


def rebooted(node_id: str = "n1") -> Node:
    return Node(node_id=node_id, boot_id="later", hostname=node_id, cpu_milli=64_000, memory_bytes=256 * GIB)


def work(story: Story, *, items: int = 25, unassigned: int = 0) -> Story:
    """A work of which batches of 10, 10 and 5 items are handed to `d1`."""
    assigned = items - unassigned
    return story.tell(
        evt.WorkDistributed(
            work_id="k",
            item_count=items,
            batch_size=10,
            assignments=(evt.Assignment(device_id="d1", runs=((0, assigned),)),),
            unassigned=((assigned, unassigned),) if unassigned else (),
        ),
        handed((0, 10), (10, 10), (20, 5)),
    )


def handed(*runs: tuple[int, int], number: int = 1, device: str = "d1", first: int = 0) -> evt.WorkDispatched:
    batches = (evt.HandOut(device_id=device, batch=first + place, runs=(run,)) for place, run in enumerate(runs))
    return evt.WorkDispatched(work_id="k", number=number, batches=tuple(batches))


def moved(
    runs: tuple[tuple[int, int], ...], *, batches: tuple[int, ...] = (), to: str = "d2", number: int = 2
) -> evt.WorkReassigned:
    given = (evt.Assignment(device_id=to, runs=runs),) if runs else ()
    return evt.WorkReassigned(work_id="k", number=number, device_id="d1", batches=batches, assignments=given)


def finished(batch: int, item_count: int, *failed: int) -> evt.BatchFinished:
    failures = tuple(evt.ItemFailure(index=index, reason="bad") for index in failed)
    return evt.BatchFinished(work_id="k", device_id="d1", batch=batch, item_count=item_count, failures=failures)


def test_events_come_in_the_order_of_the_log() -> None:
    state = State()
    fold(state, evt.NodeJoined(node=a_node("n1")), At(sequence=7, time=START))
    with pytest.raises(AssertionError, match="7"):
        fold(state, evt.NodeJoined(node=a_node("n2")), At(sequence=7, time=START))
    with pytest.raises(AssertionError, match="7"):
        park(state, At(sequence=3, time=START), "unknown")
    assert list(state.nodes) == ["n1"]


def test_a_node_that_reboots_keeps_its_devices_and_is_live() -> None:
    story = two_devices().tell(evt.NodeLeft(node_id="n1", boot_id="boot"))
    assert story.state.nodes["n1"].liveness is Liveness.OFFLINE
    story.tell(evt.NodeJoined(node=rebooted()))
    assert story.state.nodes["n1"].liveness is Liveness.LIVE
    assert not story.state.nodes["n1"].left
    assert list(story.state.devices) == ["d1", "d2"]


@pytest.mark.parametrize(
    "late",
    [
        evt.NodeLeft(node_id="n1", boot_id="boot"),
        evt.LivenessChanged(node_id="n1", boot_id="boot", liveness=Liveness.OFFLINE, last_seen=START),
    ],
)
def test_what_is_said_of_an_earlier_boot_comes_too_late(late: evt.Event) -> None:
    story = two_devices().tell(evt.NodeJoined(node=rebooted()), late)
    assert story.state.nodes["n1"].liveness is Liveness.LIVE
    assert not story.state.parked


def test_liveness_is_as_the_log_says_until_the_agent_leaves() -> None:
    stale = evt.LivenessChanged(node_id="n1", boot_id="boot", liveness=Liveness.STALE, last_seen=START)
    story = two_devices().tell(stale)
    assert story.state.nodes["n1"].liveness is Liveness.STALE
    story.tell(evt.NodeLeft(node_id="n1", boot_id="boot"), stale)
    assert story.state.nodes["n1"].liveness is Liveness.OFFLINE


def test_a_device_found_again_is_no_longer_lost_and_a_fault_stays_until_it_recovers() -> None:
    story = two_devices().tell(
        evt.DeviceLost(node_id="n1", device_id="d1", reason="gone"),
        evt.DeviceFaulted(node_id="n1", device_id="d1", code="79"),
    )
    assert (story.device("d1").lost, story.device("d1").fault) == ("gone", "79")
    story.tell(evt.DeviceRegistered(node_id="n1", capabilities=a_device("d1", 8 * GIB)))
    assert (story.device("d1").lost, story.device("d1").fault) == (None, "79")
    assert story.device("d1").capabilities.max_memory_bytes == 8 * GIB
    story.tell(evt.DeviceRecovered(node_id="n1", device_id="d1"))
    assert story.device("d1").fault is None


def test_links_of_a_node_are_replaced_whole() -> None:
    link = Link(ends=("d1", "d2"), kind=LinkKind.NVLINK)
    story = two_devices().tell(evt.LinksObserved(node_id="n1", links=(link,)))
    assert story.state.links == {"n1": (link,)}
    story.tell(evt.LinksObserved(node_id="n1"))
    assert story.state.links == {"n1": ()}


def test_a_placement_holds_its_devices_and_node_until_it_is_released() -> None:
    story = two_devices()
    before = story.state.encode()
    workload = Workload(workload_id="w", shards=(gib_shard(10, 300),), host=Host(cpu_milli=4000, memory_bytes=GIB))
    host = HostAllocation(node_id="n1", cpu_milli=4000, memory_bytes=GIB)
    allocations = story.decided("w", ("d1", workload.shards[0])).allocations
    story.tell(evt.PlacementDecided(workload=workload, allocations=allocations, host=host))
    assert story.state.workloads_on("d1") == ("w",)
    assert (story.device("d1").free_bytes, story.device("d1").free_milli) == (14 * GIB, 700)
    assert story.state.nodes["n1"].free_cpu_milli == 60_000
    assert story.state.nodes["n1"].free_memory_bytes == 255 * GIB
    placement = story.state.placement("default", "w")
    assert placement is not None
    assert (placement.sequence, placement.decided_at) == (story.state.position, story.now)
    story.tell(evt.PlacementReleased(pool="default", workload_id="w"))
    assert story.state.placement("default", "w") is None
    assert story.state.released[("default", "w")] == story.now
    assert State.decode(before).devices == story.state.devices
    assert story.state.nodes["n1"].free_cpu_milli == 64_000


def test_a_placement_takes_the_place_of_the_refusal_before_it() -> None:
    refused = evt.PlacementRefused(workload=Workload(workload_id="w", shards=(gib_shard(1),)), summary="no room")
    story = two_devices().tell(refused)
    refusal = story.state.refusal("default", "w")
    assert refusal is not None
    assert (refusal.summary, refusal.at) == ("no room", story.now)
    story.place("w", ("d1", gib_shard(1)))
    assert story.state.refusal("default", "w") is None
    assert story.state.refused_count == 1


IMPOSSIBLE: dict[str, Callable[[Story], evt.Event]] = {
    "device on a node that never joined": lambda _: evt.DeviceRegistered(node_id="n9", capabilities=a_device("d9")),
    "unknown node leaves": lambda _: evt.NodeLeft(node_id="n9", boot_id="boot"),
    "unknown node falls silent": lambda _: evt.LivenessChanged(
        node_id="n9", boot_id="boot", liveness=Liveness.STALE, last_seen=START
    ),
    "links of an unknown node": lambda _: evt.LinksObserved(node_id="n9"),
    "unknown device lost": lambda _: evt.DeviceLost(node_id="n1", device_id="d9"),
    "device lost by another node": lambda _: evt.DeviceLost(node_id="n2", device_id="d1"),
    "unknown device recovered": lambda _: evt.DeviceRecovered(node_id="n1", device_id="d9"),
    "unknown device faulted": lambda _: evt.DeviceFaulted(node_id="n1", device_id="d9", code="79"),
    "unknown device cordoned": lambda _: evt.DeviceCordoned(pool="default", device_id="d9"),
    "device of another pool cordoned": lambda _: evt.DeviceCordoned(pool="elsewhere", device_id="d1"),
    "unknown device uncordoned": lambda _: evt.DeviceUncordoned(pool="default", device_id="d9"),
    "unknown device allocated": lambda story: story.decided("x", ("d9", gib_shard(1))),
    "more memory than there is": lambda story: story.decided("x", ("d2", gib_shard(1)), ("d1", gib_shard(15))),
    "two shards that fit alone": lambda story: story.decided("x", ("d2", gib_shard(13)), ("d2", gib_shard(13))),
    "more compute than there is": lambda story: story.decided("x", ("d1", gib_shard(1, 701))),
    "whole and not alone": lambda story: story.decided("x", ("d1", gib_shard(1, 1000))),
    "whole twice": lambda story: story.decided("x", ("d2", gib_shard(1, 1000)), ("d2", gib_shard(1))),
    "placed twice": lambda story: story.decided("w", ("d2", gib_shard(1))),
    "placed and refused": lambda _: evt.PlacementRefused(
        workload=Workload(workload_id="w", shards=(gib_shard(1),)), summary="no"
    ),
    "devices of another pool": lambda _: evt.PlacementDecided(
        workload=Workload(workload_id="x", host=Host(cpu_milli=1), pool="elsewhere"),
        host=HostAllocation(node_id="n1", cpu_milli=1),
    ),
    "more CPU than there is": lambda _: evt.PlacementDecided(
        workload=Workload(workload_id="x", host=Host(cpu_milli=99_000)),
        host=HostAllocation(node_id="n1", cpu_milli=99_000),
    ),
    "unknown placement released": lambda _: evt.PlacementReleased(pool="default", workload_id="x"),
    "work distributed twice": lambda _: evt.WorkDistributed(work_id="k", item_count=0, batch_size=1),
    "items in two places": lambda _: evt.WorkDistributed(
        work_id="x",
        item_count=10,
        batch_size=1,
        assignments=(evt.Assignment(device_id="d1", runs=((0, 6),)), evt.Assignment(device_id="d2", runs=((5, 5),))),
    ),
    "items nowhere": lambda _: evt.WorkDistributed(work_id="x", item_count=10, batch_size=1, unassigned=((0, 9),)),
    "work on an unknown device": lambda _: evt.WorkDistributed(
        work_id="x", item_count=1, batch_size=1, assignments=(evt.Assignment(device_id="d9", runs=((0, 1),)),)
    ),
    "unknown work dispatched": lambda _: evt.WorkDispatched(work_id="x"),
    "batch of an unknown work": lambda _: evt.BatchFinished(work_id="x", device_id="d1", batch=0, item_count=1),
    "batch of another device": lambda _: evt.BatchFinished(work_id="k", device_id="d2", batch=0, item_count=10),
    "batch beyond the last": lambda _: finished(3, 5),
    "batch of another size": lambda _: finished(0, 9),
    "failures of items of another batch": lambda _: finished(2, 5, 1),
    "work completed too early": lambda _: evt.WorkCompleted(work_id="k", done=25, number=2),
    "work completed with other counts": lambda _: evt.WorkCompleted(work_id="k", done=1, number=2),
    "items handed out twice": lambda _: handed((0, 10), number=2, first=3),
    "a batch handed out under a number that was used": lambda _: handed((0, 1), number=2, first=1),
    "items of another device handed out": lambda _: handed((0, 1), number=2, device="d2"),
    "items given away that are not there": lambda _: moved(((0, 5),), batches=(1,)),
    "items given to two devices": lambda _: moved(((10, 5), (12, 5)), batches=(1,)),
    "a batch taken back that nobody has": lambda _: moved((), batches=(7,)),
    "items moved to an unknown device": lambda _: moved(((10, 5),), batches=(1,), to="d9"),
    "an item failed for good that was not tried": lambda _: evt.WorkRetried(work_id="k", items=((3, 1),)),
    "an unknown work cancelled": lambda _: evt.WorkCancelled(work_id="x"),
    "more drawn of a work without a source": lambda _: evt.WorkDrawn(
        work_id="k", number=2, item_count=0, batch_size=1, through=9
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_event_is_parked_and_changes_nothing_else(name: str) -> None:
    story = work(two_devices().node("n2").place("w", ("d1", gib_shard(10, 300))))
    expected = State.decode(story.state.encode())
    event = IMPOSSIBLE[name](story)
    story.tell(event)
    assert [parked.sequence for parked in story.state.parked] == [story.state.position]
    expected.position = story.state.position
    expected.pool_positions = story.state.pool_positions
    expected.parked, expected.parked_count = story.state.parked, 1
    assert story.state == expected


def test_an_impossible_outcome_is_its_commands_outcome_all_the_same() -> None:
    story = two_devices()
    story.tell(evt.PlacementReleased(pool="default", workload_id="nothing"), cause="c1")
    assert story.state.outcomes == {"c1": story.state.position}


def test_the_first_outcome_of_a_command_stays_its_outcome() -> None:
    story = two_devices().tell(evt.DeviceCordoned(pool="default", device_id="d1"), cause="c1")
    first = story.state.position
    story.tell(evt.DeviceCordoned(pool="default", device_id="d1"), cause="c1")
    assert story.state.outcomes == {"c1": first}


def test_only_outcomes_are_remembered_by_their_cause() -> None:
    story = work(two_devices())
    story.tell(finished(0, 10), evt.DeviceLost(node_id="n1", device_id="d1"), cause="c1")
    assert story.state.outcomes == {}
    rejected = evt.CommandRejected(verb="place", reason="no such verb")
    story.tell(rejected, cause="c2").tell(rejected)
    assert story.state.outcomes == {"c2": story.state.position - 1}
    assert story.state.rejected_count == 2


def test_outcomes_are_kept_longer_than_commands_and_not_for_ever() -> None:
    story = two_devices()
    for day in range(12):
        story.now = START + timedelta(days=day)
        story.tell(evt.CommandRejected(verb="place", reason="no"), cause=f"c{day}")
    assert list(story.state.outcomes) == [f"c{day}" for day in range(3, 12)]


def test_what_is_bounded_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetfold_core._fold.placements.REFUSALS_KEPT", 2)
    story = two_devices()
    for name in ("a", "b", "c", "b", "d"):
        workload = Workload(workload_id=name, shards=(gib_shard(99),))
        story.tell(evt.PlacementRefused(workload=workload, summary="no"))
    assert [name for _, name in story.state.refusals] == ["b", "d"]
    assert story.state.refused_count == 5


def test_only_the_newest_completed_works_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleetfold_core._fold.works.COMPLETED_KEPT", 1)
    story = two_devices()
    for name in ("a", "b", "c"):
        story.tell(evt.WorkDistributed(work_id=name, item_count=0, batch_size=1))
    story.tell(*(evt.WorkCompleted(work_id=name, done=0, number=1) for name in ("a", "b")))
    assert list(story.state.works) == ["b", "c"]


def test_the_guard_of_a_pool_moves_with_all_that_lies_on_its_subjects() -> None:
    story = two_devices().tell(evt.DeviceCordoned(pool="default", device_id="d1"))
    cordoned_at = story.state.position
    story.tell(evt.DeviceLost(node_id="n1", device_id="d1"))
    assert story.state.pool_positions == {"default": cordoned_at}
    park(story.state, At(sequence=cordoned_at + 2, time=story.now, pool="default"), "of a type to come")
    assert story.state.pool_positions == {"default": cordoned_at + 2}
    assert story.state.position == cordoned_at + 2
    assert story.state.parked[-1].reason == "of a type to come"


def test_a_stray_event_moves_the_guard_of_the_pool_that_it_lies_in() -> None:
    story = two_devices()
    at = At(sequence=story.state.position + 1, time=story.now, pool="default")
    fold(story.state, evt.NodeJoined(node=a_node("n2")), at)
    assert story.state.pool_positions == {"default": at.sequence}


def test_a_work_is_through_when_each_batch_came_back_whatever_their_order() -> None:
    story = work(two_devices(), items=30, unassigned=5)
    story.tell(finished(1, 10), finished(2, 5), finished(0, 10))
    state = story.state.works["k"]
    assert (state.done, state.failed, state.unassigned, state.waiting) == (25, 0, 5, 0)
    story.tell(evt.WorkCompleted(work_id="k", done=25, unassigned=5, number=2))
    assert state.completed
    assert not story.state.parked


def test_a_batch_that_comes_back_twice_counts_once_and_is_counted_as_done_again() -> None:
    story = work(two_devices()).tell(finished(1, 10), finished(1, 10))
    state = story.state.works["k"]
    assert (state.done, state.redone, set(state.lanes["d1"].handed)) == (10, 10, {0, 2})
    assert not story.state.parked


def test_a_batch_that_was_given_to_another_counts_there_alone() -> None:
    story = work(two_devices()).tell(moved(((10, 10),), batches=(1,)))
    story.tell(handed((10, 10), number=3, device="d2"), finished(1, 10))
    state = story.state.works["k"]
    assert (state.done, state.redone) == (0, 10)
    story.tell(evt.BatchFinished(work_id="k", device_id="d2", batch=0, item_count=10))
    assert (state.done, state.redone) == (10, 10)


def test_of_two_decisions_with_one_number_the_first_counts() -> None:
    story = work(two_devices(), items=40)
    story.tell(handed((25, 5), number=2, first=3), moved(((30, 5),), number=2))
    lanes = story.state.works["k"].lanes
    assert (lanes["d1"].pending, set(lanes)) == ([(30, 10)], {"d1"})
    assert (story.state.stale_decision_count, story.state.parked) == (1, [])


def test_an_item_fails_for_good_after_so_many_tries_and_can_be_tried_anew() -> None:
    story = work(two_devices())
    for number, batch in enumerate((3, 4), start=2):
        if number == 2:
            story.tell(finished(2, 5, 20))
        again = evt.HandOut(device_id="d1", batch=batch, runs=((20, 1),), again=True)
        story.tell(evt.WorkDispatched(work_id="k", number=number, batches=(again,)), finished(batch, 1, 20))
    state = story.state.works["k"]
    tries = tuple(state.troubles[20].tries)
    assert [one.reason for one in tries] == ["bad"] * 3
    story.tell(evt.ItemFailed(work_id="k", index=20, tries=tries))
    assert (state.done, state.failed, state.waiting, state.dead[20].tries) == (4, 1, 20, tries)
    story.tell(evt.WorkRetried(work_id="k", items=((20, 1),)))
    assert (state.failed, state.waiting, state.dead) == (0, 21, {})
    assert not story.state.parked


def test_what_is_cancelled_is_finished_where_it_was_begun_and_taken_back_elsewhere() -> None:
    story = work(two_devices(), items=40).tell(evt.WorkCancelled(work_id="k"), finished(0, 10, 3))
    state = story.state.works["k"]
    assert (state.done, state.cancelled, state.waiting) == (9, 16, 15)
    story.tell(moved((), batches=(1, 2), number=3))
    assert (state.done, state.cancelled, state.waiting) == (9, 31, 0)
    story.tell(evt.WorkCompleted(work_id="k", done=9, cancelled=31, number=4))
    assert state.completed


@pytest.mark.parametrize(
    ("reserved_gib", "readings_gib", "foreign_gib"),
    [
        (0, [3], 3),  # with nothing reserved, all that is used is foreign
        (0, [3, 1], 1),
        (10, [0], 0),  # our model has not begun to load
        (10, [6], 0),  # it may all be ours
        (10, [13], 3),  # more than we reserved: others are there
        (10, [13, 8], 3),  # our model shrank, or theirs did: what was known stands
        (10, [13, 2], 2),  # there cannot be more than is used
    ],
)
def test_memory_that_others_use(reserved_gib: int, readings_gib: list[int], foreign_gib: int) -> None:
    story = two_devices()
    if reserved_gib:
        story.place("w", ("d1", gib_shard(reserved_gib)))
    for reading in readings_gib:
        story.sample("d1", reading * GIB)
    assert story.device("d1").foreign_bytes == foreign_gib * GIB


def test_memory_that_others_use_stays_as_known_without_a_reading() -> None:
    story = two_devices().sample("d1", 3 * GIB).sample("d1", None, 10, 50)
    assert story.device("d1").foreign_bytes == 3 * GIB


def test_others_do_not_lose_their_memory_to_a_model_that_loads() -> None:
    story = two_devices().sample("d1", 3 * GIB).place("w", ("d1", gib_shard(10))).sample("d1", 8 * GIB)
    assert story.device("d1").free_bytes == 11 * GIB


def test_free_memory_never_falls_below_nothing() -> None:
    story = two_devices().place("w", ("d1", gib_shard(20)))
    story.tell(evt.DeviceRegistered(node_id="n1", capabilities=a_device("d1", 8 * GIB)))
    assert story.device("d1").free_bytes == 0


@pytest.mark.parametrize(
    ("node_id", "boot_id", "tick", "device_id"),
    [
        ("n1", "boot", 1, "d1"),  # as old as the newest
        ("n1", "boot", 0, "d1"),
        ("n1", "earlier", 9, "d1"),
        ("n9", "boot", 9, "d1"),
        ("n2", "boot", 9, "d1"),  # a device of another node
        ("n1", "boot", 9, "d9"),
    ],
)
def test_samples_that_are_not_the_newest_of_a_known_device_are_counted_and_ignored(
    node_id: str, boot_id: str, tick: int, device_id: str
) -> None:
    story = two_devices().node("n2").sample("d1", GIB)
    newest = story.device("d1").sample
    sample = Sample(device_id=device_id, timestamp=START, memory_used_bytes=9 * GIB)
    stray = NodeSample(node_id=node_id, boot_id=boot_id, tick=tick, samples=(sample,))
    fold_samples(story.state, stray, 2, story.now)
    assert story.device("d1").sample is newest
    assert story.state.ignored_sample_count == 1


def test_a_new_boot_counts_its_ticks_from_the_start() -> None:
    story = two_devices().sample("d1", GIB).tell(evt.NodeJoined(node=rebooted()))
    sample = Sample(device_id="d1", timestamp=START, memory_used_bytes=9 * GIB)
    fold_samples(story.state, NodeSample(node_id="n1", boot_id="later", tick=0, samples=(sample,)), 2, story.now)
    assert story.device("d1").sample == sample


def test_a_heartbeat_shows_that_the_node_is_there() -> None:
    story = two_devices()
    heard_at = story.now + timedelta(minutes=1)
    fold_samples(story.state, NodeSample(node_id="n1", boot_id="boot", tick=0), 1, heard_at)
    assert story.state.nodes["n1"].last_seen == heard_at
    with pytest.raises(AssertionError, match="1"):
        fold_samples(story.state, NodeSample(node_id="n1", boot_id="boot", tick=1), 1, heard_at)


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x80x", State().encode()[:-3]])
def test_bytes_that_are_no_state_are_refused(payload: bytes) -> None:
    with pytest.raises(ContractError):
        State.decode(payload)


def test_a_shard_without_needs_may_sit_where_nothing_is_left() -> None:
    story = two_devices().place("w", ("d1", gib_shard(20)))
    story.tell(evt.DeviceRegistered(node_id="n1", capabilities=a_device("d1", 8 * GIB)))
    story.place("x", ("d1", Shard(gpu_milli=100)))
    assert story.state.workloads_on("d1") == ("w", "x")
