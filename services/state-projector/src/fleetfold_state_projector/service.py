"""The projector: folds both streams into the state of the cluster, answers questions, and says who fell silent."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from fleetfold_bus.port import Answer, BusError, Endpoint, Request, Service
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import answers, codec
from fleetfold_contracts.events import LivenessChanged
from fleetfold_core.state import State
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.run import Context
from fleetfold_runtime.stopping import background, sleep_unless
from fleetfold_state_projector import views
from fleetfold_state_projector.liveness import change_id, changes
from fleetfold_state_projector.settings import ProjectorSettings
from fleetfold_state_projector.snapshots import Origin, Snapshots, origin_of

NAME = "state-projector"
VERSION = "0.1.0"
READ_OWN_WRITE_WITHIN_S = 4.0
LOOK_EVERY_S = 0.25

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


class LivenessWatch:
    """Says when a node falls silent, and when it is heard again."""

    def __init__(self, context: Context[ProjectorSettings], live: LiveState) -> None:
        """`live` knows when each node was seen."""
        self._bus = context.bus
        self._clock = context.clock
        self._stop = context.stop
        self._subjects = context.settings.subjects
        self._offline_after_s = context.settings.offline_after_s
        self._live = live
        self._listening_since: datetime | None = None

    async def run(self) -> None:
        """Look again and again until told to stop."""
        while not await sleep_unless(self._stop, LOOK_EVERY_S):
            now = self._live.server_now()
            if not self._bus.connected or now is None:
                self._listening_since = None
                continue
            self._listening_since = self._listening_since or now
            for change in self._changes(now, self._listening_since):
                await self._say(change)

    def _changes(self, now: datetime, since: datetime) -> list[LivenessChanged]:
        return list(changes(self._live.state, now, listening_since=since, offline_after_s=self._offline_after_s))

    async def _say(self, change: LivenessChanged) -> None:
        id_ = change_id(change)
        payload = codec.encode_event(change, id=id_, source=NAME, time=self._clock.now())
        try:
            appended = await self._bus.append(self._subjects.event(change), payload, message_id=id_)
        except BusError as error:
            _log.info("a change of liveness is said later", node=change.node_id, reason=str(error))
            return
        await self._live.reached(appended.sequence)
        _log.info(f"a node is {change.liveness} now", node=change.node_id)
