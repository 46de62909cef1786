"""The cluster in figures."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from fleetfold_contracts.events import Liveness
from fleetfold_contracts.figures import AggregateAnswer, Figures
from fleetfold_contracts.ids import PoolId
from fleetfold_contracts.inventory import Vendor
from fleetfold_core.state import DeviceState, State


class _Sum(msgspec.Struct):
    """Readings added up, and how many there were."""

    total: float = 0.0
    count: int = 0

    def add(self, other: "_Sum") -> None:
        self.total += other.total
        self.count += other.count

    @property
    def average(self) -> float | None:
        return self.total / self.count if self.count else None


class _Tally(msgspec.Struct):
    """What some devices have together. Two tallies together are the tally of all their devices."""

    device_count: int = 0
    total_bytes: int = 0
    available_bytes: int = 0
    used_bytes: int = 0
    used_count: int = 0
    utilization: _Sum = msgspec.field(default_factory=_Sum)
    temperature: _Sum = msgspec.field(default_factory=_Sum)
    power: _Sum = msgspec.field(default_factory=_Sum)
    strengths: list[float] = []

    def add(self, other: "_Tally") -> None:
        self.device_count += other.device_count
        self.total_bytes += other.total_bytes
        self.available_bytes += other.available_bytes
        self.used_bytes += other.used_bytes
        self.used_count += other.used_count
        self.utilization.add(other.utilization)
        self.temperature.add(other.temperature)
        self.power.add(other.power)
        self.strengths.extend(other.strengths)

    def figures(self) -> Figures:
        return Figures(
            device_count=self.device_count,
            total_memory_bytes=self.total_bytes,
            used_memory_bytes=self.used_bytes,
            used_memory_device_count=self.used_count,
            available_memory_bytes=self.available_bytes,
            average_utilization_percent=self.utilization.average,
            utilization_device_count=self.utilization.count,
            average_temperature_celsius=self.temperature.average,
            temperature_device_count=self.temperature.count,
            total_power_watts=self.power.total if self.power.count else None,
            power_device_count=self.power.count,
            heterogeneity=max(self.strengths) / min(self.strengths) if self.strengths else None,
            heterogeneity_device_count=len(self.strengths),
        )


def aggregate(state: State, time: datetime | None) -> AggregateAnswer:
    """The cluster in figures, and the same by vendor and by pool. `time` is the server's."""
    cluster = _Tally()
    by_vendor: dict[Vendor, _Tally] = {}
    by_pool: dict[PoolId, _Tally] = {}
    for (vendor, pool, heard), devices in _groups(state).items():
        tally = _tally(devices, devices if heard else [])
        cluster.add(tally)
        by_vendor.setdefault(vendor, _Tally()).add(tally)
        by_pool.setdefault(pool, _Tally()).add(tally)
    return AggregateAnswer(
        position=state.position,
        time=time,
        cluster=cluster.figures(),
        by_vendor={vendor: by_vendor[vendor].figures() for vendor in sorted(by_vendor)},
        by_pool={pool: by_pool[pool].figures() for pool in sorted(by_pool)},
    )


_Group = tuple[Vendor, PoolId, bool]
"""Devices of one vendor in one pool that are heard, or are not."""


def _groups(state: State) -> dict[_Group, list[DeviceState]]:
    nodes = {node_id: (node.pool, node.liveness is not Liveness.OFFLINE) for node_id, node in state.nodes.items()}
    groups: dict[_Group, list[DeviceState]] = {}
    group: list[DeviceState] = []
    newest: _Group | None = None
    for device in state.devices.values():
        pool, node_heard = nodes[device.node_id]
        key = (device.capabilities.vendor, pool, node_heard and device.lost is None)
        if key != newest:  # most are of the same group as the one before
            newest, group = key, groups.setdefault(key, [])
        group.append(device)
    return groups


def _tally(devices: list[DeviceState], heard: list[DeviceState]) -> _Tally:
    # Column by column: a comprehension and `sum` take a third of the time of a loop with a call a device.
    samples = [device.sample for device in heard if device.sample is not None]
    used = [used_bytes for sample in samples if (used_bytes := sample.memory_used_bytes) is not None]
    return _Tally(
        device_count=len(devices),
        total_bytes=sum([device.capabilities.max_memory_bytes for device in devices]),
        available_bytes=sum([device.free_bytes for device in heard]),
        used_bytes=sum(used),
        used_count=len(used),
        utilization=_sum([sample.compute_utilization_percent for sample in samples]),
        temperature=_sum([sample.temperature_celsius for sample in samples]),
        power=_sum([sample.power_watts for sample in samples]),
        strengths=_strengths(heard),
    )


def _strengths(devices: list[DeviceState]) -> list[float]:
    """Compute units x memory bandwidth x clock, of the devices that tell all three."""
    return [
        units * gbps * mhz
        for device in devices
        if (sample := device.sample) is not None
        and (mhz := sample.clock_rate_mhz)
        and (units := device.capabilities.compute_units)
        and (gbps := device.capabilities.memory_bandwidth_gbps)
    ]


def _sum(readings: Iterable[float | None]) -> _Sum:
    there = [reading for reading in readings if reading is not None]
    return _Sum(total=sum(there), count=len(there))
