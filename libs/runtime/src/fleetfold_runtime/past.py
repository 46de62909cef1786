"""States of earlier points: folded from the log, and from samples where they are still kept."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import NamedTuple

from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.state import At, State

KEPT_STATES = 8


class PastError(ValueError):
    """There is no such point. The message says what there is."""


class Point(NamedTuple):
    """Up to where is folded: events up to this sequence, and nothing that is later than this moment."""

    sequence: int
    time: datetime


class _Kept(NamedTuple):
    point: Point
    with_samples: bool
    state: bytes


class Past:
    """The states of one log. The newest few that were asked for are kept, and the next begins at the nearest."""

    def __init__(self, bus: Bus, subjects: Subjects) -> None:
        self._bus = bus
        self._subjects = subjects
        self._kept: list[_Kept] = []

    async def at(self, moment: int | datetime, *, with_samples: bool = True) -> State:
        """The state at a log position, or at a moment by the server's time.

        Raises:
            PastError: the log does not reach that far.
            BusError: the server does not answer.
        """
        point = await self._point(moment)
        state = self._nearest(point, with_samples=with_samples)
        events = self._records(EVENTS, state.position, point)
        samples = self._records(SAMPLES, state.samples_position, point) if with_samples else _nothing()
        async with aclosing(events), aclosing(samples):
            async for record, is_event in _by_time(events, samples):
                (fold_record if is_event else _fold_samples)(state, self._subjects, record)
        self._keep(_Kept(point, with_samples, state.encode()))
        return state

    async def _point(self, moment: int | datetime) -> Point:
        last = await self._bus.last_sequence(self._subjects.stream(EVENTS))
        if isinstance(moment, datetime):
            return Point(last, moment)
        if not 0 < moment <= last:
            raise PastError(f"there is no position {moment}: the log has 1 to {last}")
        async with aclosing(self._bus.read(self._subjects.stream(EVENTS), after=moment - 1)) as pages:
            async for records in pages:
                if records:
                    return Point(moment, records[0].time)
        raise AssertionError("a log is read for ever")

    async def _records(self, name: str, after: int, point: Point) -> AsyncGenerator[Record, None]:
        """The records of a stream behind `after` and not behind the point."""
        stream = self._subjects.stream(name)
        last = await self._bus.last_sequence(stream)
        if name == EVENTS:
            last = min(last, point.sequence)
        if after >= last:
            return
        async with aclosing(self._bus.read(stream, after=after)) as pages:
            async for records in pages:
                for record in records:
                    if record.sequence > last or record.time > point.time:
                        return
                    yield record
                if not records or records[-1].sequence >= last:
                    return

    def _nearest(self, point: Point, *, with_samples: bool) -> State:
        usable = (
            kept
            for kept in self._kept
            if kept.with_samples is with_samples
            and kept.point.sequence <= point.sequence
            and kept.point.time <= point.time
        )
        nearest = max(usable, key=lambda kept: kept.point.time, default=None)
        return State() if nearest is None else State.decode(nearest.state)

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        del self._kept[:-KEPT_STATES]


async def _nothing() -> AsyncGenerator[Record, None]:
    return
    yield


async def _by_time(
    events: AsyncIterator[Record], samples: AsyncIterator[Record]
) -> AsyncGenerator[tuple[Record, bool], None]:
    """Both, in the order of the server's time, each with whether it is an event."""
    event, sample = await anext(events, None), await anext(samples, None)
    while event is not None or sample is not None:
        if sample is None or (event is not None and event.time <= sample.time):
            assert event is not None
            yield event, True
            event = await anext(events, None)
        else:
            yield sample, False
            sample = await anext(samples, None)


def fold_record(state: State, subjects: Subjects, record: Record) -> None:
    """Fold a record of the log; what cannot be read is parked."""
    pool = subjects.pool_of(record.subject)
    try:
        envelope = codec.decode_envelope(record.payload)
        event = codec.decode_event(envelope)
    except codec.ContractError as error:
        park(state, At(sequence=record.sequence, time=record.time, pool=pool), str(error))
        return
    fold(state, event, At(sequence=record.sequence, time=record.time, cause=envelope.cause, pool=pool))


def _fold_samples(state: State, _: Subjects, record: Record) -> None:
    try:
        samples = codec.decode_samples(record.payload)
    except codec.ContractError:
        return
    fold_samples(state, samples, record.sequence, record.time)
