"""The projector: folds both streams into the state of the cluster, answers questions, and says who fell silent."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fleetfold_bus.port import Answer, Endpoint, Request, Service
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import answers, codec
from fleetfold_core.state import State
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background
from fleetfold_state_projector import views
from fleetfold_state_projector.liveness_watch import LivenessWatch
from fleetfold_state_projector.settings import ProjectorSettings
from fleetfold_state_projector.snapshots import Origin, Snapshots, origin_of

NAME = "state-projector"
VERSION = "0.1.0"
READ_OWN_WRITE_WITHIN_S = 4.0

Query = answers.DevicesQuery | answers.StateQuery | answers.LinksQuery | answers.ExplainQuery
QueryT = TypeVar("QueryT", bound=Query)

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
    live = LiveState(context.bus, context.settings.subjects, context.clock, with_samples=True, state=state)
    context.readiness.check = lambda: live.ready
    service = Service(NAME, VERSION, "Answers questions about the cluster", Questions(context, live).endpoints())
    async with live.following(context.stop), context.bus.serve(service):
        await LivenessWatch(context, live).run()


async def _keep_saving(snapshots: Snapshots, state: State, origin: Origin, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        await snapshots.save(state, origin)


class Questions:
    """What the projector answers, from its state."""

    def __init__(self, context: Context[ProjectorSettings], live: LiveState) -> None:
        """`live` is the state that it answers from."""
        self._subjects = context.settings.subjects
        self._live = live

    def endpoints(self) -> list[Endpoint]:
        """One endpoint a question."""
        return [
            self._endpoint("devices", answers.DevicesQuery, views.devices),
            self._endpoint("state", answers.StateQuery, lambda state, _: views.cluster(state)),
            self._endpoint("links", answers.LinksQuery, views.links),
            self._endpoint("explain", answers.ExplainQuery, views.explain),
        ]

    def _endpoint(self, verb: str, kind: type[QueryT], view: Callable[[State, QueryT], object]) -> Endpoint:
        async def answer(request: Request) -> Answer:
            try:
                query = codec.decode_query(kind, request.payload, request.headers)
                async with asyncio.timeout(READ_OWN_WRITE_WITHIN_S):
                    await self._live.reached(query.at_least)
                return Answer(codec.encode(view(self._live.state, query)))
            except codec.ContractError as error:
                return rejected_answer(error)
            except TimeoutError:
                return failure("408", f"the log stands at {self._live.state.position}, before this", "$.at_least")

        metadata = {"schema": f"{kind.__name__}.json"}
        return Endpoint(name=verb, subject=self._subjects.api(verb), handler=answer, metadata=metadata)
