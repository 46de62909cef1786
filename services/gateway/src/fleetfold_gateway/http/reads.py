"""Questions: what the fleet answers, shared between those who ask, with an ETag."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fleetfold_client import Fleet, FleetError, RejectedError
from fleetfold_contracts import answers, codec, figures, history
from fleetfold_gateway.http import gpu, views
from fleetfold_gateway.http.asking import query_of
from fleetfold_gateway.http.operations import Desk, Operation
from fleetfold_gateway.http.problems import ProblemError, of_fleet
from fleetfold_gateway.http.shared import Page, Positioned

WAIT_FOR_POSITION_S = 2.0
NAMES_SOMETHING = ("$.device_id", "$.node_id", "$.workload_id", "$.work_id")
"""What is wrong with one of these is that there is no such thing."""

QueryT = TypeVar("QueryT", bound=msgspec.Struct)


async def _device(fleet: Fleet, query: views.DeviceQuery) -> views.DeviceAnswer:
    answer = await fleet.devices(answers.DevicesQuery(at_least=query.at_least))
    for device in answer.devices:
        if device.capabilities.device_id == query.device_id:
            return views.DeviceAnswer(position=answer.position, device=device)
    raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no device {query.device_id!r}")


async def _nodes(fleet: Fleet, query: views.AtLeast) -> views.NodesAnswer:
    state = await fleet.state(answers.StateQuery(at_least=query.at_least))
    return views.NodesAnswer(position=state.position, nodes=state.nodes)


async def _placements(fleet: Fleet, query: views.AtLeast) -> views.PlacementsAnswer:
    state = await fleet.state(answers.StateQuery(at_least=query.at_least))
    count = state.summary.placement_count
    return views.PlacementsAnswer(position=state.position, placement_count=count, placements=state.placements)


async def _work(fleet: Fleet, query: views.AtLeast) -> views.WorkAnswer:
    state = await fleet.state(answers.StateQuery(at_least=query.at_least))
    return views.WorkAnswer(position=state.position, works=state.works)


async def _aggregate(fleet: Fleet, query: figures.AggregateQuery) -> figures.AggregateAnswer:
    return await fleet.aggregate(query)


async def _topology(fleet: Fleet, query: figures.TopologyQuery) -> figures.TopologyAnswer:
    return await fleet.topology(query)


async def _one_work(fleet: Fleet, query: views.WorkQuery) -> answers.WorksAnswer:
    return await fleet.works(query.work_id)


async def _failed(fleet: Fleet, query: views.WorkQuery) -> answers.FailedAnswer:
    return await fleet.failed(query.work_id)


async def _explain(fleet: Fleet, query: views.PlacementQuery) -> answers.ExplainAnswer:
    return await fleet.explain(query.workload_id, pool=query.pool)


async def _history(fleet: Fleet, query: history.HistoryQuery) -> history.HistoryAnswer:
    return await fleet.history(query)


def _read(
    path: str, summary: str, kind: type[QueryT], ask: Callable[[Fleet, QueryT], Awaitable[Positioned]], *, tag: str
) -> Operation:
    name = path.removeprefix("/api/").replace("/", "_").replace("{", "").replace("}", "")

    async def handle(desk: Desk, request: Request) -> Response:
        query = query_of(request, kind)
        at_least: int = getattr(query, "at_least", 0)
        key = f"{request.url.path}?{request.url.query}"
        page = desk.shared.at_hand(key, at_least)
        if page is None:
            await _wait_for(desk, at_least)
            page = await _asked(desk, key, at_least, lambda: ask(desk.fleet, query))
        return _answered(request, page)

    return Operation(name=name, path=path, summary=summary, handler=handle, tag=tag, query=kind, answer=_answer_of(ask))


async def _asked(desk: Desk, key: str, at_least: int, ask: Callable[[], Awaitable[Positioned]]) -> Page:
    try:
        return await desk.shared.page(key, at_least, ask)
    except FleetError as error:
        unknown = isinstance(error, RejectedError) and error.field in NAMES_SOMETHING
        raise of_fleet(error, rejected=HTTPStatus.NOT_FOUND if unknown else HTTPStatus.BAD_REQUEST) from error


async def _wait_for(desk: Desk, at_least: int) -> None:
    if not await desk.feed.reached(at_least, within_s=WAIT_FOR_POSITION_S):
        detail = f"the log stands at {desk.feed.recent.position}, before this"
        raise ProblemError(HTTPStatus.CONFLICT, detail, field="?at_least")


def _answered(request: Request, page: Page) -> Response:
    headers = {"ETag": page.etag, "Cache-Control": "no-cache"}
    known = request.headers.get("if-none-match")
    if known is not None and page.etag in (etag.strip().removeprefix("W/") for etag in known.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(page.body, headers=headers, media_type=codec.JSON)


def _answer_of(ask: Callable[..., Awaitable[Positioned]]) -> type[msgspec.Struct]:
    answer = ask.__annotations__["return"]
    assert issubclass(answer, msgspec.Struct), f"{ask} answers with a struct"
    return answer


async def _devices(fleet: Fleet, query: answers.DevicesQuery) -> answers.DevicesAnswer:
    return await fleet.devices(query)


async def _state(fleet: Fleet, query: answers.StateQuery) -> answers.StateAnswer:
    return await fleet.state(query)


async def _links(fleet: Fleet, query: answers.LinksQuery) -> answers.LinksAnswer:
    return await fleet.links(query)


READS = (
    _read("/api/v1/devices", "Devices as they stand", answers.DevicesQuery, _devices, tag="fleet"),
    _read("/api/v1/devices/{device_id}", "One device", views.DeviceQuery, _device, tag="fleet"),
    _read("/api/v1/devices/{device_id}/history", "What it read", history.HistoryQuery, _history, tag="fleet"),
    _read("/api/v1/state", "Nodes, placements and work, with a summary", answers.StateQuery, _state, tag="fleet"),
    _read("/api/v1/nodes", "Nodes as they stand", views.AtLeast, _nodes, tag="fleet"),
    _read("/api/v1/aggregate", "The fleet in figures", figures.AggregateQuery, _aggregate, tag="fleet"),
    _read("/api/v1/links", "Links between devices, and between nodes", answers.LinksQuery, _links, tag="fleet"),
    _read("/api/v1/topology", "What hangs together", figures.TopologyQuery, _topology, tag="fleet"),
    _read("/api/v1/placements", "Placements as they stand", views.AtLeast, _placements, tag="placements"),
    _read(
        "/api/v1/placements/{workload_id}",
        "Why a workload sits there",
        views.PlacementQuery,
        _explain,
        tag="placements",
    ),
    _read("/api/v1/work", "Work as it stands", views.AtLeast, _work, tag="work"),
    _read("/api/v1/work/{work_id}", "One work, device by device", views.WorkQuery, _one_work, tag="work"),
    _read("/api/v1/work/{work_id}/failed", "The items of a work that failed", views.WorkQuery, _failed, tag="work"),
    _read("/api/gpu/devices", "Devices in a few figures", views.AtLeast, gpu.devices, tag="gpu"),
    _read("/api/gpu/topology", "Nodes, devices and links", views.AtLeast, gpu.topology, tag="gpu"),
)
