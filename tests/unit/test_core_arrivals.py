"""The mix of jobs that is learned from what arrived."""

from fleetfold_contracts import events as evt
from fleetfold_contracts.workloads import Constraints, Host, Shard, Workload
from fleetfold_core._fold.arrivals import KINDS_KEPT, REMEMBERED
from fleetfold_core.jobs import Job
from fleetfold_core.state import Arrivals, State
from tests.support.story import Story, gib_shard


def refused(workload_id: str, gpu_milli: int = 500) -> evt.PlacementRefused:
    workload = Workload(workload_id=workload_id, shards=(Shard(gpu_milli=gpu_milli),), host=Host(cpu_milli=4000))
    return evt.PlacementRefused(workload=workload, summary="no")


def learned(state: State) -> Arrivals:
    return state.arrivals["default"]


def test_a_job_counts_once_however_it_went_on() -> None:
    asked = refused("w").workload
    story = Story().tell(evt.PlacementQueued(workload=asked, summary="full"), refused("w"), refused("w"))
    assert learned(story.state).counts == {Job(1, 500, 0, 4000): 1}


def test_the_shards_of_a_model_are_no_job() -> None:
    pipeline = Workload(workload_id="w", shards=(gib_shard(4), gib_shard(8)), constraints=Constraints(same_node=True))
    story = Story().tell(evt.PlacementRefused(workload=pipeline, summary="no"))
    assert not story.state.arrivals


def test_what_is_asked_for_now_outweighs_what_was_long_ago() -> None:
    story = Story().tell(*(refused(f"old{i}", 300) for i in range(REMEMBERED)))
    story.tell(*(refused(f"new{i}", 700) for i in range(REMEMBERED)))
    then, now = (learned(story.state).counts[Job(1, milli, 0, 4000)] for milli in (300, 700))
    assert now > 2 * then > 0


def test_of_countless_kinds_the_rarest_are_forgotten() -> None:
    common = [refused(f"common{i}", 1000) for i in range(100)]
    rare = [refused(f"rare{i}", 1 + i % 999) for i in range(2 * KINDS_KEPT)]
    story = Story().tell(*common, *rare)
    assert len(learned(story.state).mix) <= KINDS_KEPT
    assert learned(story.state).counts[Job(1, 1000, 0, 4000)] == 100
