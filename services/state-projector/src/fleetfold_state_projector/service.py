"""The projector: folds both streams into the state of the cluster, answers questions, and says who fell silent."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from fleetfold_bus.port import Service
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_core.state import State
from fleetfold_runtime.borrowing import borrowed_state
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.origin import origin_of
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background
from fleetfold_state_projector.history.history import History
from fleetfold_state_projector.kv.publisher import ViewPublisher
from fleetfold_state_projector.liveness_watch import LivenessWatch
from fleetfold_state_projector.questions import Questions
from fleetfold_state_projector.settings import ProjectorSettings
from fleetfold_state_projector.snapshots.serving import SnapshotServing
from fleetfold_state_projector.snapshots.store import SnapshotStore
from fleetfold_state_projector.snapshots.taking import Snapshotter

NAME = "state-projector"
VERSION = "0.1.0"

_log = get_logger()


async def serve(context: Context[ProjectorSettings]) -> None:
    """Fold and answer until told to stop."""
    if not context.settings.data:
        await _serve(context, None, None)
        return
    async with SnapshotStore.open(Path(context.settings.data)) as store:
        await _serve(context, store, await _believed(context, store))


async def _believed(context: Context[ProjectorSettings], store: SnapshotStore) -> State | None:
    bus, subjects = context.bus, context.settings.subjects
    state = await store.believed(
        await origin_of(bus, subjects, context.settings.folds),
        last_sequence=await bus.last_sequence(subjects.stream(EVENTS)),
        last_samples_sequence=await bus.last_sequence(subjects.stream(SAMPLES)),
    )
    _log.info("begins", position=0 if state is None else state.position)
    return state


async def _serve(context: Context[ProjectorSettings], store: SnapshotStore | None, state: State | None) -> None:
    bus, clock, settings = context.bus, context.clock, context.settings
    # Where the state begins has to be known before its history: what is folded already must be recorded too.
    state = state or await borrowed_state(bus, settings.subjects, settings.folds) or State()
    async with History.open(bus, state, settings) as history:
        record = history.recorder.record
        live = LiveState(
            bus, settings.subjects, clock, with_samples=True, state=state, share=settings.folds, on_samples=record
        )
        context.readiness.check = lambda: live.ready
        snapshots = [] if store is None else SnapshotServing(settings.subjects, store).endpoints()
        questions = Questions(bus, settings.subjects, live, history, clock, settings.folds)
        endpoints = [*questions.endpoints(), *snapshots]
        service = Service(NAME, VERSION, "Answers questions about the cluster", endpoints)
        bucket = bus.bucket(settings.subjects.state_bucket)
        views = ViewPublisher(bucket, clock, live, questions.summary, settings.folds)
        async with (
            live.following(context.stop),
            bus.serve(service),
            _snapshots_taken(context, live, store),
            background(views.run()),
        ):
            await LivenessWatch(context, live).run()


@asynccontextmanager
async def _snapshots_taken(
    context: Context[ProjectorSettings], live: LiveState, store: SnapshotStore | None
) -> AsyncGenerator[None]:
    if store is None:
        yield
        return
    settings = context.settings
    snapshotter = Snapshotter(live, store, await origin_of(context.bus, settings.subjects, settings.folds))
    async with background(snapshotter.run(settings.snapshot_interval_s)):
        yield
    await snapshotter.take()
