"""The bundled trace: what its nodes and jobs become."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.commands import Place
from fleetfold_contracts.inventory import DeviceType
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Workload
from fleetfold_devices.catalogue import MODELS
from fleetfold_devices.simulation.trace import apportion, job, pick_nodes, trace_jobs, trace_nodes

JOB = {"name": "j", "cpu_milli": "6000", "memory_mib": "1024", "num_gpu": "1", "gpu_milli": "460", "gpu_spec": ""}


def test_the_trace_is_whole() -> None:
    nodes = trace_nodes()
    assert len(nodes) == 1213
    assert sum(node.gpu_count for node in nodes) == 6212
    assert {node.model for node in nodes} == set(MODELS)
    kinds = Counter(min(len(workload.shards), 2) for workload in trace_jobs())
    assert kinds == {0: 1088, 1: 6989, 2: 75}


def test_its_models_make_a_mixed_fleet() -> None:
    assert {model.device_type for model in MODELS.values()} == {DeviceType.CUDA, DeviceType.ROCM}


def test_every_job_is_a_command_that_is_taken() -> None:
    for workload in trace_jobs():
        assert codec.decode_command("place", codec.encode(Place(workload=workload))) == Place(workload=workload)


def test_a_job_with_one_gpu_takes_its_share() -> None:
    workload = job(JOB)
    assert [shard.gpu_milli for shard in workload.shards] == [460]
    assert (workload.host.cpu_milli, workload.host.memory_bytes) == (6000, 1024**3)
    assert not workload.constraints.same_node


def test_a_job_with_several_takes_whole_gpus_of_one_node() -> None:
    workload = job(JOB | {"num_gpu": "8", "gpu_milli": "1000"})
    assert [shard.gpu_milli for shard in workload.shards] == [WHOLE_GPU_MILLI] * 8
    assert workload.constraints.same_node


def test_a_job_may_name_models() -> None:
    assert job(JOB | {"gpu_spec": "V100M16|V100M32"}).constraints.models == ("V100M16", "V100M32")


def test_a_job_without_a_gpu_takes_the_host_alone() -> None:
    workload = job(JOB | {"num_gpu": "0", "gpu_milli": "0"})
    assert workload == Workload(workload_id="j", host=workload.host)


def test_a_limit_takes_the_first_jobs() -> None:
    assert trace_jobs(5) == trace_jobs()[:5]


@pytest.mark.parametrize("count", [1, 2, 6, 7, 8, 64, 500, 1213])
def test_picked_nodes_are_the_trace_in_small(count: int) -> None:
    picked = pick_nodes(count)
    whole = Counter(node.model for node in trace_nodes())
    mix = Counter(node.model for node in picked)
    assert len(set(picked)) == count
    assert len(mix) == min(count, len(whole))
    exact = {model: nodes * count / len(trace_nodes()) for model, nodes in whole.items()}
    # In a small fleet the one node of each rare model comes out of the common models' shares.
    assert count < 64 or all(abs(mix[model] - exact[model]) < 1 for model in whole)


@given(sizes=st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=8), data=st.data())
def test_seats_are_shared_out_whole_and_to_everyone(sizes: dict[str, int], data: st.DataObject) -> None:
    seats = data.draw(st.integers(0, sum(sizes.values())))
    given_seats = apportion(seats, Counter(sizes))
    assert given_seats.total() == seats
    assert all(given_seats[group] <= size for group, size in sizes.items())
    if seats >= len(sizes):
        assert all(given_seats[group] >= 1 for group in sizes)
