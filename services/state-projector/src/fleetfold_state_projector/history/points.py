"""The points of an answer: which resolution suits a range, and the columns. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery, Resolution, Series
from fleetfold_core.rollup import READINGS, Rollup
from fleetfold_state_projector.history.newest import Newest, Row

POINTS_AT_MOST = 750
USUAL_RANGE = timedelta(hours=1)
SILENCE_S = 90.0
"""Three times the half minute in which an agent tells every device."""
SPANS_S = {Resolution.MINUTE: 60, Resolution.HOUR: 3600}

Point = tuple[float, int, Sequence[tuple[float, float, float] | None]]
"""When it begins, how many samples are behind it, and of each reading the mean, the least and the greatest."""


class Span(NamedTuple):
    """What a question is about, with nothing left open."""

    start: datetime
    end: datetime
    resolution: Resolution

    def starts_s(self) -> range:
        """When each point of a roll-up begins."""
        span_s = SPANS_S[self.resolution]
        return range(int(self.start.timestamp()) // span_s * span_s, int(self.end.timestamp()) + 1, span_s)


def span_of(query: HistoryQuery, now: datetime, newest: Newest) -> Span:
    """What a question is about.

    Raises:
        ContractError: it ends before it begins, or has too many points.
    """
    end = query.end or now
    start = query.start or end - USUAL_RANGE
    if start >= end:
        raise ContractError(f"is not before the end, {end.isoformat()}", "$.start")
    if query.resolution is not None:
        return _checked(Span(start, end, query.resolution))
    if newest.oldest_s <= start.timestamp():
        return Span(start, end, Resolution.FULL)
    minutes = Span(start, end, Resolution.MINUTE)
    return minutes if len(minutes.starts_s()) <= POINTS_AT_MOST else _checked(Span(start, end, Resolution.HOUR))


def at_full_rate(query: HistoryQuery, position: int, span: Span, newest: Newest) -> HistoryAnswer:
    """Each sample of the range that is among the newest."""
    start_s, end_s = span.start.timestamp(), span.end.timestamp()
    rows = [(at_s, values) for at_s, values in newest.rows() if start_s <= at_s <= end_s]
    return _answer(query, position, span, list(_with_silences(rows)))


def rolled_up(query: HistoryQuery, position: int, span: Span, rollups: Mapping[int, Rollup]) -> HistoryAnswer:
    """A point a minute or an hour, whether anything was sampled in it or not."""
    empty = Rollup()
    points = [_point(start_s, rollups.get(start_s, empty)) for start_s in span.starts_s()]
    return _answer(query, position, span, points)


def _checked(span: Span) -> Span:
    count = 0 if span.resolution is Resolution.FULL else len(span.starts_s())
    if count > POINTS_AT_MOST:
        way_out = "a shorter range" + (", or by the hour" if span.resolution is Resolution.MINUTE else "")
        reason = f"has {count} points by the {span.resolution}; at most {POINTS_AT_MOST} are told: ask for {way_out}"
        raise ContractError(reason, "$.start")
    return span


def _with_silences(rows: Iterable[Row]) -> Iterator[Point]:
    before_s: float | None = None
    for at_s, values in rows:
        if before_s is not None and at_s - before_s > SILENCE_S:
            yield before_s + SILENCE_S, 0, [None] * len(READINGS)
        yield at_s, 1, [None if value is None else (value, value, value) for value in values]
        before_s = at_s


def _point(start_s: int, rollup: Rollup) -> Point:
    readings = (rollup.reading(place) for place in range(len(READINGS)))
    bounds = [None if one is None else (one[2] / one[0], one[1], one[3]) for one in readings]
    return start_s, rollup.sample_count, bounds


def _answer(query: HistoryQuery, position: int, span: Span, points: Sequence[Point]) -> HistoryAnswer:
    full = span.resolution is Resolution.FULL
    readings = {
        name: _series([bounds[place] for _, _, bounds in points], full=full) for place, name in enumerate(READINGS)
    }
    return HistoryAnswer(
        position=position,
        device_id=query.device_id,
        resolution=span.resolution,
        start=span.start,
        end=span.end,
        times=tuple(datetime.fromtimestamp(at_s, UTC) for at_s, _, _ in points),
        sample_counts=tuple(count for _, count, _ in points),
        readings={name: series for name, series in readings.items() if any(value is not None for value in series.mean)},
    )


def _series(bounds: Sequence[tuple[float, float, float] | None], *, full: bool) -> Series:
    means, lows, highs = (tuple(None if one is None else one[place] for one in bounds) for place in range(3))
    return Series(mean=means) if full else Series(mean=means, low=lows, high=highs)
