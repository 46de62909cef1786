"""One stack and one browser for all that is looked at."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from fleetfold_cli.stack.ports import port_near, something_listens
from fleetfold_cli.stack.readiness import Size, fleet_seen
from fleetfold_cli.stack.service_process import ServiceSpec
from fleetfold_cli.stack.stack import DISTRIBUTOR, PLACEMENT_SOLVER, Stack, gateway, telemetry_agent
from fleetfold_client import Fleet
from tests.support.needed import program

READY_WITHIN_S = 60.0
OFFLINE_AFTER_S = "4"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RACK = """
[[nodes]]
name = "rack"
device_links = { kind = "nvlink", bandwidth_gbps = 2400 }
devices = [{ model = "V100M32", count = 4 }]
[[nodes]]
name = "shelf"
device_links = { kind = "xgmi", bandwidth_gbps = 800 }
devices = [{ model = "G3", count = 2 }]
[[links]]
ends = ["rack", "shelf"]
kind = "rdma"
bandwidth_gbps = 200
"""
DESK = '[[nodes]]\nname = "desk"\ndevices = [{ model = "A10", count = 2 }]\n'
DEVICES = 8
DESK_AGENT = "agent-of-the-desk"


@dataclass
class Served:
    """A stack with its page."""

    stack: Stack
    fleet: Fleet
    url: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The services as `fleetfold up` runs them, with two agents: the one of the desk may be killed."""
    folder = tmp_path_factory.mktemp("page")
    port = port_near(0)
    projector = ServiceSpec(
        "state-projector", "fleetfold_state_projector", {"FLEETFOLD_OFFLINE_AFTER_S": OFFLINE_AFTER_S}
    )
    agents = (telemetry_agent(_file(folder, RACK)), telemetry_agent(_file(folder, DESK), name=DESK_AGENT))
    services = (*agents, projector, PLACEMENT_SOLVER, DISTRIBUTOR, gateway(port))
    async with Stack(folder / "data", services, environment=os.environ, root="fleet") as stack:
        async with asyncio.timeout(READY_WITHIN_S):
            await stack.answering()
            await something_listens(port)
            async with Fleet.connect(stack.url) as fleet:
                await fleet_seen(fleet, Size(devices=DEVICES))
                yield Served(stack, fleet, f"http://127.0.0.1:{port}/")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, with a profile that goes with it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        yield browser
        await browser.close()


def _file(folder: Path, fleet: str) -> str:
    path = folder / f"fleet-{len(fleet)}.toml"
    path.write_text(fleet)
    return str(path)
