"""Snapshots of the folded state, as a projector hands them out: what there is first, and then part by part.

What is in them is the business of one version of the fold, so they are carried as bytes.
"""

from typing import Annotated

import msgspec

from fleetfold_contracts.inventory import Bytes, Count, Name
from fleetfold_contracts.samples import Instant

PART_BYTES = 512 * 1024
"""Each part but the last is so large: in base64 it fits into one message."""

Digest = Annotated[Name, msgspec.Meta(description="BLAKE2b of 32 bytes, in hexadecimal")]


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose fold a snapshot is: the version that folded, and when each stream was made.

    A stream that was deleted and made anew counts from 1 again: a position in the old one means nothing in it.
    """

    version: Name
    events_created: Instant
    samples_created: Instant
    share: Name = "1/1"
    """The share of the fleet whose telemetry is in it: `1/1` is all of it."""


class SnapshotQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which snapshot is the newest?"""


class SnapshotAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A snapshot, and where its parts are asked for: of the projector that has it, and no other."""

    origin: Origin
    position: Count
    """The log position that it stands for."""
    samples_position: Count
    digest: Digest
    """Of all its parts, one after another."""
    size_bytes: Bytes
    part_count: Count
    ask: Name
    """The subject for its parts."""


class SnapshotPartQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a snapshot, by its place among them, from 0."""

    digest: Digest
    number: Count


class SnapshotPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a snapshot, in base64."""

    data: bytes
