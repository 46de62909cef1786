"""Answering questions as a NATS micro service: `nats micro ls`, `info` and `stats` know it.

The client's own micro service runs the handlers of an endpoint one after another, cuts off those under way when it
stops, and counts no error that is answered. So only its words are used here: the subjects and the shapes.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.micro.request import ERROR_CODE_HEADER, ERROR_HEADER
from nats.micro.service import (
    DEFAULT_QUEUE_GROUP,
    EndpointInfo,
    EndpointStats,
    ServiceInfo,
    ServicePing,
    ServiceStats,
    ServiceVerb,
    control_subject,
)

from fleetfold_bus.answering import answer_of, failure
from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import Answer, Endpoint, Request, Service, TooLargeError, UnreachableError

HANDLERS_AT_ONCE = 256
FINISH_WITHIN_S = 30.0

_log = logging.getLogger(__name__)


class MicroService:
    """One instance of a service."""

    def __init__(self, link: Link, service: Service) -> None:
        self._link = link
        self._service = service
        self._id = secrets.token_hex(8)
        self._started = datetime.now(UTC)
        self._slots = asyncio.Semaphore(HANDLERS_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._stats = [_no_requests_yet(endpoint) for endpoint in service.endpoints]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None, None]:
        """Answer questions until the block ends; those that have arrived by then are answered first."""
        endpoints: list[Subscription] = []
        controls: list[Subscription] = []
        try:
            for endpoint, stats in zip(self._service.endpoints, self._stats, strict=True):
                endpoints.append(await self._listen(endpoint, stats))
            for verb, document in self._documents().items():
                controls.extend(await self._listen_for(verb, document))
            await self._link.flush()
            yield
        finally:
            await asyncio.gather(*(self._link.retire(endpoint, FINISH_WITHIN_S) for endpoint in endpoints))
            await self._finish()
            for control in controls:
                await self._link.drop(control)

    async def _finish(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=FINISH_WITHIN_S)
            for task in late:
                task.cancel()

    async def _listen(self, endpoint: Endpoint, stats: EndpointStats) -> Subscription:
        async def on_request(message: Msg) -> None:
            if message.reply:
                await self._slots.acquire()
                task = asyncio.create_task(self._answer(endpoint, stats, message))
                self._under_way.add(task)
                task.add_done_callback(self._ended)

        return await self._link.subscribe(endpoint.subject, on_request, queue=DEFAULT_QUEUE_GROUP)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()

    async def _answer(self, endpoint: Endpoint, stats: EndpointStats, message: Msg) -> None:
        began_ns = time.perf_counter_ns()
        request = Request(message.subject, message.data, message.headers or {})
        answer = await answer_of(endpoint.handler, request)
        answer = await self._respond(message.reply, answer)
        _count(stats, answer, time.perf_counter_ns() - began_ns)

    async def _respond(self, reply: str, answer: Answer) -> Answer:
        """What was answered in the end."""
        try:
            await self._link.send(reply, answer.payload, headers=_error_headers(answer))
        except TooLargeError as error:
            return await self._respond(reply, failure(f"the answer is too large: {error}"))
        except UnreachableError as error:
            _log.info("an answer of %s could not be sent: %s", self._service.name, error)
        return answer

    async def _listen_for(self, verb: ServiceVerb, document: Callable[[], dict[str, Any]]) -> list[Subscription]:
        async def on_question(message: Msg) -> None:
            with suppress(UnreachableError):
                if message.reply:
                    await self._link.send(message.reply, msgspec.json.encode(document()))

        name = self._service.name
        subjects = (control_subject(verb), control_subject(verb, name), control_subject(verb, name, self._id))
        return [await self._link.subscribe(subject, on_question) for subject in subjects]

    def _documents(self) -> dict[ServiceVerb, Callable[[], dict[str, Any]]]:
        name, version = self._service.name, self._service.version
        ping = ServicePing(id=self._id, name=name, version=version)
        info = ServiceInfo(
            id=self._id,
            name=name,
            version=version,
            description=self._service.description,
            endpoints=[_info(endpoint) for endpoint in self._service.endpoints],
        )
        stats = ServiceStats(id=self._id, name=name, version=version, started=self._started, endpoints=self._stats)
        return {ServiceVerb.PING: ping.to_dict, ServiceVerb.INFO: info.to_dict, ServiceVerb.STATS: stats.to_dict}


def _info(endpoint: Endpoint) -> EndpointInfo:
    return EndpointInfo(
        name=endpoint.name,
        subject=endpoint.subject,
        queue_group=DEFAULT_QUEUE_GROUP,
        metadata=dict(endpoint.metadata),
    )


def _no_requests_yet(endpoint: Endpoint) -> EndpointStats:
    return EndpointStats(
        name=endpoint.name,
        subject=endpoint.subject,
        queue_group=DEFAULT_QUEUE_GROUP,
        num_requests=0,
        num_errors=0,
        processing_time=0,
        average_processing_time=0,
    )


def _count(stats: EndpointStats, answer: Answer, took_ns: int) -> None:
    stats.num_requests += 1
    stats.processing_time += took_ns
    stats.average_processing_time = stats.processing_time // stats.num_requests
    if answer.error_code is not None:
        stats.num_errors += 1
        stats.last_error = f"{answer.error_code}:{answer.error_message}"


def _error_headers(answer: Answer) -> dict[str, str] | None:
    if answer.error_code is None:
        return None
    return {ERROR_HEADER: answer.error_message, ERROR_CODE_HEADER: answer.error_code}
