"""Quotas: what all workloads of a tenant may hold together."""

from collections.abc import Iterable, Sequence

from fleetfold_contracts.workloads import Allocation, Obstacle, Reason, Workload
from fleetfold_core._words import in_units
from fleetfold_core.state import Amounts, Queued, Quota, Refusal, State


def over_quota(
    state: State, workload: Workload, allocations: Sequence[Allocation], ahead: Iterable[Queued] = ()
) -> Refusal | None:
    """Why a workload may not hold these: its tenant would hold more than its quota.

    What those of the same tenant ask for who wait `ahead` of it counts as held: who passes them must not take it.
    """
    quota = state.quotas.get((workload.pool, workload.tenant)) if workload.tenant is not None else None
    if quota is None or workload.tenant is None:
        return None
    held = state.held.get((workload.pool, workload.tenant), Amounts())
    waiting = [_asked(queued.workload) for queued in ahead if queued.workload.tenant == workload.tenant]
    held = Amounts(
        gpu_milli=held.gpu_milli + sum(amounts.gpu_milli for amounts in waiting),
        memory_bytes=held.memory_bytes + sum(amounts.memory_bytes for amounts in waiting),
    )
    detail = _detail(quota, held, allocations)
    if detail is None:
        return None
    obstacle = Obstacle(reason=Reason.OVER_QUOTA, count=1, nearest=workload.tenant, detail=detail)
    summary = f"the quota of tenant {workload.tenant} is too small: {detail}"
    return Refusal(workload=workload, summary=summary, obstacles=(obstacle,))


def _detail(quota: Quota, held: Amounts, allocations: Sequence[Allocation]) -> str | None:
    milli = sum(allocation.gpu_milli for allocation in allocations)
    memory_bytes = sum(allocation.memory_bytes for allocation in allocations)
    if quota.gpu_milli is not None and milli and held.gpu_milli + milli > quota.gpu_milli:
        return f"needs {milli / 1000:g} GPUs, {held.gpu_milli / 1000:g} of {quota.gpu_milli / 1000:g} are taken"
    if quota.memory_bytes is not None and memory_bytes and held.memory_bytes + memory_bytes > quota.memory_bytes:
        taken = f"{in_units(held.memory_bytes)} of {in_units(quota.memory_bytes)} are taken"
        return f"needs {in_units(memory_bytes)}, {taken}"
    return None


def _asked(workload: Workload) -> Amounts:
    """What a workload asks for. Of a model that is not cut yet nothing is known."""
    return Amounts(
        gpu_milli=workload.replicas * sum(shard.gpu_milli for shard in workload.shards),
        memory_bytes=workload.replicas * sum(shard.memory_bytes for shard in workload.shards),
    )
