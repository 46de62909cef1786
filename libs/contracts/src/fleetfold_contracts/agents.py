"""What `<root>.agent.<node>.<verb>` is asked and answers: the agent of one node, by others or by people."""

from typing import Annotated

import msgspec

from fleetfold_contracts.ids import BootId, NodeId
from fleetfold_contracts.inventory import Count, Link, Name

MAX_PROBE_BYTES = 16 * 1024**3
USUAL_PROBE_BYTES = 64 * 1024**2

ProbeBytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_PROBE_BYTES)]


class PingQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Are you there? The time to the answer is what counts."""


class PingAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is there."""

    node_id: NodeId
    boot_id: BootId


class ListenQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Take one TCP connection, and count what comes over it: so many bytes at most."""

    limit_bytes: ProbeBytes = USUAL_PROBE_BYTES


class ListenAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the connection is awaited for some seconds, and what whoever connects has to send first."""

    boot_id: BootId
    host: Name
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    token: Name


class ProbeQuery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Measure what a TCP connection to another node carries: so many bytes are sent, for two seconds at most."""

    peer: NodeId
    byte_count: ProbeBytes = USUAL_PROBE_BYTES


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What arrived at the other node, in which time, and the link as it is known now."""

    link: Link
    byte_count: Count
    took_s: Annotated[float, msgspec.Meta(gt=0)]
    bandwidth_gbps: Annotated[float, msgspec.Meta(gt=0)]
    """What was measured. The link has what is declared, where something is."""
