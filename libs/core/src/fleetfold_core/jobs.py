"""Jobs: what asks for one node alone, a share of a GPU, several GPUs that are alike, or none at all."""

from typing import NamedTuple

from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Constraints, Shard, Workload


class Job(NamedTuple):
    """What a job asks for, without what tells it from others that ask for the same."""

    gpu_count: int = 0
    gpu_milli: int = 0
    """Of each of its GPUs."""
    gpu_bytes: int = 0
    """Memory of each of its GPUs."""
    cpu_milli: int = 0
    memory_bytes: int = 0
    """Memory of the node."""
    device_types: tuple[DeviceType, ...] = ()
    vendors: tuple[Vendor, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def all_gpus_milli(self) -> int:
        """The share of all its GPUs together."""
        return self.gpu_count * self.gpu_milli


def job_of(workload: Workload) -> Job | None:
    """What a workload asks for as a job; `None` when it is none.

    What asks for links, or looks at temperatures, is none: where it may sit is more than a node's free columns tell.
    """
    constraints, shards = workload.constraints, workload.shards
    if workload.model is not None or workload.replicas > 1 or _looks_further(constraints):
        return None
    if len(shards) == 0:
        return Job(0, 0, 0, workload.host.cpu_milli, workload.host.memory_bytes)
    if len(shards) > 1 and not (constraints.same_node and constraints.one_shard_per_device):
        return None
    gpu_milli, gpu_bytes = _of_each(shards[0])
    if any(_of_each(shard) != (gpu_milli, gpu_bytes) for shard in shards):
        return None
    return Job(
        len(shards),
        WHOLE_GPU_MILLI if constraints.exclusive else gpu_milli,
        gpu_bytes,
        workload.host.cpu_milli,
        workload.host.memory_bytes,
        constraints.device_types,
        constraints.vendors,
        constraints.models,
    )


def _of_each(shard: Shard) -> tuple[int, int]:
    return shard.gpu_milli, shard.memory_bytes


def _looks_further(constraints: Constraints) -> bool:
    return constraints.neighbours is not None or constraints.max_temperature_celsius is not None
