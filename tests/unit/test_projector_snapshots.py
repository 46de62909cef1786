"""Snapshots: believed when they are whole and of this log, and passed over otherwise."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.port import Service
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.snapshots import Origin
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_runtime import live_state
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.origin import origin_of
from fleetfold_state_projector.snapshots import store
from fleetfold_state_projector.snapshots.serving import SnapshotServing
from fleetfold_state_projector.snapshots.store import FILE, KEPT, About, SnapshotStore, digest_of
from fleetfold_state_projector.snapshots.taking import Snapshotter
from tests.support.examples import a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(version="1.0", events_created=NOW, samples_created=NOW)
SUBJECTS = Subjects("fleet")


def state_at(position: int) -> State:
    state = State()
    fold(state, evt.NodeJoined(node=a_node(f"n{position}")), At(sequence=position, time=NOW))
    return state


async def save(snapshots: SnapshotStore, position: int) -> None:
    payload = state_at(position).encode()
    parts = [payload[:10], payload[10:]]
    about = About(
        origin=ORIGIN,
        position=position,
        samples_position=position,
        digest=digest_of(parts),
        size_bytes=len(payload),
    )
    await snapshots.save(about, parts)


async def believed(snapshots: SnapshotStore, *, origin: Origin = ORIGIN, last: int = 100) -> State | None:
    return await snapshots.believed(origin, last_sequence=last, last_samples_sequence=last)


@pytest.fixture
async def snapshots(tmp_path: Path) -> AsyncIterator[SnapshotStore]:
    async with SnapshotStore.open(tmp_path / "data") as snapshots:
        yield snapshots


def spoil(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "data" / FILE)) as database, database:
        database.execute(statement)


async def test_the_newest_is_taken_up_as_it_was_left(snapshots: SnapshotStore) -> None:
    for position in (5, 9):
        await save(snapshots, position)
    found = await believed(snapshots)
    assert found is not None
    assert found.encode() == state_at(9).encode()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE parts SET data = substr(data, 1, 5) WHERE snapshot = 2 AND number = 0",
        "DELETE FROM parts WHERE snapshot = 2 AND number = 1",
        "UPDATE snapshots SET about = 'torn' WHERE id = 2",
    ],
)
async def test_a_torn_snapshot_is_passed_over_for_the_one_before(
    snapshots: SnapshotStore, tmp_path: Path, statement: str
) -> None:
    for position in (5, 9):
        await save(snapshots, position)
    spoil(tmp_path, statement)
    found = await believed(snapshots)
    assert found is not None
    assert found.position == 5


@pytest.mark.parametrize(
    "origin",
    [
        replace(ORIGIN, version="2.0"),
        replace(ORIGIN, events_created=NOW + timedelta(seconds=1)),
        replace(ORIGIN, samples_created=NOW + timedelta(seconds=1)),
    ],
)
async def test_a_snapshot_of_another_version_or_stream_is_not_believed(
    snapshots: SnapshotStore, origin: Origin
) -> None:
    await save(snapshots, 5)
    assert await believed(snapshots, origin=origin) is None


async def test_a_snapshot_ahead_of_the_log_is_not_believed(snapshots: SnapshotStore) -> None:
    await save(snapshots, 5)
    assert await believed(snapshots, last=4) is None


async def test_only_the_newest_are_kept(snapshots: SnapshotStore, tmp_path: Path) -> None:
    for position in range(1, 10):
        await save(snapshots, position)
    with closing(sqlite3.connect(tmp_path / "data" / FILE)) as database:
        kept = database.execute("SELECT count(*), count(DISTINCT snapshot), max(snapshot) FROM parts").fetchone()
    assert kept == (2 * KEPT, KEPT, 9)


async def projector(snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryBus, LiveState, Service]:
    """A log of forty joined nodes, folded by a projector whose snapshot comes in many parts."""
    monkeypatch.setattr(store, "PART_BYTES", 100)
    monkeypatch.setattr("fleetfold_state_projector.snapshots.taking.PART_BYTES", 100)
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    for number in range(40):
        await join(bus, f"n{number}")
    live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=True)
    async with live.following(asyncio.Event()):
        await Snapshotter(live, snapshots, await origin_of(bus, SUBJECTS)).take()
    return bus, live, Service("projector", "1.0.0", "", SnapshotServing(SUBJECTS, snapshots).endpoints())


async def join(bus: MemoryBus, node_id: str) -> None:
    event = evt.NodeJoined(node=a_node(node_id))
    payload = codec.encode_event(event, id=node_id, source="test", time=NOW)
    await bus.append(SUBJECTS.event(event), payload, message_id=node_id)


async def folded_by_another(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> tuple[int, State]:
    """How many records another service folds to stand where the log does, and its state then."""
    folded: list[int] = []

    def counted(state: State, event: evt.Event, at: At) -> None:
        folded.append(at.sequence)
        fold(state, event, at)

    with monkeypatch.context() as patch:
        patch.setattr(live_state, "fold", counted)
        live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=False)
        async with live.following(asyncio.Event()):
            return len(folded), live.state


async def test_whoever_starts_folds_the_tail_alone(snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bus, live, service = await projector(snapshots, monkeypatch)
    async with bus.serve(service):
        await join(bus, "late")
        folded_count, state = await folded_by_another(bus, monkeypatch)
    assert folded_count == 1
    assert list(state.nodes) == [*live.state.nodes, "late"]
    assert await folded_by_another(bus, monkeypatch) == (41, state)


@pytest.mark.parametrize(
    "spoiled",
    [
        "UPDATE parts SET data = 'x' WHERE number = 3",
        "DELETE FROM parts WHERE number = 3",
    ],
)
async def test_a_snapshot_that_arrives_broken_is_not_believed(
    snapshots: SnapshotStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoiled: str
) -> None:
    bus, _, service = await projector(snapshots, monkeypatch)
    spoil(tmp_path, spoiled)
    async with bus.serve(service):
        folded_count, _ = await folded_by_another(bus, monkeypatch)
    assert folded_count == 40


async def test_a_snapshot_of_another_log_is_not_taken_over(
    snapshots: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, service = await projector(snapshots, monkeypatch)
    other_bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await other_bus.ensure_streams()
    await join(other_bus, "n0")
    async with other_bus.serve(service):
        folded_count, _ = await folded_by_another(other_bus, monkeypatch)
    assert folded_count == 1
