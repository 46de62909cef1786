"""The client turns what is answered into typed outcomes, and what goes wrong into one tree of errors."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.port import Answer, Endpoint, Request, Service
from fleetfold_client import Fleet, FleetError, NoAnswerError, RejectedError, ServiceError
from fleetfold_contracts import codec
from fleetfold_contracts.answers import Failure, FailureAnswer
from fleetfold_contracts.commands import Distribute, Place, Release
from fleetfold_contracts.events import CommandRejected, Event, NodeLeft, PlacementRefused, PlacementReleased
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Shard, Workload

SUBJECTS = Subjects()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOAD = Workload(workload_id="llama", shards=(Shard(memory_bytes=1),))


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    yield bus
    await bus.close()


def service(verb: str, handler: Callable[[Request], Awaitable[Answer]]) -> Service:
    return Service("test", "1.0.0", "answers", [Endpoint(verb, SUBJECTS.api(verb), handler)])


def says(payload: bytes) -> Callable[[Request], Awaitable[Answer]]:
    async def handler(_: Request) -> Answer:
        return Answer(payload)

    return handler


def outcome(event: Event) -> bytes:
    return codec.encode_event(event, id="outcome", source="test", time=NOW)


def failure(code: str, message: str, field: str | None = None) -> bytes:
    return codec.encode(FailureAnswer(error=Failure(code=code, message=message, field=field)))


async def test_a_refusal_is_an_outcome(bus: MemoryBus) -> None:
    refused = PlacementRefused(workload=WORKLOAD, summary="no room")
    async with bus.serve(service("place", says(outcome(refused)))):
        assert await Fleet(bus).place(WORKLOAD) == refused


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (failure("400", "too small", "$.workload"), RejectedError, "$.workload: too small"),
        (failure("408", "no outcome yet"), NoAnswerError, "no outcome yet"),
        (failure("503", "the server is away"), NoAnswerError, "the server is away"),
        (failure("500", "it broke"), ServiceError, "it broke"),
        (outcome(CommandRejected(verb="place", reason="too small", field="$.workload")), RejectedError, "too small"),
        (outcome(NodeLeft(node_id="n", boot_id="b")), ServiceError, "NodeLeft is no outcome"),
        (b"not json", ServiceError, "cannot be read"),
        (b"{}", ServiceError, "cannot be read"),
    ],
)
async def test_what_is_no_outcome_is_an_error_of_the_tree(
    bus: MemoryBus, answer: bytes, error: type[FleetError], said: str
) -> None:
    async with bus.serve(service("place", says(answer))):
        with pytest.raises(error) as raised:
            await Fleet(bus).place(WORKLOAD)
    assert said in str(raised.value)


async def test_a_rejection_names_the_field(bus: MemoryBus) -> None:
    async with bus.serve(service("place", says(failure("400", "too small", "$.workload.shards[0]")))):
        with pytest.raises(RejectedError) as raised:
            await Fleet(bus).place(WORKLOAD)
    assert raised.value.field == "$.workload.shards[0]"


async def test_whoever_hears_no_outcome_can_ask_again_for_the_same_command(bus: MemoryBus) -> None:
    fleet = Fleet(bus)
    with pytest.raises(NoAnswerError) as raised:
        await fleet.release("llama")
    asked: list[str | None] = []

    async def handler(request: Request) -> Answer:
        asked.append(codec.decode(request.payload, Release).command_id)
        return Answer(outcome(PlacementReleased(pool="default", workload_id="llama")))

    async with bus.serve(service("release", handler)):
        await fleet.release("llama", command_id=raised.value.command_id)
    assert asked == [raised.value.command_id]
    assert raised.value.command_id


async def test_each_command_has_an_id_of_its_own(bus: MemoryBus) -> None:
    asked: list[str | None] = []

    async def handler(request: Request) -> Answer:
        asked.append(codec.decode(request.payload, Place).command_id)
        return Answer(outcome(PlacementRefused(workload=WORKLOAD, summary="no room")))

    async with bus.serve(service("place", handler)):
        await Fleet(bus).place(WORKLOAD)
        await Fleet(bus).place(WORKLOAD)
    assert len(set(asked)) == 2


@pytest.mark.parametrize(("items", "count", "bodies"), [(3, 3, 0), (["a", {"b": None}], 0, 2)])
async def test_items_are_counted_or_carried(bus: MemoryBus, items: list[object] | int, count: int, bodies: int) -> None:
    asked: list[Distribute] = []

    async def handler(request: Request) -> Answer:
        asked.append(codec.decode(request.payload, Distribute))
        return Answer(failure("400", "enough seen"))

    async with bus.serve(service("distribute", handler)):
        with pytest.raises(RejectedError):
            await Fleet(bus).distribute(items)
    assert [(command.count, len(command.items)) for command in asked] == [(count, bodies)]


async def test_watching_begins_now_and_goes_past_what_it_cannot_read(bus: MemoryBus) -> None:
    async def append(payload: bytes, message_id: str) -> None:
        await bus.append(SUBJECTS.all_events.replace(">", "work.test"), payload, message_id=message_id)

    fleet = Fleet(bus)
    await append(outcome(NodeLeft(node_id="old", boot_id="b")), "before")
    start = await fleet.position()
    await append(b"no envelope at all", "broken")
    newer = outcome(NodeLeft(node_id="n", boot_id="b")).replace(b"fleet.node.left.v1", b"fleet.node.left.v9")
    await append(newer, "newer")
    await append(outcome(NodeLeft(node_id="new", boot_id="b")), "after")

    seen: list[tuple[str, Event | None]] = []
    async with aclosing(fleet.watch(start)) as happenings:
        async for happened in happenings:
            seen.append((happened.envelope.type, happened.event))
            if len(seen) == 2:
                break
    assert seen == [
        ("fleet.node.left.v9", None),
        ("fleet.node.left.v1", NodeLeft(node_id="new", boot_id="b")),
    ]
