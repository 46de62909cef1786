"""A state that follows the log: what every service that decides or answers stands on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime, timedelta

from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.ids import CommandId
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.fold import fold, fold_samples, park, skip_samples
from fleetfold_core.state import At, State
from fleetfold_core.touched import Touched, touched, touched_by_samples
from fleetfold_runtime.borrowing import borrowed_state
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.metrics import EVENTS_FOLDED, LOG_POSITION, SAMPLES_FOLDED
from fleetfold_runtime.stopping import background, unless_stopped

_log = get_logger()


class LiveState:
    """Folds the log as it grows. `state` is read between two awaits, and changed by nobody else."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        clock: Clock,
        *,
        with_samples: bool,
        state: State | None = None,
        share: Share = WHOLE,
        on_samples: Callable[[NodeSample, int, datetime], None] | None = None,
    ) -> None:
        """`with_samples`: fold telemetry too. Who needs no readings saves the work.

        `state`: where to fold on from. None: from a projector's snapshot, or else from the start of the log.
        `share`: fold the samples of these nodes alone. Others are dropped by their subjects, and never decoded.
        `on_samples` is told all samples that were folded, with their sequence and the server\'s time.
        """
        self.state = State() if state is None else state
        self.watchers: list[Callable[[Touched], None]] = []
        """Each is told what a record is about to change, before it is folded."""
        self._borrows = state is None
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._with_samples = with_samples
        self._share = share
        self._on_samples = on_samples
        self._caught_up = asyncio.Event()
        self._samples_caught_up = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._outcomes: dict[CommandId, list[asyncio.Future[bytes]]] = {}
        self._newest: tuple[datetime, float] | None = None

    async def follow(self) -> None:
        """Fold the log up to its end and then as it grows, until cancelled."""
        if self._borrows:
            self.state = await borrowed_state(self._bus, self._subjects, self._share) or self.state
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_events())
            if self._with_samples:
                tasks.create_task(self._follow_samples())

    @asynccontextmanager
    async def following(self, stop: asyncio.Event) -> AsyncGenerator[None]:
        """Follow while the block runs. It begins when the state stands for now, or when `stop` is set."""
        async with background(self.follow()):
            await unless_stopped(stop, self.caught_up())
            yield

    async def caught_up(self) -> None:
        """Wait until all that was in the log at the start is folded."""
        await self._caught_up.wait()
        if self._with_samples:
            await self._samples_caught_up.wait()

    @property
    def ready(self) -> bool:
        """Whether the state stands for now, and the log can be reached."""
        samples_ready = self._samples_caught_up.is_set() or not self._with_samples
        return self._caught_up.is_set() and samples_ready and self._bus.connected

    async def reached(self, sequence: int) -> None:
        """Wait until the event at `sequence` is folded."""
        if self.state.position >= sequence:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (sequence, waiter)
        self._waiting.append(entry)
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiting = [waiting for waiting in self._waiting if waiting is not entry]
            raise

    async def moved_on(self, *, within_s: float | None) -> None:
        """Wait until one more event is folded, but no longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.reached(self.state.position + 1)

    async def catch_up(self) -> None:
        """Wait until all that is in the log now is folded."""
        await self.reached(await self._bus.last_sequence(self._subjects.stream(EVENTS)))

    async def outcome(self, command_id: CommandId) -> bytes:
        """Wait for the outcome of a command: its event, in its envelope."""
        sequence = self.state.outcomes.get(command_id)
        if sequence is not None:
            return (await self.event_at(sequence)).payload
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiters = self._outcomes.setdefault(command_id, [])
        waiters.append(waiter)
        try:
            return await waiter
        finally:
            waiters.remove(waiter)
            if not waiters:
                self._outcomes.pop(command_id, None)

    async def event_at(self, sequence: int) -> Record:
        """One record of the log, read again."""
        async with aclosing(self._bus.read(self._subjects.stream(EVENTS), after=sequence - 1)) as batches:
            async for records in batches:
                if records:
                    return records[0]
        raise AssertionError("a log is read for ever")

    def server_now(self) -> datetime | None:
        """The server's time: the newest stamp seen, and what went by since then. None: nothing seen yet."""
        if self._newest is None:
            return None
        stamp, seen_at_s = self._newest
        return stamp + timedelta(seconds=self._clock.monotonic_s() - seen_at_s)

    async def _follow_events(self) -> None:
        stream = self._subjects.stream(EVENTS)
        async for records in self._bus.read(stream, after=self.state.position):
            if not records:
                self._caught_up.set()
                continue
            for record in records:
                self._fold_event(record)
            EVENTS_FOLDED.inc(len(records))
            LOG_POSITION.set(self.state.position)
            self._after(records)

    def _fold_event(self, record: Record) -> None:
        pool = self._subjects.pool_of(record.subject)
        try:
            envelope = codec.decode_envelope(record.payload)
            event = codec.decode_event(envelope)
        except codec.ContractError as error:
            park(self.state, At(sequence=record.sequence, time=record.time, pool=pool), str(error))
            _log.warning("an event was parked", sequence=record.sequence, subject=record.subject, reason=str(error))
            return
        at = At(sequence=record.sequence, time=record.time, cause=envelope.cause, pool=pool)
        if self.watchers:
            self._tell(touched(self.state, event))
        fold(self.state, event, at)
        self._tell_outcome(envelope.cause, record)

    def _tell_outcome(self, cause: CommandId | None, record: Record) -> None:
        if cause in self._outcomes and self.state.outcomes.get(cause) == record.sequence:
            for waiter in self._outcomes[cause]:
                if not waiter.done():
                    waiter.set_result(record.payload)

    def _after(self, records: Sequence[Record]) -> None:
        self._stamp(records[-1])
        reached = [waiter for sequence, waiter in self._waiting if sequence <= self.state.position]
        self._waiting = [entry for entry in self._waiting if entry[0] > self.state.position]
        for waiter in reached:
            if not waiter.done():
                waiter.set_result(None)

    async def _follow_samples(self) -> None:
        # A sample of a node that is not known yet tells nothing, so that the log comes first.
        await self._caught_up.wait()
        stream = self._subjects.stream(SAMPLES)
        async for records in self._bus.read(stream, after=self.state.samples_position):
            if not records:
                self._samples_caught_up.set()
                continue
            for record in records:
                self._fold_samples(record)
            SAMPLES_FOLDED.inc(len(records))
            self._stamp(records[-1])

    def _fold_samples(self, record: Record) -> None:
        if not self._share.holds(self._subjects.node_of(record.subject)):
            skip_samples(self.state, record.sequence)
            return
        try:
            samples = codec.decode_samples(record.payload)
        except codec.ContractError as error:
            _log.warning("samples were dropped", subject=record.subject, reason=str(error))
            return
        if self.watchers:
            self._tell(touched_by_samples(samples))
        fold_samples(self.state, samples, record.sequence, record.time)
        if self._on_samples is not None:
            self._on_samples(samples, record.sequence, record.time)

    def _tell(self, changing: Touched) -> None:
        for tell in self.watchers:
            tell(changing)

    def _stamp(self, record: Record) -> None:
        if self._newest is None or record.time > self._newest[0]:
            self._newest = (record.time, self._clock.monotonic_s())
