"""The loop that takes commands: each gets one outcome, whatever goes wrong with it or with the one before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from fleetfold_bus import port
from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.commands import CommandDoor, CommandLoop, command_id_of
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.stopping import background

SUBJECTS = Subjects("t")


class Service:
    """A service that does nothing but what a test tells it to do with a command."""

    def __init__(self) -> None:
        self.bus = MemoryBus(MemoryBroker(), SUBJECTS)
        self.live = LiveState(self.bus, SUBJECTS, SystemClock(), with_samples=False)
        self.loop = CommandLoop(self.bus, SUBJECTS, SystemClock(), self.live, name="test", verbs=("cordon", "release"))
        self.faulty: Exception = RuntimeError("a fault of ours")
        self.failures_left = 0

    async def bring_about(self, command: cmd.Command, command_id: str, _: port.Delivery) -> None:
        """A cordon is done; a release of `broken` fails as often as it was told to."""
        if isinstance(command, cmd.Release):
            if self.failures_left:
                self.failures_left -= 1
                raise self.faulty
            raise codec.ContractError("is not placed", "$.workload_id")
        assert isinstance(command, cmd.Cordon)
        assert command.device_id is not None
        await self.loop.append_outcome(evt.DeviceCordoned(pool="default", device_id=command.device_id), command_id)

    async def send(self, verb: str, payload: bytes, name: str) -> None:
        """Publish a command durably."""
        await self.bus.append(SUBJECTS.command(verb), payload, message_id=name)

    async def outcomes(self, *names: str) -> dict[str, list[evt.Event]]:
        """The outcomes of commands, once each has one."""
        found: dict[str, list[evt.Event]] = {name: [] for name in names}
        async with asyncio.timeout(20), aclosing(self.bus.read(SUBJECTS.stream(EVENTS))) as batches:
            async for records in batches:
                for envelope in (codec.decode_envelope(record.payload) for record in records):
                    found.setdefault(envelope.cause or "", []).append(codec.decode_event(envelope))
                if all(found[name] for name in names):
                    break
        return found


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    await service.bus.ensure_streams()
    stop = asyncio.Event()
    async with (
        service.live.following(stop),
        background(service.loop.run(stop, (SUBJECTS.all_commands,), service.bring_about)),
    ):
        yield service


CORDON = codec.encode(cmd.Cordon(device_id="d1"))
RELEASE = codec.encode(cmd.Release(workload_id="broken"))


async def test_a_command_with_a_fault_of_ours_is_told_as_such_and_holds_up_nobody(service: Service) -> None:
    service.failures_left = 1000
    await service.send("release", RELEASE, "broken")
    await service.send("cordon", CORDON, "good")

    outcomes = await service.outcomes("good", "broken")

    assert [type(event) for event in outcomes["good"]] == [evt.DeviceCordoned]
    (rejected,) = outcomes["broken"]
    assert isinstance(rejected, evt.CommandRejected)
    assert "fault of ours" in rejected.reason


async def test_a_passing_fault_is_got_over(service: Service) -> None:
    service.failures_left = 2
    await service.send("release", RELEASE, "shaky")

    (rejected,) = (await service.outcomes("shaky"))["shaky"]

    assert isinstance(rejected, evt.CommandRejected)
    assert rejected.field == "$.workload_id"


async def test_an_outcome_that_is_too_large_is_said_to_be(service: Service) -> None:
    service.failures_left = 1
    service.faulty = port.TooLargeError("2000000 bytes are too many")
    await service.send("release", RELEASE, "huge")

    (rejected,) = (await service.outcomes("huge"))["huge"]

    assert isinstance(rejected, evt.CommandRejected)
    assert "too large" in rejected.reason


async def test_a_verb_of_another_service_is_left_to_it_and_an_unknown_one_is_rejected(service: Service) -> None:
    await service.send("distribute", b'{"count": 1}', "others")
    await service.send("fly", b"{}", "unknown")
    await service.send("cordon", CORDON, "ours")

    outcomes = await service.outcomes("unknown", "ours")

    assert "others" not in outcomes
    assert isinstance(outcomes["unknown"][0], evt.CommandRejected)


async def test_the_waiting_door_answers_with_the_outcome_and_again_with_the_same(service: Service) -> None:
    door = CommandDoor(service.bus, SUBJECTS, service.live, asyncio.Event())
    request = codec.encode(cmd.Cordon(device_id="d1", command_id="once"))
    async with service.bus.serve(port.Service("test", "0.1.0", "A door", door.endpoints(["cordon"]))):
        first = await service.bus.ask(SUBJECTS.api("cordon"), request)
        second = await service.bus.ask(SUBJECTS.api("cordon"), request)

    assert codec.decode_envelope(first).cause == "once"
    assert first == second
    assert len((await service.outcomes("once"))["once"]) == 1


def test_a_command_is_known_by_its_id_its_message_or_its_place() -> None:
    def record(**headers: str) -> port.Record:
        return port.Record("t.cmd.place", 7, datetime(2026, 1, 1, tzinfo=UTC), b"", headers)

    by_header = {header: command_id_of(record(**{"Nats-Msg-Id": header}), None) for header in ("a-b", "a.b", "!!!")}
    assert command_id_of(record(), "mine") == "mine"
    assert by_header["a-b"] == "a-b"
    assert len({*by_header.values(), command_id_of(record(), None)}) == 4
