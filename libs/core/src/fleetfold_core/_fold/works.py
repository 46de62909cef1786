"""Works in the state: what waits for whom, what is handed out, and what came back of it.

Each function folds one event, or says what stands against it and changes nothing. Items in = done + failed +
unassigned + cancelled + waiting, where each that waits lies in exactly one place: it is pending for a device, in a
batch that is handed out, or has failed and will be tried again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId
from fleetfold_core import runs as run_lists
from fleetfold_core.state import (
    At,
    Chunk,
    DeadLetter,
    HandedOut,
    Lane,
    Run,
    State,
    Trouble,
    WorkState,
    keep_newest,
)

COMPLETED_KEPT = 1000
DEAD_KEPT = 1000
"""So many of a work's items that failed for good are remembered, the newest; all of them are counted."""
LONGEST_RETRY_DELAY_S = 300.0
REASON_CHARACTERS = 200
"""So much of a reason is remembered; the log has it whole."""

Decision = evt.WorkDrawn | evt.WorkDispatched | evt.WorkReassigned | evt.WorkCompleted


def distributed(state: State, event: evt.WorkDistributed, at: At) -> str | None:
    """A work begins: each of its items is meant for one device, or unassigned."""
    if event.work_id in state.works:
        return f"work {event.work_id!r} is there already"
    trouble = _plan_trouble(state, event.assignments, event.unassigned, 0, event.item_count)
    if trouble is not None:
        return trouble
    work = state.works[event.work_id] = WorkState(
        work_id=event.work_id,
        sequence=at.sequence,
        item_count=event.item_count,
        batch_size=event.batch_size,
        unassigned=run_lists.size(event.unassigned),
        to=event.to,
        max_per_device=event.max_per_device,
        batches_ahead=event.batches_ahead,
        max_tries=event.max_tries,
        retry_delay_s=event.retry_delay_s,
        command_sequence=event.command_sequence,
        source=event.source,
        source_end=event.source_end,
        drawn_through=event.source.after if event.source else 0,
    )
    _await(work, event.assignments)
    return None


def drawn(state: State, event: evt.WorkDrawn) -> str | None:
    """More items of a work are known."""
    work = _next(state, event)
    if work is None:
        return _untimely(state, event)
    if work.drawn or event.through <= work.drawn_through:
        return f"work {event.work_id!r} is drawn already"
    trouble = _plan_trouble(state, event.assignments, event.unassigned, work.item_count, event.item_count)
    if trouble is not None:
        return trouble
    if event.item_count:
        work.chunks.append(Chunk(first=work.item_count, count=event.item_count, after=work.drawn_through))
    work.decisions += 1
    work.item_count += event.item_count
    work.unassigned += run_lists.size(event.unassigned)
    work.batch_size = min(work.batch_size, event.batch_size)
    work.drawn_through = event.through
    _await(work, event.assignments)
    return None


def dispatched(state: State, event: evt.WorkDispatched, at: At) -> str | None:
    """Batches are handed out."""
    work = _next(state, event)
    if work is None:
        return _untimely(state, event)
    taken = _Taken(work)
    for part in event.batches:
        trouble = f"no device {part.device_id!r} is known" if part.device_id not in state.devices else taken.take(part)
        if trouble is not None:
            return trouble
    work.decisions += 1
    for part in event.batches:
        _hand_out(work, part, at.time)
    for device, runs in taken.pending.items():
        _set_pending(work.lane(device), runs)
    return None


def reassigned(state: State, event: evt.WorkReassigned) -> str | None:
    """Items go from one device to others, those in void batches included."""
    work = _next(state, event)
    if work is None:
        return _untimely(state, event)
    lane = work.lanes.get(event.device_id, Lane())
    unknown = [part.device_id for part in event.assignments if part.device_id not in state.devices]
    if unknown:
        return f"no device {unknown[0]!r} is known"
    if len(set(event.batches)) < len(event.batches) or not set(event.batches) <= lane.handed.keys():
        return f"device {event.device_id!r} does not hold these batches"
    void = [lane.handed[batch] for batch in event.batches]
    loose = [*(run for batch in void if not batch.again for run in batch.runs), *lane.pending]
    moved = () if work.is_cancelled else [run for part in event.assignments for run in part.runs]
    left = run_lists.without(run_lists.merged(loose), run_lists.merged(moved))
    if left is None or run_lists.size(left) != run_lists.size(loose) - run_lists.size(moved):
        return f"these items are not device {event.device_id!r}'s to give, or are given twice"
    work.decisions += 1
    # Each goes before what is pending: taken from the last one on, they lie there in their order.
    for batch in sorted(event.batches, reverse=True):
        _take_back(work, lane, batch)
    lane.silent = lane.silent or event.silent
    if work.is_cancelled:
        _cancel_pending(work)
        return None
    _set_pending(lane, run_lists.minus(lane.pending, moved))
    _await(work, event.assignments)
    return None


def batch_finished(state: State, event: evt.BatchFinished, at: At) -> str | None:
    """A batch is through: its items are done, or have failed.

    One that is void, or was told of before, counts nothing: what is handed out in its stead does.
    """
    work = state.works.get(event.work_id)
    lane = None if work is None else work.lanes.get(event.device_id)
    if work is None or lane is None or event.batch >= lane.next_batch:
        return f"batch {event.batch} of work {event.work_id!r} was never handed to device {event.device_id!r}"
    batch = lane.handed.get(event.batch)
    if batch is None:
        work.redone += event.item_count
        _heard(lane, at.time)
        return None
    failures = {failure.index: failure for failure in event.failures}
    if event.item_count != run_lists.size(batch.runs) or not failures.keys() <= set(run_lists.numbers(batch.runs)):
        return f"batch {event.batch} of device {event.device_id!r} does not hold these items"
    _count(work, lane, event, len(failures))
    _heard(lane, at.time)
    if batch.again:
        for item in set(run_lists.numbers(batch.runs)) - failures.keys():
            del work.troubles[item]
    for failure in failures.values():
        _failed(work, event.device_id, failure, at)
    return None


def item_failed(state: State, event: evt.ItemFailed, at: At) -> str | None:
    """An item has failed for good. To say so twice does no harm."""
    work = state.works.get(event.work_id)
    if work is None:
        return f"no work {event.work_id!r} is known"
    if not _waits(work, event.index):
        state.stale_decision_count += 1
        return None
    tries = work.troubles[event.index].tries
    if len(tries) < work.max_tries:
        return f"item {event.index} will be tried again"
    del work.troubles[event.index]
    work.failed += 1
    work.dead[event.index] = DeadLetter(sequence=at.sequence, tries=tuple(tries))
    keep_newest(work.dead, DEAD_KEPT)
    return None


def cancelled(state: State, event: evt.WorkCancelled) -> str | None:
    """What is not handed out is taken back. What is handed out is finished, or taken back later."""
    work = state.works.get(event.work_id)
    if work is None:
        return f"no work {event.work_id!r} is known"
    if work.completed:
        return None  # It ended while it was being cancelled.
    work.is_cancelled = True
    work.decisions += 1
    _cancel_pending(work)
    return None


def retried(state: State, event: evt.WorkRetried, at: At) -> str | None:
    """Items that had failed for good wait again, as if they had never been tried."""
    work = state.works.get(event.work_id)
    items = list(run_lists.numbers(event.items))
    if work is None or work.is_cancelled:
        return f"no work {event.work_id!r} is there that goes on"
    if len(set(items)) < len(items) or not set(items) <= work.dead.keys():
        return "not all of these items are known to have failed"
    work.decisions += 1
    work.completed = work.completed and not items
    work.failed -= len(items)
    for item in items:
        del work.dead[item]
        work.troubles[item] = Trouble(tries=[], due=at.time)
    return None


def completed(state: State, event: evt.WorkCompleted) -> str | None:
    """Nothing waits any more."""
    work = _next(state, event)
    if work is None:
        return _untimely(state, event)
    told = (event.done, event.failed, event.unassigned, event.cancelled)
    if work.completed or work.waiting or not work.drawn:
        return f"work {event.work_id!r} is not through, or was before"
    if told != (work.done, work.failed, work.unassigned, work.cancelled):
        return f"work {event.work_id!r} ended with other counts"
    work.decisions += 1
    work.completed = True
    for lane in work.lanes.values():
        lane.silent = False
    old = [work_id for work_id, work in state.works.items() if work.completed][:-COMPLETED_KEPT]
    for work_id in old:
        del state.works[work_id]
    return None


def progressed(state: State, event: evt.WorkProgressed) -> str | None:
    """What a work's events say already, in one."""
    return None if event.work_id in state.works else f"no work {event.work_id!r} is known"


def worker_joined(state: State, event: evt.WorkerJoined, at: At) -> str | None:
    """Somebody works for a device: it may get something again."""
    for work in state.works.values():
        lane = work.lanes.get(event.device_id)
        if lane is not None and not work.completed:
            _heard(lane, at.time)
    return None


class _Taken:
    """What batches take out of a work, tried before anything is changed."""

    def __init__(self, work: WorkState) -> None:
        self.pending: dict[DeviceId, list[Run]] = {}
        self._work = work
        self._numbers: dict[DeviceId, int] = {}
        self._again: set[int] = set()

    def take(self, part: evt.HandOut) -> str | None:
        """Take one batch, or say what stands against it."""
        lane = self._work.lanes.get(part.device_id, Lane())
        if part.batch != self._numbers.get(part.device_id, lane.next_batch):
            return f"batch {part.batch} is not the next one of device {part.device_id!r}"
        self._numbers[part.device_id] = part.batch + 1
        if part.again:
            items = set(run_lists.numbers(part.runs))
            free = not items & self._again and all(_waits(self._work, item) for item in items)
            self._again |= items
            return None if free and items else f"items of batch {part.batch} do not wait to be tried again"
        left = run_lists.without(self.pending.get(part.device_id, lane.pending), part.runs)
        if left is None or not run_lists.size(part.runs):
            return f"items of batch {part.batch} are not pending for device {part.device_id!r}"
        self.pending[part.device_id] = left
        return None


def _next(state: State, event: Decision) -> WorkState | None:
    """The work, if this decision is the next one on it."""
    work = state.works.get(event.work_id)
    return work if work is not None and event.number == work.decisions + 1 else None


def _untimely(state: State, event: Decision) -> str | None:
    if event.work_id not in state.works:
        return f"no work {event.work_id!r} is known"
    state.stale_decision_count += 1
    return None


def _plan_trouble(
    state: State, assignments: tuple[evt.Assignment, ...], unassigned: tuple[Run, ...], first: int, count: int
) -> str | None:
    devices = [part.device_id for part in assignments]
    unknown = [device for device in devices if device not in state.devices]
    if unknown:
        return f"no device {unknown[0]!r} is known"
    if len(set(devices)) < len(devices):
        return "a device is named twice"
    runs = [*(run for part in assignments for run in part.runs), *unassigned]
    return None if run_lists.covers(runs, first, count) else "items are missing, or in two places"


def _await(work: WorkState, assignments: Iterable[evt.Assignment]) -> None:
    for part in assignments:
        lane = work.lane(part.device_id)
        _set_pending(lane, [*lane.pending, *(run for run in part.runs if run[1])])


def _set_pending(lane: Lane, runs: list[Run]) -> None:
    lane.pending = runs
    lane.pending_count = run_lists.size(runs)


def _hand_out(work: WorkState, part: evt.HandOut, now: datetime) -> None:
    lane = work.lane(part.device_id)
    lane.next_batch = part.batch + 1
    lane.handed[part.batch] = HandedOut(runs=list(part.runs), since=now, again=part.again)
    lane.handed_count += run_lists.size(part.runs)
    if part.again:
        for item in run_lists.numbers(part.runs):
            work.troubles[item].waits = False


def _take_back(work: WorkState, lane: Lane, number: int) -> None:
    batch = lane.handed.pop(number)
    lane.handed_count -= run_lists.size(batch.runs)
    if batch.again:
        for item in run_lists.numbers(batch.runs):
            work.troubles[item].waits = True
    else:
        _set_pending(lane, [*batch.runs, *lane.pending])


def _cancel_pending(work: WorkState) -> None:
    for lane in work.lanes.values():
        work.cancelled += lane.pending_count
        _set_pending(lane, [])
    for item in [item for item in work.troubles if _waits(work, item)]:
        del work.troubles[item]
        work.cancelled += 1


def _count(work: WorkState, lane: Lane, event: evt.BatchFinished, failed: int) -> None:
    del lane.handed[event.batch]
    lane.handed_count -= event.item_count
    lane.done += event.item_count - failed
    lane.failed += failed
    lane.seconds += event.seconds
    work.done += event.item_count - failed


def _failed(work: WorkState, device_id: DeviceId, failure: evt.ItemFailure, at: At) -> None:
    trouble = work.troubles.setdefault(failure.index, Trouble(tries=[], due=at.time))
    trouble.tries.append(evt.Try(device_id=device_id, reason=failure.reason[:REASON_CHARACTERS], at=at.time))
    trouble.waits = True
    delay_s = min(work.retry_delay_s * 2.0 ** (len(trouble.tries) - 1), LONGEST_RETRY_DELAY_S)
    trouble.due = at.time + timedelta(seconds=delay_s)
    if work.is_cancelled:
        del work.troubles[failure.index]
        work.cancelled += 1


def _waits(work: WorkState, item: int) -> bool:
    trouble = work.troubles.get(item)
    return trouble is not None and trouble.waits


def _heard(lane: Lane, now: datetime) -> None:
    lane.heard = now
    lane.silent = False
