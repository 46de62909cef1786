"""Reading a stream: every record behind a position, in order, without a gap and without a double."""

import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from nats.aio.msg import Msg

from fleetfold_bus.nats._api import NANOSECONDS, NO_SUCH_STREAM, ApiError, ConsumerConfig, JetStreamApi
from fleetfold_bus.nats._feed import Feed, FeedLostError, marks, restored
from fleetfold_bus.nats._link import Link
from fleetfold_bus.port import BusError, Record

WINDOW = 3000
CHUNK = 1000
UNUSED_CONSUMER_GOES_AFTER_S = 60


class Reader:
    """One reading of a stream. Its consumer may go at any time: the next one starts behind the last record."""

    def __init__(self, link: Link, api: JetStreamApi, stream: str, *, after: int, subject_filter: str | None) -> None:
        self._link = link
        self._api = api
        self._stream = stream
        self._position = after
        self._filter = subject_filter
        self._created: datetime | None = None
        self._consumer_sequence = 0
        self._told_of_the_end = False

    def lists(self) -> AsyncGenerator[list[Record], None]:
        """See the port."""
        return restored(self._link, f"reading {self._stream}", self._lists_of_one_consumer)

    async def _lists_of_one_consumer(self) -> AsyncGenerator[list[Record], None]:
        consumer, pending = await self._new_consumer()
        feed = Feed(self._link, self._stream, consumer, window=WINDOW, chunk=CHUNK)
        try:
            await feed.open()
            while True:
                if pending == 0 and not self._told_of_the_end:
                    self._told_of_the_end = True
                    yield []
                messages = await feed.take()
                if messages:
                    records, pending = self._records(messages)
                    yield records
                else:
                    self._check_for_loss(feed.last_consumer_sequence)
                    pending = 0
        finally:
            await feed.close()

    async def _new_consumer(self) -> tuple[str, int]:
        """Its name, and how many messages wait for it."""
        await self._check_stream()
        config = ConsumerConfig(
            name=f"{self._link.name}-{secrets.token_hex(8)}",
            ack_policy="none",
            deliver_policy="by_start_sequence",
            opt_start_seq=self._position + 1,
            filter_subject=self._filter,
            inactive_threshold=UNUSED_CONSUMER_GOES_AFTER_S * NANOSECONDS,
            num_replicas=1,
            mem_storage=True,
        )
        info = await self._api.create_consumer(self._stream, config)
        self._consumer_sequence = 0
        return info.name, info.num_pending

    async def _check_stream(self) -> None:
        """A stream made anew, or one that has become shorter, gives its sequences away a second time.

        Reading on would skip them.
        """
        try:
            found = await self._api.stream(self._stream)
        except ApiError as error:
            if error.err_code == NO_SUCH_STREAM:
                raise BusError(f"there is no stream {self._stream} on the server") from None
            raise
        last_sequence = found.state.last_seq
        if last_sequence < self._position:
            raise BusError(
                f"the stream {self._stream} ends at {last_sequence}, but {self._position} has been read already: "
                "the server has lost data, or the stream was made anew. Start again from its beginning"
            )
        if self._created not in {None, found.created}:
            raise BusError(f"the stream {self._stream} was made anew while it was read. Start again from its beginning")
        self._created = found.created

    def _records(self, messages: list[Msg]) -> tuple[list[Record], int]:
        """The records, and how many more wait. Nothing is kept of messages of which one is missing."""
        records: list[Record] = []
        pending = 0
        consumer_sequence = self._consumer_sequence
        for message in messages:
            _, sequence, arrived_consumer_sequence, time_ns, pending = marks(message.reply)
            consumer_sequence += 1
            if arrived_consumer_sequence != consumer_sequence:
                raise FeedLostError(f"message {consumer_sequence} of the consumer is missing")
            time = datetime.fromtimestamp(time_ns / NANOSECONDS, UTC)
            records.append(Record(message.subject, sequence, time, message.data, message.headers or {}))
        self._consumer_sequence = consumer_sequence
        self._position = records[-1].sequence
        return records, pending

    def _check_for_loss(self, sent_consumer_sequence: int) -> None:
        if sent_consumer_sequence > self._consumer_sequence:
            raise FeedLostError(f"messages up to {sent_consumer_sequence} of the consumer are missing")
