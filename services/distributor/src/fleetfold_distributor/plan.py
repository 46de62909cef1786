"""Which item is meant for whom: from a command and a state to the event that says it. Pure."""

from collections.abc import Sequence

from fleetfold_contracts import codec
from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES, ContractError
from fleetfold_contracts.commands import MANY_ITEMS, Distribute, Retry, Selector, Strategy
from fleetfold_contracts.events import Assignment, WorkDistributed, WorkDrawn, WorkRetried
from fleetfold_contracts.ids import DeviceId, WorkId
from fleetfold_core import runs as run_lists
from fleetfold_core.distribute import Spread, distribute_by_capacity, distribute_by_cost, distribute_uniform
from fleetfold_core.score import score_value
from fleetfold_core.select import select
from fleetfold_core.state import Run, State, WorkState

LARGEST_BODY_BYTES = MAX_PAYLOAD_BYTES
"""A larger item of a source would leave no room for what a batch says beside it."""


def plan_work(
    state: State, command: Distribute, work_id: WorkId, *, command_sequence: int = 0, source_end: int = 0
) -> WorkDistributed:
    """What is meant for whom, and what cannot be assigned. What a source holds is drawn later.

    Raises:
        ContractError: the command makes no sense in this state.
    """
    if work_id in state.works:
        raise ContractError(f"work {work_id!r} is there already; choose another id", "$.work_id")
    devices = chosen(state, command.to)
    spread = _spread(state, command, command.item_count, devices)
    planned = WorkDistributed(
        work_id=work_id,
        item_count=command.item_count,
        batch_size=command.batch_size,
        assignments=_assignments(spread, 0),
        unassigned=tuple(spread.unassigned),
        reason=spread.reason,
        to=command.to,
        max_per_device=command.max_per_device,
        batches_ahead=command.batches_ahead,
        max_tries=command.max_tries,
        retry_delay_s=command.retry_delay_s,
        command_sequence=command_sequence,
        source=command.source,
        source_end=source_end,
    )
    if len(codec.encode(planned)) > MAX_PAYLOAD_BYTES:
        raise ContractError(f"the plan is too large for one event: give fewer items. {MANY_ITEMS}")
    return planned


def plan_drawn(
    state: State, work: WorkState, command: Distribute, payload_sizes_bytes: Sequence[int], through: int
) -> WorkDrawn:
    """The same for items that were drawn from the work's source, of which the sizes are given.

    One that is too large for a message is not assigned, and counts as such.
    """
    count = len(payload_sizes_bytes)
    large = run_lists.of_numbers(i for i, size in enumerate(payload_sizes_bytes) if size > LARGEST_BODY_BYTES)
    fitting = run_lists.minus([(0, count)], large)
    spread = _spread(state, command, run_lists.size(fitting), select(state, command.to), work)
    # The strategies count from 0 without a gap; what is too large lies in between.
    places = list(run_lists.numbers(fitting))
    moved = {device: _at(places, runs) for device, runs in spread.runs.items()}
    unassigned = run_lists.merged([*_at(places, spread.unassigned), *large])
    too_large = f"{run_lists.size(large)} items are larger than {LARGEST_BODY_BYTES} bytes" if large else ""
    largest_bytes = max((size for size in payload_sizes_bytes if size <= LARGEST_BODY_BYTES), default=0)
    return WorkDrawn(
        work_id=work.work_id,
        number=work.decisions + 1,
        item_count=count,
        batch_size=min(work.batch_size, max(1, MAX_PAYLOAD_BYTES // max(1, largest_bytes))),
        through=through,
        assignments=_assignments(Spread(runs=moved, unassigned=[]), work.item_count),
        unassigned=tuple((first + work.item_count, length) for first, length in unassigned),
        reason="; ".join(filter(None, (spread.reason, too_large))),
    )


def plan_retry(state: State, command: Retry) -> WorkRetried:
    """Which items are tried anew.

    Raises:
        ContractError: the command makes no sense in this state.
    """
    work = state.works.get(command.work_id)
    if work is None or work.is_cancelled:
        raise ContractError(f"no work {command.work_id!r} is there that goes on", "$.work_id")
    for place, item in enumerate(command.items):
        if item not in work.dead or item in command.items[:place]:
            raise ContractError(f"item {item} is not known to have failed, or is named twice", f"$.items[{place}]")
    items = sorted(command.items or work.dead)
    if not items:
        raise ContractError(f"no item of work {command.work_id!r} has failed", "$.work_id")
    return WorkRetried(work_id=command.work_id, items=tuple(run_lists.of_numbers(items)))


def chosen(state: State, selector: Selector) -> list[DeviceId]:
    """The devices that take work, in the order of their ids.

    Raises:
        ContractError: the selector names what is not there.
    """
    for index, device in enumerate(selector.devices):
        if state.device_in(selector.pool, device) is None:
            raise ContractError(f"no device {device!r} is known", f"$.to.devices[{index}]")
    for index, node in enumerate(selector.nodes):
        if state.node_in(selector.pool, node) is None:
            raise ContractError(f"no node {node!r} is known", f"$.to.nodes[{index}]")
    workload_id = selector.workload_id
    if workload_id is not None and state.placement(selector.pool, workload_id) is None:
        raise ContractError(f"no workload {workload_id!r} is placed", "$.to.workload_id")
    return select(state, selector)


def _assignments(spread: Spread, first: int) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(device_id=device, runs=tuple((start + first, count) for start, count in runs))
        for device, runs in spread.runs.items()
        if runs
    )


def _at(places: Sequence[int], runs: Sequence[Run]) -> list[Run]:
    return run_lists.of_numbers(places[number] for number in run_lists.numbers(runs))


def _spread(
    state: State, command: Distribute, item_count: int, devices: list[DeviceId], work: WorkState | None = None
) -> Spread:
    limit = _limit(command, devices, work)
    near = _near(state, command, devices)
    match command.strategy:
        case Strategy.UNIFORM:
            return distribute_uniform(item_count, devices, limit, near)
        case Strategy.LIVE:
            scores = {device: score_value(state.devices[device]) for device in devices}
            return distribute_by_capacity(item_count, scores, limit, near)
        case Strategy.CAPACITY:
            return distribute_by_capacity(item_count, _weights(state, command, devices), limit, near)
        case Strategy.COST:
            return distribute_by_cost(command.costs, _weights(state, command, devices), limit, near)


def _limit(command: Distribute, devices: list[DeviceId], work: WorkState | None) -> int | None:
    """How many more items each device may get: as many as the fullest one has room for."""
    if command.max_per_device is None or work is None:
        return command.max_per_device
    held = (lane.done + lane.handed_count + lane.pending_count for id_ in devices if (lane := work.lanes.get(id_)))
    return max(0, command.max_per_device - max(held, default=0))


def _weights(state: State, command: Distribute, devices: list[DeviceId]) -> dict[DeviceId, float]:
    for device in command.weights:
        if device not in state.devices:
            raise ContractError(f"no device {device!r} is known", f"$.weights.{device}")
    if command.weights:
        return {device: command.weights.get(device, 0.0) for device in devices}
    # A device that does not tell its compute units still can work: it counts as the weakest there is.
    return {device: float(state.devices[device].capabilities.compute_units or 1) for device in devices}


def _near(state: State, command: Distribute, devices: list[DeviceId]) -> dict[DeviceId, list[Run]]:
    """The items that shall go to a device; those of a node are spread over its devices evenly."""
    near: dict[DeviceId, list[Run]] = {}
    named: list[Run] = []
    for place, runs in command.near.items():
        field = f"$.near.{place}"
        if place not in state.devices and place not in state.nodes:
            raise ContractError(f"no device or node {place!r} is known", field)
        if any(sum(run) > command.item_count for run in runs):
            raise ContractError(f"it names items beyond the last of {command.item_count}", field)
        named += runs
        if len(set(run_lists.numbers(named))) < run_lists.size(named):
            raise ContractError("an item is named twice", field)
        there = [device for device in devices if place in (device, state.devices[device].node_id)]
        left = list(runs)
        for device, parts in distribute_uniform(run_lists.size(runs), there).runs.items():
            given = run_lists.first_of(left, run_lists.size(parts))
            near[device] = [*near.get(device, []), *given]
            left = run_lists.minus(left, given)
    return near
