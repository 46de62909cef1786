"""Jobs on a fleet: each strategy finds a place exactly when there is one, whatever is kept beside the state."""

from datetime import timedelta

from hypothesis import assume, event, given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetfold_contracts import commands as cmd
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.workloads import Workload
from fleetfold_core.check import check
from fleetfold_core.feasible import reason_against
from fleetfold_core.fleet import Fleets
from fleetfold_core.jobs import job_of
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import State
from fleetfold_core.touched import NOTHING, Touched, touched, touched_by_samples
from fleetfold_placement_solver.attend import Look, attend
from fleetfold_placement_solver.decide import decide
from tests.property.core_strategies import Cluster, Reader, Step, clusters, examples, histories, workloads
from tests.support.story import START

strategies = st.sampled_from((PlacementStrategy.PACK, PlacementStrategy.SPREAD, PlacementStrategy.FRAGMENTATION))


@st.composite
def jobs(draw: st.DrawFn) -> Workload:
    """Up to three shards that are alike, on one node, under any constraints; or none."""
    drawn = draw(workloads())
    one_node = replace(drawn.constraints, same_node=True, one_shard_per_device=True)
    count = draw(st.integers(1, 3))
    alike = tuple(replace(shard, shard_id=None) for shard in drawn.shards[:1] * count)
    return replace(drawn, shards=alike, constraints=one_node)


@examples(200)
@given(cluster=clusters(), workload=jobs(), strategy=strategies)
def test_a_job_finds_a_place_exactly_when_there_is_one(
    cluster: Cluster, workload: Workload, strategy: PlacementStrategy
) -> None:
    state = cluster.state()
    assert job_of(workload) is not None
    answer = solve(state, workload, strategy=strategy)
    event("placed" if isinstance(answer, Plan) else "refused")
    assert isinstance(answer, Plan) == a_node_has_room(state, workload)
    if isinstance(answer, Plan):
        assert check(state, workload, answer) == []


@examples(150)
@given(history=histories(), workload=jobs(), strategy=strategies)
def test_a_fleet_that_followed_the_log_answers_as_one_that_is_new(
    history: list[Step], workload: Workload, strategy: PlacementStrategy
) -> None:
    reader = Reader()
    kept = Fleets(reader.state)
    answer = solve(reader.state, workload, strategy=strategy)
    for step in history:
        kept.follow(touched_by(reader.state, step))
        reader.read([step])
        answer = solve(reader.state, workload, strategy=strategy, fleets=kept)
    assert answer == solve(reader.state, workload, strategy=strategy)


@examples(60)
@given(history=histories(), asked=st.lists(st.tuples(jobs(), strategies, st.booleans()), min_size=1, max_size=4))
def test_a_solver_that_keeps_fleets_decides_as_one_that_keeps_none(
    history: list[Step], asked: list[tuple[Workload, PlacementStrategy, bool]]
) -> None:
    """Each outcome is folded before the next is decided; so is what the solver says by itself in between."""
    reader = Reader().read(history)
    kept = Fleets(reader.state)
    for index, (workload, strategy, preempt) in enumerate(asked):
        wanted = replace(workload, workload_id=f"asked-{index}", pool="default", priority=index)
        command = cmd.Place(workload=wanted, strategy=strategy, preempt=preempt, wait=True)
        outcome = decide(reader.state, command, kept)
        assert outcome == decide(reader.state, command)
        for step in (Step(outcome, f"c{index}", 0), *said_by_itself(reader.state, kept)):
            kept.follow(touched_by(reader.state, step))
            reader.read([step])


def said_by_itself(state: State, kept: Fleets) -> list[Step]:
    """The first thing that a look says, if it says anything."""
    look = Look(now=START + timedelta(days=30), grace_s=30)
    said = [[each for each in attend(state, look, fleets) if each is not None] for fleets in (kept, None)]
    assert said[0] == said[1]
    return [Step(each.event, each.cause, 0) for each in said[0][:1]]


@examples(50)
@given(history=histories(), workload=jobs())
def test_what_was_learned_outlives_a_restart(history: list[Step], workload: Workload) -> None:
    state = Reader().read(history).state
    assume(state.arrivals)
    learned = PlacementStrategy.FRAGMENTATION
    assert solve(State.decode(state.encode()), workload, strategy=learned) == solve(state, workload, strategy=learned)


def touched_by(state: State, step: Step) -> Touched:
    if isinstance(step.record, NodeSample):
        return touched_by_samples(step.record)
    return NOTHING if step.record is None else touched(state, step.record)


def a_node_has_room(state: State, workload: Workload) -> bool:
    if not workload.shards:
        return isinstance(solve(state, workload), Plan)
    room: dict[str, int] = {}
    for device in state.devices_in(workload.pool):
        if reason_against(state, device, workload.shards[0], workload.constraints, workload.host) is None:
            room[device.node_id] = room.get(device.node_id, 0) + 1
    return max(room.values(), default=0) >= len(workload.shards)
