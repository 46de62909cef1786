"""Snapshots: believed when they are whole and of this log, and passed over otherwise."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleetfold_contracts import events as evt
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_state_projector.snapshots import FILE, KEPT, Origin, Snapshots
from tests.support.examples import a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin("1.0", NOW, NOW)


def state_at(position: int) -> State:
    state = State()
    fold(state, evt.NodeJoined(node=a_node(f"n{position}")), At(sequence=position, time=NOW))
    return state


@pytest.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[Snapshots]:
    async with Snapshots.open(tmp_path / "data") as snapshots:
        yield snapshots


async def test_the_newest_is_taken_up_as_it_was_left(snapshots: Snapshots) -> None:
    for position in (5, 9):
        await snapshots.save(state_at(position), ORIGIN)
    found = await snapshots.newest(ORIGIN, last_sequence=100)
    assert found is not None
    assert found.encode() == state_at(9).encode()


async def test_a_torn_snapshot_is_passed_over_for_the_one_before(snapshots: Snapshots, tmp_path: Path) -> None:
    for position in (5, 9):
        await snapshots.save(state_at(position), ORIGIN)
    with sqlite3.connect(tmp_path / "data" / FILE) as database:
        database.execute("UPDATE snapshots SET state = substr(state, 1, 20) WHERE rowid = 2")
    database.close()
    found = await snapshots.newest(ORIGIN, last_sequence=100)
    assert found is not None
    assert found.position == 5


@pytest.mark.parametrize(
    "origin",
    [
        ORIGIN._replace(version="2.0"),
        ORIGIN._replace(events_created=NOW + timedelta(seconds=1)),
        ORIGIN._replace(samples_created=NOW + timedelta(seconds=1)),
    ],
)
async def test_a_snapshot_of_another_version_or_stream_is_not_believed(snapshots: Snapshots, origin: Origin) -> None:
    await snapshots.save(state_at(5), ORIGIN)
    assert await snapshots.newest(origin, last_sequence=100) is None


async def test_a_snapshot_ahead_of_the_log_is_not_believed(snapshots: Snapshots) -> None:
    await snapshots.save(state_at(5), ORIGIN)
    assert await snapshots.newest(ORIGIN, last_sequence=4) is None


async def test_only_the_newest_are_kept(snapshots: Snapshots, tmp_path: Path) -> None:
    for position in range(1, 10):
        await snapshots.save(state_at(position), ORIGIN)
    with sqlite3.connect(tmp_path / "data" / FILE) as database:
        ((count,),) = database.execute("SELECT count(*) FROM snapshots")
    database.close()
    assert count == KEPT
