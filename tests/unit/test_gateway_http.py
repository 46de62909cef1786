"""The HTTP API: what it answers, and how it says what is wrong."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES
from fleetfold_contracts.commands import COMMANDS
from fleetfold_gateway.http.app import OPERATIONS
from fleetfold_gateway.settings import GatewaySettings
from fleetfold_runtime.settings import SettingsError, load_settings
from tests.support.examples import GIB
from tests.support.gateways import Served, served
from tests.support.waiting import eventually

PLACE = {"workload": {"workload_id": "llama", "shards": [{"memory_bytes": GIB}]}}
NEGATIVE = b'{"workload":{"workload_id":"w","shards":[{"memory_bytes":-1}]}}'
UNKNOWN = b'{"workload":{"workload_id":"w","shards":[{"memory":1}]}}'
VIEW, OPERATE = "v" * 16, "o" * 16


@pytest.fixture
async def fleet() -> AsyncIterator[Served]:
    async with served() as fleet:
        yield fleet


async def test_the_two_pages_of_devices_have_the_fields_that_dashboards_read(fleet: Served) -> None:
    position = await fleet.add_device("gpu-1")
    async with fleet.client() as client:

        async def read() -> bool:
            await fleet.sample("gpu-1")
            devices = (await client.get(f"/api/gpu/devices?at_least={position}")).json()["devices"]
            return bool(devices[0]["utilization_percent"])

        await eventually(read)
        (row,) = (await client.get("/api/gpu/devices")).json()["devices"]
        assert row == {
            "device_id": "gpu-1",
            "node_id": "node-1",
            "memory_used_mb": 1024.0,
            "memory_total_mb": 40 * 1024.0,
            "temperature_c": 65.0,
            "utilization_percent": 50.0,
        }
        topology = (await client.get("/api/gpu/topology")).json()
        assert topology["nodes"][0]["devices"] == [row]


async def test_a_placement_is_made_and_read_back(fleet: Served) -> None:
    position = await fleet.add_device("gpu-1")
    async with fleet.client() as client:
        await client.get(f"/api/v1/devices?at_least={position}")
        placed = await client.post("/api/v1/place", json=PLACE)
        assert placed.status_code == 200
        assert placed.json()["type"] == "placement.decided"
        explained = (await client.get("/api/v1/placements/llama")).json()
        assert explained["status"] == "placed"
        assert explained["allocations"][0]["device_id"] == "gpu-1"
        refused = await client.post(
            "/api/v1/place", json={"workload": {"workload_id": "big", "shards": [{"memory_bytes": 99 * GIB}]}}
        )
        assert (refused.status_code, refused.json()["type"]) == (200, "placement.refused")


async def test_what_was_read_and_has_not_changed_is_not_sent_again(fleet: Served) -> None:
    position = await fleet.add_device("gpu-1")
    async with fleet.client() as client:
        first = await client.get(f"/api/v1/devices?at_least={position}")
        again = await client.get("/api/v1/devices", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        position = await fleet.add_device("gpu-2")
        changed = await client.get(
            f"/api/v1/devices?at_least={position}", headers={"If-None-Match": first.headers["etag"]}
        )
        assert changed.status_code == 200
        assert changed.json()["position"] >= position


async def test_who_writes_reads_what_was_written(fleet: Served) -> None:
    async with fleet.client() as client:
        for index in range(20):
            position = await fleet.add_device(f"gpu-{index:02}")
            answers = await asyncio.gather(*(client.get(f"/api/v1/devices?at_least={position}") for _ in range(5)))
            assert all(len(answer.json()["devices"]) == index + 1 for answer in answers)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/api/v1/devices?flavour=1", None, 400, "?flavour"),
        ("GET", "/api/v1/devices?vendor=acme", None, 400, "?vendor"),
        ("GET", "/api/v1/devices?at_least=-1", None, 400, "?at_least"),
        ("GET", "/api/v1/devices/nobody", None, 404, None),
        ("GET", "/api/v1/devices/%2Awild", None, 404, None),
        ("GET", "/api/v1/placements/nobody", None, 404, "$.workload_id"),
        ("GET", "/api/v1/nothing", None, 404, None),
        ("GET", "/api/v1/place", None, 405, None),
        ("POST", "/api/v1/place", b"{", 400, "$"),
        ("POST", "/api/v1/place", NEGATIVE, 400, "$.workload.shards[0].memory_bytes"),
        ("POST", "/api/v1/place", UNKNOWN, 400, "$.workload.shards[0].memory"),
        ("POST", "/api/v1/cordon", b'{"device_id":"nobody"}', 422, "$.device_id"),
        ("POST", "/api/v1/place", b" " * (MAX_PAYLOAD_BYTES + 1), 413, None),
        ("GET", "/api/v1/events?after=x", None, 400, "?after"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_a_problem_that_names_the_field(
    fleet: Served, method: str, path: str, body: bytes | None, status: int, field: str | None
) -> None:
    async with fleet.client() as client:
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem.get("field") == field


async def test_a_position_that_the_log_does_not_reach_is_said(fleet: Served) -> None:
    async with fleet.client() as client:
        answer = await client.get("/api/v1/devices?at_least=1000000")
    assert (answer.status_code, answer.json()["field"]) == (409, "?at_least")


async def test_a_body_that_does_not_say_how_long_it_is_ends_at_the_limit(fleet: Served) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_PAYLOAD_BYTES // 65536):
            yield b" " * 65536

    async with fleet.client() as client:
        answer = await client.post("/api/v1/place", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_the_page_of_another_site_gets_nothing_done(fleet: Served) -> None:
    async with fleet.client() as client:
        strange = await client.post("/api/v1/place", json=PLACE, headers={"Origin": "https://example.org"})
        assert strange.status_code == 403
        simple = await client.post("/api/v1/place", content=b"{}", headers={"Content-Type": "text/plain"})
        assert simple.status_code == 415
        rebound = await client.get("/api/v1/devices", headers={"Host": "example.org"})
        assert rebound.status_code == 421


async def test_a_token_allows_what_its_role_does() -> None:
    async with served(view_token=VIEW, operate_token=OPERATE) as fleet:
        statuses: dict[str, tuple[int, int, str]] = {}
        for token in ("y" * 16, "x" * 16, VIEW, OPERATE):
            async with fleet.client(authorization=f"Bearer {token}") as client:
                read = await client.get("/api/v1/devices")
                command = await client.post("/api/v1/cordon", json={"device_id": "nobody"})
                role = (await client.get("/api/v1/session")).json()["role"]
                statuses[token] = (read.status_code, command.status_code, role)
                assert (await client.get("/")).status_code == 200
        assert list(statuses.values()) == [
            (401, 401, "anybody"),
            (401, 401, "anybody"),
            (200, 403, "view"),
            (200, 422, "operate"),
        ]


async def test_who_asks_too_often_is_told_to_wait() -> None:
    async with served(http_rate_per_s=1) as fleet, fleet.client() as client:
        statuses = [(await client.get("/healthz")).status_code for _ in range(4)]
        assert statuses[0] == 200
        refused = await client.get("/healthz")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")


async def test_every_answer_has_the_headers_that_keep_a_page_safe(fleet: Served) -> None:
    async with fleet.client() as client:
        for path in ("/", "/api/v1/devices", "/nothing", "/openapi.json"):
            headers = (await client.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers


async def test_the_openapi_document_is_valid_and_complete(fleet: Served) -> None:
    async with fleet.client() as client:
        document = (await client.get("/openapi.json")).json()
    validate(document)
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described == {(operation.path, operation.method.lower()) for operation in OPERATIONS}
    assert {f"/api/v1/{verb}" for verb in COMMANDS} <= set(document["paths"])
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} | {
        "#/components/responses/Problem"
    }


async def test_the_metrics_have_every_device_under_both_names(fleet: Served) -> None:
    position = await fleet.add_device("gpu-1")
    async with fleet.client() as client:
        await client.get(f"/api/v1/devices?at_least={position}")

        async def read() -> bool:
            await fleet.sample("gpu-1")
            return "DCGM_FI_DEV_GPU_UTIL{" in (await client.get("/metrics")).text

        await eventually(read)
        text = (await client.get("/metrics")).text
    labels = 'Hostname="node-1",UUID="gpu-1",gpu="gpu-1",modelName="Test GPU"'
    assert f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} 50.0" in text
    assert f"DCGM_FI_DEV_FB_USED{{{labels}}} 1024.0" in text
    ours = 'device="gpu-1",model="Test GPU",node="node-1",vendor="nvidia"'
    assert f"fleetfold_device_utilization_ratio{{{ours}}} 0.5" in text
    assert f"fleetfold_device_up{{{ours}}} 1.0" in text
    assert 'fleetfold_nodes{liveness="live"} 1.0' in text
    assert "fleetfold_projector_lag_events 0.0" in text
    assert "fleetfold_gateway_fleet_answers 1.0" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HTTP_HOST": "0.0.0.0"}, "FLEETFOLD_OPERATE_TOKEN"),
        ({"OPERATE_TOKEN": "short"}, "16 characters"),
        ({"OPERATE_TOKEN": VIEW, "VIEW_TOKEN": VIEW}, "differ"),
        ({"HTTP_PORT": "99999"}, "FLEETFOLD_HTTP_PORT"),
    ],
)
def test_a_gateway_does_not_stand_open_by_mistake(settings: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(GatewaySettings, {f"FLEETFOLD_{name}": value for name, value in settings.items()})


@pytest.mark.parametrize("settings", [{"HTTP_OPEN": "true"}, {"OPERATE_TOKEN": OPERATE}])
def test_it_may_be_reached_from_elsewhere_when_that_is_meant(settings: dict[str, str]) -> None:
    given = {"HTTP_HOST": "0.0.0.0", **settings}
    assert load_settings(GatewaySettings, {f"FLEETFOLD_{name}": value for name, value in given.items()})


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for inner in cast("list[Any]", node):
            yield from _references(inner)
    elif isinstance(node, dict):
        for key, inner in cast("dict[str, Any]", node).items():
            yield from [inner] if key == "$ref" else _references(inner)
