"""Shares of a fleet: whose telemetry a projector folds, and what the projectors of all shares tell each other.

What they tell are sums and counts, so that whoever puts them together comes to what one projector would have said.
"""

from typing import NamedTuple
from zlib import crc32

import msgspec

from fleetfold_contracts.answers import NodeView
from fleetfold_contracts.ids import PoolId
from fleetfold_contracts.inventory import Bytes, Count, Vendor


class Share(NamedTuple):
    """One of so many shares, numbered from 1: the nodes whose ids hash into it."""

    number: int
    of: int

    def __str__(self) -> str:
        """Such as `2/4`."""
        return f"{self.number}/{self.of}"

    @property
    def token(self) -> str:
        """Such as `2-of-4`: it in a subject, or in a key of a bucket."""
        return f"{self.number}-of-{self.of}"

    def holds(self, name: str) -> bool:
        """Whether it has what is named so: a node's telemetry, by the node's id."""
        return self.of == 1 or crc32(name.encode()) % self.of == self.number - 1

    def others(self) -> tuple["Share", ...]:
        """The shares beside it."""
        return tuple(Share(number, self.of) for number in range(1, self.of + 1) if number != self.number)

    def holder(self, name: str) -> "Share":
        """The one of its shares that has what is named so."""
        return Share(crc32(name.encode()) % self.of + 1, self.of)


WHOLE = Share(1, 1)
"""The whole fleet is one share."""


class Readings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Readings added up, and how many there were."""

    total: float = 0.0
    count: Count = 0


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the devices of one vendor in one pool have together. Tallies add up."""

    vendor: Vendor
    pool: PoolId
    device_count: Count = 0
    total_bytes: Bytes = 0
    available_bytes: Bytes = 0
    used_bytes: Bytes = 0
    used_count: Count = 0
    utilization: Readings = Readings()
    temperature: Readings = Readings()
    power: Readings = Readings()
    strongest: float | None = None
    """Compute units x memory bandwidth x clock, of the device with the most."""
    weakest: float | None = None
    strength_count: Count = 0


class AggregatePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a share has to say to `aggregate`."""

    position: Count
    tallies: tuple[Tally, ...] = ()


class StatePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a share has to say to `state`."""

    position: Count
    tallies: tuple[Tally, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    """Its nodes in the order of their ids, as many as fit."""
    more_nodes: bool = False
    """Whether it has more than those."""
