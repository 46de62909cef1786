"""How good a place a device is: the formula, with its terms and what was not known."""

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.workloads import Shard
from fleetfold_core.feasible import reason_against
from fleetfold_core.state import DeviceState, State

MEMORY_WEIGHT = 0.6
IDLE_WEIGHT = 0.4
COOL_CELSIUS = 80.0
HEAT_SPAN_CELSIUS = 40.0
LEAST_PENALTY = 0.1
UNKNOWN_UTILIZATION_PERCENT = 50.0
"""What an absent utilization counts as: neither the favour of an idle device nor the blame of a busy one."""

SCORED_READINGS = ("compute_utilization_percent", "temperature_celsius")


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A device's score, 0 to 1, and what it is made of."""

    value: float
    memory: float
    """The share of its memory that is free."""
    idle: float
    """The share of its compute that is idle."""
    penalty: float
    """1 while it is cool, less when it is hot: it multiplies the rest."""
    absent: tuple[str, ...] = ()
    """The readings that were not there."""


def score(device: DeviceState) -> Score:
    """`(0.6 x free memory share + 0.4 x idle share) x penalty`, held within 0 to 1; 0 for a device without memory.

    The penalty is 1 up to 80 °C, and `max(0.1, 1 - (t - 80) / 40)` above. Memory is free when it is neither reserved
    nor used by others. A device that does not tell its utilization counts as half busy. One that does not tell its
    temperature counts as cool: heat is the exception, and a sensor alone should win nobody a place.
    """
    memory, idle, penalty = score_parts(device)
    absent = tuple(name for name in SCORED_READINGS if getattr(device.sample, name, None) is None)
    return Score(value=score_value(device), memory=memory, idle=idle, penalty=penalty, absent=absent)


def score_value(device: DeviceState) -> float:
    """The value of `score` alone, for whoever compares many."""
    if not device.capabilities.max_memory_bytes:
        return 0.0
    memory, idle, penalty = score_parts(device)
    return min(1.0, max(0.0, (MEMORY_WEIGHT * memory + IDLE_WEIGHT * idle) * penalty))


def best_device(state: State, needed_bytes: int) -> DeviceId | None:
    """The device with the highest score above 0 that has so many bytes free; the least id where scores are equal."""
    shard = Shard(memory_bytes=needed_bytes)
    fitting = (device for device in state.devices.values() if reason_against(state, device, shard) is None)
    ranked = ((-score_value(device), device.device_id) for device in fitting)
    negated_score, best = min(ranked, default=(0.0, None))
    return best if negated_score < 0 else None


def score_parts(device: DeviceState) -> tuple[float, float, float]:
    """The share of memory that is free, the share of compute that is idle, and the penalty for heat."""
    sample = device.sample
    busy_percent, celsius = None, None
    if sample is not None:
        busy_percent, celsius = sample.compute_utilization_percent, sample.temperature_celsius
    if busy_percent is None:
        busy_percent = UNKNOWN_UTILIZATION_PERCENT
    penalty = 1.0
    if celsius is not None and celsius > COOL_CELSIUS:
        penalty = max(LEAST_PENALTY, 1.0 - (celsius - COOL_CELSIUS) / HEAT_SPAN_CELSIUS)
    max_bytes = device.capabilities.max_memory_bytes
    return device.free_bytes / max_bytes if max_bytes else 0.0, 1.0 - busy_percent / 100.0, penalty
