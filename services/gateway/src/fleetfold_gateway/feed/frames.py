"""Frames of an event stream, as the HTML standard's server-sent events have them."""

from datetime import datetime

import msgspec

from fleetfold_bus.port import Record
from fleetfold_contracts import codec
from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.samples import Sample

KEEP_ALIVE = b": still here\n\n"
"""A comment: nobody hears it, and no proxy takes the connection for dead."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway stands with NATS, and since when."""

    connected: bool
    since: datetime


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What was read lately: the newest sample of each device that told one, and which nodes were heard."""

    time: datetime
    """The server's, of the newest of them."""
    nodes: tuple[NodeId, ...]
    samples: tuple[Sample, ...]


class Begins(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame of every stream: the log position behind which it goes on."""

    position: int


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """The last frame of a stream that the gateway ends. Who comes back with `Last-Event-ID` misses nothing."""

    reason: str


def frame(name: str, data: msgspec.Struct) -> bytes:
    """A frame that is no event of the log: it has no id, so that it does not move where a reader goes on from."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), codec.encode(data))


def event_frame(record: Record) -> bytes:
    """An event of the log in its envelope. Its id is its log position.

    Whoever published it may have laid it out in lines, and a frame's data must say so line by line.
    """
    lines = b"\n".join(b"data: %b" % line for line in record.payload.splitlines())
    return b"id: %d\n%b\n\n" % (record.sequence, lines)
