"""The gateway against its own OpenAPI document: made-up requests find no answer that the document lacks."""

import asyncio
import sys
from pathlib import Path

import pytest

from fleetfold_contracts.commands import COMMANDS
from fleetfold_gateway.http import reads
from fleetfold_placement_solver.decide import VERBS
from tests.support.gateways import served

# The stream never ends. A verb that no service takes yet is answered by nobody.
NOT_ASKED = ("/api/v1/events", *(f"/api/v1/{verb}" for verb in COMMANDS if verb not in {*VERBS, "distribute"}))
# What the bounds of a schema cannot say (a workload that asks for nothing) is refused, and must be.
BEYOND_SCHEMAS = "positive_data_acceptance"


async def test_made_up_requests_find_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reads, "WAIT_FOR_POSITION_S", 0.01)
    async with served(http_rate_per_s=0) as fleet:
        await fleet.add_device("gpu-1")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{fleet.url}/openapi.json"),
            *("--phases", "examples,fuzzing", "--max-examples", "6", "--seed", "1", "--generation-database", "none"),
            *(word for path in NOT_ASKED for word in ("--exclude-path", path)),
            *("--exclude-checks", BEYOND_SCHEMAS, "--warnings", "off"),
            cwd=tmp_path,  # it writes down what it finds
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert b"No issues found" in said
