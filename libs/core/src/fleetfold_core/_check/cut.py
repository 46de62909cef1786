"""Whether the parts of a model make the whole, and are given what they need."""

from collections.abc import Iterator, Sequence

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Allocation, Cut, Model, Workload
from fleetfold_core.model_memory import estimate, may_be_cut_into


def check_cut(workload: Workload, allocations: Sequence[Allocation], names: Sequence[str]) -> Iterator[str]:
    """What is wrong with the cut of each replica, whose parts are in the order of `names`."""
    model = workload.model
    assert model is not None, "a workload with a model"
    if not allocations or len(allocations) % workload.replicas:
        yield "the replicas are not cut alike"
        return
    by_name = {allocation.shard_id: allocation for allocation in allocations}
    count = len(allocations) // workload.replicas
    for first in range(0, len(names), count):
        parts = [by_name[name] for name in names[first : first + count] if name in by_name]
        if not (_is_pipeline(model, parts) or _is_tensor(model, parts)):
            yield "the parts of the model do not make the whole"
    milli = WHOLE_GPU_MILLI if workload.constraints.exclusive else model.gpu_milli
    for part in allocations:
        if part.gpu_milli != milli or part.memory_bytes != _needed_bytes(model, part, count):
            yield f"shard {part.shard_id} is given other than it needs"


def _is_pipeline(model: Model, parts: Sequence[Allocation]) -> bool:
    if model.cut is Cut.TENSOR or any(part.tensor_rank is not None for part in parts):
        return False
    held: list[int] = []
    for part in parts:
        first, count = part.layers or (0, 0)
        held += range(first, first + count) if count else [-1]
    return held == list(range(model.layers))


def _is_tensor(model: Model, parts: Sequence[Allocation]) -> bool:
    ranks = [part.tensor_rank for part in parts]
    every_layer = all(part.layers == (0, model.layers) for part in parts)
    in_order = ranks == list(range(len(parts)))
    return model.cut is not Cut.PIPELINE and every_layer and in_order and may_be_cut_into(model, len(parts))


def _needed_bytes(model: Model, part: Allocation, count: int) -> int:
    _, layers = part.layers or (0, 0)
    needed = estimate(model, layers, 1 if part.tensor_rank is None else count)
    return needed.weights_bytes + needed.cache_bytes + needed.activations_bytes + needed.overhead_bytes
