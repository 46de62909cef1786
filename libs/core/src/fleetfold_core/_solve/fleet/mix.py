"""The mix of jobs, seen from each class of nodes: what may come to it, and how much it is sought after."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.workloads import WHOLE_GPU_MILLI
from fleetfold_core._solve.fleet.columns import Columns, Flags, Integers
from fleetfold_core.jobs import Job
from fleetfold_core.state import Arrivals, DeviceState, NodeState

Numbers = npt.NDArray[np.float64]

COMMON_SHARE = 0.015
"""Jobs that are fewer than this of all are not counted on: a hole that only they could fill is as good as lost."""
SOUGHT_FROM, SOUGHT_FULLY_FROM = 1.0, 1.5
"""A class of nodes is held back when more asks for it than for the average, and fully when half as much again does."""

Kind = tuple[DeviceType, Vendor, str | None]


class Classes:
    """Nodes that are equal but for what sits on them, as a class each.

    `c` classes, `k` kinds of devices (what jobs may ask for by name), `j` jobs.
    """

    def __init__(self, columns: Columns) -> None:
        """Sort the nodes of a pool into classes."""
        known: dict[tuple[object, ...], int] = {}
        members: list[int] = []
        self.of_node: Integers = np.empty(len(columns.nodes), np.int64)
        for index, (node, devices) in enumerate(zip(columns.nodes, columns.devices, strict=True)):
            key = _class_key(node, devices)
            if key not in known:
                known[key] = len(known)
                members.append(index)
            self.of_node[index] = known[key]
        firsts = [(columns.nodes[index], columns.devices[index]) for index in members]
        self._cpu_milli = np.array([node.node.cpu_milli for node, _ in firsts], np.int64)
        self._memory_bytes = np.array([node.node.memory_bytes for node, _ in firsts], np.int64)
        self.device_bytes: Integers = np.array([_least_bytes(devices) for _, devices in firsts], np.int64)
        self._kinds = sorted({_kind(device) for _, devices in firsts for device in devices}, key=repr)
        self._device_counts = np.array(
            [[sum(_kind(device) == kind for device in devices) for kind in self._kinds] for _, devices in firsts],
            np.int64,
        ).reshape(len(firsts), len(self._kinds))
        self.gpu_milli: Numbers = (
            np.bincount(self.of_node, minlength=len(firsts))
            * WHOLE_GPU_MILLI
            * (self._device_counts.sum(1).astype(np.float64))
        )
        """The shares of all devices of all nodes of each class."""

    def admit(self, jobs: list[Job]) -> Flags:
        """Which jobs an empty node of each class can take: `j` x `c`."""
        if not jobs:
            return np.zeros((0, len(self._cpu_milli)), np.bool_)
        asked = np.array([job[:5] for job in jobs], np.int64)
        by_type = {job[5:]: self._admitted_counts(job) for job in jobs}
        counts = np.array([by_type[job[5:]] for job in jobs])
        return (
            (counts >= asked[:, :1])
            & ((self.device_bytes >= asked[:, 2:3]) | (asked[:, :1] == 0))
            & (self._cpu_milli >= asked[:, 3:4])
            & (self._memory_bytes >= asked[:, 4:5])
        )

    def _admitted_counts(self, job: Job) -> Integers:
        """How many devices of each class are of a type that a job may sit on."""
        admitted = [
            (not job.device_types or device_type in job.device_types)
            and (not job.vendors or vendor in job.vendors)
            and (not job.models or model in job.models)
            for device_type, vendor, model in self._kinds
        ]
        return self._device_counts @ np.array(admitted, np.int64)


class Item(NamedTuple):
    """What a job takes of one device, and of the CPU beside it."""

    gpu_milli: int
    gpu_bytes: int
    cpu_milli: float


class Mix:
    """What is worked out of the jobs that arrived."""

    def __init__(self, classes: Classes, arrivals: Arrivals | None) -> None:
        """`arrivals` as the state has them; absent, nothing is known yet."""
        entries = arrivals.mix if arrivals is not None else ()
        total = sum(count for _, count in entries)
        jobs = [(job, count) for job, count in entries if job.gpu_milli or job.gpu_bytes]
        admitted = classes.admit([job for job, _ in jobs])
        self.prices: Numbers = _prices(classes, jobs, admitted)
        """What a share of each class's GPUs costs beyond what it is, 0 to 1: the more is asked of it, the more."""
        items = sorted({_item(job) for job, _ in jobs})
        counts = _counts(items, jobs, admitted)
        common = (counts >= COMMON_SHARE * total) & (counts > 0)
        known: Flags = np.any(common, axis=1)
        self.items = [item for item, is_known in zip(items, known.tolist(), strict=True) if is_known]
        """What is counted on: all that many jobs take of a device of some class."""
        self.common: Flags = common[known]
        """Which item is counted on for which class: items x `c`."""


def _item(job: Job) -> Item:
    return Item(job.gpu_milli, job.gpu_bytes, job.cpu_milli / job.gpu_count)


def _counts(items: list[Item], jobs: list[tuple[Job, int]], admitted: Flags) -> Integers:
    """How many jobs that take an item of a device may come to each class: items x `c`."""
    index = {item: number for number, item in enumerate(items)}
    counts = np.zeros((len(items), admitted.shape[1]), np.int64)
    for (job, count), classes in zip(jobs, admitted, strict=True):
        counts[index[_item(job)]] += count * classes
    return counts


def _prices(classes: Classes, jobs: list[tuple[Job, int]], admitted: Flags) -> Numbers:
    """How much each class is sought after.

    Each job is spread over the classes that can take it in proportion to their size. A class that gets more than the
    average gets it from jobs that have little choice; the others had better go elsewhere.
    """
    asked = np.array([count * max(job.all_gpus_milli, 1) for job, count in jobs], np.float64)
    open_milli = admitted * classes.gpu_milli
    reach_milli = open_milli.sum(1)
    served = reach_milli > 0
    if not served.any():
        return np.zeros(len(classes.gpu_milli))
    per_milli = ((asked[served] / reach_milli[served])[:, None] * (open_milli[served] > 0)).sum(0)
    sought = per_milli * classes.gpu_milli.sum() / asked.sum()
    return np.clip((sought - SOUGHT_FROM) / (SOUGHT_FULLY_FROM - SOUGHT_FROM), 0.0, 1.0)


def _class_key(node: NodeState, devices: list[DeviceState]) -> tuple[object, ...]:
    return (
        node.node.cpu_milli,
        node.node.memory_bytes,
        *sorted((repr(_kind(device)), device.capabilities.max_memory_bytes) for device in devices),
    )


def _kind(device: DeviceState) -> Kind:
    capabilities = device.capabilities
    return capabilities.device_type, capabilities.vendor, capabilities.model


def _least_bytes(devices: list[DeviceState]) -> int:
    return min((device.capabilities.max_memory_bytes for device in devices), default=0)
