"""What the projector is asked, and answers from its state."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from inspect import isawaitable
from typing import TypeVar

from fleetfold_bus.port import Answer, Endpoint, Request
from fleetfold_contracts import answers, codec, figures
from fleetfold_contracts.facts import FactsAnswer, FactsQuery
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.facts import digests
from fleetfold_core.state import State
from fleetfold_core.views.cluster import cluster, links
from fleetfold_core.views.devices import DeviceIds, devices
from fleetfold_core.views.explained import explain
from fleetfold_core.views.figures import aggregate
from fleetfold_core.views.topology import KeptFigures, topology
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_runtime.live_state import LiveState
from fleetfold_state_projector.history.history import History

READ_OWN_WRITE_WITHIN_S = 4.0

Query = (
    answers.DevicesQuery
    | answers.StateQuery
    | answers.LinksQuery
    | answers.ExplainQuery
    | figures.AggregateQuery
    | figures.TopologyQuery
    | HistoryQuery
    | FactsQuery
)
QueryT = TypeVar("QueryT", bound=Query)


class Questions:
    """One endpoint a question."""

    def __init__(self, subjects: Subjects, live: LiveState, history: History, clock: Clock) -> None:
        """`live` is the state that is answered from. `clock` stands in for the server's while nothing was heard."""
        self._subjects = subjects
        self._live = live
        self._history = history
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """All of them."""
        ids, kept = DeviceIds(), KeptFigures()
        return [
            self._endpoint("devices", answers.DevicesQuery, lambda state, query: devices(state, query, ids)),
            self._endpoint("state", answers.StateQuery, lambda state, _: cluster(state)),
            self._endpoint("aggregate", figures.AggregateQuery, lambda state, _: aggregate(state, self._now())),
            self._endpoint("topology", figures.TopologyQuery, lambda state, query: topology(state, query, kept)),
            self._endpoint("history", HistoryQuery, lambda _, query: self._told(query)),
            self._endpoint("facts", FactsQuery, lambda state, _: _facts(state)),
            self._endpoint("links", answers.LinksQuery, links),
            self._endpoint("explain", answers.ExplainQuery, explain),
        ]

    def _now(self) -> datetime | None:
        return self._live.server_now()

    async def _told(self, query: HistoryQuery) -> HistoryAnswer:
        return await self._history.answer(query, self._now() or self._clock.now())

    def _endpoint(self, verb: str, kind: type[QueryT], view: Callable[[State, QueryT], object]) -> Endpoint:
        async def answer(request: Request) -> Answer:
            try:
                query = codec.decode_query(kind, request.payload, request.headers)
                async with asyncio.timeout(READ_OWN_WRITE_WITHIN_S):
                    await self._live.reached(query.at_least)
                shown = view(self._live.state, query)
                return Answer(codec.encode(await shown if isawaitable(shown) else shown))
            except codec.ContractError as error:
                return rejected_answer(error)
            except TimeoutError:
                return failure("408", f"the log stands at {self._live.state.position}, before this", "$.at_least")

        metadata = {"schema": f"{kind.__name__}.json"}
        return Endpoint(name=verb, subject=self._subjects.api(verb), handler=answer, metadata=metadata)


def _facts(state: State) -> FactsAnswer:
    return FactsAnswer(position=state.position, digests=digests(state))
