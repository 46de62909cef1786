"""What the log holds of nodes already: an agent that starts again reads what it has said in earlier runs."""

from collections.abc import Mapping
from contextlib import aclosing

from fleetfold_bus.port import Bus
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts.events import Event
from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.subjects import Subjects, event_scope
from fleetfold_telemetry_agent.reporter import Reporter


async def recall(bus: Bus, subjects: Subjects, reporters: Mapping[NodeId, Reporter]) -> None:
    """Let each reporter recall the events of its node, to the end of the log."""
    events = subjects.node_events(next(iter(reporters))) if len(reporters) == 1 else subjects.all_node_events
    async with aclosing(bus.read(subjects.stream(EVENTS), filter=events)) as batches:
        async for records in batches:
            if not records:
                return
            for record in records:
                _recall(record.payload, reporters)


def _recall(payload: bytes, reporters: Mapping[NodeId, Reporter]) -> None:
    try:
        event = codec.decode_event(codec.decode_envelope(payload))
    except codec.ContractError:
        return  # Written by another version: what it says is no loss to us.
    reporter = reporters.get(_node_of(event))
    if reporter is not None:
        reporter.recall(event)


def _node_of(event: Event) -> NodeId:
    return event_scope(event)[1]
