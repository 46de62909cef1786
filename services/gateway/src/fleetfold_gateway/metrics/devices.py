"""A device's metrics: under base-unit names of ours, and under the names of NVIDIA's DCGM exporter.

Dashboards and alerts that were made for DCGM's names then show devices of every vendor.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from fleetfold_contracts.answers import DeviceStatus, DeviceView
from fleetfold_contracts.samples import Sample

MIB = 1024 * 1024

OUR_LABELS = ("device", "node", "vendor", "model")
DCGM_LABELS = ("gpu", "UUID", "modelName", "Hostname")


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge, and what a device says of it; None: it does not tell."""

    name: str
    help: str
    value: Callable[[DeviceView], float | None]


def _reading(read: Callable[[Sample], float | None]) -> Callable[[DeviceView], float | None]:
    return lambda device: None if device.sample is None else read(device.sample)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _free_bytes(sample: Sample) -> float | None:
    if sample.memory_total_bytes is None or sample.memory_used_bytes is None:
        return None
    return sample.memory_total_bytes - sample.memory_used_bytes


def _up(device: DeviceView) -> float:
    return float(device.status not in (DeviceStatus.LOST, DeviceStatus.OFFLINE))


def _faulted(device: DeviceView) -> float:
    return float(device.fault is not None)


def _cordoned(device: DeviceView) -> float:
    return float(device.cordoned is not None)


def _reserved_bytes(device: DeviceView) -> float:
    return device.reserved_bytes


def _total_bytes(device: DeviceView) -> float:
    return device.capabilities.max_memory_bytes


def _score(device: DeviceView) -> float | None:
    return device.score


OURS = (
    Metric("up", "1 when the device answers and its node is heard", _up),
    Metric("faulted", "1 when the device reported a fault", _faulted),
    Metric("cordoned", "1 when nothing new may sit on it", _cordoned),
    Metric("reserved_bytes", "Memory that placements hold", _reserved_bytes),
    Metric("score", "How good a place it is, from 0 to 1", _score),
    Metric("memory_total_bytes", "Its memory", _total_bytes),
    Metric("memory_used_bytes", "Memory in use, by anybody", _reading(lambda sample: sample.memory_used_bytes)),
    Metric(
        "utilization_ratio",
        "How busy it is, from 0 to 1",
        _reading(lambda sample: _scaled(sample.compute_utilization_percent, 0.01)),
    ),
    Metric("temperature_celsius", "Its temperature", _reading(lambda sample: sample.temperature_celsius)),
    Metric("power_watts", "What it draws", _reading(lambda sample: sample.power_watts)),
    Metric("power_limit_watts", "What it may draw", _reading(lambda sample: sample.power_limit_watts)),
    Metric("clock_hertz", "Its clock", _reading(lambda sample: _scaled(sample.clock_rate_mhz, 1e6))),
    Metric("throttled", "1 when something holds it back", _reading(lambda sample: sample.throttled)),
)

DCGMS = (
    Metric("GPU_UTIL", "GPU utilization (in %)", _reading(lambda sample: sample.compute_utilization_percent)),
    Metric("FB_USED", "Memory used (in MiB)", _reading(lambda sample: _scaled(sample.memory_used_bytes, 1 / MIB))),
    Metric("FB_FREE", "Memory free (in MiB)", _reading(lambda sample: _scaled(_free_bytes(sample), 1 / MIB))),
    Metric("GPU_TEMP", "GPU temperature (in C)", _reading(lambda sample: sample.temperature_celsius)),
    Metric("POWER_USAGE", "Power draw (in W)", _reading(lambda sample: sample.power_watts)),
    Metric("SM_CLOCK", "Clock of the compute units (in MHz)", _reading(lambda sample: sample.clock_rate_mhz)),
    Metric("MEM_CLOCK", "Clock of the memory (in MHz)", _reading(lambda sample: sample.memory_clock_mhz)),
)


def families(devices: Iterable[DeviceView]) -> Iterator[GaugeMetricFamily]:
    """Every metric, with a value for each device that tells it."""
    every = list(devices)
    for metric in OURS:
        yield _family(f"fleetfold_device_{metric.name}", metric, OUR_LABELS, every, _our_labels)
    for metric in DCGMS:
        yield _family(f"DCGM_FI_DEV_{metric.name}", metric, DCGM_LABELS, every, _dcgm_labels)


def _family(
    name: str,
    metric: Metric,
    labels: tuple[str, ...],
    devices: Iterable[DeviceView],
    values_of: Callable[[DeviceView], tuple[str, ...]],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, metric.help, labels=labels)
    for device in devices:
        value = metric.value(device)
        if value is not None:
            family.add_metric(values_of(device), float(value))
    return family


def _our_labels(device: DeviceView) -> tuple[str, ...]:
    capabilities = device.capabilities
    model = capabilities.model or capabilities.device_name
    return (capabilities.device_id, device.node_id, capabilities.vendor, model)


def _dcgm_labels(device: DeviceView) -> tuple[str, ...]:
    capabilities = device.capabilities
    return (capabilities.device_id, capabilities.device_id, capabilities.device_name, device.node_id)
