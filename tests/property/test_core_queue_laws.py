"""Who passes delays nobody, who makes room must, and a dry run tells the truth: on whatever small cluster."""

from datetime import timedelta
from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Constraints, Host, Shard, Workload
from fleetfold_core.check import check
from fleetfold_core.fold import fold
from fleetfold_core.preempt import make_room
from fleetfold_core.queue import seat, way_in
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import At, Placement, State
from fleetfold_core.turns import in_order
from fleetfold_core.whatif import without
from fleetfold_placement_solver.attend import Look, Said, attend
from fleetfold_placement_solver.decide import decide
from tests.property.core_strategies import (
    HOMES,
    Cluster,
    Reader,
    Step,
    a_small_device,
    a_small_node,
    clusters,
    examples,
    workloads,
)
from tests.support.story import START

SCORE = PlacementStrategy.SCORE
NOW = START + timedelta(days=30)
priorities = st.integers(-1, 2)


def told(state: State, event: evt.Event, cause: str | None = None) -> None:
    parked = state.parked_count
    fold(state, event, At(sequence=state.position + 1, time=START, cause=cause))
    assert state.parked_count == parked, state.parked[-1]


def asked(state: State, command: cmd.Place) -> evt.Event | None:
    """The outcome, folded; None where the command makes no sense."""
    try:
        outcome = decide(state, command)
    except ContractError:
        return None
    told(state, outcome)
    return outcome


@st.composite
def busy(draw: st.DrawFn) -> State:
    """A cluster that several workloads were asked of, some of which may wait."""
    state = draw(clusters()).state()
    for index, workload in enumerate(draw(st.lists(workloads(), max_size=5))):
        named = replace(workload, workload_id=f"b{index}", pool="default", priority=draw(priorities), tenant=None)
        asked(state, cmd.Place(workload=named, wait=draw(st.booleans())))
    return state


@st.composite
def demanding(draw: st.DrawFn) -> Workload:
    """One that seldom finds room on a device that somebody sits on."""
    needs = st.builds(Shard, memory_bytes=st.integers(12, 20), gpu_milli=st.sampled_from((0, 500, WHOLE_GPU_MILLI)))
    shards = tuple(draw(st.lists(needs, min_size=1, max_size=3)))
    host = Host(cpu_milli=draw(st.integers(8, 20))) if draw(st.booleans()) else Host()
    limits = Constraints(same_node=len(shards) > 1 and (host != Host() or draw(st.booleans())))
    if len(shards) > 1 and not limits.same_node:
        host = Host()
    return Workload(workload_id="any", shards=shards, host=host, constraints=limits)


@st.composite
def crowded(draw: st.DrawFn) -> State:
    """A cluster on which many small workloads sit, of several priorities."""
    fleet = [evt.NodeJoined(node=a_small_node(node_id)) for node_id in ("n1", "n2")]
    devices = [evt.DeviceRegistered(node_id=HOMES[id_], capabilities=a_small_device(id_)) for id_ in HOMES]
    state = Reader().read(Step(event, None, 1) for event in (*fleet, *devices)).state
    sizes = st.lists(
        st.builds(Shard, memory_bytes=st.integers(1, 9), gpu_milli=st.sampled_from((0, 200, 500))),
        min_size=1,
        max_size=2,
    )
    for index, shards in enumerate(draw(st.lists(sizes, min_size=4, max_size=9))):
        workload = Workload(workload_id=f"b{index}", shards=tuple(shards), priority=draw(priorities))
        asked(state, cmd.Place(workload=workload, strategy=SCORE))
    return state


def named(workload: Workload, workload_id: str, priority: int = 0) -> Workload:
    return replace(workload, workload_id=workload_id, pool="default", priority=priority, tenant=None)


@examples(80)
@given(state=busy(), workload=workloads(), priority=priorities, wait=st.booleans(), preempt=st.booleans())
def test_a_dry_run_tells_what_the_real_run_does(
    state: State, workload: Workload, priority: int, wait: bool, preempt: bool
) -> None:
    command = cmd.Place(workload=named(workload, "asked", priority), wait=wait, preempt=preempt)
    before = state.encode()
    preview = decide(state, replace(command, dry_run=True))
    assert state.encode() == before
    assert isinstance(preview, evt.PlacementPreviewed)
    assert [preview.decided or preview.refused or preview.queued] == [decide(state, command)]
    told(state, preview)
    assert (state.placements, state.queue) == (State.decode(before).placements, State.decode(before).queue)


@examples(100)
@given(state=crowded(), big=demanding(), small=st.lists(workloads(1) | demanding(), max_size=4), priority=priorities)
def test_who_passes_one_that_waits_leaves_its_way_in_open(
    state: State, big: Workload, small: list[Workload], priority: int
) -> None:
    """What has to end before the one that waits fits is no more than it was, whoever of no greater priority came."""
    waits = asked(state, cmd.Place(workload=named(big, "big", 2), wait=True))
    assume(isinstance(waits, evt.PlacementQueued) and waits.kept_devices)
    needed = blockers(state, big=named(big, "big", 2))
    for index, workload in enumerate(small):
        asked(state, cmd.Place(workload=named(workload, f"small{index}", priority)))
    assert blockers(state, big=named(big, "big", 2)) == needed


def blockers(state: State, big: Workload) -> set[str]:
    """Those who hold something of what is kept for one that waits."""
    entry = state.queue["default", big.workload_id]
    return {
        placement.workload.workload_id
        for placement in state.all_placements()
        if any(allocation.device_id in entry.kept_devices for allocation in placement.allocations)
        or (placement.host is not None and placement.host.node_id == entry.kept_node)
    }


@examples(100)
@given(state=crowded(), workload=demanding())
def test_when_those_in_the_way_have_ended_it_fits(state: State, workload: Workload) -> None:
    wanted = named(workload, "big")
    assume(not isinstance(solve(state, wanted), Plan))
    devices, node = way_in(state, wanted, SCORE)
    if not devices and node is None:
        assert not isinstance(seat(without(state, list(state.all_placements())), wanted, SCORE), Plan)
        return
    in_the_way = [
        placement
        for placement in state.all_placements()
        if any(allocation.device_id in devices for allocation in placement.allocations)
        or (placement.host is not None and placement.host.node_id == node)
    ]
    assert isinstance(solve(without(state, in_the_way), wanted), Plan)


@examples(100)
@given(state=crowded(), workload=demanding(), priority=priorities)
def test_preemption_takes_what_it_must_and_no_more(state: State, workload: Workload, priority: int) -> None:
    wanted = named(workload, "wanted", priority)
    assume(not isinstance(solve(state, wanted), Plan))
    lower = [placement for placement in state.all_placements() if placement.workload.priority < priority]
    found = make_room(state, wanted, SCORE)
    if found is None:
        assert not isinstance(solve(without(state, lower), wanted), Plan)
        return
    plan, victims = found
    assert check(without(state, victims), wanted, plan) == []
    assert all(victim.workload.priority < priority for victim in victims)
    for count in range(len(victims)):
        for fewer in combinations(victims, count):
            assert not isinstance(solve(without(state, list(fewer)), wanted), Plan)
    if len(victims) > 1:
        assert not any(isinstance(solve(without(state, [one]), wanted), Plan) for one in lower)
    else:
        assert least_important(state, wanted, lower) == importance(victims[0])


def importance(placement: Placement) -> tuple[int, int]:
    return placement.workload.priority, -placement.sequence


def least_important(state: State, wanted: Workload, lower: list[Placement]) -> tuple[int, int]:
    return min(importance(one) for one in lower if isinstance(solve(without(state, [one]), wanted), Plan))


@examples(40)
@given(state=crowded())
def test_a_preempting_decision_frees_and_binds_in_one_event(state: State) -> None:
    """It takes every device whole, so all that sat there makes room."""
    sat_there = {placement.workload.workload_id for placement in state.all_placements()}
    everything = Workload(workload_id="vip", shards=(Shard(memory_bytes=20),) * len(HOMES), priority=3)
    outcome = asked(state, cmd.Place(workload=everything, preempt=True))
    assert isinstance(outcome, evt.PlacementDecided)
    assert set(outcome.preempted) == sat_there
    assert {entry.workload.workload_id for entry in in_order(state, "default")} == sat_there
    said = [step.event for step in attend(state, Look(now=START, grace_s=30)) if step is not None]
    notices = {event.workload_id for event in said if isinstance(event, evt.PlacementPreempted)}
    assert notices == set(outcome.preempted)


@examples(80)
@given(cluster=clusters(), asked_for=st.lists(workloads(), min_size=1, max_size=4), data=st.data())
def test_the_attendant_comes_to_rest_and_another_has_nothing_to_add(
    cluster: Cluster, asked_for: list[Workload], data: st.DataObject
) -> None:
    """Whatever is lost and drained: what is said is folded without a fault, and what it leaves is whole or waits."""
    state = cluster.state()
    for index, workload in enumerate(asked_for):
        asked(state, cmd.Place(workload=named(workload, f"w{index}", index % 3), wait=True))
    for device_id in data.draw(st.lists(st.sampled_from(sorted(state.devices) or ["none"]), max_size=3, unique=True)):
        if device_id in state.devices:
            told(state, data.draw(mishap(device_id, state.devices[device_id].node_id)))
    rounds = attended(state)
    assert rounds < 6
    for placement in state.all_placements():
        sits_on_trouble = any(
            ("device", one.device_id) in state.outages
            or ("node", state.devices[one.device_id].node_id) in state.outages
            for one in placement.allocations
        )
        assert not sits_on_trouble or placement.degraded is not None


def mishap(device_id: str, node_id: str) -> st.SearchStrategy[evt.Event]:
    return st.sampled_from(
        [
            evt.DeviceLost(node_id=node_id, device_id=device_id),
            evt.DeviceFaulted(node_id=node_id, device_id=device_id, code="79"),
            evt.DeviceRecovered(node_id=node_id, device_id=device_id),
            evt.DeviceDrainStarted(pool="default", device_id=device_id),
            evt.NodeLeft(node_id=node_id, boot_id="b1"),
        ]
    )


def attended(state: State) -> int:
    """How many looks it takes until there is nothing more to say. Each step is folded before the next is taken."""
    ids: set[str] = set()
    for rounds in range(10):
        steps: list[Said] = []
        for said in attend(state, Look(now=NOW, grace_s=30)):
            if said is not None:
                told(state, said.event, said.cause)
                assert said.id not in ids
                ids.add(said.id)
                steps.append(said)
        if not steps:
            return rounds
    raise AssertionError("it never comes to rest")
