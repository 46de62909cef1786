"""`fleetfold doctor`: what works, what is missing and how to get it; its exit code says whether anything is broken."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.streams import EVENTS
from fleetfold_cli.doctor import vendors
from fleetfold_cli.doctor.findings import Finding, Report, State
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.subjects import Subjects
from tests.support.examples import a_node
from tests.support.fake_nvidia import FakeNvidia, nvidia_library
from tests.support.fleetfold_command import LISTENS, Ended, fleetfold, running

SUBJECTS = Subjects()
NOWHERE = "nats://127.0.0.1:1"
VENDORS = ["nvidia", "amd", "intel", "apple", "qualcomm"]


def examined(server: str) -> tuple[int, dict[str, Finding]]:
    """The exit code, and the findings by their parts."""
    ended = fleetfold("doctor", "--json", FLEETFOLD_NATS_URL=server)
    report = msgspec.json.decode(ended.stdout, type=Report)
    assert report.broken == any(finding.state is State.BROKEN for finding in report.findings)
    return ended.code, {finding.part: finding for finding in report.findings}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a stack listens."""
    folder = tmp_path_factory.mktemp("stack")
    with running("up", "--fleet", "openb:1", "--data", str(folder), "--port", "0") as up:
        listens = LISTENS.search(up.wait_for("NATS listens at"))
        up.wait_for("Ctrl-C stops")
        assert listens is not None
        yield listens[1]
        up.stop()


def test_a_stack_that_runs_has_nothing_broken_whatever_gpus_are_missing(server: str) -> None:
    code, found = examined(server)
    assert code == 0
    assert list(found)[:5] == VENDORS
    of_cluster = {part: finding.state for part, finding in found.items() if part not in VENDORS}
    assert of_cluster == dict.fromkeys(
        [
            "nats",
            *(f"stream FLEET_{name}" for name in ("EVT", "TLM", "CMD", "WORK")),
            "telemetry-agent",
            "state-projector",
            "placement-solver",
            "distributor",
            "log",
        ],
        State.GOOD,
    )


def test_events_that_nobody_understands_are_a_notice(server: str) -> None:
    asyncio.run(_append_from_the_future(server))
    code, found = examined(server)
    assert (code, found["log"].state) == (0, State.NOTICE)
    assert found["log"].found.startswith("1 event ")
    assert "unknown event type 'fleet.node.joined.v9'" in found["log"].found


async def _append_from_the_future(server: str) -> None:
    bus = await NatsBus.connect(server, subjects=SUBJECTS, name="test", wait_s=5)
    event = evt.NodeJoined(node=a_node("n"))
    payload = codec.encode_event(event, id="x", source="test", time=datetime.now(UTC))
    await bus.append(SUBJECTS.event(event), payload.replace(b".v1", b".v9"), message_id="x")
    await bus.close()


def test_without_a_server_it_says_so_and_looks_at_the_gpus_all_the_same(server: str) -> None:
    code, found = examined(NOWHERE)
    assert (code, found["nats"].state) == (1, State.BROKEN)
    assert "fleetfold up" in found["nats"].remedy
    assert list(found) == [*VENDORS, "nats"]


def test_a_stream_with_other_settings_and_services_that_do_not_run_are_broken(nats_server: NatsServer) -> None:
    asyncio.run(_make_stream_by_hand(nats_server.url))
    code, found = examined(nats_server.url)
    assert code == 1
    assert "nats stream edit FLEET_EVT --dupe-window=120s" in found["stream FLEET_EVT"].found
    assert "is not there" in found["stream FLEET_TLM"].found
    assert {found[part].state for part in ("stream FLEET_EVT", "distributor", "log")} == {State.BROKEN}


async def _make_stream_by_hand(server: str) -> None:
    bus = await NatsBus.connect(server, subjects=SUBJECTS, name="test", wait_s=5)
    name = SUBJECTS.stream(EVENTS)
    stream = {"name": name, "subjects": [SUBJECTS.all_events], "duplicate_window": 1_000_000_000}
    await bus.ask(f"$JS.API.STREAM.CREATE.{name}", json.dumps(stream).encode())
    await bus.close()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvidia_library(tmp_path_factory.mktemp("library"))


def test_gpus_that_work_are_named_and_a_wedged_driver_is_broken(
    server: str, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeNvidia(library, tmp_path, monkeypatch)
    nvidia = examined(server)[1]["nvidia"]
    assert (nvidia.state, nvidia.found) == (State.GOOD, "2 devices: 2 x NVIDIA A10")

    driver.gpus_are("wedged-start")
    monkeypatch.setattr(vendors, "FOUND_WITHIN_S", 3.0)
    code, found = examined(server)
    assert (code, found["nvidia"].state) == (1, State.BROKEN)
    assert "no answer within 3 s" in found["nvidia"].found


def test_a_person_reads_what_to_do() -> None:
    ended: Ended = fleetfold("doctor", FLEETFOLD_NATS_URL=NOWHERE)
    (line,) = (line for line in ended.stdout.splitlines() if "fleetfold up" in line)
    assert "-> start one with" in line
    assert ended.code == 1


def test_a_setting_that_is_none_is_named() -> None:
    ended = fleetfold("doctor", FLEETFOLD_NATS_URL=NOWHERE, FLEETFOLD_REPLICAS="many")
    assert (ended.code, "FLEETFOLD_REPLICAS" in ended.stderr) == (2, True)
