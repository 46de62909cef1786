"""What the bus promises of a NATS server alone: its settings, its limits, its permissions, its tools."""

import asyncio
import logging
import re
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import (
    Answer,
    BusError,
    Endpoint,
    Queue,
    Request,
    Service,
    StreamMismatchError,
    TooLargeError,
    UnreachableError,
)
from fleetfold_bus.streams import COMMANDS, EVENTS, SAMPLES, WORK
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.codec import decode
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import append_many, taken
from tests.support.needed import program
from tests.support.waiting import eventually

MAX_PAYLOAD_BYTES = 1024 * 1024
READ_AHEAD = 3000
PASSWORD = "very-secret"

WITH_ACCOUNTS = f"""
accounts {{
  FLEET {{
    jetstream: enabled
    users: [
      {{ user: admin, password: {PASSWORD} }}
      {{ user: agent, password: {PASSWORD}, permissions: {{
        publish: ["*.evt.node.n1.>", "$JS.API.STREAM.INFO.>"]
        subscribe: ["_INBOX_agent.>"]
      }} }}
    ]
  }}
  BARE {{ users: [{{ user: bare, password: {PASSWORD} }}] }}
}}
"""


@asynccontextmanager
async def connected(url: str, subjects: Subjects, name: str = "test") -> AsyncGenerator[NatsBus, None]:
    bus = await NatsBus.connect(url, subjects=subjects, name=name, wait_s=5)
    try:
        yield bus
    finally:
        await bus.close()


@pytest.fixture
async def bus(shared_nats_url: str, subjects: Subjects) -> AsyncIterator[NatsBus]:
    async with connected(shared_nats_url, subjects) as bus:
        yield bus


@pytest.fixture
def server_with_accounts(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "nats", extra_config=WITH_ACCOUNTS) as server:
        yield server


def url_of(server: NatsServer, user: str) -> str:
    return server.url.replace("nats://", f"nats://{user}:{PASSWORD}@")


async def nats_says(url: str, *arguments: str) -> str:
    """What the command line of NATS prints."""
    nats_cli = program("nats", also_in=Path.home() / "go/bin")
    process = await asyncio.create_subprocess_exec(
        nats_cli, "--server", url, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()


async def make_stream(bus: NatsBus, name: str, **settings: object) -> None:
    await bus.ask(f"$JS.API.STREAM.CREATE.{name}", msgspec.json.encode({"name": name, **settings}))


async def test_a_stream_with_other_settings_is_named_with_what_to_do(
    bus: NatsBus, subjects: Subjects, shared_nats_url: str
) -> None:
    name = subjects.stream(COMMANDS)
    await make_stream(bus, name, subjects=[subjects.command("place")], max_age=3600 * 10**9)
    with pytest.raises(StreamMismatchError) as caught:
        await bus.ensure_streams()
    message = str(caught.value)
    assert name in message
    assert f"subjects is {subjects.command('place')}, declared is {subjects.all_commands}" in message
    assert "max_age is 3600s, declared is 604800s" in message

    for fix in re.findall(r"`nats (stream edit [^`]+)`", message):
        await nats_says(shared_nats_url, *fix.split(), "--force")
    await bus.ensure_streams()


async def test_a_stream_that_keeps_otherwise_cannot_be_mended(bus: NatsBus, subjects: Subjects) -> None:
    name = subjects.stream(WORK)
    await make_stream(bus, name, subjects=[subjects.all_work], duplicate_window=86_400 * 10**9)
    with pytest.raises(
        StreamMismatchError, match=rf"retention is limits, declared is workqueue.*nats stream rm {name}"
    ):
        await bus.ensure_streams()


async def test_samples_are_kept_for_an_hour_and_events_for_ever(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()

    class Config(msgspec.Struct):
        max_age: int
        retention: str

    class Info(msgspec.Struct):
        config: Config

    async def config(stream: str) -> Config:
        return decode(await bus.ask(f"$JS.API.STREAM.INFO.{subjects.stream(stream)}", b""), Info).config

    assert (await config(SAMPLES)).max_age == 3600 * 10**9
    assert (await config(EVENTS)).max_age == 0
    assert (await config(WORK)).retention == "workqueue"


async def test_without_jetstream_it_says_so_at_once(server_with_accounts: NatsServer, subjects: Subjects) -> None:
    async with connected(url_of(server_with_accounts, "bare"), subjects) as bus, asyncio.timeout(2):
        with pytest.raises(BusError, match="JetStream is off"):
            await bus.ensure_streams()


async def test_headers_count_for_the_size(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    subject = subjects.command("place")
    room_bytes = MAX_PAYLOAD_BYTES - len("NATS/1.0\r\nNats-Msg-Id: largest\r\n\r\n")
    assert (await bus.append(subject, bytes(room_bytes), message_id="largest")).sequence == 1
    with pytest.raises(TooLargeError):
        await bus.append(subject, bytes(room_bytes + 1), message_id="largest")
    assert (await bus.append(subject, b"", message_id="small")).sequence == 2


async def test_large_records_are_read_within_the_limits_of_a_request(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    for number in range(60):
        await bus.append(subjects.command("place"), bytes(500_000), message_id=str(number))
    sizes: list[int] = []
    async with asyncio.timeout(20), aclosing(bus.read(subjects.stream(COMMANDS))) as lists:
        async for records in lists:
            sizes += [len(record.payload) for record in records]
            if not records:
                break
    assert sizes == [500_000] * 60


async def test_what_is_not_permitted_fails_at_once_and_the_rest_goes_on(
    server_with_accounts: NatsServer, subjects: Subjects, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(url_of(server_with_accounts, "admin"), subjects) as admin:
        await admin.ensure_streams()
    async with connected(url_of(server_with_accounts, "agent"), subjects, name="agent") as agent, asyncio.timeout(3):
        refused = f"{subjects.root}.evt.node.n2.Node.joined"
        with pytest.raises(BusError, match=f"does not permit to publish to {refused}"):
            await agent.append(refused, b"", message_id="1")
        assert refused.lower() in caplog.text
        assert (await agent.append(f"{subjects.root}.evt.node.n1.joined", b"", message_id="2")).sequence == 1


async def test_a_stream_that_became_shorter_is_not_read_on(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    name = subjects.stream(COMMANDS)
    await append_many(bus, subjects.command("place"), 5)
    with pytest.raises(BusError, match=rf"the stream {name} ends at 5, but 7 has been read"):
        await anext(bus.read(name, after=7))


async def test_where_no_server_answers_the_address_is_named_without_the_password(
    subjects: Subjects, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with asyncio.timeout(3):
        with pytest.raises(UnreachableError) as caught:
            await NatsBus.connect(f"nats://me:{PASSWORD}@127.0.0.1:1", subjects=subjects, name="test", wait_s=0)
    assert "127.0.0.1:1" in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text


async def test_a_wrong_password_is_told(server_with_accounts: NatsServer, subjects: Subjects) -> None:
    url = server_with_accounts.url.replace("nats://", "nats://admin:wrong@")
    with pytest.raises(UnreachableError, match="Authorization Violation"):
        await NatsBus.connect(url, subjects=subjects, name="test", wait_s=0)


async def test_the_first_of_several_servers_that_answers_is_taken(shared_nats_url: str, subjects: Subjects) -> None:
    async with connected(f"nats://127.0.0.1:1, {shared_nats_url}", subjects) as bus:
        assert bus.connected


async def test_queues_of_one_device_that_overlap_are_refused(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    stream = subjects.stream(WORK)
    one, other = (Queue(stream=stream, name=name, filters=(subjects.work("gpu-0"),)) for name in ("one", "other"))
    await bus.append(subjects.work("gpu-0"), b"", message_id="1")
    async with aclosing(bus.pull(one)) as pulling:
        await taken(pulling, 1)
        with pytest.raises(BusError, match="not unique"):
            await anext(bus.pull(other))


class ShownEndpoint(msgspec.Struct):
    name: str
    subject: str
    metadata: dict[str, str] = {}
    num_requests: int = 0
    num_errors: int = 0
    processing_time: int = 0
    last_error: str = ""


class Shown(msgspec.Struct):
    name: str
    version: str
    description: str = ""
    endpoints: list[ShownEndpoint] = []


def micro_service(subjects: Subjects) -> Service:
    async def handler(request: Request) -> Answer:
        if request.payload == b"refuse":
            return Answer(b'{"error":{}}', "409", "refused")
        if request.payload == b"fail":
            raise RuntimeError("the secret reason")
        return Answer(bytes(2 * MAX_PAYLOAD_BYTES) if request.payload == b"much" else b"answer")

    endpoint = Endpoint("place", subjects.api("place"), handler, {"schema": '{"type":"object"}'})
    return Service(f"solver-{subjects.root}", "1.2.3", "Places workloads", (endpoint,))


async def shown(bus: NatsBus, verb: str, service: Service) -> Shown:
    return decode(await bus.ask(f"$SRV.{verb}.{service.name}", b""), Shown)


async def test_a_service_is_found_with_its_endpoints_and_their_metadata(bus: NatsBus, subjects: Subjects) -> None:
    service = micro_service(subjects)
    async with bus.serve(service):
        ping = await shown(bus, "PING", service)
        info = await shown(bus, "INFO", service)
    assert (ping.name, ping.version) == (service.name, "1.2.3")
    assert info.description == "Places workloads"
    (endpoint,) = info.endpoints
    assert (endpoint.name, endpoint.subject) == ("place", subjects.api("place"))
    assert endpoint.metadata == {"schema": '{"type":"object"}'}


async def test_requests_and_errors_are_counted(bus: NatsBus, subjects: Subjects) -> None:
    service = micro_service(subjects)
    async with bus.serve(service):
        for question in (b"ask", b"refuse", b"much", b"fail"):
            await bus.ask(subjects.api("place"), question)
        (endpoint,) = (await shown(bus, "STATS", service)).endpoints
    assert (endpoint.num_requests, endpoint.num_errors) == (4, 3)
    assert endpoint.last_error == "500:internal error"
    assert endpoint.processing_time > 0


async def test_a_message_that_wants_no_reply_is_ignored(bus: NatsBus, subjects: Subjects) -> None:
    service = micro_service(subjects)
    async with bus.serve(service):
        await bus.publish(subjects.api("place"), b"fail")
        await bus.ask(subjects.api("place"), b"ask")
        (endpoint,) = (await shown(bus, "STATS", service)).endpoints
    assert (endpoint.num_requests, endpoint.num_errors) == (1, 0)


async def test_an_error_shows_in_the_headers_too(bus: NatsBus, subjects: Subjects, shared_nats_url: str) -> None:
    client = Client()
    await client.connect(shared_nats_url)
    async with bus.serve(micro_service(subjects)):
        refused = await client.request(subjects.api("place"), b"refuse", timeout=5)
        too_much = await client.request(subjects.api("place"), b"much", timeout=5)
    await client.close()
    assert refused.headers == {"Nats-Service-Error": "refused", "Nats-Service-Error-Code": "409"}
    assert too_much.headers is not None
    assert too_much.headers["Nats-Service-Error-Code"] == "500"
    assert b"the answer is too large" in too_much.data


async def test_the_tools_of_nats_show_the_service(bus: NatsBus, subjects: Subjects, shared_nats_url: str) -> None:
    service = micro_service(subjects)
    async with bus.serve(service):
        assert service.name in await nats_says(shared_nats_url, "micro", "ls")
        assert '{"type":"object"}' in await nats_says(shared_nats_url, "micro", "info", service.name)
        assert "answer" in await nats_says(shared_nats_url, "request", subjects.api("place"), "ask")
        assert "place" in await nats_says(shared_nats_url, "micro", "stats", service.name)


async def test_what_waited_too_long_in_the_bus_is_left_to_who_has_it_now(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    queue = Queue(subjects.stream(COMMANDS), "slow", (subjects.all_commands,), settle_within_s=1.0)
    await append_many(bus, subjects.command("place"), 2)
    async with aclosing(bus.pull(queue, batch=2)) as slow, aclosing(bus.pull(queue, batch=1)) as other:
        (first,) = await taken(slow, 1)
        await first.done()
        (second,) = await taken(other, 1)
        assert second.attempt > 1
        await second.done()
        await bus.append(subjects.command("place"), b"new", message_id="new")
        (following,) = await taken(slow, 1)
    assert following.record.payload == b"new"


class Position(msgspec.Struct):
    stream_seq: int


class Consumer(msgspec.Struct):
    delivered: Position
    num_waiting: int


class Consumers(msgspec.Struct):
    consumers: list[Consumer]


async def test_a_reader_that_is_slow_is_not_flooded(bus: NatsBus, subjects: Subjects) -> None:
    await bus.ensure_streams()
    stream = subjects.stream(COMMANDS)
    await append_many(bus, subjects.command("place"), 10_000)

    async def consumer() -> Consumer:
        return decode(await bus.ask(f"$JS.API.CONSUMER.LIST.{stream}", b""), Consumers).consumers[0]

    async def all_was_sent_that_was_asked_for() -> bool:
        return (await consumer()).num_waiting == 0

    async with aclosing(bus.read(stream)) as lists:
        (first,) = await taken(lists, 1)
        await eventually(all_was_sent_that_was_asked_for)
        assert (await consumer()).delivered.stream_seq <= first[-1].sequence + READ_AHEAD
