"""The outbox: facts reach the log in order and once, also when the server is away meanwhile."""

import asyncio
from itertools import islice

from fleetfold_bus.port import Bus, BusError, TooLargeError
from fleetfold_contracts import codec
from fleetfold_contracts.events import Event
from fleetfold_contracts.subjects import Subjects, event_scope
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.logs import get_logger
from fleetfold_telemetry_agent.lane import Lane, Waiting, kind_of

RETRY_AFTER_S = 0.5
LANES_AT_ONCE = 500
SOURCE = "telemetry-agent"

_log = get_logger()


class Outbox:
    """Facts that wait for the log: those of a node in order, many nodes at once. An id makes a retry the same message.

    Of a node, `limit` facts are kept in full. Beyond that only the newest of each kind about each device is: the log
    then has how things stand, and not all that went before.
    """

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock, *, limit: int) -> None:
        """Nothing waits at first."""
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._limit = limit
        self._lanes: dict[tuple[str, ...], Lane] = {}
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._told_of_waiting = False

    def put(self, event: Event, message_id: str) -> None:
        """Let a fact go to the log behind those of its node that wait already. Its time is now."""
        payload = codec.encode_event(event, id=message_id, source=SOURCE, time=self._clock.now())
        lane = self._lanes.setdefault(event_scope(event), Lane(self._limit))
        subject = self._subjects.event(event)
        lane.put(Waiting(subject=subject, message_id=message_id, payload=payload, kind=kind_of(event)))
        self._filled.set()
        self._emptied.clear()

    async def empty(self) -> None:
        """Wait until nothing waits."""
        await self._emptied.wait()

    async def run(self) -> None:
        """Append what waits, until cancelled."""
        while True:
            await self._filled.wait()
            if not await self._send_first_of_each():
                await asyncio.sleep(RETRY_AFTER_S)

    async def _send_first_of_each(self) -> bool:
        lanes = dict(islice(self._lanes.items(), LANES_AT_ONCE))
        firsts = [lane.first for lane in lanes.values()]
        gone = await asyncio.gather(*map(self._appended, firsts))
        for (scope, lane), fact, is_gone in zip(lanes.items(), firsts, gone, strict=True):
            if is_gone:
                lane.gone(fact)
            if not lane:
                del self._lanes[scope]
        if not self._lanes:
            self._filled.clear()
            self._emptied.set()
        return all(gone)

    async def _appended(self, fact: Waiting) -> bool:
        try:
            await self._bus.append(fact.subject, fact.payload, message_id=fact.message_id)
        except TooLargeError as error:
            _log.error("a fact is dropped: the server takes none of its size", fact=fact.message_id, reason=str(error))
        except BusError as error:
            self._tell_of_waiting(error)
            return False
        self._told_of_waiting = False
        return True

    def _tell_of_waiting(self, error: BusError) -> None:
        if not self._told_of_waiting:
            _log.info("facts wait for the server", reason=str(error))
        self._told_of_waiting = True
