"""The log is for ever: an event is read back as it was written, by today's reader and by an older one."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast, get_args

import msgspec
import pytest

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError, UnknownTypeError
from fleetfold_contracts.commands import Place
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.workloads import MAX_SHARDS, Allocation, Shard, Workload

Document = dict[str, Any]
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
NATS_MAX_PAYLOAD_BYTES = 1024 * 1024
MAPS = {"labels", "forbidden_labels", "terms", "absent"}
"""Objects whose keys are the sender's own."""

every_event = pytest.mark.parametrize("event", examples.EVENTS, ids=lambda event: evt.TYPE_OF_EVENT[type(event)])


def envelope(**attributes: object) -> Document:
    document: Document = json.loads(examples.enveloped(examples.EVENTS[0]))
    return document | attributes


def refused_field(document: object) -> str:
    with pytest.raises(ContractError) as caught:
        codec.decode_event(codec.decode_envelope(codec.encode(document)))
    return caught.value.field


def test_every_event_of_the_union_has_a_type_and_the_other_way_round() -> None:
    assert set(get_args(evt.Event)) == set(evt.EVENT_TYPES.values())
    assert len(evt.TYPE_OF_EVENT) == len(evt.EVENT_TYPES)


@every_event
def test_an_event_is_read_back_as_it_was_written(event: evt.Event) -> None:
    payload = codec.encode_event(event, id="a.outcome", source="solver", time=NOON, cause="a")
    read = codec.decode_envelope(payload)
    assert codec.decode_event(read) == event
    assert (read.specversion, read.id, read.source, read.time, read.cause) == ("1.0", "a.outcome", "solver", NOON, "a")
    assert read.type == f"fleet.{evt.TYPE_OF_EVENT[type(event)]}.v1"


@every_event
def test_an_envelope_says_what_the_event_is_about(event: evt.Event) -> None:
    subject = codec.decode_envelope(examples.enveloped(event)).subject
    named = codec.encode(event).decode()
    assert isinstance(event, evt.CommandRejected) if subject is None else f'"{subject}"' in named


def objects_in(value: object) -> Iterator[Document]:
    if isinstance(value, dict):
        document = cast("Document", value)
        yield document
        for key in document.keys() - MAPS:
            yield from objects_in(document[key])
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from objects_in(inner)


@every_event
def test_an_old_reader_survives_fields_that_came_later(event: evt.Event) -> None:
    document = json.loads(examples.enveloped(event))
    for place in list(objects_in(document)):
        place["came_later"] = {"with": ["anything"]}
    assert codec.decode_event(codec.decode_envelope(codec.encode(document))) == event


@pytest.mark.parametrize(
    "unknown",
    ["fleet.node.exploded.v1", "fleet.node.joined.v2", "fleet.node.joined", "node.joined.v1", "org.example.thing"],
)
def test_an_envelope_is_read_even_when_its_type_is_not_known(unknown: str) -> None:
    read = codec.decode_envelope(codec.encode(envelope(type=unknown, data={"what": "ever"})))
    assert (read.type, bytes(read.data)) == (unknown, b'{"what":"ever"}')
    with pytest.raises(UnknownTypeError, match=unknown) as caught:
        codec.decode_event(read)
    assert caught.value.field == "$.type"


def test_an_unknown_type_needs_no_data() -> None:
    document = envelope(type="org.example.thing")
    del document["data"]
    assert bytes(codec.decode_envelope(codec.encode(document)).data) == b"{}"


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("specversion", "0.3"),
        ("id", ""),
        ("id", "x" * 301),
        ("type", ""),
        ("source", 7),
        ("time", "2026-03-14T12:00:00"),
        ("time", "noon"),
        ("cause", 1),
        ("subject", "x" * 257),
        ("data", []),
        ("data", None),
    ],
)
def test_a_wrong_attribute_is_named(attribute: str, value: object) -> None:
    assert refused_field(envelope(**{attribute: value})) == f"$.{attribute}"


def test_a_wrong_field_is_named_by_its_path_through_the_envelope() -> None:
    document = envelope()
    document["data"]["node"]["cpu_milli"] = "many"
    assert refused_field(document) == "$.data.node.cpu_milli"
    del document["data"]["node"]["cpu_milli"]
    assert refused_field(document) == "$.data.node.cpu_milli"


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff", b'{"id":"\xff"}', b"[" * 100_000, b'{"x":' * 100_000, b"1e999"]
)
def test_what_is_not_readable_is_an_error_of_the_contract(payload: bytes) -> None:
    with pytest.raises(ContractError):
        codec.decode_envelope(payload)
    with pytest.raises(ContractError):
        codec.decode_samples(payload)
    with pytest.raises(ContractError):
        codec.decode(payload, NodeSample)
    data = codec.Envelope(
        specversion="1.0", id="a", type="fleet.node.left.v1", source="b", time=NOON, data=msgspec.Raw(payload)
    )
    with pytest.raises(ContractError) as caught:
        codec.decode_event(data)
    assert caught.value.field.startswith("$.data")


WOULD_BE_LOST: dict[str, tuple[evt.Event, str]] = {
    "a text that is too long": (
        evt.DeviceLost(node_id="n", device_id="d", reason="x" * 4097),
        "$.data.reason",
    ),
    "an id that is no token": (evt.NodeLeft(node_id="a.b", boot_id="c"), "$.data.node_id"),
    "a time without a zone": (
        evt.LivenessChanged(
            node_id="n",
            boot_id="b",
            liveness=evt.Liveness.LIVE,
            last_seen=datetime(2026, 1, 1),
        ),
        "$.data.last_seen",
    ),
    "a number that JSON has not": (
        evt.PlacementDecided(
            workload=Workload(workload_id="w", shards=(Shard(),)),
            allocations=(Allocation(shard_id="0", device_id="d", node_id="n", score=float("nan")),),
        ),
        "$.data.allocations[0].score",
    ),
}


@pytest.mark.parametrize(("event", "field"), WOULD_BE_LOST.values(), ids=WOULD_BE_LOST)
def test_what_nobody_could_read_never_reaches_the_log(event: evt.Event, field: str) -> None:
    with pytest.raises(ContractError) as caught:
        codec.encode_event(event, id="a", source="b", time=NOON)
    assert caught.value.field == field


def largest_place_command() -> bytes:
    shards = [
        {"shard_id": f"{index:0128d}", "gpu_milli": 1000, "memory_bytes": 2**53 - 1} for index in range(MAX_SHARDS)
    ]
    workload: Document = {"workload_id": "w" * 128, "shards": shards}
    name = "m" * 256
    full = len(codec.encode({"workload": workload | {"constraints": {"models": [name]}}}))
    models = [name] * ((codec.MAX_PAYLOAD_BYTES - full) // len(f'"{name}",') + 1)
    return codec.encode({"workload": workload | {"constraints": {"models": models}}})


def test_the_decision_on_the_largest_command_fits_into_a_message() -> None:
    payload = largest_place_command()
    assert 0 <= codec.MAX_PAYLOAD_BYTES - len(payload) < 1024
    command = cast("Place", codec.decode_command("place", payload))
    allocations = tuple(
        Allocation(
            shard_id=shard.shard_id or "",
            device_id="d" * 128,
            node_id="n" * 128,
            memory_bytes=shard.memory_bytes,
            gpu_milli=shard.gpu_milli,
            score=0.12345678901234567,
            terms={"compute": 0.1234, "memory": 0.1234, "network": 0.1234, "thermal": 0.1234, "bandwidth": 0.1234},
        )
        for shard in command.workload.shards
    )
    decision = evt.PlacementDecided(workload=command.workload, allocations=allocations)
    message = codec.encode_event(decision, id="i" * 300, source="s" * 256, time=NOON, cause="c" * 300)
    assert len(message) <= NATS_MAX_PAYLOAD_BYTES - 1024  # some headers go with it


@pytest.mark.parametrize(
    ("reading", "value"),
    [
        ("memory_used_bytes", -1),
        ("compute_utilization_percent", 100.1),
        ("temperature_celsius", -273.2),
        ("power_watts", -0.1),
        ("clock_rate_mhz", "fast"),
        ("timestamp", "2026-03-14T12:00:00"),
        ("absent", {"power_watts": "because"}),
    ],
)
def test_a_reading_out_of_bounds_is_refused(reading: str, value: object) -> None:
    document = json.loads(codec.encode(examples.SAMPLES))
    document["samples"][0][reading] = value
    with pytest.raises(ContractError) as caught:
        codec.decode_samples(codec.encode(document))
    assert caught.value.field.startswith(f"$.samples[0].{reading}")


def test_samples_are_read_back_and_an_instant_is_the_same_in_every_zone() -> None:
    assert codec.decode_samples(codec.encode(examples.SAMPLES)) == examples.SAMPLES
    elsewhere = codec.decode(b'{"device_id": "d", "timestamp": "2026-03-14T13:30:00+01:30"}', Sample)
    assert elsewhere.timestamp == NOON
