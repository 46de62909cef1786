"""Durable queues: each message is handed to one puller, and comes again unless it is settled in time."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
from nats.aio.msg import Msg

from fleetfold_bus.nats._api import NANOSECONDS, ConsumerConfig, JetStreamApi
from fleetfold_bus.nats._feed import Feed, marks, restored
from fleetfold_bus.nats._link import Link
from fleetfold_bus.nats._replies import NobodyListensError, NoReplyError, Replies
from fleetfold_bus.port import Queue, Record, UnreachableError

RETRY_S = 0.2
CONFIRM_WITHIN_S = 10.0
ANSWER_WITHIN_S = 3.0

FRESH_SHARE = 0.25
TIME_ALLOWED_SHARE = 0.75

_DONE = b"+ACK"
_AGAIN = b"-NAK"
_WORKING = b"+WPI"


class NatsDelivery:
    """See `Delivery` of the port."""

    def __init__(self, link: Link, replies: Replies, message: Msg) -> None:
        self._link = link
        self._replies = replies
        self._settle_subject = message.reply
        read = marks(message.reply)
        time = datetime.fromtimestamp(read.time_ns / NANOSECONDS, UTC)
        self._record = Record(message.subject, read.sequence, time, message.data, message.headers or {})
        self._attempt = read.attempt

    @property
    def record(self) -> Record:
        """The message."""
        return self._record

    @property
    def attempt(self) -> int:
        """How often it has been handed out, this time included."""
        return self._attempt

    async def done(self) -> None:
        """Never hand it out again. Survives an outage of some seconds.

        A server that was killed may have forgotten that it handed the message out. It says nothing to our word then,
        and hands the message out anew: to insist would be to wait for ever.

        Raises:
            UnreachableError: the server did not confirm it: it comes again. Pull on.
        """
        try:
            async with asyncio.timeout(CONFIRM_WITHIN_S):
                while not await self._is_confirmed():
                    await asyncio.sleep(RETRY_S)
                    await self._link.up()
        except (NoReplyError, TimeoutError):
            raise UnreachableError(f"message {self._record.sequence} is done, but the server did not confirm") from None

    async def again(self, delay_s: float = 0.0) -> None:
        """Hand it out again. Nothing is said to a server that is away: then it comes again by itself."""
        delay_ns = math.ceil(delay_s * NANOSECONDS)
        body = _AGAIN + b" " + msgspec.json.encode({"delay": delay_ns}) if delay_ns > 0 else _AGAIN
        with suppress(UnreachableError):
            await self._link.send(self._settle_subject, body)

    async def working(self) -> None:
        """The time allowed starts anew.

        Raises:
            UnreachableError: no server.
        """
        await self._link.send(self._settle_subject, _WORKING)

    async def _is_confirmed(self) -> bool:
        try:
            await self._replies.ask(self._settle_subject, _DONE, timeout_s=ANSWER_WITHIN_S)
        except (NobodyListensError, UnreachableError):
            return False
        return True


class Puller:
    """One who pulls from a queue. At most `batch` messages wait here."""

    def __init__(self, link: Link, api: JetStreamApi, replies: Replies, queue: Queue, batch: int) -> None:
        self._link = link
        self._api = api
        self._replies = replies
        self._queue = queue
        self._batch = batch

    def deliveries(self) -> AsyncGenerator[NatsDelivery, None]:
        """See the port."""
        return restored(self._link, f"pulling from {self._queue.name}", self._deliveries_of_one_feed)

    async def _deliveries_of_one_feed(self) -> AsyncGenerator[NatsDelivery, None]:
        await self._api.create_consumer(self._queue.stream, _consumer_config(self._queue))
        feed = Feed(self._link, self._queue.stream, self._queue.name, window=self._batch, chunk=self._batch)
        waiting: deque[NatsDelivery] = deque()
        try:
            await feed.open()
            while True:
                waiting.extend(self._delivery(message) for message in await feed.take())
                arrived_at_s = feed.taken_arrived_at_s
                while waiting:
                    delivery = waiting.popleft()
                    if await self._is_still_ours(delivery, arrived_at_s):
                        yield delivery
        finally:
            waiting.extend(self._delivery(message) for message in await feed.close())
            for delivery in waiting:
                await delivery.again()

    def _delivery(self, message: Msg) -> NatsDelivery:
        return NatsDelivery(self._link, self._replies, message)

    async def _is_still_ours(self, delivery: NatsDelivery, arrived_at_s: float) -> bool:
        """The time allowed runs while a message waits here. It starts anew for the caller; past it, another has it.

        The server's time began before ours, when it sent the message: so a quarter of it is not counted upon.
        """
        waited_share = (asyncio.get_running_loop().time() - arrived_at_s) / self._queue.settle_within_s
        if waited_share > TIME_ALLOWED_SHARE:
            return False
        if waited_share > FRESH_SHARE:
            await delivery.working()
        return True


def _consumer_config(queue: Queue) -> ConsumerConfig:
    only_filter = queue.filters[0] if len(queue.filters) == 1 else None
    return ConsumerConfig(
        name=queue.name,
        durable_name=queue.name,
        ack_policy="explicit",
        ack_wait=int(queue.settle_within_s * NANOSECONDS),
        max_ack_pending=queue.max_unsettled,
        filter_subject=only_filter,
        filter_subjects=() if only_filter else queue.filters,
    )
