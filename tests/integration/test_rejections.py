"""A command that makes no sense is answered with the field at fault, and the services go on serving."""

import json

import pytest

from fleetfold_bus.port import TooLargeError
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import FailureAnswer
from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES
from tests.support.cluster import Cluster
from tests.support.waiting import eventually

GOOD = b'{"workload": {"workload_id": "good", "shards": [{"memory_bytes": 1}]}}'
BAD = {
    "not-json": ("place", b"place it please", "$"),
    "wrong-type": (
        "place",
        b'{"workload": {"workload_id": "a", "shards": [{"memory_bytes": "8"}]}}',
        "shards[0].memory_bytes",
    ),
    "out-of-bounds": (
        "place",
        b'{"workload": {"workload_id": "a", "shards": [{"memory_bytes": -1}]}}',
        "shards[0].memory_bytes",
    ),
    "missing": ("place", b"{}", "$.workload"),
    "misspelt": ("place", b'{"workload": {"workload_id": "a", "shards": [{}], "pol": "x"}}', "$.workload.pol"),
    "not-a-number": ("place", b'{"workload": {"workload_id": "a", "shards": [{"memory_bytes": NaN}]}}', "$"),
    "too-large": ("place", b" " * (MAX_PAYLOAD_BYTES + 1), "$"),
    "unknown-device": ("cordon", b'{"device_id": "nowhere"}', "$.device_id"),
    "not-placed": ("release", b'{"workload_id": "nothing"}', "$.workload_id"),
    "nothing-to-do": ("distribute", b"{}", "$"),
    "unknown-target": ("distribute", b'{"count": 3, "to": {"workload_id": "nothing"}}', "$.to.workload_id"),
}


@pytest.fixture
async def served(cluster: Cluster) -> Cluster:
    """A cluster whose solver and distributor serve."""
    await cluster.add_devices(2)
    cluster.start("placement-solver")
    cluster.start("distributor")
    return cluster


async def test_a_durable_command_that_makes_no_sense_becomes_an_event(served: Cluster) -> None:
    for name, (verb, payload, _) in BAD.items():
        await served.command(verb, payload, name)
    await served.command("fly", b"{}", "unknown-verb")
    await served.command("place", GOOD, "good")

    outcomes = await served.outcomes([*BAD, "unknown-verb", "good"])

    assert isinstance(outcomes.pop("good")[0], evt.PlacementDecided)
    for name, (event,) in outcomes.items():
        assert isinstance(event, evt.CommandRejected), name
        field = BAD[name][2] if name in BAD else "$"
        assert field in event.field, (name, event)
        assert event.reason
        assert event.command_sequence > 0


async def test_a_rejected_command_shows_what_was_sent(served: Cluster) -> None:
    await served.command("place", b"place it please", "spoken")

    (event,) = (await served.outcomes(["spoken"]))["spoken"]

    assert isinstance(event, evt.CommandRejected)
    assert (event.payload, event.payload_bytes, event.verb) == ("place it please", 15, "place")


async def test_a_question_that_makes_no_sense_is_answered_with_the_field(served: Cluster) -> None:
    await eventually(lambda: _answers(served, "place"), what="the solver's first answer")
    await eventually(lambda: _answers(served, "distribute"), what="the distributor's first answer")
    for name, (verb, payload, field) in BAD.items():
        answer = await served.ask(verb, FailureAnswer, payload)
        assert answer is not None, name
        assert answer.error.code == "400", name
        assert field in (answer.error.field or ""), name


async def _answers(cluster: Cluster, verb: str) -> bool:
    return await cluster.ask(verb, FailureAnswer, b"{}") is not None


async def test_the_server_takes_nothing_above_its_own_limit(served: Cluster) -> None:
    with pytest.raises(TooLargeError):
        await served.command("place", json.dumps({"x": "y" * 2_000_000}).encode(), "huge")


async def test_messagepack_is_read_where_the_header_says_so(served: Cluster) -> None:
    import msgspec

    place = {"workload": {"workload_id": "packed", "shards": [{"memory_bytes": 1}]}}
    await served.bus.append(
        served.subjects.command("place"),
        msgspec.msgpack.encode(place),
        message_id="packed",
        headers={codec.CONTENT_TYPE: codec.MSGPACK},
    )

    (event,) = (await served.outcomes(["packed"]))["packed"]

    assert isinstance(event, evt.PlacementDecided)
