"""What ships for Prometheus and Grafana, tried against a real Prometheus that reads a real gateway."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleetfold_cli.stack.ports import port_near
from tests.support.gateways import Served, served
from tests.support.needed import program
from tests.support.waiting import eventually

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
SHIPPED_TARGET = "127.0.0.1:8780"


@pytest.fixture
async def fleet() -> AsyncIterator[Served]:
    async with served() as fleet:
        await fleet.add_device("gpu-1")
        await fleet.sample("gpu-1")
        yield fleet


@contextmanager
def prometheus(folder: Path, target: str) -> Generator[str]:
    """A Prometheus with the configuration that ships, but for whom it reads. Gives its address."""
    config = (MONITORING / "prometheus.yaml").read_text().replace(SHIPPED_TARGET, target).replace("5s", "1s")
    (folder / "prometheus.yaml").write_text(config)
    (folder / "alerts.yaml").write_text((MONITORING / "alerts.yaml").read_text())
    address = f"127.0.0.1:{port_near(0)}"
    options = (
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address={address}",
    )
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([program("prometheus"), *options], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        running.terminate()
        running.wait(20)


async def test_every_query_of_the_dashboard_and_the_alerts_is_answered(fleet: Served, tmp_path: Path) -> None:
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    with prometheus(tmp_path, fleet.url.removeprefix("http://")) as address:
        async with httpx.AsyncClient(base_url=address) as client:

            async def asked(query: str) -> list[Any]:
                answer = await client.get("/api/v1/query", params={"query": query})
                return answer.json()["data"]["result"] if answer.status_code == 200 else []

            async def read() -> bool:
                try:
                    return bool(await asked('up{job="fleetfold"} == 1')) and bool(await asked("DCGM_FI_DEV_GPU_TEMP"))
                except httpx.TransportError:
                    return False

            await eventually(read, what="a Prometheus that has read the gateway")
            await eventually(lambda: _all(asked, queries), what="a value for each query of the dashboard")
            groups = (await client.get("/api/v1/rules")).json()["data"]["groups"]
            assert all(rule["health"] != "err" for group in groups for rule in group["rules"])


async def _all(asked: Any, queries: list[str]) -> bool:
    answers = await asyncio.gather(*map(asked, queries))
    return all(answers)


def test_the_alerts_come_when_they_should() -> None:
    ended = subprocess.run(
        [program("promtool"), "test", "rules", "alerts.test.yaml"], cwd=MONITORING, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


async def test_the_metrics_are_named_as_prometheus_wants_them(fleet: Served) -> None:
    async with fleet.client() as client:
        page = (await client.get("/metrics")).text
    checking = [program("promtool"), "check", "metrics"]
    ended = await asyncio.to_thread(subprocess.run, checking, input=page, capture_output=True, text=True)
    ours = [line for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("fleetfold_")]
    assert ours == []
