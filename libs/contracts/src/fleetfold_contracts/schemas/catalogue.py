"""Every message by its name, and every subject with what it carries, who publishes it and who reads it."""

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from fleetfold_contracts import agents, answers, facts, figures, history, shares, snapshots
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import TYPE_VERSION, Envelope
from fleetfold_contracts.commands import COMMANDS
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.subjects import Subjects, event_scope
from fleetfold_contracts.work import Batch

Message = type[msgspec.Struct]

AGENT = "telemetry-agent"
PROJECTOR = "state-projector"
SOLVER = "placement-solver"
DISTRIBUTOR = "distributor"
WORKER = "worker"
CLIENT = "client"
SERVICES = frozenset({AGENT, PROJECTOR, SOLVER, DISTRIBUTOR})
"""What Fleetfold itself runs. A worker and a client are anybody's."""

QUERIES: dict[str, tuple[Message, Message]] = {
    "devices": (answers.DevicesQuery, answers.DevicesAnswer),
    "state": (answers.StateQuery, answers.StateAnswer),
    "aggregate": (figures.AggregateQuery, figures.AggregateAnswer),
    "topology": (figures.TopologyQuery, figures.TopologyAnswer),
    "history": (history.HistoryQuery, history.HistoryAnswer),
    "facts": (facts.FactsQuery, facts.FactsAnswer),
    "links": (answers.LinksQuery, answers.LinksAnswer),
    "explain": (answers.ExplainQuery, answers.ExplainAnswer),
    "snapshot": (snapshots.SnapshotQuery, snapshots.SnapshotAnswer),
    "works": (answers.WorksQuery, answers.WorksAnswer),
    "failed": (answers.FailedQuery, answers.FailedAnswer),
}

SNAPSHOT_PARTS = (snapshots.SnapshotPartQuery, snapshots.SnapshotPart)
"""What one projector is asked for, and gives, part by part."""

SHARE_QUERIES: dict[str, tuple[Message, Message]] = {
    "devices": QUERIES["devices"],
    "state": (answers.StateQuery, shares.StatePart),
    "aggregate": (figures.AggregateQuery, shares.AggregatePart),
    "history": QUERIES["history"],
    "explain": QUERIES["explain"],
}
"""What projectors of one share of the fleet are asked for by those of the others: their part of an answer."""

DISTRIBUTORS = frozenset({"distribute", "cancel", "retry", "works", "failed"})
"""The verbs that the distributor serves."""

AGENT_QUERIES: dict[str, tuple[Message, Message]] = {
    "ping": (agents.PingQuery, agents.PingAnswer),
    "listen": (agents.ListenQuery, agents.ListenAnswer),
    "probe": (agents.ProbeQuery, agents.ProbeAnswer),
}
"""What the agent of one node is asked."""

OUTCOMES: dict[str, tuple[Message, ...]] = {
    "place": (evt.PlacementDecided, evt.PlacementRefused, evt.PlacementQueued, evt.PlacementPreviewed),
    "release": (evt.PlacementReleased,),
    "move": (evt.PlacementMoved, evt.PlacementRefused),
    "cordon": (evt.DeviceCordoned, evt.NodeCordoned),
    "uncordon": (evt.DeviceUncordoned, evt.NodeUncordoned),
    "drain": (evt.DeviceDrainStarted,),
    "transfer": (evt.NodeTransferred,),
    "rebalance": (evt.RebalanceProposed,),
    "quota": (evt.QuotaSet,),
    "distribute": (evt.WorkDistributed,),
    "cancel": (evt.WorkCancelled,),
    "retry": (evt.WorkRetried,),
}
"""What becomes of each command. Any of them may be rejected too."""

MESSAGES: tuple[Message, ...] = (
    Envelope,
    *evt.EVENT_TYPES.values(),
    *COMMANDS.values(),
    NodeSample,
    Batch,
    *(message for pair in (*QUERIES.values(), SNAPSHOT_PARTS, *AGENT_QUERIES.values()) for message in pair),
    shares.StatePart,
    shares.AggregatePart,
    answers.FailureAnswer,
)

STRICT: frozenset[Message] = frozenset(
    {*COMMANDS.values(), *(query for query, _ in (*QUERIES.values(), SNAPSHOT_PARTS, *AGENT_QUERIES.values()))}
)
"""What people type. A field that is not there is refused; elsewhere it is ignored, so that old readers survive."""

_PUBLISHERS: dict[Message, tuple[str, ...]] = {
    evt.NodeJoined: (AGENT,),
    evt.NodeLeft: (AGENT,),
    evt.LivenessChanged: (PROJECTOR,),
    evt.DeviceRegistered: (AGENT,),
    evt.DeviceLost: (AGENT,),
    evt.DeviceRecovered: (AGENT,),
    evt.DeviceFaulted: (AGENT,),
    evt.LinksObserved: (AGENT,),
    evt.DeviceCordoned: (SOLVER,),
    evt.DeviceUncordoned: (SOLVER,),
    evt.NodeCordoned: (SOLVER,),
    evt.NodeUncordoned: (SOLVER,),
    evt.NodeTransferred: (SOLVER,),
    evt.DeviceDrainStarted: (SOLVER,),
    evt.DeviceDrainFinished: (SOLVER,),
    evt.PlacementDecided: (SOLVER,),
    evt.PlacementRefused: (SOLVER,),
    evt.PlacementQueued: (SOLVER,),
    evt.PlacementDegraded: (SOLVER,),
    evt.PlacementMoved: (SOLVER,),
    evt.PlacementPreempted: (SOLVER,),
    evt.PlacementReleased: (SOLVER,),
    evt.PlacementPreviewed: (SOLVER,),
    evt.QuotaSet: (SOLVER,),
    evt.RebalanceProposed: (SOLVER,),
    evt.WorkDistributed: (DISTRIBUTOR,),
    evt.WorkDispatched: (DISTRIBUTOR,),
    evt.WorkDrawn: (DISTRIBUTOR,),
    evt.WorkReassigned: (DISTRIBUTOR,),
    evt.BatchFinished: (WORKER,),
    evt.ItemFailed: (DISTRIBUTOR,),
    evt.WorkProgressed: (DISTRIBUTOR,),
    evt.WorkCancelled: (DISTRIBUTOR,),
    evt.WorkRetried: (DISTRIBUTOR,),
    evt.WorkerJoined: (WORKER,),
    evt.WorkCompleted: (DISTRIBUTOR,),
    evt.CommandRejected: (DISTRIBUTOR, SOLVER),
}

_PARAMETERS = {"node": "node_id", "pool": "pool"}


class Kind(StrEnum):
    """What a subject is for."""

    EVENT = "event"
    SAMPLE = "sample"
    COMMAND = "command"
    WORK = "work"
    API = "api"
    AGENT = "agent"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Channel:
    """One pattern of subjects. `stream` keeps its messages; None: they are answered, and not kept."""

    name: str
    kind: Kind
    subject: str
    """A part in braces is a parameter: one token."""
    stream: str | None
    message: Message
    published_by: tuple[str, ...]
    read_by: tuple[str, ...]
    answers: tuple[Message, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces."""
        return tuple(re.findall(r"\{(\w+)\}", self.subject))

    @property
    def filter(self) -> str:
        """The subject as a NATS filter."""
        return re.sub(r"\{\w+\}", "*", self.subject)


def message_name(message: Message) -> str:
    """The name of a message and its version: `placement.decided.v1`, `place.v1`, `node.sample.v1`."""
    for words, kind in evt.EVENT_TYPES.items():
        if kind is message:
            return f"{words}{TYPE_VERSION}"
    return ".".join(re.findall(r"[A-Z][a-z]+", message.__name__)).lower() + TYPE_VERSION


def is_event(message: Message) -> bool:
    """Whether it lies in an envelope."""
    return message in _PUBLISHERS


def channels(subjects: Subjects) -> tuple[Channel, ...]:
    """Every subject of a cluster, in their order."""
    events = [_event_channel(subjects, event) for event in examples.EVENTS]
    doors = [door for verb in COMMANDS for door in _command_channels(subjects, verb)]
    queries = [_query_channel(subjects, verb) for verb in QUERIES]
    every_node = subjects.all_samples.replace(">", "{node_id}")
    every_device = subjects.all_work.replace(">", "{device_id}")
    asked = [_agent_channel(subjects, verb) for verb in AGENT_QUERIES]
    samples = Channel(
        "tlm", Kind.SAMPLE, every_node, subjects.stream("TLM"), NodeSample, (AGENT,), (DISTRIBUTOR, SOLVER, PROJECTOR)
    )
    work = Channel("work", Kind.WORK, every_device, subjects.stream("WORK"), Batch, (DISTRIBUTOR,), (WORKER,))
    parts = _snapshot_parts_channel(subjects)
    of_shares = [_share_channel(subjects, verb) for verb in SHARE_QUERIES]
    every = (*events, samples, *doors, *queries, parts, *of_shares, *asked, work)
    return tuple(sorted(every, key=lambda channel: channel.subject))


def _event_channel(subjects: Subjects, example: evt.Event) -> Channel:
    return Channel(
        name=f"evt.{evt.TYPE_OF_EVENT[type(example)]}",
        kind=Kind.EVENT,
        subject=_event_subject(subjects, example),
        stream=subjects.stream("EVT"),
        message=type(example),
        published_by=_PUBLISHERS[type(example)],
        read_by=(CLIENT, DISTRIBUTOR, SOLVER, PROJECTOR),
    )


def _event_subject(subjects: Subjects, example: evt.Event) -> str:
    # The subject of the example, with the id of whose event it is as a parameter.
    subject = subjects.event(example)
    match event_scope(example):
        case (("node" | "pool") as whose, identity):
            return subject.replace(f".{identity}.", f".{{{_PARAMETERS[whose]}}}.", 1)
        case _:
            return subject


def _command_channels(subjects: Subjects, verb: str) -> tuple[Channel, Channel]:
    handler = DISTRIBUTOR if verb in DISTRIBUTORS else SOLVER
    durable = Channel(
        name=f"cmd.{verb}",
        kind=Kind.COMMAND,
        subject=subjects.command(verb),
        stream=subjects.stream("CMD"),
        message=COMMANDS[verb],
        published_by=(CLIENT, handler),
        read_by=(handler,),
    )
    return durable, _api_channel(subjects, verb, COMMANDS[verb], handler, OUTCOMES[verb])


def _query_channel(subjects: Subjects, verb: str) -> Channel:
    query, answer = QUERIES[verb]
    return _api_channel(subjects, verb, query, DISTRIBUTOR if verb in DISTRIBUTORS else PROJECTOR, (answer,))


def _snapshot_parts_channel(subjects: Subjects) -> Channel:
    query, answer = SNAPSHOT_PARTS
    return Channel(
        name="api.snapshot.part",
        kind=Kind.INSTANCE,
        subject=subjects.snapshot_parts("instance").replace(".instance", ".{instance}"),
        stream=None,
        message=query,
        published_by=(SOLVER, DISTRIBUTOR),
        read_by=(PROJECTOR,),
        answers=(answer, answers.FailureAnswer),
    )


def _share_channel(subjects: Subjects, verb: str) -> Channel:
    query, answer = SHARE_QUERIES[verb]
    return Channel(
        name=f"api.share.{verb}",
        kind=Kind.INSTANCE,
        subject=subjects.share_api(shares.WHOLE, verb).replace(f".{shares.WHOLE.token}.", ".{share}."),
        stream=None,
        message=query,
        published_by=(PROJECTOR,),
        read_by=(PROJECTOR,),
        answers=(answer, answers.FailureAnswer),
    )


def _api_channel(
    subjects: Subjects, verb: str, question: Message, server: str, good_answers: tuple[Message, ...]
) -> Channel:
    return Channel(
        name=f"api.{verb}",
        kind=Kind.API,
        subject=subjects.api(verb),
        stream=None,
        message=question,
        published_by=(CLIENT,),
        read_by=(server,),
        answers=(*good_answers, answers.FailureAnswer),
    )


def _agent_channel(subjects: Subjects, verb: str) -> Channel:
    query, answer = AGENT_QUERIES[verb]
    return Channel(
        name=f"agent.{verb}",
        kind=Kind.AGENT,
        subject=subjects.agent("node", verb).replace(".node.", ".{node_id}."),
        stream=None,
        message=query,
        published_by=(CLIENT,) if verb == "probe" else (AGENT,),
        read_by=(AGENT,),
        answers=(answer, answers.FailureAnswer),
    )
