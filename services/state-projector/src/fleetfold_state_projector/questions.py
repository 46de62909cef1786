"""What the projector is asked, and answers from its state and, in a fleet of several shares, from the others' too."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from inspect import isawaitable
from typing import TypeVar

from fleetfold_bus.port import Answer, Bus, BusError, Endpoint, Request
from fleetfold_contracts import answers, codec, figures
from fleetfold_contracts.facts import FactsAnswer, FactsQuery
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery
from fleetfold_contracts.shares import WHOLE, AggregatePart, Share, StatePart
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.facts import digests
from fleetfold_core.part import Part
from fleetfold_core.state import State
from fleetfold_core.views.cluster import cluster_part, links, merged_cluster, summary
from fleetfold_core.views.devices import DeviceIds, devices, merged_devices
from fleetfold_core.views.explained import explain_part, merged_explanation
from fleetfold_core.views.figures import aggregate_part, merged_aggregate
from fleetfold_core.views.topology import KeptFigures, topology
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_runtime.live_state import LiveState
from fleetfold_state_projector.history.history import History
from fleetfold_state_projector.other_shares import OtherShares

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
    """One endpoint a question, and beside it, where the fleet has several shares, one for this share's part of it."""

    def __init__(
        self, bus: Bus, subjects: Subjects, live: LiveState, history: History, clock: Clock, share: Share = WHOLE
    ) -> None:
        """`live` is the state that is answered from. `clock` stands in for the server's while nothing was heard."""
        self._subjects = subjects
        self._live = live
        self._history = history
        self._clock = clock
        self._share = share
        self._others = OtherShares(bus, subjects, share)
        self._part = Part(share)
        self._ids = DeviceIds()

    def endpoints(self) -> list[Endpoint]:
        """All of them."""
        kept = KeptFigures()
        whole = [
            self._endpoint("devices", answers.DevicesQuery, self._devices),
            self._endpoint("state", answers.StateQuery, self._state),
            self._endpoint("aggregate", figures.AggregateQuery, self._aggregate),
            self._endpoint("topology", figures.TopologyQuery, lambda state, query: topology(state, query, kept)),
            self._endpoint("history", HistoryQuery, self._told),
            self._endpoint("facts", FactsQuery, lambda state, _: _facts(state)),
            self._endpoint("links", answers.LinksQuery, links),
            self._endpoint("explain", answers.ExplainQuery, self._explain),
        ]
        return whole if self._share == WHOLE else [*whole, *self._part_endpoints()]

    async def summary(self) -> answers.Summary:
        """The cluster in figures, and what was decided on it."""
        heard = await self._others.parts("aggregate", figures.AggregateQuery(), AggregatePart)
        return summary(self._live.state, [self._sums(self._live.state), *heard.parts], heard.silent)

    def _part_endpoints(self) -> list[Endpoint]:
        return [
            self._endpoint("devices", answers.DevicesQuery, self._devices_part, self._share),
            self._endpoint("state", answers.StateQuery, lambda state, _: self._state_part(state), self._share),
            self._endpoint("aggregate", figures.AggregateQuery, lambda state, _: self._sums(state), self._share),
            self._endpoint("history", HistoryQuery, lambda _, query: self._own_history(query), self._share),
            self._endpoint("explain", answers.ExplainQuery, self._explain_part, self._share),
        ]

    async def _devices(self, state: State, query: answers.DevicesQuery) -> answers.DevicesAnswer:
        own = self._devices_part(state, query)
        heard = await self._others.parts("devices", query, answers.DevicesAnswer)
        return merged_devices([own, *heard.parts], query, heard.silent)

    def _devices_part(self, state: State, query: answers.DevicesQuery) -> answers.DevicesAnswer:
        return devices(self._part.of(state), query, self._ids)

    async def _state(self, state: State, query: answers.StateQuery) -> answers.StateAnswer:
        heard = await self._others.parts("state", query, StatePart)
        return merged_cluster(state, [self._state_part(state), *heard.parts], heard.silent)

    def _state_part(self, state: State) -> StatePart:
        return cluster_part(self._part.of(state))

    async def _aggregate(self, state: State, query: figures.AggregateQuery) -> figures.AggregateAnswer:
        heard = await self._others.parts("aggregate", query, AggregatePart)
        return merged_aggregate([self._sums(state), *heard.parts], self._now(), heard.silent)

    def _sums(self, state: State) -> AggregatePart:
        return aggregate_part(self._part.of(state))

    async def _explain(self, state: State, query: answers.ExplainQuery) -> answers.ExplainAnswer:
        own = self._explain_part(state, query)
        heard = await self._others.parts("explain", query, answers.ExplainAnswer)
        return merged_explanation([own, *heard.parts], heard.silent)

    def _explain_part(self, state: State, query: answers.ExplainQuery) -> answers.ExplainAnswer:
        return explain_part(state, self._part.of(state), query)

    async def _told(self, state: State, query: HistoryQuery) -> HistoryAnswer:
        device = state.devices.get(query.device_id)
        if device is None or self._share.holds(device.node_id):
            return await self._own_history(query)
        return await self._others.answer_of(self._share.holder(device.node_id), "history", query, HistoryAnswer)

    async def _own_history(self, query: HistoryQuery) -> HistoryAnswer:
        return await self._history.answer(query, self._now() or self._clock.now())

    def _now(self) -> datetime | None:
        return self._live.server_now()

    def _endpoint(
        self, verb: str, kind: type[QueryT], view: Callable[[State, QueryT], object], share: Share | None = None
    ) -> Endpoint:
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
            except BusError as error:
                return failure("503", f"the share of the fleet that could tell does not answer: {error}")

        metadata = {"schema": f"{kind.__name__}.json"}
        if share is None:
            return Endpoint(name=verb, subject=self._subjects.api(verb), handler=answer, metadata=metadata)
        return Endpoint(f"share-{verb}", self._subjects.share_api(share, verb), answer, metadata)


def _facts(state: State) -> FactsAnswer:
    return FactsAnswer(position=state.position, digests=digests(state))
