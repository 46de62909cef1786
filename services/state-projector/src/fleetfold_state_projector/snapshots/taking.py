"""Taking snapshots: bit by bit, while the state goes on."""

import asyncio
from collections.abc import Iterator

import aiosqlite

from fleetfold_contracts.snapshots import PART_BYTES, Origin
from fleetfold_core.snapshot import OutcomesInOrder, Snapshot
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_state_projector.snapshots.store import About, SnapshotStore, digest_of

_log = get_logger()


class Snapshotter:
    """Takes snapshots of a state that follows the log."""

    def __init__(self, live: LiveState, store: SnapshotStore, origin: Origin) -> None:
        """`origin` is that of the state."""
        self._live = live
        self._store = store
        self._origin = origin
        self._outcomes = OutcomesInOrder(live.state)

    async def run(self, interval_s: float) -> None:
        """Take one again and again, until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.take()
            except aiosqlite.Error as error:  # such as a disk that is full: the log still has everything
                _log.warning("no snapshot could be kept", reason=str(error))

    async def take(self) -> None:
        """Keep the state as it is now. Nothing happens when the newest snapshot holds it already."""
        state, newest = self._live.state, self._store.newest
        reached = (state.position, state.samples_position)
        if newest is not None and (newest.position, newest.samples_position) == reached:
            return
        snapshot = Snapshot(state, self._outcomes)
        self._live.watchers.append(snapshot.keep)
        try:
            parts = await parts_of(snapshot.slices())
        finally:
            self._live.watchers.remove(snapshot.keep)
        about = About(
            origin=self._origin,
            position=reached[0],
            samples_position=reached[1],
            digest=digest_of(parts),
            size_bytes=sum(map(len, parts)),
        )
        await self._store.save(about, parts)


async def parts_of(slices: Iterator[bytes]) -> list[bytes]:
    """The slices, put together to parts; whatever else there is to do is done between two of them."""
    parts: list[bytes] = []
    gathered = bytearray()
    for piece in slices:
        gathered += piece
        while len(gathered) >= PART_BYTES:
            parts.append(bytes(gathered[:PART_BYTES]))
            del gathered[:PART_BYTES]
        await asyncio.sleep(0)
    return [*parts, bytes(gathered)] if gathered else parts
