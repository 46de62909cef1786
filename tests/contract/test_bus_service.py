"""What every bus promises of its services: who asks gets an answer, or is told that there is none."""

import asyncio
import logging

import pytest

from fleetfold_bus.port import Answer, Bus, Endpoint, Handler, NoAnswerError, Request, Service
from fleetfold_contracts.answers import FailureAnswer
from fleetfold_contracts.codec import decode
from fleetfold_contracts.subjects import Subjects
from tests.contract.conftest import Connect


def service(subjects: Subjects, handler: Handler, verb: str = "echo") -> Service:
    endpoint = Endpoint(name=verb, subject=subjects.api(verb), handler=handler, metadata={"schema": "{}"})
    return Service(name=f"service-{subjects.root}", version="1.2.3", description="For tests", endpoints=(endpoint,))


async def echo(request: Request) -> Answer:
    return Answer(request.payload)


async def test_a_question_is_answered(bus: Bus, subjects: Subjects) -> None:
    asked: list[Request] = []

    async def answer(request: Request) -> Answer:
        asked.append(request)
        return Answer(b"answer to " + request.payload)

    async with bus.serve(service(subjects, answer)):
        got = await bus.ask(subjects.api("echo"), b"question", headers={"Content-Type": "text/plain"})

    assert got == b"answer to question"
    (request,) = asked
    assert (request.subject, request.payload) == (subjects.api("echo"), b"question")
    assert request.headers["Content-Type"] == "text/plain"


async def test_where_nobody_serves_the_asker_is_told_at_once(bus: Bus, subjects: Subjects) -> None:
    with pytest.raises(NoAnswerError):
        async with asyncio.timeout(2):
            await bus.ask(subjects.api("echo"), b"", timeout_s=30)


async def test_nobody_answers_once_the_block_has_ended(bus: Bus, subjects: Subjects) -> None:
    async with bus.serve(service(subjects, echo)):
        assert await bus.ask(subjects.api("echo"), b"1") == b"1"
    with pytest.raises(NoAnswerError):
        await bus.ask(subjects.api("echo"), b"2")


async def test_an_asker_waits_no_longer_than_it_says(bus: Bus, subjects: Subjects) -> None:
    asked_too_long = asyncio.Event()

    async def wait(_: Request) -> Answer:
        await asked_too_long.wait()
        return Answer(b"late")

    async with bus.serve(service(subjects, wait)):
        with pytest.raises(NoAnswerError):
            async with asyncio.timeout(5):
                await bus.ask(subjects.api("echo"), b"", timeout_s=0.2)
        asked_too_long.set()


async def test_handlers_run_side_by_side(bus: Bus, subjects: Subjects) -> None:
    all_there = asyncio.Barrier(20)

    async def meet_the_others(request: Request) -> Answer:
        await all_there.wait()
        return Answer(request.payload)

    async with bus.serve(service(subjects, meet_the_others)), asyncio.timeout(10):
        answers = await asyncio.gather(*(bus.ask(subjects.api("echo"), b"%d" % number) for number in range(20)))
    assert answers == [b"%d" % number for number in range(20)]


async def test_those_under_way_are_finished_first(bus: Bus, subjects: Subjects) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def answer_later(_: Request) -> Answer:
        begun.set()
        await may_end.wait()
        return Answer(b"in the end")

    async with asyncio.timeout(10):
        async with bus.serve(service(subjects, answer_later)):
            asking = asyncio.create_task(bus.ask(subjects.api("echo"), b""))
            await begun.wait()
            asyncio.get_running_loop().call_later(0.1, may_end.set)
        assert may_end.is_set()
        assert await asking == b"in the end"


async def test_the_body_of_an_error_reaches_the_asker(bus: Bus, subjects: Subjects) -> None:
    async def refuse(_: Request) -> Answer:
        return Answer(b'{"error":{"code":"404","message":"no such thing"}}', "404", "no such thing")

    async with bus.serve(service(subjects, refuse)):
        failure = decode(await bus.ask(subjects.api("echo"), b""), FailureAnswer).error
    assert (failure.code, failure.message) == ("404", "no such thing")


async def test_a_handler_that_fails_answers_without_details(
    bus: Bus, subjects: Subjects, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Request) -> Answer:
        raise RuntimeError("the secret reason")

    with caplog.at_level(logging.ERROR):
        async with bus.serve(service(subjects, fail)):
            body = await bus.ask(subjects.api("echo"), b"")
    assert body == b'{"error":{"code":"500","message":"internal error"}}'
    assert "the secret reason" in caplog.text


async def test_services_of_one_name_share_the_questions(connect: Connect, bus: Bus, subjects: Subjects) -> None:
    answered_by: list[int] = []

    def instance(number: int) -> Service:
        async def answer(_: Request) -> Answer:
            answered_by.append(number)
            return Answer(b"")

        return service(subjects, answer)

    other = await connect()
    async with bus.serve(instance(0)), other.serve(instance(1)):
        for _ in range(60):
            await bus.ask(subjects.api("echo"), b"")
    assert len(answered_by) == 60
    assert set(answered_by) == {0, 1}
