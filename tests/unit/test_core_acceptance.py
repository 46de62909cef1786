"""The founding documents' own examples, as far as the core decides them."""

from collections.abc import Sequence

import pytest

from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.workloads import Constraints, Reason, Workload
from fleetfold_core.distribute import Spread, distribute_by_capacity, distribute_uniform
from fleetfold_core.score import best_device
from fleetfold_core.solve import Plan, solve
from fleetfold_core.state import Refusal
from tests.support.examples import GIB, a_device
from tests.support.story import Story, gib_shard, two_devices


def counts(spread: Spread) -> list[int]:
    return [sum(count for _, count in runs) for runs in spread.runs.values()]


def test_the_emptier_idler_cooler_device_is_best() -> None:
    story = two_devices().sample("d1", 8 * GIB, 50, 65).sample("d2", 20 * GIB, 80, 75)
    assert best_device(story.state, 0) == "d1"


@pytest.mark.parametrize(("asked_gib", "best"), [(4, "d1"), (5, None), (10, None)])
def test_a_device_is_best_only_if_it_has_the_bytes_free(asked_gib: int, best: str | None) -> None:
    story = Story().node("n1", a_device("d1", 24 * GIB)).sample("d1", 20 * GIB, 10, 50)
    assert best_device(story.state, asked_gib * GIB) == best


@pytest.mark.parametrize(("items", "each"), [(9, [3, 3, 3]), (30, [10, 10, 10]), (12, [4, 4, 4])])
def test_items_are_spread_evenly(items: int, each: Sequence[int]) -> None:
    assert counts(distribute_uniform(items, ["d1", "d2", "d3"])) == each


def test_items_are_spread_by_weight() -> None:
    assert counts(distribute_by_capacity(16, {"d1": 1, "d2": 2, "d3": 1})) == [4, 8, 4]


def test_what_passes_a_device_limit_is_named_as_unassigned() -> None:
    spread = distribute_uniform(15, ["d1"], max_per_device=5)
    assert spread.runs == {"d1": [(0, 5)]}
    assert spread.unassigned == [(5, 10)]
    assert "10 of 15" in spread.reason


def test_cuda_and_rocm_devices_take_one_model_together() -> None:
    rocm = Capabilities(
        device_id="d2",
        device_type=DeviceType.ROCM,
        device_name="Test GPU",
        vendor=Vendor.AMD,
        max_memory_bytes=24 * GIB,
    )
    story = Story().node("n1", a_device("d1", 24 * GIB), rocm)
    model = Workload(workload_id="model", shards=(gib_shard(20), gib_shard(20)))
    plan = solve(story.state, model)
    assert isinstance(plan, Plan)
    assert {allocation.device_id for allocation in plan.allocations} == {"d1", "d2"}
    cuda_only = Workload(
        workload_id="model", shards=model.shards, constraints=Constraints(device_types=(DeviceType.CUDA,))
    )
    assert isinstance(solve(story.state, cuda_only), Refusal)


def test_a_shard_larger_than_any_free_memory_is_refused_with_the_reason() -> None:
    story = two_devices().sample("d1", 20 * GIB).sample("d2", 22 * GIB)
    refusal = solve(story.state, Workload(workload_id="model", shards=(gib_shard(10),)))
    assert isinstance(refusal, Refusal)
    (obstacle,) = refusal.obstacles
    assert (obstacle.reason, obstacle.count, obstacle.nearest) == (Reason.NO_MEMORY, 2, "d1")
    assert obstacle.detail == "needs 10.0 GiB, has 4.0 GiB free"
    assert obstacle.detail in refusal.summary


@pytest.mark.parametrize(
    ("field", "value"),
    [("memory_used_bytes", -1), ("compute_utilization_percent", 100.5), ("temperature_celsius", -273.2)],
)
def test_a_reading_out_of_bounds_is_refused_with_its_name(field: str, value: float) -> None:
    sample = {"device_id": "d1", "timestamp": "2026-01-01T00:00:00Z", field: value}
    payload = codec.encode({"node_id": "n1", "boot_id": "b", "tick": 0, "samples": [sample]})
    with pytest.raises(ContractError) as refused:
        codec.decode_samples(payload)
    assert refused.value.field.endswith(field)
