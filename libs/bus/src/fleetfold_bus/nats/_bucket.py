"""A bucket of keys and values: a stream that keeps the newest message of each subject, as `nats kv` knows it."""

from collections.abc import Mapping
from contextlib import aclosing

from fleetfold_bus.nats._api import (
    NO_SUCH_STREAM,
    STREAM_NAME_IN_USE,
    ApiError,
    BucketConfig,
    JetStreamApi,
)
from fleetfold_bus.nats._link import Link
from fleetfold_bus.nats._publisher import Publisher
from fleetfold_bus.nats._reader import Reader
from fleetfold_bus.port import Entry, Guard

DELETED_STAYS_S = 60
"""So long the server remembers that a key is gone, for those who watch. Keys come and go by the million."""

_OPERATION = "KV-Operation"
_TIME_TO_LIVE = "Nats-TTL"


class NatsBucket:
    """See `Bucket`, in the port."""

    def __init__(self, link: Link, api: JetStreamApi, publisher: Publisher, name: str, replicas: int) -> None:
        self._link = link
        self._api = api
        self._publisher = publisher
        self._stream = f"KV_{name}"
        self._root = f"$KV.{name}."
        self._replicas = replicas

    async def ensure(self) -> None:
        """Make it if it is missing. See the port."""
        config = BucketConfig(name=self._stream, subjects=(f"{self._root}>",), num_replicas=self._replicas)
        try:
            await self._api.stream(self._stream)
        except ApiError as error:
            if error.err_code != NO_SUCH_STREAM:
                raise
            await self._make(config)

    async def _make(self, config: BucketConfig) -> None:
        try:
            await self._api.create_stream(config)
        except ApiError as error:
            if error.err_code != STREAM_NAME_IN_USE:  # Somebody made it in between.
                raise

    async def get(self, key: str) -> Entry | None:
        """What a key holds. See the port."""
        stored = await self._api.last_message(self._stream, self._root + key)
        if stored is None or stored.deleted:
            return None
        return Entry(key, stored.data, stored.seq)

    async def put(self, key: str, value: bytes, *, revision: int | None = None) -> int:
        """Set a key. See the port."""
        return await self._write(key, value, {}, revision)

    async def delete(self, key: str) -> None:
        """Take a key away. See the port."""
        await self._write(key, b"", {_OPERATION: "DEL", _TIME_TO_LIVE: f"{DELETED_STAYS_S}s"}, None)

    async def entries(self) -> list[Entry]:
        """All that is there. See the port."""
        entries: dict[str, Entry] = {}
        reading = Reader(self._link, self._api, self._stream, after=0, subject_filter=None).lists()
        async with aclosing(reading) as lists:
            async for records in lists:
                if not records:
                    break
                for record in records:
                    key = record.subject.removeprefix(self._root)
                    entries.pop(key, None)
                    if _OPERATION not in record.headers:
                        entries[key] = Entry(key, record.payload, record.sequence)
        return list(entries.values())

    async def _write(self, key: str, value: bytes, headers: Mapping[str, str], revision: int | None) -> int:
        subject = self._root + key
        guard = None if revision is None else Guard(subject, revision)
        appended = await self._publisher.append(subject, value, message_id=None, guard=guard, headers=headers)
        return appended.sequence
