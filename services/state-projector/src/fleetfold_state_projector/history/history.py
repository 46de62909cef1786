"""The history of every device: recorded as samples come, written in the background, told when asked for."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path

from fleetfold_bus.port import Bus
from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery, Resolution
from fleetfold_core.rollup import Rollup
from fleetfold_core.state import State
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.stopping import background
from fleetfold_state_projector.history.points import SPANS_S, Span, at_full_rate, rolled_up, span_of
from fleetfold_state_projector.history.recorder import Recorder
from fleetfold_state_projector.history.store import RollupStore
from fleetfold_state_projector.settings import ProjectorSettings

LOOK_EVERY_S = 1.0
MIB = 1024 * 1024

_log = get_logger()


class History:
    """What devices read. `recorder.record` is given every sample that is folded, in the order of the stream."""

    def __init__(self, recorder: Recorder, store: RollupStore, state: State, settings: ProjectorSettings) -> None:
        """`open` makes one."""
        self.recorder = recorder
        self._store = store
        self._state = state
        self._settings = settings
        # A minute that is being written is in both places at once: nobody reads meanwhile.
        self._writing = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, bus: Bus, state: State, settings: ProjectorSettings) -> AsyncGenerator["History"]:
        """The history up to what is folded in `state`, written on while the block runs."""
        stream = settings.subjects.stream(SAMPLES)
        folder = Path(settings.data) if settings.data else None
        async with RollupStore.open(folder, stream, await bus.created(stream)) as store:
            position = await store.position()
            recorder = Recorder(newest=settings.history_samples, position=position)
            history = cls(recorder, store, state, settings)
            await history.catch_up(bus, stream, position)
            async with background(history.keep_writing()):
                yield history
            recorder.close()
            await history.write()

    async def catch_up(self, bus: Bus, stream: str, written: int) -> None:
        """Record what is folded already and not recorded: what came since `written`, and the newest of each node.

        Nodes take turns in the stream, so the newest samples of each lie among its last `nodes x samples` messages.
        """
        folded, settings = self._state.samples_position, self._settings
        newest = folded - len(self._state.nodes) * settings.history_samples
        after = max(0, min(written, newest) if written else newest)
        if after >= folded:
            return
        async with aclosing(bus.read(stream, after=after)) as pages:
            async for records in pages:
                for record in records:
                    if record.sequence > folded:
                        return
                    if settings.folds.holds(settings.subjects.node_of(record.subject)):
                        self._record(record.payload, record.sequence, record.time)
                if not records or records[-1].sequence >= folded:
                    return

    def _record(self, payload: bytes, sequence: int, time: datetime) -> None:
        try:
            samples = codec.decode_samples(payload)
        except ContractError:
            return  # It was told when it was folded.
        self.recorder.record(samples, sequence, time)

    async def keep_writing(self) -> None:
        """Write each minute when it is over, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.write()
            except sqlite3.Error as error:
                _log.warning("history is written later", reason=str(error))

    async def write(self) -> None:
        """Write the minutes that are over."""
        while self.recorder.closed:
            async with self._writing:
                limit_bytes = self._settings.history_limit_mib * MIB
                minute = self.recorder.closed[0]
                await self._store.write(minute, kept_days=self._settings.history_days, limit_bytes=limit_bytes)
                if self.recorder.closed[0] is minute:
                    del self.recorder.closed[0]

    async def answer(self, query: HistoryQuery, now: datetime) -> HistoryAnswer:
        """What a device read in a range.

        Raises:
            ContractError: no such device, or the range cannot be told.
        """
        if query.device_id not in self._state.devices:
            raise ContractError(f"no device {query.device_id!r} is known", "$.device_id")
        newest = self.recorder.newest(query.device_id)
        span = span_of(query, now, newest)
        if span.resolution is Resolution.FULL:
            return at_full_rate(query, self._state.position, span, newest)
        async with self._writing:
            rollups = await self._rollups(query, span)
        return rolled_up(query, self._state.position, span, rollups)

    async def _rollups(self, query: HistoryQuery, span: Span) -> dict[int, Rollup]:
        span_s = SPANS_S[span.resolution]
        rollups = await self._store.read(query.device_id, span_s, span.starts_s())
        for minute_s, rollup in self.recorder.unwritten(query.device_id):
            rollups.setdefault(minute_s // span_s * span_s, Rollup()).merge(rollup)
        return rollups
