"""What lies in a device's queue: a batch, the items handed to it at once."""

from typing import Annotated

import msgspec

from fleetfold_contracts.ids import DeviceId, WorkId


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One unit of work: its place in the command's list, and what stood there."""

    index: Annotated[int, msgspec.Meta(ge=0)]
    body: msgspec.Raw = msgspec.Raw(b"null")


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The items handed to one device at once. `batch` counts them a device from 0."""

    work_id: WorkId
    device_id: DeviceId
    batch: Annotated[int, msgspec.Meta(ge=0)]
    items: tuple[Item, ...]
