"""Snapshots: the folded state on disk, so that a start folds the tail of the log alone."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import aiosqlite

from fleetfold_bus.port import Bus
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.state import State
from fleetfold_runtime.logs import get_logger

FILE = "projector.sqlite"
KEPT = 3

_CREATE = """
CREATE TABLE IF NOT EXISTS snapshots (
    version TEXT NOT NULL,
    events_created TEXT NOT NULL,
    samples_created TEXT NOT NULL,
    digest BLOB NOT NULL,
    state BLOB NOT NULL
)
"""
_SAVE = "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM snapshots WHERE rowid NOT IN (SELECT rowid FROM snapshots ORDER BY rowid DESC LIMIT ?)"
_NEWEST_FIRST = "SELECT * FROM snapshots ORDER BY rowid DESC"

_log = get_logger()


class Origin(NamedTuple):
    """Whose fold a snapshot is: the version that folded, and when each stream was made.

    A stream that was deleted and made anew counts from 1 again: a position in the old one means nothing in it.
    """

    version: str
    events_created: datetime
    samples_created: datetime


async def origin_of(bus: Bus, subjects: Subjects, version: str) -> Origin:
    """What a snapshot must come from to be believed now."""
    events, samples = subjects.stream(EVENTS), subjects.stream(SAMPLES)
    return Origin(version, await bus.created(events), await bus.created(samples))


class Snapshots:
    """The newest snapshots, in an SQLite file."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        """`open` makes one."""
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncGenerator["Snapshots"]:
        """The snapshots in a folder, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything runs
        async with aiosqlite.connect(folder / FILE) as database:
            await database.execute("PRAGMA journal_mode = WAL")
            await database.execute(_CREATE)
            yield cls(database)

    async def save(self, state: State, origin: Origin) -> None:
        """Keep the state as it is now, and forget all but the newest."""
        payload = state.encode()
        digest = hashlib.blake2b(payload).digest()
        created = (origin.events_created.isoformat(), origin.samples_created.isoformat())
        await self._database.execute(_SAVE, (origin.version, *created, digest, payload))
        await self._database.execute(_FORGET, (KEPT,))
        await self._database.commit()

    async def newest(self, origin: Origin, *, last_sequence: int) -> State | None:
        """The newest state that can be believed: whole, of this origin, and not ahead of the log."""
        async with self._database.execute(_NEWEST_FIRST) as rows:
            async for version, events_created, samples_created, digest, payload in rows:
                found = (version, events_created, samples_created)
                state = _believed(found, origin, digest, payload)
                if state is not None and state.position <= last_sequence:
                    return state
                _log.warning("a snapshot is not believed: it is torn, or of another log")
        return None


def _believed(found: tuple[str, str, str], origin: Origin, digest: bytes, payload: bytes) -> State | None:
    wanted = (origin.version, origin.events_created.isoformat(), origin.samples_created.isoformat())
    if found != wanted or hashlib.blake2b(payload).digest() != digest:
        return None
    try:
        return State.decode(payload)
    except ContractError:
        return None
