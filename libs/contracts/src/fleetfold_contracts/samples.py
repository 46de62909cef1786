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


class Sample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    absent: dict[Name, Absence] = {}
    """Each missing reading's name, with the reason."""


class NodeSample(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node publishes each tick. With no samples it is a heartbeat: unchanged is not dead."""

    node_id: NodeId
    boot_id: BootId
    tick: Count
    """Counts up from 0 since the agent started."""
    samples: tuple[Sample, ...] = ()
    key_frame: bool = False
    """Whether it holds every device, moved or not."""
