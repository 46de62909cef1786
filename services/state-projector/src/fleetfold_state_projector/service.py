"""The projector: folds both streams into the state of the cluster, answers questions, and says who fell silent."""

import asyncio
from pathlib import Path

from fleetfold_bus.port import Service
from fleetfold_bus.streams import EVENTS
from fleetfold_core.state import State
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background
from fleetfold_state_projector.liveness_watch import LivenessWatch
from fleetfold_state_projector.questions import Questions
from fleetfold_state_projector.settings import ProjectorSettings
from fleetfold_state_projector.snapshots import Origin, Snapshots, origin_of

NAME = "state-projector"
VERSION = "0.1.0"

_log = get_logger()


async def serve(context: Context[ProjectorSettings]) -> None:
    """Fold and answer until told to stop."""
    settings = context.settings
    if not settings.data:
        await _serve(context, State())
        return
    async with Snapshots.open(Path(settings.data)) as snapshots:
        origin = await origin_of(context.bus, settings.subjects, VERSION)
        last_sequence = await context.bus.last_sequence(settings.subjects.stream(EVENTS))
        state = await snapshots.newest(origin, last_sequence=last_sequence) or State()
        _log.info("begins", position=state.position)
        async with background(_keep_saving(snapshots, state, origin, settings.snapshot_interval_s)):
            await _serve(context, state)
        await snapshots.save(state, origin)


async def _serve(context: Context[ProjectorSettings], state: State) -> None:
    subjects = context.settings.subjects
    live = LiveState(context.bus, subjects, context.clock, with_samples=True, state=state)
    context.readiness.check = lambda: live.ready
    service = Service(NAME, VERSION, "Answers questions about the cluster", Questions(subjects, live).endpoints())
    async with live.following(context.stop), context.bus.serve(service):
        await LivenessWatch(context, live).run()


async def _keep_saving(snapshots: Snapshots, state: State, origin: Origin, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        await snapshots.save(state, origin)
