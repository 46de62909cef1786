"""Each rule that keeps a shard off a device, with the reason that it gives."""

import pytest

from fleetfold_contracts import events as evt
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.workloads import Constraints, Host, Reason, Shard
from fleetfold_core.feasible import ANYWHERE, NOTHING, obstacle
from tests.support.examples import GIB, a_device, a_node
from tests.support.story import START, Story, gib_shard, two_devices

HALF = gib_shard(1, gpu_milli=500)


def reason(story: Story, shard: Shard = HALF, constraints: Constraints = ANYWHERE, host: Host = NOTHING) -> str:
    found = obstacle(story.state, story.device("d1"), shard, constraints, host)
    return "" if found is None else f"{found[0]}: {found[1]}"


def test_a_free_device_takes_a_shard() -> None:
    assert reason(two_devices()) == ""


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            evt.LivenessChanged(node_id="n1", boot_id="boot", liveness=Liveness.STALE, last_seen=START),
            "node_not_live: node n1 is stale",
        ),
        (evt.NodeLeft(node_id="n1", boot_id="boot"), "node_not_live: node n1 is offline"),
        (evt.DeviceLost(node_id="n1", device_id="d1", reason="no answer"), "lost: lost: no answer"),
        (
            evt.DeviceFaulted(node_id="n1", device_id="d1", code="79", meaning="off the bus"),
            "lost: fault: 79: off the bus",
        ),
        (evt.DeviceCordoned(pool="default", device_id="d1", reason="fan"), "cordoned: cordoned: fan"),
        (evt.DeviceCordoned(pool="default", device_id="d1"), "cordoned: cordoned"),
    ],
)
def test_what_is_out_of_use_takes_nothing(event: evt.Event, expected: str) -> None:
    assert reason(two_devices().tell(event)) == expected


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        (Constraints(device_types=(DeviceType.ROCM,)), Reason.WRONG_TYPE),
        (Constraints(vendors=(Vendor.AMD,)), Reason.WRONG_VENDOR),
        (Constraints(models=("A10",)), Reason.WRONG_MODEL),
        (Constraints(devices=("d2",)), Reason.NOT_CHOSEN),
        (Constraints(nodes=("n2",)), Reason.NOT_CHOSEN),
        (Constraints(forbidden_devices=("d1",)), Reason.FORBIDDEN),
        (Constraints(forbidden_nodes=("n1",)), Reason.FORBIDDEN),
        (Constraints(device_types=(DeviceType.CUDA,), vendors=(Vendor.NVIDIA,), devices=("d1",), nodes=("n1",)), None),
    ],
)
def test_constraints_hold(constraints: Constraints, expected: Reason | None) -> None:
    assert reason(two_devices(), constraints=constraints).partition(":")[0] == (expected or "")


@pytest.mark.parametrize(
    ("shard", "expected"),
    [
        (gib_shard(10), "no_memory: needs 10.0 GiB, has 4.0 GiB free"),
        (gib_shard(4), ""),
        (Shard(memory_bytes=4 * GIB + 1), "no_memory: needs 4294967297 B, has 4294967296 B free"),
    ],
)
def test_memory_that_others_use_or_hold_is_not_free(shard: Shard, expected: str) -> None:
    story = two_devices().sample("d1", 12 * GIB).place("w", ("d1", gib_shard(8)))
    assert reason(story, shard) == expected


@pytest.mark.parametrize(
    ("sitting", "asked", "expected"),
    [
        (500, 500, ""),
        (500, 501, "no_compute_share: needs 501/1000 of the GPU, has 500/1000 free"),
        (0, 1000, "device_taken: is asked for whole and holds w"),
        (1000, 1, "device_taken: is taken whole by w"),
        (1000, 0, "device_taken: is taken whole by w"),
    ],
)
def test_a_device_is_shared_or_taken_whole(sitting: int, asked: int, expected: str) -> None:
    story = two_devices().place("w", ("d1", Shard(gpu_milli=sitting)))
    assert reason(story, Shard(gpu_milli=asked)) == expected


def test_two_halves_fill_a_device_and_leave_its_memory_to_others() -> None:
    story = two_devices().place("a", ("d1", Shard(gpu_milli=500))).place("b", ("d1", Shard(gpu_milli=500)))
    assert reason(story, Shard(gpu_milli=1)).startswith("no_compute_share")
    assert reason(story, gib_shard(24)) == ""


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (Host(cpu_milli=64_000, memory_bytes=256 * GIB), ""),
        (Host(cpu_milli=64_001), "node_cpu: needs 64.001 CPU, node n1 has 64 free"),
        (Host(memory_bytes=300 * GIB), "node_memory: needs 300.0 GiB, node n1 has 256.0 GiB free"),
    ],
)
def test_the_node_must_have_what_is_asked_of_it(host: Host, expected: str) -> None:
    assert reason(Story().node("n1", a_device("d1"), node=a_node("n1")), host=host) == expected
