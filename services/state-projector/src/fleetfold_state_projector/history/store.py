"""Roll-ups on disk: a row a device and minute, and one a device and hour."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiosqlite

from fleetfold_contracts import codec
from fleetfold_contracts.ids import DeviceId
from fleetfold_core.rollup import Rollup
from fleetfold_state_projector.history.recorder import MINUTE_S, Minute

FILE = "history.sqlite"
PASSING = ""
"""What SQLite takes for a database that is gone with its connection."""
HOUR_S = 3600
DAY_S = 86_400
CHUNK_DEVICES = 500
"""So many are encoded at once: between two chunks the service goes on folding and answering."""

_CREATE = """
CREATE TABLE IF NOT EXISTS rollups (
    span_s INTEGER NOT NULL,
    start_s INTEGER NOT NULL,
    device TEXT NOT NULL,
    rollup BLOB NOT NULL,
    PRIMARY KEY (span_s, start_s, device)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS read_up_to (
    stream TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    position INTEGER NOT NULL
) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?)"
_OF_SPAN = """
SELECT device, rollup FROM rollups WHERE span_s = ? AND start_s = ? AND device IN (SELECT value FROM json_each(?))
"""
_OF_DEVICE = """
SELECT start_s, rollup FROM rollups WHERE span_s = ? AND start_s IN (SELECT value FROM json_each(?)) AND device = ?
"""
_POSITION = "SELECT position FROM read_up_to WHERE stream = ? AND created = ?"
_MOVE = "INSERT OR REPLACE INTO read_up_to VALUES (?, ?, ?)"
_USED = """
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()
"""
_FORGET = "DELETE FROM rollups WHERE span_s = ? AND start_s < ?"
_FORGET_OLDEST = """
DELETE FROM rollups WHERE span_s = (SELECT min(span_s) FROM rollups) AND start_s <
    (SELECT start_s FROM rollups ORDER BY span_s, start_s LIMIT 1) + ?
"""


class RollupStore:
    """The roll-ups in an SQLite file, with how far the stream of samples is in them."""

    def __init__(self, database: aiosqlite.Connection, stream: str, created: datetime) -> None:
        """`open` makes one."""
        self._database = database
        self._stream = stream
        self._created = created.isoformat()

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path | None, stream: str, created: datetime) -> AsyncGenerator["RollupStore"]:
        """The roll-ups in a folder, or without one in a file that is gone at the end.

        `created`: when the stream was made. One that was made anew counts from 1 again.
        """
        async with aiosqlite.connect(folder / FILE if folder is not None else PASSING) as database:
            await database.execute("PRAGMA journal_mode = WAL")
            await database.executescript(_CREATE)
            yield cls(database, stream, created)

    async def position(self) -> int:
        """The last sequence of the stream of samples that is in the roll-ups."""
        async with self._database.execute(_POSITION, (self._stream, self._created)) as rows:
            row = await rows.fetchone()
        return row[0] if row is not None else 0

    async def write(self, minute: Minute, *, kept_days: float, limit_bytes: int) -> None:
        """Add a minute to what is there of it and of its hour: all or nothing. Forget what is too old, or too much."""
        try:
            rollups = list(minute.rollups.items())
            for first in range(0, len(rollups), CHUNK_DEVICES):
                for span_s in (MINUTE_S, HOUR_S):
                    await self._add(span_s, minute.start_s // span_s * span_s, rollups[first : first + CHUNK_DEVICES])
            await self._database.execute(_MOVE, (self._stream, self._created, minute.position))
            await self._forget(minute.start_s - int(kept_days * DAY_S), limit_bytes)
            await self._database.commit()
        except BaseException:
            await self._database.rollback()
            raise

    async def read(self, device_id: DeviceId, span_s: int, starts_s: Iterable[int]) -> dict[int, Rollup]:
        """The roll-ups of a device that begin at these times."""
        starts = codec.encode(list(starts_s)).decode()
        async with self._database.execute(_OF_DEVICE, (span_s, starts, device_id)) as rows:
            return {start_s: Rollup.decode(payload) async for start_s, payload in rows}

    async def _add(self, span_s: int, start_s: int, rollups: Sequence[tuple[DeviceId, Rollup]]) -> None:
        devices = codec.encode([device_id for device_id, _ in rollups]).decode()
        async with self._database.execute(_OF_SPAN, (span_s, start_s, devices)) as rows:
            whole = {device_id: Rollup.decode(payload) async for device_id, payload in rows}
        for device_id, rollup in rollups:
            whole.setdefault(device_id, Rollup()).merge(rollup)
        await self._database.executemany(_PUT, [(span_s, start_s, id_, one.encode()) for id_, one in whole.items()])

    async def _forget(self, before_s: int, limit_bytes: int) -> None:
        for span_s in (MINUTE_S, HOUR_S):
            await self._database.execute(_FORGET, (span_s, before_s // span_s * span_s))
        async with self._database.execute(_USED) as rows:
            used = await rows.fetchone()
        if used is not None and used[0] > limit_bytes:
            # The oldest hour of minutes goes, or when there are none left the oldest hour: more than a minute brings.
            await self._database.execute(_FORGET_OLDEST, (HOUR_S,))
