"""What the distributor answers of works: how they stand, and which of their items have failed for good."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from fleetfold_bus.port import Answer, Endpoint, Request
from fleetfold_contracts import codec
from fleetfold_contracts.answers import (
    DeviceWork,
    FailedAnswer,
    FailedItem,
    FailedQuery,
    WorksAnswer,
    WorksQuery,
    WorkView,
)
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.state import State, WorkState
from fleetfold_runtime.commands import rejected_answer
from fleetfold_runtime.live_state import LiveState

WORKS_A_PAGE = 500
ITEMS_A_PAGE = 200
DEVICES_SHOWN = 1000

Query = TypeVar("Query", bound=msgspec.Struct)


def endpoints(subjects: Subjects, live: LiveState) -> list[Endpoint]:
    """One endpoint a question."""
    return [
        _endpoint(subjects, "works", WorksQuery, lambda query: works_answer(live.state, query)),
        _endpoint(subjects, "failed", FailedQuery, lambda query: failed_answer(live.state, query)),
    ]


def works_answer(state: State, query: WorksQuery) -> WorksAnswer:
    """Works, the newest first; one of them with what each device has of it.

    Raises:
        ContractError: the one that is asked for is not known.
    """
    if query.work_id is not None:
        work = _work(state, query.work_id)
        devices = [_device(id_, work) for id_ in list(work.lanes)[:DEVICES_SHOWN]]
        return WorksAnswer(position=state.position, works=(work_view(work),), devices=tuple(devices))
    newest = list(reversed(state.works.values()))[:WORKS_A_PAGE]
    return WorksAnswer(position=state.position, works=tuple(map(work_view, newest)))


def failed_answer(state: State, query: FailedQuery) -> FailedAnswer:
    """A work's items that have failed for good and are remembered, in their order, page by page.

    Raises:
        ContractError: the work is not known.
    """
    work = _work(state, query.work_id)
    behind = sorted(item for item in work.dead if query.after is None or item > query.after)
    shown = behind[:ITEMS_A_PAGE]
    return FailedAnswer(
        position=state.position,
        failed=work.failed,
        forgotten=work.failed - len(work.dead),
        items=tuple(
            FailedItem(index=item, tries=work.dead[item].tries, sequence=work.dead[item].sequence) for item in shown
        ),
        next_after=shown[-1] if len(behind) > len(shown) else None,
    )


def work_view(work: WorkState) -> WorkView:
    """A work in figures."""
    return WorkView(
        work_id=work.work_id,
        item_count=work.item_count,
        done=work.done,
        failed=work.failed,
        waiting=work.waiting,
        unassigned=work.unassigned,
        cancelled=work.cancelled,
        redone=work.redone,
        completed=work.completed,
    )


def _device(device_id: str, work: WorkState) -> DeviceWork:
    lane = work.lanes[device_id]
    return DeviceWork(
        device_id=device_id,
        done=lane.done,
        failed=lane.failed,
        pending=lane.pending_count,
        handed=lane.handed_count,
        seconds=lane.seconds,
        silent=lane.silent,
    )


def _work(state: State, work_id: str) -> WorkState:
    work = state.works.get(work_id)
    if work is None:
        raise codec.ContractError(f"no work {work_id!r} is known", "$.work_id")
    return work


def _endpoint(subjects: Subjects, verb: str, kind: type[Query], answer: Callable[[Query], msgspec.Struct]) -> Endpoint:
    async def handle(request: Request) -> Answer:
        try:
            query = codec.decode_query(kind, request.payload, request.headers)
            return Answer(codec.encode(answer(query)))
        except codec.ContractError as error:
            return rejected_answer(error)

    handler: Callable[[Request], Awaitable[Answer]] = handle
    metadata = {"schema": f"{kind.__name__}.json", "answer": "the answer, or an error"}
    return Endpoint(name=verb, subject=subjects.api(verb), handler=handler, metadata=metadata)
