"""What is told of a device's history: as fine as the range allows, and with its gaps."""

from datetime import UTC, datetime, timedelta

import pytest

from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.history import HistoryQuery, Resolution
from fleetfold_core.rollup import READINGS, Rollup
from fleetfold_state_projector.history.newest import Newest
from fleetfold_state_projector.history.points import at_full_rate, rolled_up, span_of

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def values(busy: float | None) -> list[float | None]:
    return [busy if name == "compute_utilization_percent" else None for name in READINGS]


def newest(*seconds: float, limit: int = 100) -> Newest:
    kept = Newest(limit)
    for second in seconds:
        kept.add(NOON.timestamp() + second, values(second))
    return kept


def asked(back: timedelta, resolution: Resolution | None = None) -> HistoryQuery:
    return HistoryQuery(device_id="d", start=NOON - back, end=NOON, resolution=resolution)


@pytest.mark.parametrize(
    ("back", "found"),
    [
        (timedelta(minutes=3), Resolution.FULL),
        (timedelta(hours=1), Resolution.MINUTE),
        (timedelta(hours=12), Resolution.MINUTE),
        (timedelta(hours=13), Resolution.HOUR),
        (timedelta(days=30), Resolution.HOUR),
    ],
)
def test_the_resolution_is_the_finest_that_has_it_all(back: timedelta, found: Resolution) -> None:
    assert span_of(asked(back), NOON, newest(-180, -120, -60)).resolution is found


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (asked(timedelta(days=1), Resolution.MINUTE), "or by the hour"),
        (asked(timedelta(days=365)), "a shorter range"),
        (HistoryQuery(device_id="d", start=NOON, end=NOON), "not before the end"),
    ],
)
def test_a_range_that_cannot_be_told_is_refused_with_a_way_out(query: HistoryQuery, reason: str) -> None:
    with pytest.raises(ContractError, match=rf"\$\.start: .*{reason}"):
        span_of(query, NOON, newest())


def test_without_a_range_it_is_the_last_hour() -> None:
    span = span_of(HistoryQuery(device_id="d"), NOON, newest())
    assert (span.start, span.end) == (NOON - HOUR, NOON)


@pytest.mark.parametrize(("told", "kept"), [(5, 5), (20, 10)])
def test_the_newest_so_many_are_kept(told: int, kept: int) -> None:
    rows = list(newest(*range(told), limit=10).rows())
    assert [at_s - NOON.timestamp() for at_s, _ in rows] == list(range(told))[-kept:]


def test_a_silence_is_a_point_without_values() -> None:
    query = asked(HOUR, Resolution.FULL)
    answer = at_full_rate(query, 7, span_of(query, NOON, newest()), newest(-300, -298, -100, -98))
    assert answer.sample_counts == (1, 1, 0, 1, 1)
    assert answer.readings["compute_utilization_percent"].mean == (-300, -298, None, -100, -98)
    assert list(answer.readings) == ["compute_utilization_percent"]


def test_a_minute_without_a_sample_is_a_point_without_values() -> None:
    busy = Rollup()
    for percent in (10.0, 20.0, 60.0):
        busy.add(values(percent))
    query = asked(timedelta(minutes=2), Resolution.MINUTE)
    start_s = int(NOON.timestamp()) - 60
    answer = rolled_up(query, 7, span_of(query, NOON, newest()), {start_s: busy})
    series = answer.readings["compute_utilization_percent"]
    assert answer.times == (NOON - timedelta(minutes=2), NOON - timedelta(minutes=1), NOON)
    assert (answer.sample_counts, series.mean) == ((0, 3, 0), (None, 30.0, None))
    assert (series.low, series.high) == ((None, 10.0, None), (None, 60.0, None))
