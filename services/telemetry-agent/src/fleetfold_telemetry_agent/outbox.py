"""The outbox: facts reach the log in order and once, also when the server is away meanwhile."""

import asyncio

from fleetfold_bus.port import Bus, BusError
from fleetfold_contracts import codec
from fleetfold_contracts.events import Event
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.logs import get_logger

RETRY_AFTER_S = 0.5
SOURCE = "telemetry-agent"

_log = get_logger()


class Outbox:
    """Facts that wait for the log. An id makes a retry the same message."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock) -> None:
        """Nothing waits at first."""
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()

    def put(self, event: Event, message_id: str) -> None:
        """Let a fact go to the log behind those that wait already. Its time is now."""
        payload = codec.encode_event(event, id=message_id, source=SOURCE, time=self._clock.now())
        self._waiting.put_nowait((self._subjects.event(event), message_id, payload))

    async def empty(self) -> None:
        """Wait until nothing waits."""
        await self._waiting.join()

    async def run(self) -> None:
        """Append what waits, until cancelled."""
        while True:
            subject, message_id, payload = await self._waiting.get()
            await self._append(subject, message_id, payload)
            self._waiting.task_done()

    async def _append(self, subject: str, message_id: str, payload: bytes) -> None:
        while True:
            try:
                await self._bus.append(subject, payload, message_id=message_id)
            except BusError as error:
                _log.info("a fact waits for the server", fact=message_id, reason=str(error))
                await asyncio.sleep(RETRY_AFTER_S)
            else:
                return
