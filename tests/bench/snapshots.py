"""What a snapshot costs while it is taken, and what it saves at a start."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fleetfold_contracts import codec
from fleetfold_contracts.snapshots import Origin
from fleetfold_core.fold import fold
from fleetfold_core.snapshot import OutcomesInOrder, Snapshot
from fleetfold_core.state import At, State
from fleetfold_state_projector.snapshots.store import About, SnapshotStore, digest_of
from fleetfold_state_projector.snapshots.taking import parts_of
from tests.bench import history
from tests.bench.measure import Effort, Report, Series

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(version="bench", events_created=NOW, samples_created=NOW)

AT_ONCE = "pause, encoded at once"
IN_SLICES = "longest pause, in slices"
REFOLD = "start by decoding and folding all"
FROM_SNAPSHOT = "start from a snapshot"


async def measure(folder: Path, effort: Effort) -> Report:
    """One log for all of it, whose every event is the outcome of a command."""
    state, refold_s = _folded(effort.logged)
    at_once_s = _took_s(state.encode)
    outcomes = OutcomesInOrder(state)
    longest_s, encoded = _pauses_s(state, outcomes)
    assert encoded == state.encode(), "it is what encoding at once gives"
    snapshot_s = await _start_s(folder, state)
    series = (
        Series(name=AT_ONCE, values=(at_once_s * 1000,)),
        Series(name=IN_SLICES, values=(longest_s * 1000,), against=AT_ONCE),
        Series(name=REFOLD, values=(refold_s * 1000,)),
        Series(name=FROM_SNAPSHOT, values=(snapshot_s * 1000,), against=REFOLD),
    )
    return Report(title=f"Snapshot after {effort.logged} events", unit="ms", series=series)


def _folded(count: int) -> tuple[State, float]:
    """The state after so many events, and how long it took to decode and fold them. They are encoded as it goes."""
    state = State()
    took_s = 0.0
    for index in range(count):
        payload = codec.encode_event(
            history.event(index), id=f"event-{index}", source="bench", time=NOW, cause=f"command-{index}"
        )
        began_s = time.perf_counter()
        envelope = codec.decode_envelope(payload)
        fold(state, codec.decode_event(envelope), At(sequence=index + 1, time=NOW, cause=envelope.cause))
        took_s += time.perf_counter() - began_s
    return state, took_s


def _pauses_s(state: State, outcomes: OutcomesInOrder) -> tuple[float, bytes]:
    """The longest time for which nothing else can run, the first moment included."""
    began_s = time.perf_counter()
    slices = Snapshot(state, outcomes).slices()
    pauses_s = [time.perf_counter() - began_s]
    pieces: list[bytes] = []
    while True:
        began_s = time.perf_counter()
        piece = next(slices, None)
        pauses_s.append(time.perf_counter() - began_s)
        if piece is None:
            return max(pauses_s), b"".join(pieces)
        pieces.append(piece)


async def _start_s(folder: Path, state: State) -> float:
    async with SnapshotStore.open(folder) as store:
        parts = await parts_of(Snapshot(state, OutcomesInOrder(state)).slices())
        about = About(
            origin=ORIGIN,
            position=state.position,
            samples_position=0,
            digest=digest_of(parts),
            size_bytes=sum(map(len, parts)),
        )
        await store.save(about, parts)
        began_s = time.perf_counter()
        found = await store.believed(ORIGIN, last_sequence=state.position, last_samples_sequence=0)
        took_s = time.perf_counter() - began_s
    assert found is not None
    assert found.position == state.position
    return took_s


def _took_s(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
