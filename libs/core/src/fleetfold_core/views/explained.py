"""Why a workload sits where it sits, or nowhere."""

from collections.abc import Sequence
from heapq import merge

from msgspec.structs import replace

from fleetfold_contracts.answers import ExplainAnswer, ExplainQuery
from fleetfold_contracts.codec import ContractError
from fleetfold_core._words import some_of
from fleetfold_core.explain import explain as explain_refusal
from fleetfold_core.state import Placement, Queued, Refusal, State
from fleetfold_core.views._fitting import WHOLE_BYTES, fitting


def explain(state: State, query: ExplainQuery) -> ExplainAnswer:
    """Why a workload sits where it sits, or nowhere.

    Raises:
        ContractError: nothing is known of it.
    """
    placement = state.placement(query.pool, query.workload_id)
    if placement is not None:
        return _explain_placement(state, query, placement)
    queued = state.queue.get((query.pool, query.workload_id))
    if queued is not None:
        return _explain_wait(state, query, queued)
    refusal = state.refusal(query.pool, query.workload_id)
    if refusal is not None:
        return _explain_refusal(state, query, refusal)
    if (query.pool, query.workload_id) in state.released:
        return _explain_release(state, query)
    raise ContractError(f"nothing is known of a workload {query.workload_id!r}", "$.workload_id")


def explain_part(state: State, part: State, query: ExplainQuery) -> ExplainAnswer:
    """The same, with verdicts on the places of a part of the state alone.

    Raises:
        ContractError: nothing is known of it.
    """
    answer = explain(state, query)
    places = part.devices.keys() | part.nodes.keys()
    return replace(answer, verdicts=tuple(verdict for verdict in answer.verdicts if verdict.device_id in places))


def merged_explanation(parts: Sequence[ExplainAnswer], silent: tuple[str, ...] = ()) -> ExplainAnswer:
    """One of several that have no verdict in common. `silent`: the shares of the fleet that are not among them."""
    verdicts = merge(*(part.verdicts for part in parts), key=lambda verdict: verdict.device_id)
    told = fitting(verdicts, WHOLE_BYTES)[0]
    return replace(parts[0], position=min(part.position for part in parts), verdicts=told, silent_shares=silent)


def _explain_placement(state: State, query: ExplainQuery, placement: Placement) -> ExplainAnswer:
    devices = len({allocation.device_id for allocation in placement.allocations})
    return ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="placed" if placement.degraded is None else "degraded",
        summary=f"{len(placement.allocations)} shards on {devices} devices",
        allocations=placement.allocations,
    )


def _explain_wait(state: State, query: ExplainQuery, queued: Queued) -> ExplainAnswer:
    waits_for = f"; it waits for {some_of(queued.kept_devices)}" if queued.kept_devices else ""
    displaced = f"made room for {queued.preempted_by}: " if queued.preempted_by is not None else ""
    return ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="waiting",
        summary=f"{displaced}{queued.summary}{waits_for}",
        obstacles=queued.obstacles,
        verdicts=fitting(explain_refusal(state, queued.workload), WHOLE_BYTES)[0],
    )


def _explain_refusal(state: State, query: ExplainQuery, refusal: Refusal) -> ExplainAnswer:
    return ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="refused",
        summary=refusal.summary,
        obstacles=refusal.obstacles,
        verdicts=fitting(explain_refusal(state, refusal.workload), WHOLE_BYTES)[0],
    )


def _explain_release(state: State, query: ExplainQuery) -> ExplainAnswer:
    released_at = state.released[query.pool, query.workload_id]
    return ExplainAnswer(
        position=state.position,
        workload_id=query.workload_id,
        status="released",
        summary=f"gave back what it held at {released_at:%Y-%m-%d %H:%M:%S} UTC",
    )
