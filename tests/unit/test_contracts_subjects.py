"""A subject is one place: what is written there is in its stream, and no id can make another place of it."""

import pytest

from fleetfold_bus.streams import EVENTS, Stream, declared
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import COMMANDS
from fleetfold_contracts.ids import token
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.schemas.catalogue import OUTCOMES, QUERIES, Kind, channels
from fleetfold_contracts.subjects import Subjects

NO_TOKENS = ["", ".", "a.b", "*", ">", "a b", "a\n", "-a", "é", "a" * 129]
ROOTS = ["fleet", "lab.fleet_2"]

every_event = pytest.mark.parametrize("event", examples.EVENTS, ids=lambda event: evt.TYPE_OF_EVENT[type(event)])


def matches(subject: str, pattern: str) -> bool:
    """NATS's own rule: `*` is one token, and `>` at the end is one or more."""
    tokens, parts = subject.split("."), pattern.split(".")
    if parts[-1] == ">":
        parts, tokens = parts[:-1], tokens[: len(parts) - 1] if len(tokens) >= len(parts) else []
    return len(tokens) == len(parts) and all(part in ("*", one) for one, part in zip(tokens, parts, strict=True))


def is_concrete(subject: str) -> bool:
    return all(
        part and part not in ("*", ">") and part.isprintable() and " " not in part for part in subject.split(".")
    )


def streams_of(subject: str, streams: tuple[Stream, ...]) -> list[str]:
    return [stream.name for stream in streams if any(matches(subject, pattern) for pattern in stream.subjects)]


@pytest.mark.parametrize("root", ROOTS)
@every_event
def test_an_event_lies_in_the_event_stream_alone(event: evt.Event, root: str) -> None:
    subjects = Subjects(root)
    subject = subjects.event(event)
    assert is_concrete(subject)
    assert streams_of(subject, declared(subjects)) == [subjects.stream(EVENTS)]


CHANGE_ALLOCATIONS = {
    evt.PlacementDecided,
    evt.PlacementRefused,
    evt.PlacementQueued,
    evt.PlacementDegraded,
    evt.PlacementMoved,
    evt.PlacementPreempted,
    evt.PlacementReleased,
    evt.DeviceCordoned,
    evt.DeviceUncordoned,
    evt.NodeCordoned,
    evt.NodeUncordoned,
    evt.NodeTransferred,
    evt.DeviceDrainStarted,
    evt.DeviceDrainFinished,
    evt.QuotaSet,
}


@every_event
def test_what_changes_an_allocation_and_nothing_else_is_under_the_guard_of_its_pool(event: evt.Event) -> None:
    guard = Subjects().pool_events("research")
    assert matches(Subjects().event(event), guard) is (type(event) in CHANGE_ALLOCATIONS)
    assert not matches(Subjects().event(event), Subjects().pool_events("other"))


def test_a_subject_says_whose_event_it_is_and_what_happened() -> None:
    subjects = {evt.TYPE_OF_EVENT[type(event)]: Subjects().event(event) for event in examples.EVENTS}
    assert subjects["node.joined"] == "fleet.evt.node.node-7.joined"
    assert subjects["node.liveness.changed"] == Subjects().liveness("node-7")
    assert subjects["device.lost"] == "fleet.evt.node.node-7.device.lost"
    assert subjects["placement.decided"] == "fleet.evt.pool.research.placement.decided"
    assert subjects["work.batch.finished"] == "fleet.evt.work.batch.finished"
    assert subjects["command.rejected"] == "fleet.evt.command.rejected"
    assert len(set(subjects.values())) == len(evt.EVENT_TYPES)


@pytest.mark.parametrize("root", ROOTS)
def test_every_channel_is_in_its_stream_and_a_question_in_none(root: str) -> None:
    subjects = Subjects(root)
    for channel in channels(subjects):
        concrete = channel.filter.replace("*", "some-id")
        assert is_concrete(concrete)
        assert streams_of(concrete, declared(subjects)) == ([channel.stream] if channel.stream else [])


def test_the_catalogue_has_every_event_command_and_question_once() -> None:
    listed = channels(Subjects())
    by_kind = {kind: [channel for channel in listed if channel.kind is kind] for kind in Kind}
    assert {channel.message for channel in by_kind[Kind.EVENT]} == set(evt.EVENT_TYPES.values())
    assert len(by_kind[Kind.EVENT]) == len(evt.EVENT_TYPES)
    assert {channel.subject for channel in by_kind[Kind.COMMAND]} == {f"fleet.cmd.{verb}" for verb in COMMANDS}
    assert {channel.subject for channel in by_kind[Kind.API]} == {f"fleet.api.{verb}" for verb in (*COMMANDS, *QUERIES)}
    assert OUTCOMES.keys() == COMMANDS.keys()
    assert len({channel.name for channel in listed}) == len({channel.subject for channel in listed}) == len(listed)


@pytest.mark.parametrize("text", NO_TOKENS)
def test_an_id_that_is_no_token_is_refused(text: str) -> None:
    subjects = Subjects()
    for build in (subjects.samples, subjects.work, subjects.pool_events, subjects.command, subjects.api):
        with pytest.raises(ValueError, match="cannot be part of a subject"):
            build(text)
    with pytest.raises(ValueError, match="cannot be part of a subject"):
        subjects.agent(text, "ping")


@pytest.mark.parametrize("text", NO_TOKENS)
def test_an_event_of_an_id_that_is_no_token_has_no_subject(text: str) -> None:
    for event in (evt.NodeLeft(node_id=text, boot_id="b"), evt.PlacementReleased(pool=text, workload_id="w")):
        with pytest.raises(ValueError, match="cannot be part of a subject"):
            Subjects().event(event)


@pytest.mark.parametrize("root", ["", ".", "fleet.", ".fleet", "fl eet", "fleet.*", "fleet.>", "fleet\n"])
def test_a_root_that_is_no_subject_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a subject"):
        Subjects(root)


@pytest.mark.parametrize("verb", ["place", "unknown", "with.dots"])
def test_the_verb_is_read_from_the_subject_of_a_command(verb: str) -> None:
    assert Subjects("lab.fleet").verb(f"lab.fleet.cmd.{verb}") == verb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPU-4f3a", "GPU-4f3a"),
        ("rack 2.example", "rack-2-example"),
        ("..a..", "a"),
        ("_a_", "a"),
        ("x" * 200, "x" * 128),
    ],
)
def test_any_text_is_made_a_token(text: str, expected: str) -> None:
    assert token(text) == expected
    assert Subjects().samples(expected).endswith(expected)


@pytest.mark.parametrize("text", ["", "...", "-_-", "é"])
def test_of_nothing_no_token_is_made(text: str) -> None:
    with pytest.raises(ValueError, match="no token"):
        token(text)
