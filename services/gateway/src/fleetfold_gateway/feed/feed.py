"""The feed: reads the log once for all who listen, and the samples while somebody wants them."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager

from fleetfold_bus.port import Bus, BusError
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts.subjects import Subjects
from fleetfold_gateway.feed.frames import Standing, event_frame, frame
from fleetfold_gateway.feed.listener import Listener
from fleetfold_gateway.feed.readings import Gathered
from fleetfold_gateway.feed.recent import KEPT, Recent
from fleetfold_runtime.clock import Clock

LOOK_EVERY_S = 0.2
TELL_READINGS_EVERY_S = 0.5


class Feed:
    """What happens, for any number of listeners."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock) -> None:
        """It reads only while `run` runs."""
        self.recent = Recent()
        self.standing = Standing(connected=bus.connected, since=clock.now())
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._begun = asyncio.Event()
        self._moved = asyncio.Event()
        self._samples_wanted = asyncio.Event()

    @property
    def listener_count(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    @property
    def ready(self) -> bool:
        """Whether it follows the log, and NATS answers."""
        return self._begun.is_set() and self._bus.connected

    async def run(self) -> None:
        """Read, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_log())
            tasks.create_task(self._follow_samples())
            tasks.create_task(self._watch_connection())

    async def begun(self) -> None:
        """Wait until the newest events are at hand."""
        await self._begun.wait()

    async def reached(self, position: int, *, within_s: float) -> bool:
        """Whether the log holds an event at a position, or comes to hold one in time."""
        try:
            async with asyncio.timeout(within_s):
                while self.recent.position < position:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    @contextmanager
    def listening(self, listener: Listener) -> Generator[None]:
        """Offer a listener what happens while the block runs."""
        self._listeners.add(listener)
        self._note_wishes()
        try:
            yield
        finally:
            self._listeners.discard(listener)
            self._note_wishes()

    def end(self) -> None:
        """Let all who listen go."""
        for listener in self._listeners:
            listener.end("the gateway stops")

    async def older(self, after: int) -> AsyncGenerator[tuple[int, bytes]]:
        """Frames behind a log position that are no longer at hand, in pages, each with its last position.

        It ends as soon as what is at hand follows without a gap.
        """
        async with aclosing(self._bus.read(self._subjects.stream(EVENTS), after=after)) as pages:
            async for page in pages:
                if page:
                    yield page[-1].sequence, b"".join(map(event_frame, page))
                if not page or self.recent.reaches_back_to(page[-1].sequence):
                    return

    def _note_wishes(self) -> None:
        if any(listener.with_samples for listener in self._listeners):
            self._samples_wanted.set()
        else:
            self._samples_wanted.clear()

    def _tell(self, told: bytes, *, samples: bool = False) -> None:
        for listener in self._listeners:
            if listener.with_samples or not samples:
                listener.offer(told)

    async def _last_sequence(self, name: str) -> int:
        while True:
            try:
                return await self._bus.last_sequence(self._subjects.stream(name))
            except BusError:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _follow_log(self) -> None:
        last = await self._last_sequence(EVENTS)
        start = max(0, last - KEPT)
        self.recent.begin_at(start)
        async for page in self._bus.read(self._subjects.stream(EVENTS), after=start):
            for record in page:
                told = event_frame(record)
                self.recent.add(record.sequence, told)
                self._tell(told)
            self._moved.set()
            if self.recent.position >= last:
                self._begun.set()

    async def _follow_samples(self) -> None:
        while True:
            await self._samples_wanted.wait()
            gathered = Gathered()
            reading = asyncio.create_task(self._gather(gathered))
            try:
                while self._samples_wanted.is_set():
                    await asyncio.wait({reading}, timeout=TELL_READINGS_EVERY_S)
                    if reading.done():
                        reading.result()
                    if (readings := gathered.take()) is not None:
                        self._tell(frame("readings", readings), samples=True)
            finally:
                reading.cancel()

    async def _gather(self, gathered: Gathered) -> None:
        last = await self._last_sequence(SAMPLES)
        async with aclosing(self._bus.read(self._subjects.stream(SAMPLES), after=last)) as pages:
            async for page in pages:
                for record in page:
                    gathered.add(record)

    async def _watch_connection(self) -> None:
        while True:
            if self._bus.connected != self.standing.connected:
                self.standing = Standing(connected=self._bus.connected, since=self._clock.now())
                self._tell(frame("connection", self.standing))
            await asyncio.sleep(LOOK_EVERY_S)
