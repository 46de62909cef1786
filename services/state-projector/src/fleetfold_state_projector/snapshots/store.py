"""The newest snapshots in an SQLite file: each whole or not there at all."""

import hashlib
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiosqlite
import msgspec

from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.snapshots import PART_BYTES, Origin
from fleetfold_core.state import State
from fleetfold_runtime.logs import get_logger

FILE = "snapshots.sqlite"
KEPT = 3

_CREATE = """
CREATE TABLE IF NOT EXISTS snapshots (id INTEGER PRIMARY KEY, digest TEXT NOT NULL, about BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS parts (
    snapshot INTEGER NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (snapshot, number)
);
"""
_SAVE = "INSERT INTO snapshots (digest, about) VALUES (?, ?)"
_SAVE_PART = "INSERT INTO parts VALUES (?, ?, ?)"
_FORGET = "DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM snapshots ORDER BY id DESC LIMIT ?)"
_FORGET_PARTS = "DELETE FROM parts WHERE snapshot NOT IN (SELECT id FROM snapshots)"
_NEWEST_FIRST = "SELECT id, about FROM snapshots ORDER BY id DESC"
_PARTS = "SELECT data FROM parts WHERE snapshot = ? ORDER BY number"
_PART = "SELECT data FROM parts JOIN snapshots ON snapshot = id WHERE digest = ? AND number = ? ORDER BY id DESC"

_log = get_logger()


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a snapshot beside its parts."""

    origin: Origin
    position: int
    samples_position: int
    digest: str
    size_bytes: int

    def fits(self, origin: Origin, last_sequence: int, last_samples_sequence: int) -> bool:
        """Whether it is of this origin, and not ahead of its streams."""
        ahead = self.position > last_sequence or self.samples_position > last_samples_sequence
        return self.origin == origin and not ahead

    @property
    def part_count(self) -> int:
        """How many parts it has."""
        return -(-self.size_bytes // PART_BYTES)


class SnapshotStore:
    """The newest snapshots. `open` makes one."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self.newest: About | None = None
        """The newest that was saved, or found and believed."""

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncGenerator[Self]:
        """The snapshots in a folder, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything runs
        async with aiosqlite.connect(folder / FILE) as database:
            await database.execute("PRAGMA journal_mode = WAL")
            await database.executescript(_CREATE)
            yield cls(database)

    async def save(self, about: About, parts: Iterable[bytes]) -> None:
        """Keep a snapshot, and forget all but the newest: in one transaction.

        The parts are rows of their own, because SQLite copies a value that it is given while nothing else can run.
        """
        try:
            cursor = await self._database.execute(_SAVE, (about.digest, codec.encode(about)))
            rows = [(cursor.lastrowid, number, part) for number, part in enumerate(parts)]
            await self._database.executemany(_SAVE_PART, rows)
            await self._database.execute(_FORGET, (KEPT,))
            await self._database.execute(_FORGET_PARTS)
        except BaseException:
            await self._database.rollback()
            raise
        await self._database.commit()
        self.newest = about

    async def believed(self, origin: Origin, *, last_sequence: int, last_samples_sequence: int) -> State | None:
        """The state of the newest snapshot that is whole, of this origin, and not ahead of its streams."""
        async with self._database.execute(_NEWEST_FIRST) as rows:
            async for id_, document in rows:
                about = _described(document)
                fits = about is not None and about.fits(origin, last_sequence, last_samples_sequence)
                state = await self._whole(id_, about.digest) if about is not None and fits else None
                if state is not None:
                    self.newest = about
                    return state
                _log.warning("a snapshot is not believed: it is torn, or of another log or share")
        return None

    async def part(self, digest: str, number: int) -> bytes | None:
        """A part of a snapshot that is kept still."""
        async with self._database.execute(_PART, (digest, number)) as rows:
            row = await rows.fetchone()
        return None if row is None else row[0]

    async def _whole(self, id_: int, digest: str) -> State | None:
        async with self._database.execute(_PARTS, (id_,)) as rows:
            payload = b"".join([part async for (part,) in rows])
        if digest_of([payload]) != digest:
            return None
        try:
            return State.decode(payload)
        except ContractError:
            return None


def digest_of(parts: Iterable[bytes]) -> str:
    """What a snapshot is known by, and held against when it is read."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _described(about: bytes) -> About | None:
    try:
        return codec.decode(about, About)
    except ContractError:
        return None
