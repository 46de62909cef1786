"""Who plays in the demo: the services, the fleet, what is asked for."""

from pathlib import Path

from fleetfold_cli.stack.readiness import Size
from fleetfold_cli.stack.service_process import ServiceSpec
from fleetfold_cli.stack.stack import DISTRIBUTOR, PLACEMENT_SOLVER, STATE_PROJECTOR, telemetry_agent
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI, Constraints, Shard, Workload

GIB = 1024**3

FLEET = "openb:64"
LONE_NODE = "lone-node"
LONE_NODE_SIZE = Size(nodes=1, devices=2)
LONE_AGENT = "telemetry-agent-of-lone-node"
LOCAL_AGENT = "telemetry-agent-of-this-machine"

JOBS = 300
JOBS_AT_ONCE = 32
ITEMS = 1000
BATCH_SIZE = 25

PACE = {
    # A beat a second and four seconds of patience: a loss is noticed while one watches, and a slow machine is no loss.
    "FLEETFOLD_SAMPLE_INTERVAL_S": "1",
    "FLEETFOLD_OFFLINE_AFTER_S": "4",
    "FLEETFOLD_KEY_FRAME_INTERVAL_S": "5",
    # What sits on a lost node is moved soon after.
    "FLEETFOLD_GRACE_S": "1",
}

MODEL = Workload(
    workload_id="sharded-model",
    shards=(Shard(memory_bytes=12 * GIB),) * 8,
    constraints=Constraints(forbidden_nodes=(LONE_NODE,)),
)
TENANT_ID = "on-lone-node"
IMPOSSIBLE = (
    Workload(workload_id="giant", shards=(Shard(memory_bytes=1024 * GIB),)),
    Workload(workload_id="snob", shards=(Shard(memory_bytes=GIB),), constraints=Constraints(models=("H200",))),
    Workload(
        workload_id="crowd",
        shards=(Shard(gpu_milli=WHOLE_GPU_MILLI),) * 12,
        constraints=Constraints(same_node=True),
    ),
)

_LONE_NODE_FILE = f"""
[[nodes]]
name = "{LONE_NODE}"

[[nodes.devices]]
model = "A10"
count = {LONE_NODE_SIZE.devices}
"""


def tenant(refuge: str) -> Workload:
    """What sits on the node that will be killed, and may sit on one other."""
    return Workload(
        workload_id=TENANT_ID,
        shards=(Shard(memory_bytes=4 * GIB),),
        constraints=Constraints(nodes=(LONE_NODE, refuge)),
    )


def services(folder: Path, *, with_local_gpus: bool) -> list[ServiceSpec]:
    """The four services; the agents are of the trace's nodes, of a node that will be killed, and of this machine."""
    lone_fleet = folder / "lone-node.toml"
    lone_fleet.write_text(_LONE_NODE_FILE, encoding="utf-8")
    agents = [telemetry_agent(FLEET), telemetry_agent(str(lone_fleet), name=LONE_AGENT)]
    if with_local_gpus:
        agents.append(telemetry_agent(name=LOCAL_AGENT))
    return [STATE_PROJECTOR, PLACEMENT_SOLVER, DISTRIBUTOR, *agents]
