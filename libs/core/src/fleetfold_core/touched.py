"""What a record changes: asked before it is folded, by whoever keeps something beside the state that must follow it."""

from collections.abc import Collection
from typing import NamedTuple, assert_never

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId, NodeId, PoolId, WorkId, WorkloadId
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.workloads import Allocation, HostAllocation
from fleetfold_core.state import State


class Touched(NamedTuple):
    """The entries of a state that a record may change, add or take away. Any other is after it what it was before.

    What is forgotten because newer things push it out (works that are completed) is not named: it does not change, it
    goes.
    """

    nodes: Collection[NodeId] = ()
    devices: Collection[DeviceId] = ()
    placements: Collection[tuple[PoolId, WorkloadId]] = ()
    works: Collection[WorkId] = ()


NOTHING = Touched()


def touched(state: State, event: evt.Event) -> Touched:  # noqa: C901 - one flat match over the closed union
    """What an event will change of the state that it is folded into next."""
    match event:
        case evt.PlacementDecided():
            pool = event.workload.pool
            freed = [_seats_of(state, (pool, preempted)) for preempted in event.preempted]
            taken = _seats((pool, event.workload.workload_id), event.allocations, event.host)
            return _all_of([*freed, taken]) if freed else taken
        case evt.PlacementMoved():
            key = (event.pool, event.workload_id)
            return _all_of([_seats_of(state, key), _seats(key, event.allocations, event.host)])
        case evt.PlacementReleased():
            return _seats_of(state, (event.pool, event.workload_id))
        case evt.PlacementDegraded():
            return Touched(placements=((event.pool, event.workload_id),))
        case evt.NodeJoined():
            return Touched(nodes=(event.node.node_id,))
        case evt.NodeTransferred():
            devices = {id_ for id_, device in state.devices.items() if device.node_id in event.node_ids}
            return Touched(nodes=event.node_ids, devices=devices)
        case evt.NodeLeft() | evt.LivenessChanged() | evt.NodeCordoned() | evt.NodeUncordoned():
            return Touched(nodes=(event.node_id,))
        case evt.DeviceRegistered():
            return Touched(devices=(event.capabilities.device_id,))
        case (
            evt.DeviceLost()
            | evt.DeviceRecovered()
            | evt.DeviceFaulted()
            | evt.DeviceCordoned()
            | evt.DeviceUncordoned()
        ):
            return Touched(devices=(event.device_id,))
        case evt.DeviceDrainStarted() | evt.DeviceDrainFinished():
            return Touched(
                nodes=() if event.node_id is None else (event.node_id,),
                devices=() if event.device_id is None else (event.device_id,),
            )
        case (
            evt.LinksObserved()
            | evt.PlacementRefused()
            | evt.PlacementQueued()
            | evt.PlacementPreempted()
            | evt.PlacementPreviewed()
            | evt.QuotaSet()
            | evt.RebalanceProposed()
            | evt.CommandRejected()
        ):
            return NOTHING
        case evt.WorkerJoined():
            return Touched(works=[work.work_id for work in state.works.values() if event.device_id in work.lanes])
        case (
            evt.WorkDistributed()
            | evt.WorkDrawn()
            | evt.WorkDispatched()
            | evt.WorkReassigned()
            | evt.BatchFinished()
            | evt.ItemFailed()
            | evt.WorkProgressed()
            | evt.WorkCancelled()
            | evt.WorkRetried()
            | evt.WorkCompleted()
        ):
            return Touched(works=(event.work_id,))
        case _:
            assert_never(event)


def touched_by_samples(samples: NodeSample) -> Touched:
    """What the samples of a node will change."""
    return Touched(nodes=(samples.node_id,), devices=[sample.device_id for sample in samples.samples])


def _seats_of(state: State, key: tuple[PoolId, WorkloadId]) -> Touched:
    placement = state.placements.get(key)
    return NOTHING if placement is None else _seats(key, placement.allocations, placement.host)


def _all_of(parts: Collection[Touched]) -> Touched:
    return Touched(
        nodes={id_ for part in parts for id_ in part.nodes},
        devices={id_ for part in parts for id_ in part.devices},
        placements={key for part in parts for key in part.placements},
    )


def _seats(key: tuple[PoolId, WorkloadId], allocations: Collection[Allocation], host: HostAllocation | None) -> Touched:
    nodes = () if host is None else (host.node_id,)
    return Touched(nodes=nodes, devices={one.device_id for one in allocations}, placements=(key,))
