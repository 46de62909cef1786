"""A job in its place: what is reserved there."""

from fleetfold_contracts.workloads import Allocation, Host, HostAllocation, Workload, shard_ids
from fleetfold_core._solve.fleet.fleet import Place
from fleetfold_core.jobs import Job
from fleetfold_core.score import score_value


def seat(workload: Workload, job: Job, place: Place) -> tuple[tuple[Allocation, ...], HostAllocation | None]:
    """What a job reserves of the devices, and of the node, that it goes to."""
    node_id = place.node.node.node_id
    allocations = tuple(
        Allocation(
            shard_id=shard_id,
            device_id=device.device_id,
            node_id=node_id,
            memory_bytes=job.gpu_bytes,
            gpu_milli=job.gpu_milli,
            score=score_value(device),
        )
        for shard_id, device in zip(shard_ids(workload), place.devices, strict=True)
    )
    host = workload.host
    if host == Host():
        return allocations, None
    return allocations, HostAllocation(node_id=node_id, cpu_milli=host.cpu_milli, memory_bytes=host.memory_bytes)
