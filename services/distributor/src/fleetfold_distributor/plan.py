"""Which item goes where: from a command and a state to the event that says it, and to the batches that follow. Pure."""

from collections.abc import Iterator

from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.commands import Distribute, Selector, Strategy
from fleetfold_contracts.events import Assignment, Liveness, WorkDistributed
from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, WorkId
from fleetfold_contracts.work import Batch, Item
from fleetfold_core.distribute import Spread, distribute_by_capacity, distribute_uniform
from fleetfold_core.state import DeviceState, State


def plan_work(state: State, command: Distribute, work_id: WorkId) -> WorkDistributed:
    """What goes where, and what cannot be assigned.

    Raises:
        ContractError: the command makes no sense in this state.
    """
    if work_id in state.works:
        raise ContractError(f"work {work_id!r} is there already; choose another id", "$.work_id")
    devices = select(state, command.to)
    spread = _spread(state, command, devices)
    return WorkDistributed(
        work_id=work_id,
        item_count=command.item_count,
        batch_size=command.batch_size,
        assignments=tuple(
            Assignment(device_id=device, runs=tuple(runs)) for device, runs in spread.runs.items() if runs
        ),
        unassigned=tuple(spread.unassigned),
        reason=spread.reason,
    )


def select(state: State, selector: Selector) -> list[DeviceId]:
    """The devices that take work, in the order of their ids.

    Raises:
        ContractError: the selector names what is not there.
    """
    for index, device in enumerate(selector.devices):
        if device not in state.devices:
            raise ContractError(f"no device {device!r} is known", f"$.to.devices[{index}]")
    chosen = set(selector.devices) or set(state.devices)
    if selector.workload_id is not None:
        placement = state.placement(DEFAULT_POOL, selector.workload_id)
        if placement is None:
            raise ContractError(f"no workload {selector.workload_id!r} is placed", "$.to.workload_id")
        chosen &= {allocation.device_id for allocation in placement.allocations}
    return sorted(device for device in chosen if _takes_work(state, state.devices[device], selector))


def batches(work: WorkDistributed, command: Distribute) -> Iterator[Batch]:
    """The batches of each device, in order: the same for the same event and command, however often it is asked."""
    for assignment in work.assignments:
        indexes = [index for first, count in assignment.runs for index in range(first, first + count)]
        for number, start in enumerate(range(0, len(indexes), work.batch_size)):
            yield Batch(
                work_id=work.work_id,
                device_id=assignment.device_id,
                batch=number,
                items=tuple(_item(command, index) for index in indexes[start : start + work.batch_size]),
            )


def _item(command: Distribute, index: int) -> Item:
    return Item(index=index, body=command.items[index]) if command.items else Item(index=index)


def _takes_work(state: State, device: DeviceState, selector: Selector) -> bool:
    capabilities = device.capabilities
    return (
        device.lost is None
        and device.fault is None
        and device.cordoned is None
        and state.nodes[device.node_id].liveness is Liveness.LIVE
        and (not selector.device_types or capabilities.device_type in selector.device_types)
        and (not selector.vendors or capabilities.vendor in selector.vendors)
    )


def _spread(state: State, command: Distribute, devices: list[DeviceId]) -> Spread:
    if command.strategy is Strategy.UNIFORM:
        return distribute_uniform(command.item_count, devices, command.max_per_device)
    for device in command.weights:
        if device not in state.devices:
            raise ContractError(f"no device {device!r} is known", f"$.weights.{device}")
    given = command.weights or {device: _compute_units(state, device) for device in devices}
    weights = {device: given.get(device, 0.0) for device in devices}
    return distribute_by_capacity(command.item_count, weights, command.max_per_device)


def _compute_units(state: State, device: DeviceId) -> float:
    # A device that does not tell its compute units still can work: it counts as the weakest there is.
    return float(state.devices[device].capabilities.compute_units or 1)
