"""The lines of the documents that begin with `nats`, typed as they stand with the real NATS command line."""

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleetfold_bus.port import BusError
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects
from tests.support import needed
from tests.support.cluster import Cluster, cluster_on
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/NATS_CLI.md")
SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
FOR_EVER = ("nats sub", "nats kv watch")
"""Lines that go on until they are stopped: the first thing that they show is enough."""


def documented_lines(document: str) -> list[str]:
    """The lines of a document's shell blocks that use the NATS command line, continued ones joined."""
    blocks = SHELL_BLOCK.findall((ROOT / document).read_text())
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("nats ")]


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The whole stack as the documents have it: the root `fleet`, a few simulated nodes."""
    async with cluster_on(nats_server.url, Subjects(DEFAULT_ROOT), tmp_path) as cluster:
        for service in ("state-projector", "placement-solver", "distributor"):
            cluster.start(service)
        cluster.start("telemetry-agent", fleet="openb:8")
        await eventually(lambda: _eight_nodes(cluster), what="eight nodes")
        await eventually(lambda: _views(cluster), what="the views")
        yield cluster


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_the_lines_work_as_typed(running: Cluster, document: str) -> None:
    nats = needed.program("nats", also_in=Path.home() / "go" / "bin")
    lines = documented_lines(document)
    assert len(lines) >= 5
    for line in lines:
        shown = await asyncio.to_thread(_type, nats, line, running.url)
        assert shown.strip(), line
        assert '"error"' not in shown, (line, shown)


def _type(nats: str, line: str, url: str) -> str:
    command = [nats, *shlex.split(line, comments=True)[1:]]
    environment = os.environ | {"NATS_URL": url}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as process:
        try:
            if line.startswith(FOR_EVER):
                assert process.stdout is not None
                return "".join(process.stdout.readline() for _ in range(3))
            shown, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, (line, shown)
    return shown


async def _eight_nodes(cluster: Cluster) -> bool:
    answer = await cluster.ask("state", StateAnswer)
    return answer is not None and len(answer.nodes) == 8


async def _views(cluster: Cluster) -> bool:
    try:
        return await cluster.bus.bucket(cluster.subjects.state_bucket).get("summary") is not None
    except BusError:
        return False
