"""What was asked for: the mix of jobs, learned from what arrived, and from nothing else."""

from fleetfold_contracts.ids import PoolId, WorkloadId
from fleetfold_contracts.workloads import Workload
from fleetfold_core.jobs import job_of
from fleetfold_core.state import Arrivals, State

RENEWED_EVERY = 100
"""The mix is renewed after so many arrivals; in the beginning, each time they have doubled."""
REMEMBERED = 20_000
"""When so many arrivals are counted, all counts are halved: what was long ago weighs less and less."""
KINDS_KEPT = 500
"""Of more kinds of jobs than this, the rarest are forgotten."""


def count_arrival(state: State, workload: Workload) -> None:
    """Count a workload whose request had its first outcome. One that waits, or is asked for again, was counted."""
    key: tuple[PoolId, WorkloadId] = (workload.pool, workload.workload_id)
    job = job_of(workload)
    if job is None or key in state.queue or key in state.refusals:
        return
    arrivals = state.arrivals.setdefault(workload.pool, Arrivals())
    arrivals.counts[job] = arrivals.counts.get(job, 0) + 1
    arrivals.total += 1
    arrivals.until_renewal -= 1
    if arrivals.until_renewal <= 0:
        _renew(arrivals)


def _renew(arrivals: Arrivals) -> None:
    if arrivals.total >= REMEMBERED:
        arrivals.counts = {job: count // 2 for job, count in arrivals.counts.items() if count > 1}
    if len(arrivals.counts) > KINDS_KEPT:
        commonest = sorted(arrivals.counts.items(), key=lambda entry: -entry[1])[:KINDS_KEPT]
        arrivals.counts = dict(commonest)
    arrivals.total = sum(arrivals.counts.values())
    arrivals.mix = tuple(arrivals.counts.items())
    arrivals.until_renewal = min(RENEWED_EVERY, max(1, arrivals.total))
