"""Works in the state: what was handed out, and what came back of it.

Each function folds one event, or says what stands against it and changes nothing.
"""

from bisect import bisect_right

from fleetfold_contracts.events import BatchFinished, WorkCompleted, WorkDispatched, WorkDistributed
from fleetfold_core.state import Run, State, WorkState

COMPLETED_KEPT = 1000


def distributed(state: State, event: WorkDistributed) -> str | None:
    """A work begins: each of its items lies in exactly one run."""
    trouble = _distribution_trouble(state, event)
    if trouble is not None:
        return trouble
    assigned = {part.device_id: _size(part.runs) for part in event.assignments}
    state.works[event.work_id] = WorkState(
        work_id=event.work_id,
        item_count=event.item_count,
        batch_size=event.batch_size,
        unassigned=_size(event.unassigned),
        assigned=assigned,
        waiting={device: [(0, -(-count // event.batch_size))] for device, count in assigned.items() if count},
    )
    return None


def dispatched(state: State, event: WorkDispatched) -> str | None:
    """All its batches lie in the devices' queues. To say so twice does no harm."""
    work = state.works.get(event.work_id)
    if work is None:
        return f"no work {event.work_id!r} is known"
    work.dispatched = True
    return None


def batch_finished(state: State, event: BatchFinished) -> str | None:
    """A batch is through: its items are done, or have failed."""
    work = state.works.get(event.work_id)
    if work is None:
        return f"no work {event.work_id!r} is known"
    runs = work.waiting.get(event.device_id, [])
    place = bisect_right(runs, event.batch, key=_first) - 1
    if place < 0 or event.batch >= sum(runs[place]):
        return f"batch {event.batch} of device {event.device_id!r} does not wait"
    failed = len({failure.index for failure in event.failures})
    if event.item_count != work.batch_item_count(event.device_id, event.batch) or failed > event.item_count:
        return f"batch {event.batch} of device {event.device_id!r} does not hold {event.item_count} items"
    runs[place : place + 1] = _without(runs[place], event.batch)
    if not runs:
        del work.waiting[event.device_id]
    work.done += event.item_count - failed
    work.failed += failed
    return None


def completed(state: State, event: WorkCompleted) -> str | None:
    """Every assigned item is through."""
    work = state.works.get(event.work_id)
    if work is None or work.completed:
        return f"no work {event.work_id!r} is under way"
    if work.waiting or (event.done, event.failed, event.unassigned) != (work.done, work.failed, work.unassigned):
        return f"work {event.work_id!r} is not through, or its counts are others"
    work.completed = True
    old = [work_id for work_id, work in state.works.items() if work.completed][:-COMPLETED_KEPT]
    for work_id in old:
        del state.works[work_id]
    return None


def _distribution_trouble(state: State, event: WorkDistributed) -> str | None:
    if event.work_id in state.works:
        return f"work {event.work_id!r} is there already"
    devices = [part.device_id for part in event.assignments]
    unknown = [device for device in devices if device not in state.devices]
    if unknown:
        return f"no device {unknown[0]!r} is known"
    if len(set(devices)) < len(devices):
        return "a device is named twice"
    runs = [run for part in event.assignments for run in part.runs] + list(event.unassigned)
    return None if _covers(runs, event.item_count) else "items are missing, or in two places"


def _covers(runs: list[Run], item_count: int) -> bool:
    """Whether runs hold each of 0 to `item_count` - 1 exactly once."""
    reached = 0
    for first, count in sorted(run for run in runs if run[1]):
        if first != reached:
            return False
        reached += count
    return reached == item_count


def _size(runs: tuple[Run, ...]) -> int:
    return sum(count for _, count in runs)


def _first(run: Run) -> int:
    return run[0]


def _without(run: Run, number: int) -> list[Run]:
    first, count = run
    parts = [(first, number - first), (number + 1, first + count - number - 1)]
    return [part for part in parts if part[1]]
