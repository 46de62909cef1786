"""What lies in a device's queue: a batch, the items handed to it at once."""

import msgspec

from fleetfold_contracts.ids import DeviceId, WorkId
from fleetfold_contracts.inventory import Count


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit of work: its place in the command's list, and what stood there."""

    index: Count
    body: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    """Any JSON. `null` where the command gave a count alone."""


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The items handed to one device at once. `batch` counts them a device from 0."""

    work_id: WorkId
    device_id: DeviceId
    batch: Count
    items: tuple[Item, ...]
