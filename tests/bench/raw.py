"""The raw client, used as well as it can be, with nothing of ours between: what our figures stand beside."""

# The client leaves parts of its signatures without types.
# pyright: reportUnknownMemberType=false

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
PULL_SIZE = 1000
PULLS_AT_ONCE = 3


async def connect(url: str) -> Client:
    """A connection that is not restored: a lost server ends the measurement."""
    return await nats.connect(url, allow_reconnect=False)


async def append_one_by_one(client: Client, subject: str, payload: bytes, message_ids: Iterable[str]) -> None:
    """Append with `js.publish`, each after the one before was acknowledged."""
    stream = client.jetstream()
    for message_id in message_ids:
        await stream.publish(subject, payload, headers={MESSAGE_ID: message_id})


async def guarded_appends(client: Client, subject: str, payload: bytes) -> Callable[[int], Awaitable[None]]:
    """What appends so many to a stream of its own, each guarded by the sequence of the one before."""
    stream = client.jetstream()
    await stream.add_stream(name=subject.replace(".", "-"), subjects=[subject])
    last_sequence = 0

    async def append(count: int) -> None:
        nonlocal last_sequence
        for _ in range(count):
            guard = {EXPECTED_SEQUENCE: str(last_sequence), MESSAGE_ID: f"{last_sequence}"}
            last_sequence = (await stream.publish(subject, payload, headers=guard)).seq

    return append


async def append_async(client: Client, subject: str, payload: bytes, message_ids: Iterable[str]) -> None:
    """Append with `publish_async`, in the client's own window of 4,000."""
    stream = client.jetstream()
    acknowledgements = [
        await stream.publish_async(subject, payload, headers={MESSAGE_ID: message_id}) for message_id in message_ids
    ]
    await asyncio.gather(*acknowledgements)


async def read_overlapped(client: Client, stream: str, count: int) -> None:
    """Read so many messages of a stream, with three pulls of 1,000 under way at once; each is counted and dropped."""
    reading = _Overlapped(client, stream, await _consumer(client, stream), count)
    subscription = await client.subscribe(
        reading.inbox, cb=reading.on_message, pending_msgs_limit=0, pending_bytes_limit=0
    )
    for _ in range(PULLS_AT_ONCE):
        await reading.pull()
    await reading.done.wait()
    await subscription.unsubscribe()


async def echo(client: Client, subject: str) -> None:
    """Answer every question on a subject with the question itself, from now on."""

    async def answer(message: Msg) -> None:
        await message.respond(message.data)

    await client.subscribe(subject, cb=answer)


class _Overlapped:
    def __init__(self, client: Client, stream: str, consumer: str, count: int) -> None:
        self.inbox = client.new_inbox()
        self.done = asyncio.Event()
        self._client = client
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._request = msgspec.json.encode({"batch": PULL_SIZE})
        self._count = count
        self._seen = 0

    async def pull(self) -> None:
        await self._client.publish(self._subject, self._request, reply=self.inbox)

    async def on_message(self, _: Msg) -> None:
        self._seen += 1
        if self._seen % PULL_SIZE == 0:
            await self.pull()
        if self._seen == self._count:
            self.done.set()


async def _consumer(client: Client, stream: str) -> str:
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60)
    return (await client.jetstream().add_consumer(stream, config)).name
