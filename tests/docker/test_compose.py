"""The stack of compose.yaml, built and started for real, does what it is asked from outside."""

import os
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import UnreachableError
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import Place
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Shard, Workload
from tests.support.cluster import Cluster, Logged
from tests.support.examples import GIB
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
NODES = 4
SERVICES = {"telemetry-agent", "state-projector", "placement-solver", "distributor", "gateway"}
DECIDED = "fleet.evt.pool.default.placement.decided"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


class Stack:
    """One project of Compose, apart from any other on this machine."""

    def __init__(self, profile: str, servers: tuple[str, ...]) -> None:
        self.servers = servers
        self._profile = profile
        self._project = f"fleetfold-test-{uuid.uuid4().hex[:8]}"
        # Nothing that a person has set for a stack of their own plays in here. Port 0: the engine finds a free one.
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLEETFOLD_", "COMPOSE_"))}
        self._environment = clean | {
            "FLEETFOLD_FLEET": f"openb:{NODES}",
            "FLEETFOLD_REPLICAS": str(len(servers)),
            "FLEETFOLD_NATS_PORT": "0",
            "FLEETFOLD_NATS_MONITOR_PORT": "0",
            "FLEETFOLD_HTTP_PORT": "0",
        }

    def up(self) -> None:
        """Build, start, and wait until every service says that it is ready."""
        started = self.compose("up", "--build", "--wait", "--wait-timeout", "180", timeout_s=800)
        assert started.returncode == 0, f"the stack did not start:\n{started.stderr}\n{self.logs()}"

    def down(self) -> None:
        """Remove all that `up` made but the images."""
        removed = self.compose("down", "--volumes", "--timeout", "30")
        assert removed.returncode == 0, removed.stderr

    def logs(self) -> str:
        """The last that each container said."""
        return self.compose("logs", "--no-color", "--tail", "50").stdout

    def running(self) -> set[str]:
        """What runs."""
        return set(self.compose("ps", "--services", "--status", "running").stdout.split())

    def exit_codes(self) -> dict[str, int]:
        """How each container ended."""
        rows = self.compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}").stdout.splitlines()
        return {service: int(code) for service, code in (row.split() for row in rows)}

    @asynccontextmanager
    async def cluster(self, folder: Path) -> AsyncGenerator[Cluster]:
        """Its log and commands, from outside of its containers."""
        url = f"nats://{self.compose('port', self.servers[0], '4222').stdout.strip()}"
        subjects = Subjects()
        bus = await NatsBus.connect(url, subjects=subjects, name="test", replicas=len(self.servers), wait_s=10)
        try:
            yield Cluster(url, subjects, folder, bus)
        finally:
            await bus.close()

    def compose(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one command of Compose on this project."""
        command = ("docker", "compose", "--profile", self._profile, "--project-name", self._project, *arguments)
        return subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, timeout=timeout_s
        )


@contextmanager
def started(profile: str, *servers: str) -> Generator[Stack]:
    """A stack, for as long as the block runs. What its containers said stands beside the failure of a test."""
    stack = Stack(profile, servers)
    try:
        stack.up()
        yield stack
    finally:
        sys.stdout.write(stack.logs())
        stack.down()


def place(name: str) -> Place:
    return Place(workload=Workload(workload_id=name, shards=(Shard(memory_bytes=GIB),)))


def every_node_has_a_device(logged: Sequence[Logged]) -> bool:
    return len({entry.event.node_id for entry in logged if isinstance(entry.event, evt.DeviceRegistered)}) == NODES


async def taken(cluster: Cluster, name: str) -> bool:
    """Whether a command to place is acknowledged. With the same id it may be published again and again."""
    try:
        await cluster.command("place", place(name), f"place-{name}")
    except UnreachableError:
        return False
    return True


async def test_a_command_from_the_host_is_decided_by_the_containers(tmp_path: Path) -> None:
    with started("single", "nats") as stack:
        assert stack.running() == {*SERVICES, "nats"}
        async with stack.cluster(tmp_path) as cluster:
            await cluster.log(every_node_has_a_device)

            await cluster.command("place", place("llama"), "place-llama")

            [decided] = (await cluster.outcomes(["place-llama"]))["place-llama"]
            assert isinstance(decided, evt.PlacementDecided), decided
            assert [allocation.memory_bytes for allocation in decided.allocations] == [GIB]
            assert await cluster.bus.last_sequence("FLEET_EVT", DECIDED) > 0

        stack.compose("stop")
        assert stack.exit_codes() == dict.fromkeys({*SERVICES, "nats"}, 0), "all end in good order when told to stop"


async def test_one_of_three_servers_may_be_lost(tmp_path: Path) -> None:
    with started("cluster", "nats-1", "nats-2", "nats-3") as stack:
        async with stack.cluster(tmp_path) as cluster:
            await cluster.log(every_node_has_a_device)
            await cluster.command("place", place("before"), "place-before")
            await cluster.outcomes(["place-before"])

            stack.compose("kill", "nats-3")
            await eventually(lambda: taken(cluster, "after"), within_s=60, what="a new leader")

            outcomes = await cluster.outcomes(["place-before", "place-after"])
            assert [[type(event) for event in events] for events in outcomes.values()] == [[evt.PlacementDecided]] * 2
