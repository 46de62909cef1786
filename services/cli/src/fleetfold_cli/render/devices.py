"""Devices as a table."""

from rich.table import Table

from fleetfold_cli.render.words import ABSENT, figure, plain_table, silence
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.answers import DevicesAnswer, DeviceStatus, DeviceView
from fleetfold_contracts.samples import Sample

_READINGS = ("used", "busy", "temp", "power")
_FIGURES = ("memory", "reserved", "score", "workloads")


def devices_table(answer: DevicesAnswer) -> Table:
    """What each device is, how it is, what it reads, what is reserved on it."""
    table = plain_table(
        "device",
        "node",
        "type",
        "name",
        "state",
        "memory",
        *_READINGS,
        "reserved",
        "score",
        "workloads",
        right=_READINGS + _FIGURES,
    )
    for device in answer.devices:
        table.add_row(*_row(device))
    table.caption = silence(answer.silent_shares)
    return table


def device_state(device: DeviceView) -> str:
    """The worst that can be said of a device, and why."""
    reasons = {
        DeviceStatus.LOST: device.lost,
        DeviceStatus.FAULTED: device.fault,
        DeviceStatus.CORDONED: device.cordoned,
    }
    reason = reasons.get(device.status)
    return f"{device.status}: {reason}" if reason else device.status


def _row(device: DeviceView) -> list[str]:
    capabilities = device.capabilities
    return [
        capabilities.device_id,
        device.node_id,
        capabilities.device_type,
        capabilities.model or capabilities.device_name,
        device_state(device),
        format_size(capabilities.max_memory_bytes),
        *_readings(device.sample),
        format_size(device.reserved_bytes),
        figure(device.score, digits=2),
        str(len(device.workloads)),
    ]


def _readings(sample: Sample | None) -> list[str]:
    if sample is None:
        return [ABSENT] * len(_READINGS)
    used = sample.memory_used_bytes
    return [
        ABSENT if used is None else format_size(used),
        figure(sample.compute_utilization_percent, " %"),
        figure(sample.temperature_celsius, " °C"),
        figure(sample.power_watts, " W"),
    ]
