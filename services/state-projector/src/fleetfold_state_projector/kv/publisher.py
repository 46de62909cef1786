"""Writes the views: what changed, at most once a second a key, by one projector of several of a share."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from itertools import islice

from fleetfold_bus.port import Bucket, BusError
from fleetfold_contracts import codec
from fleetfold_contracts.answers import Summary
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_core.touched import Touched
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.stopping import background
from fleetfold_state_projector.kv.documents import (
    SUMMARY,
    Documents,
    all_keys,
    device_keys,
    keys_of,
)
from fleetfold_state_projector.kv.leadership import RENEW_EVERY_S, Leadership

ROUND_EVERY_S = 1.0
KEYS_A_ROUND = 5000
"""In a fleet of which more changes a second, each key is written less often."""
KEYS_AT_ONCE = 200
SUMMARY_SHARE = 0.05
"""So much of the time at most goes into the summary, which counts every device."""
LEADER = "leader"
"""Of the whole fleet; a share has its own: `leader.2-of-4`."""

_log = get_logger()


class ViewPublisher:
    """Keeps a bucket at what the state is, while it leads. Each key is the matter of one share alone."""

    def __init__(
        self,
        bucket: Bucket,
        clock: Clock,
        live: LiveState,
        summary: Callable[[], Awaitable[Summary]],
        share: Share = WHOLE,
    ) -> None:
        """`summary` gives what is in the key of that name, which only one share writes."""
        self._summary = summary
        self._share = share
        self._bucket = bucket
        self._clock = clock
        self._live = live
        leader = LEADER if share == WHOLE else f"{LEADER}.{share.token}"
        self._leadership = Leadership(bucket, clock, key=leader, instance=secrets.token_hex(8))
        self._dirty: dict[str, None] = {}
        self._written: dict[str, int] | None = None
        """The hash of what each key holds. None: that has to be looked at first."""
        self._liveness: dict[NodeId, Liveness] = {}
        self._summary_due_at_s = 0.0

    async def run(self) -> None:
        """Lead if nobody else does, and write while leading, until cancelled."""
        self._live.watchers.append(self._note)
        try:
            async with background(self._keep_leading()):
                while True:
                    await asyncio.sleep(ROUND_EVERY_S)
                    await self._round()
        finally:
            self._live.watchers.remove(self._note)

    def _note(self, touched: Touched) -> None:
        if self._written is not None:
            self._dirty.update(dict.fromkeys(keys_of(touched)))

    async def _keep_leading(self) -> None:
        while True:
            try:
                await self._leadership.renew()
            except BusError as error:
                _log.debug("the bucket of the views is not there", reason=str(error))
                await self._make_bucket()
            await asyncio.sleep(RENEW_EVERY_S)

    async def _make_bucket(self) -> None:
        try:
            await self._bucket.ensure()
        except BusError as error:
            _log.info("the bucket of the views cannot be made now", reason=str(error))

    async def _round(self) -> None:
        if not self._leadership.leads:
            self._written = None
            return
        try:
            if self._written is None:
                await self._take_over()
            await self._write_changed()
        except BusError as error:
            _log.info("the views are written anew", reason=str(error))
            self._written = None

    async def _take_over(self) -> None:
        """Begin with what is in the bucket: whoever led before may have left something undone."""
        _log.info("this projector writes the views now")
        self._dirty.clear()
        self._liveness.clear()
        self._written = {}  # from here on changes are noted
        entries = [entry for entry in await self._bucket.entries() if entry.key.split(".")[0] != LEADER]
        found = {entry.key: hash(entry.value) for entry in entries}
        self._written = found
        self._dirty.update(dict.fromkeys(all_keys(self._live.state)))
        self._dirty.update(dict.fromkeys(key for key in found if key != SUMMARY))

    async def _write_changed(self) -> None:
        state = self._live.state
        changed_nodes = {id_ for id_, node in state.nodes.items() if self._liveness.get(id_) is not node.liveness}
        self._liveness.update((id_, state.nodes[id_].liveness) for id_ in changed_nodes)
        if changed_nodes:
            self._dirty.update(dict.fromkeys(device_keys(state, changed_nodes)))
        documents = Documents(state)
        for _ in range(KEYS_A_ROUND // KEYS_AT_ONCE):
            keys = list(islice(self._dirty, KEYS_AT_ONCE))
            if not keys:
                break
            for key in keys:
                del self._dirty[key]
            own = [key for key in keys if self._share.holds(documents.owner(key))]
            await asyncio.gather(*(self._write(key, documents.document(key)) for key in own))
        await self._write_summary()

    async def _write_summary(self) -> None:
        began_s = self._clock.monotonic_s()
        if began_s >= self._summary_due_at_s and self._share.holds(SUMMARY):
            document = codec.encode(await self._summary())
            self._summary_due_at_s = began_s + (self._clock.monotonic_s() - began_s) / SUMMARY_SHARE
            await self._write(SUMMARY, document)

    async def _write(self, key: str, document: bytes | None) -> None:
        assert self._written is not None, "only who knows what is there writes"
        if document is None:
            if self._written.pop(key, None) is not None:
                await self._bucket.delete(key)
        elif self._written.get(key) != hash(document):
            self._written[key] = hash(document)
            await self._bucket.put(key, document)
