"""One full example of every message that lies in a stream: no field is left at its default."""

from datetime import UTC, datetime
from functools import cache

import msgspec

from fleetfold_contracts import codec
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Precision, Vendor
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.samples import Absence, DeviceHealth, DeviceProcess, NodeSample, Sample, ThrottleReason
from fleetfold_contracts.schemas import work_examples
from fleetfold_contracts.workloads import (
    Allocation,
    Change,
    Constraints,
    Cut,
    Host,
    HostAllocation,
    MemoryEstimate,
    Model,
    Neighbours,
    Obstacle,
    Reason,
    Shard,
    Spread,
    Workload,
)

GIB = 1024**3
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)

_FIRST_GPU = "node-7-gpu-0"
_SECOND_GPU = "node-7-gpu-1"
_NODE = "node-7"
_BOOT = "node-7-boot-1"

_WORKLOAD = Workload(
    workload_id="llama-70b",
    pool="research",
    shards=(
        Shard(shard_id="first-half", memory_bytes=20 * GIB, gpu_milli=1000),
        Shard(shard_id="second-half", memory_bytes=20 * GIB, gpu_milli=500),
    ),
    host=Host(cpu_milli=8000, memory_bytes=64 * GIB),
    constraints=Constraints(
        device_types=(DeviceType.CUDA, DeviceType.ROCM),
        vendors=(Vendor.NVIDIA,),
        models=("A10", "L40S"),
        devices=(_FIRST_GPU, _SECOND_GPU),
        nodes=(_NODE,),
        forbidden_devices=("node-9-gpu-3",),
        forbidden_nodes=("node-9",),
        min_compute_capability="8.0",
        needs_fp64=True,
        needs_tensor_cores=True,
        precisions=(Precision.BF16, Precision.FP16),
        labels={"zone": ("a", "b"), "slot": ()},
        forbidden_labels={"reserved-for": ("nobody-else",)},
        max_temperature_celsius=85.0,
        exclusive=True,
        same_node=True,
        same_rack=True,
        neighbours=Neighbours(min_bandwidth_gbps=100.0, max_latency_us=10.0, ring=True),
        one_shard_per_device=False,
    ),
)

_TO_BE_CUT = Workload(
    workload_id="mixtral",
    pool="research",
    model=Model(
        weight_bytes=93 * GIB,
        layers=32,
        hidden_size=4096,
        attention_heads=32,
        key_value_heads=8,
        cache_bytes_per_token=131_072,
        context_tokens=32_768,
        sequences=4,
        precision=Precision.BF16,
        cut=Cut.PIPELINE,
        gpu_milli=500,
    ),
    replicas=2,
    spread=Spread.RACK,
    priority=10,
    tenant="team-red",
)

_ALLOCATIONS = (
    Allocation(
        shard_id="first-half",
        device_id=_FIRST_GPU,
        node_id=_NODE,
        memory_bytes=20 * GIB,
        gpu_milli=1000,
        score=0.91,
        terms={"memory": 0.95, "idle": 0.85, "penalty": 1.0},
        layers=(0, 16),
        tensor_rank=1,
        memory=MemoryEstimate(weights_bytes=14 * GIB, cache_bytes=4 * GIB, activations_bytes=GIB, overhead_bytes=GIB),
    ),
    Allocation(
        shard_id="second-half",
        device_id=_SECOND_GPU,
        node_id=_NODE,
        memory_bytes=20 * GIB,
        gpu_milli=500,
        score=0.84,
    ),
)
_HOST = HostAllocation(node_id=_NODE, cpu_milli=8000, memory_bytes=64 * GIB)
_OBSTACLES = (
    Obstacle(reason=Reason.NO_MEMORY, count=2, nearest=_FIRST_GPU, detail="needs 20.0 GiB, has 4.0 GiB free"),
)

EVENTS: tuple[evt.Event, ...] = (
    evt.NodeJoined(
        node=Node(
            node_id=_NODE,
            boot_id=_BOOT,
            hostname="rack-2.example",
            cpu_milli=64_000,
            memory_bytes=512 * GIB,
            beat_interval_s=5.0,
            labels={"zone": "a"},
        )
    ),
    evt.NodeLeft(node_id=_NODE, boot_id=_BOOT),
    evt.LivenessChanged(node_id=_NODE, boot_id=_BOOT, liveness=evt.Liveness.STALE, last_seen=NOON),
    evt.DeviceRegistered(
        node_id=_NODE,
        capabilities=Capabilities(
            device_id=_FIRST_GPU,
            device_type=DeviceType.CUDA,
            device_name="NVIDIA A10",
            vendor=Vendor.NVIDIA,
            max_memory_bytes=24 * GIB,
            compute_units=72,
            memory_bandwidth_gbps=600.2,
            driver_version="550.54.14",
            supports_fp64=True,
            supports_tensor_cores=True,
            compute_capability="8.6",
            precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
            model="A10",
            unified_memory=True,
            partition_of="node-7-gpu-physical-0",
            pci_address="0000:3b:00.0",
            labels={"slot": "1"},
        ),
    ),
    evt.DeviceLost(node_id=_NODE, device_id=_FIRST_GPU, reason="GPU is lost"),
    evt.DeviceRecovered(node_id=_NODE, device_id=_FIRST_GPU),
    evt.DeviceFaulted(node_id=_NODE, device_id=_FIRST_GPU, code="xid-79", meaning="The GPU has fallen off the bus"),
    evt.LinksObserved(
        node_id=_NODE,
        links=(
            Link(
                ends=(_FIRST_GPU, _SECOND_GPU),
                kind=LinkKind.PCIE,
                bandwidth_gbps=252.1,
                latency_us=1.8,
                peer_to_peer=True,
            ),
        ),
    ),
    evt.DeviceCordoned(pool="research", device_id=_FIRST_GPU, reason="a new fan on Tuesday"),
    evt.DeviceUncordoned(pool="research", device_id=_FIRST_GPU),
    evt.NodeCordoned(pool="research", node_id=_NODE, reason="a new fan on Tuesday"),
    evt.NodeUncordoned(pool="research", node_id=_NODE),
    evt.NodeTransferred(pool="research", to="production", node_ids=(_NODE, "node-8")),
    evt.DeviceDrainStarted(pool="research", device_id=_FIRST_GPU, reason="a new fan on Tuesday"),
    evt.DeviceDrainFinished(pool="research", node_id=_NODE),
    evt.PlacementDecided(
        workload=_WORKLOAD,
        allocations=_ALLOCATIONS,
        host=_HOST,
        strategy=PlacementStrategy.PACK,
        preempted=("night-batch",),
        solver="greedy",
        solve_ms=1.25,
        decided_at_sequence=4711,
    ),
    evt.PlacementRefused(
        workload=_TO_BE_CUT,
        summary="no device takes a layer",
        obstacles=_OBSTACLES,
        changes=(
            Change(detail="with 16.0 GiB more on node-7-gpu-0", devices=(_FIRST_GPU,), more_bytes=16 * GIB),
            Change(detail="without `vendors: nvidia`", without="vendors"),
            Change(detail="with 1 of 2 replicas", replicas=1),
        ),
        stays=True,
        solve_ms=1.25,
        decided_at_sequence=4711,
    ),
    evt.PlacementQueued(
        workload=_WORKLOAD,
        summary="no device takes shard first-half",
        obstacles=_OBSTACLES,
        strategy=PlacementStrategy.PACK,
        preempt=True,
        deadline_s=3600.0,
        kept_devices=(_FIRST_GPU, _SECOND_GPU),
        kept_node=_NODE,
        solve_ms=1.25,
        decided_at_sequence=4711,
    ),
    evt.PlacementDegraded(
        pool="research",
        workload_id="llama-70b",
        shard_ids=("first-half",),
        reason=f"{_FIRST_GPU} is lost",
        summary="no device takes shard first-half",
        obstacles=_OBSTACLES,
        kept_devices=(_SECOND_GPU,),
        kept_node=_NODE,
    ),
    evt.PlacementMoved(
        pool="research",
        workload_id="llama-70b",
        allocations=_ALLOCATIONS,
        host=_HOST,
        reason="node-9-gpu-3 is lost",
        solver="greedy",
        solve_ms=1.25,
        decided_at_sequence=4711,
    ),
    evt.PlacementPreempted(pool="research", workload_id="night-batch", preempted_by="llama-70b"),
    evt.PlacementReleased(pool="research", workload_id="llama-70b"),
    evt.PlacementPreviewed(
        refused=evt.PlacementRefused(
            workload=_WORKLOAD, summary="no device takes shard first-half", obstacles=_OBSTACLES
        ),
    ),
    evt.QuotaSet(pool="research", tenant="team-red", gpu_milli=16_000, memory_bytes=640 * GIB),
    evt.RebalanceProposed(
        pool="research",
        moves=(evt.ProposedMove(workload_id="llama-70b", allocations=_ALLOCATIONS, host=_HOST, gain=0.25),),
        applied=True,
        decided_at_sequence=4711,
    ),
    *work_examples.EVENTS,
    evt.CommandRejected(
        verb="place",
        reason="Expected `int` >= 0",
        field="$.workload.shards[0].memory_bytes",
        payload='{"workload":{"workload_id":"llama-70b","shards":[{"memory_bytes":-1}]}}',
        payload_bytes=70,
        command_sequence=12,
    ),
)

COMMANDS: tuple[cmd.Command, ...] = (
    cmd.Place(
        command_id="place-llama-70b",
        workload=_WORKLOAD,
        strategy=PlacementStrategy.PACK,
        dry_run=True,
        wait=True,
        deadline_s=3600.0,
        preempt=True,
    ),
    cmd.Release(command_id="release-llama-70b", workload_id="llama-70b", pool="research"),
    cmd.Cordon(command_id="cordon-gpu-0", device_id=_FIRST_GPU, reason="a new fan on Tuesday", pool="research"),
    cmd.Uncordon(command_id="uncordon-gpu-0", device_id=_FIRST_GPU, pool="research"),
    cmd.Move(
        command_id="move-llama-70b",
        workload_id="llama-70b",
        avoid_devices=(_FIRST_GPU,),
        avoid_nodes=(_NODE,),
        pool="research",
    ),
    cmd.Drain(command_id="drain-node-7", node_id=_NODE, reason="a new fan on Tuesday", pool="research"),
    cmd.Transfer(command_id="transfer-node-7", node_ids=(_NODE, "node-8"), to="production", pool="research"),
    cmd.Rebalance(command_id="rebalance-tonight", apply=True, max_moves=5, pool="research"),
    cmd.Quota(
        command_id="quota-of-team-red", tenant="team-red", gpu_milli=16_000, memory_bytes=640 * GIB, pool="research"
    ),
    *work_examples.COMMANDS,
)

SAMPLES = NodeSample(
    node_id=_NODE,
    boot_id=_BOOT,
    tick=42,
    key_frame=True,
    samples=(
        Sample(
            device_id=_FIRST_GPU,
            timestamp=NOON,
            memory_used_bytes=8 * GIB,
            memory_total_bytes=24 * GIB,
            compute_utilization_percent=50.0,
            power_watts=112.5,
            temperature_celsius=65.0,
            clock_rate_mhz=1695.0,
            throttled=True,
            throttle_reasons=(ThrottleReason.HEAT,),
            power_limit_watts=150.0,
            memory_clock_mhz=6251.0,
            pcie_rx_mbps=812.0,
            pcie_tx_mbps=24.5,
            stale_s=6.0,
        ),
        Sample(
            device_id=_SECOND_GPU,
            timestamp=NOON,
            memory_used_bytes=20 * GIB,
            memory_total_bytes=24 * GIB,
            absent={
                "compute_utilization_percent": Absence.DISABLED,
                "power_watts": Absence.UNSUPPORTED,
                "temperature_celsius": Absence.ERROR,
                "clock_rate_mhz": Absence.UNSUPPORTED,
            },
        ),
    ),
    health=(
        DeviceHealth(
            device_id=_FIRST_GPU,
            timestamp=NOON,
            ecc_corrected_count=3,
            ecc_uncorrected_count=0,
            processes=(DeviceProcess(pid=4711, name="python", memory_bytes=6 * GIB),),
        ),
        DeviceHealth(device_id=_SECOND_GPU, timestamp=NOON, absent={"ecc_corrected_count": Absence.UNSUPPORTED}),
    ),
)


BATCH = work_examples.BATCH


def enveloped(event: evt.Event) -> bytes:
    """An event as it lies in the log."""
    return codec.encode_event(
        event, id="place-llama-70b.outcome", source="placement-solver", time=NOON, cause="place-llama-70b"
    )


@cache
def payloads() -> dict[type[msgspec.Struct], bytes]:
    """Each example as it travels, by its struct: an event in its envelope, everything else bare."""
    bare: tuple[msgspec.Struct, ...] = (*COMMANDS, SAMPLES, BATCH)
    found: dict[type[msgspec.Struct], bytes] = {type(event): enveloped(event) for event in EVENTS}
    return found | {type(value): codec.encode(value) for value in bare}
