"""Samples: one set of readings a device. A reading is a value, or an absence with a reason."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from fleetfold_contracts.ids import BootId, DeviceId, NodeId
from fleetfold_contracts.inventory import Bytes, Count, Name

Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Absence(StrEnum):
    """Why a reading is not there."""

    UNSUPPORTED = "unsupported"
    ERROR = "error"
    ASLEEP = "asleep"
    LOST = "lost"
    DISABLED = "disabled"
    PENDING = "pending"
    """It is made of two readings, and this was the first."""


class ThrottleReason(StrEnum):
    """Why a device runs slower than it could."""

    IDLE = "idle"
    POWER = "power"
    HEAT = "heat"
    HARDWARE = "hardware"
    """The hardware slowed down by itself: power brake, or an emergency."""
    SYNC = "sync"
    """It waits for the slowest of a group of boards."""
    SETTING = "setting"
    """Somebody asked for lower clocks."""
    OTHER = "other"


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One set of readings. What is `None` here is named in `absent`."""

    device_id: DeviceId
    timestamp: Instant
    memory_used_bytes: Bytes | None = None
    memory_total_bytes: Bytes | None = None
    compute_utilization_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    power_watts: Annotated[float, msgspec.Meta(ge=0, le=100_000)] | None = None
    temperature_celsius: Annotated[float, msgspec.Meta(ge=-273.15, le=1000)] | None = None
    clock_rate_mhz: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    throttled: bool | None = None
    """Whether heat, power or the hardware holds it back. Its reasons tell more."""
    throttle_reasons: tuple[ThrottleReason, ...] = ()
    power_limit_watts: Annotated[float, msgspec.Meta(ge=0, le=100_000)] | None = None
    memory_clock_mhz: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    pcie_rx_mbps: Annotated[float, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    """Megabits a second to the device. Read only where asked for: some drivers take 40 ms for it."""
    pcie_tx_mbps: Annotated[float, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    stale_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """These are the last good readings, so many seconds old: the vendor's driver does not answer now."""
    absent: dict[Name, Absence] = {}
    """Each missing reading's name, with the reason."""


class DeviceProcess(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A process that uses a device."""

    pid: Count
    name: Name | None = None
    memory_bytes: Bytes | None = None


class DeviceHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is read less often than a sample: errors of the memory, and who uses the device."""

    device_id: DeviceId
    timestamp: Instant
    ecc_corrected_count: Count | None = None
    """Since the driver was loaded."""
    ecc_uncorrected_count: Count | None = None
    processes: tuple[DeviceProcess, ...] | None = None
    absent: dict[Name, Absence] = {}


class NodeSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a node publishes each tick. With no samples it is a heartbeat: unchanged is not dead."""

    node_id: NodeId
    boot_id: BootId
    tick: Count
    """Counts up from 0 since the agent started."""
    samples: tuple[Sample, ...] = ()
    health: tuple[DeviceHealth, ...] = ()
    """Of every device, on the ticks on which it was read."""
    key_frame: bool = False
    """Whether it holds every device, moved or not."""
