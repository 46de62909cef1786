"""What a person types is read whole, or refused with the field that is wrong: nothing between, and never a crash."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
import pytest

from fleetfold_contracts import codec
from fleetfold_contracts.answers import DevicesQuery
from fleetfold_contracts.codec import CONTENT_TYPE, JSON, MAX_DEPTH, MAX_PAYLOAD_BYTES, MSGPACK, ContractError
from fleetfold_contracts.commands import COMMANDS, Cordon, Distribute, Release
from fleetfold_contracts.schemas import examples

Document = dict[str, Any]
Path = tuple[str | int, ...]

AS_MSGPACK = {CONTENT_TYPE: MSGPACK}
EXAMPLES: dict[str, Document] = {
    verb: json.loads(codec.encode(command))
    for command in examples.COMMANDS
    for verb, kind in COMMANDS.items()
    if kind is type(command)
}
ANY_KEYS: dict[str, list[Path]] = {
    "distribute": [("weights",), ("near",), ("items", 0), ("items", 1)],
    "place": [("workload", "constraints", name) for name in ("labels", "forbidden_labels")],
}
"""Objects whose keys are the sender's own."""


def refusal(verb: str, payload: bytes, headers: Mapping[str, str] | None = None) -> ContractError:
    with pytest.raises(ContractError) as caught:
        codec.decode_command(verb, payload, headers)
    return caught.value


def refused_field(verb: str, document: object) -> str:
    """The field that is named, the same in both formats."""
    as_json = refusal(verb, json.dumps(document).encode())
    assert refusal(verb, msgspec.msgpack.encode(document), AS_MSGPACK).field == as_json.field
    return as_json.field


def changed(verb: str, path: Path, value: object) -> Document:
    """The example, with another value at one place."""
    document: Document = json.loads(json.dumps(EXAMPLES[verb]))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


def without(verb: str, *path: str) -> Document:
    document: Document = json.loads(json.dumps(EXAMPLES[verb]))
    place = document
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return document


def shown(path: Path) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def objects_in(value: object, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        yield path
        for key, inner in cast("Document", value).items():
            yield from objects_in(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[object]", value)):
            yield from objects_in(inner, (*path, index))


def test_every_verb_has_an_example() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize("verb", COMMANDS)
def test_json_and_messagepack_say_the_same(verb: str) -> None:
    as_json = codec.decode_command(verb, codec.encode(EXAMPLES[verb]))
    as_msgpack = codec.decode_command(verb, msgspec.msgpack.encode(EXAMPLES[verb]), AS_MSGPACK)
    assert as_json == as_msgpack
    assert json.loads(codec.encode(as_json)) == EXAMPLES[verb]


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read_however_its_type_is_written(content_type: str) -> None:
    assert codec.decode_command("release", b'{"workload_id":"a"}', {CONTENT_TYPE: content_type}) == Release(
        workload_id="a"
    )


NOT_READABLE = {
    "nothing": b"",
    "white space": b"  \n",
    "prose": b"place it, please",
    "cut short": b'{"command_id": "a',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "text that is not UTF-8": b'{"command_id": "\xff"}',
    "half a surrogate pair": b'{"command_id": "\\ud800"}',
    "NaN": b'{"command_id": NaN}',
    "infinity": b'{"command_id": Infinity}',
    "minus infinity": b'{"command_id": -Infinity}',
    "lists without end": b"[" * 100_000,
    "objects without end": b'{"x":' * 100_000,
}


@pytest.mark.parametrize("payload", NOT_READABLE.values(), ids=NOT_READABLE)
@pytest.mark.parametrize("verb", COMMANDS)
def test_what_is_not_readable_is_refused_as_a_whole(verb: str, payload: bytes) -> None:
    assert refusal(verb, payload).field == "$"


@pytest.mark.parametrize("verb", COMMANDS)
def test_what_stands_behind_a_command_is_refused(verb: str) -> None:
    assert refusal(verb, codec.encode(EXAMPLES[verb]) + b"{}").field == "$"


NOT_MSGPACK = {
    "nothing": b"",
    "JSON": b'{"command_id":"a"}',
    "text that is not UTF-8": b"\x81\xaacommand_id\xa1\xff",
    "an extension": b"\x81\xaacommand_id\xc7\x01\x05a",
    "a key that is null": b"\x81\xc0\x01",
    "a key that is a list": b"\x81\x91\x01\x01",
    "lists without end": b"\x91" * 100_000,
}


@pytest.mark.parametrize("payload", NOT_MSGPACK.values(), ids=NOT_MSGPACK)
@pytest.mark.parametrize("verb", COMMANDS)
def test_messagepack_that_stands_for_no_json_is_refused_as_a_whole(verb: str, payload: bytes) -> None:
    assert refusal(verb, payload, AS_MSGPACK).field == "$"


def with_items_of(size_bytes: int) -> bytes:
    """A command to distribute one text, which takes so many bytes in all."""
    frame = codec.encode({"items": [""]})
    return codec.encode({"items": ["x" * (size_bytes - len(frame))]})


def test_a_command_may_be_as_large_as_is_said_and_no_larger() -> None:
    assert codec.decode_command("distribute", with_items_of(MAX_PAYLOAD_BYTES))
    error = refusal("distribute", with_items_of(MAX_PAYLOAD_BYTES + 1))
    assert error.field == "$"
    assert str(MAX_PAYLOAD_BYTES) in error.reason


def test_messagepack_may_be_no_larger_than_the_json_that_it_stands_for() -> None:
    binary = msgspec.msgpack.encode({"items": [[True] * 1000] * 200})
    assert len(binary) < MAX_PAYLOAD_BYTES < len(codec.encode(msgspec.msgpack.decode(binary)))
    assert str(MAX_PAYLOAD_BYTES) in refusal("distribute", binary, AS_MSGPACK).reason


def test_too_much_is_not_even_looked_at() -> None:
    for headers in ({}, AS_MSGPACK):
        assert str(MAX_PAYLOAD_BYTES) in refusal("place", b"\xc1" * (MAX_PAYLOAD_BYTES + 1), headers).reason


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "application/msgpackish"])
@pytest.mark.parametrize("verb", COMMANDS)
def test_another_content_type_is_refused_by_name(verb: str, content_type: str) -> None:
    error = refusal(verb, codec.encode(EXAMPLES[verb]), {CONTENT_TYPE: content_type})
    assert CONTENT_TYPE in error.reason


def test_messagepack_without_its_header_is_refused() -> None:
    assert refusal("place", msgspec.msgpack.encode(EXAMPLES["place"])).field == "$"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_number_for_is_refused_in_messagepack_where_it_stands(number: float) -> None:
    document = {"items": [1, {"deep": [2.5, number]}]}
    assert refusal("distribute", msgspec.msgpack.encode(document), AS_MSGPACK).field == "$.items[1].deep[1]"


NO_IDS: list[object] = ["", "a.b", "a b", "*", ">", "a\n", "-a", "_a", "é", "a" * 129, 7, 1.5, True, [], {}]


@pytest.mark.parametrize("value", NO_IDS, ids=repr)
@pytest.mark.parametrize("verb", COMMANDS)
def test_what_is_no_id_is_refused(verb: str, value: object) -> None:
    assert refused_field(verb, changed(verb, ("command_id",), value)) == "$.command_id"


MISSING = [
    ("place", ("workload",)),
    ("place", ("workload", "workload_id")),
    ("release", ("workload_id",)),
    ("move", ("workload_id",)),
    ("quota", ("tenant",)),
]


@pytest.mark.parametrize(("verb", "path"), MISSING)
def test_a_field_that_must_be_there_is_named(verb: str, path: tuple[str, ...]) -> None:
    assert refused_field(verb, without(verb, *path)) == shown(path)


@pytest.mark.parametrize("verb", ["cordon", "uncordon", "drain"])
@pytest.mark.parametrize("document", [{}, {"device_id": "d", "node_id": "n"}], ids=["neither", "both"])
def test_a_device_or_a_node_is_named_and_not_both(verb: str, document: dict[str, str]) -> None:
    assert "`device_id` or `node_id`" in refusal(verb, codec.encode(document)).reason


def test_a_deadline_is_for_who_waits() -> None:
    payload = changed("place", ("wait",), False)
    assert "set `wait`" in refusal("place", codec.encode(payload)).reason


HUGE = 10**30
DEEP_FAULTS: list[tuple[str, Path, object]] = [
    ("place", ("workload",), []),
    ("place", ("workload", "pool"), "a.b"),
    ("place", ("workload", "shards"), {}),
    ("place", ("workload", "shards"), [{}] * 1025),
    ("place", ("workload", "shards", 1), "20 GiB"),
    ("place", ("workload", "shards", 1, "memory_bytes"), "20 GiB"),
    ("place", ("workload", "shards", 1, "memory_bytes"), -1),
    ("place", ("workload", "shards", 1, "memory_bytes"), 0.5),
    ("place", ("workload", "shards", 1, "memory_bytes"), 2**53),
    ("place", ("workload", "shards", 1, "gpu_milli"), 1001),
    ("place", ("workload", "shards", 1, "gpu_milli"), True),
    ("place", ("workload", "shards", 1, "shard_id"), ""),
    ("place", ("workload", "host", "cpu_milli"), -1),
    ("place", ("workload", "constraints", "vendors", 0), "nobody"),
    ("place", ("workload", "constraints", "device_types", 1), 3),
    ("place", ("workload", "constraints", "models", 0), ""),
    ("place", ("workload", "constraints", "same_node"), 1),
    ("release", ("workload_id",), None),
    ("release", ("pool",), "*"),
    ("cordon", ("device_id",), ["gpu-0"]),
    ("cordon", ("reason",), "x" * 1025),
    ("uncordon", ("pool",), 1),
    ("distribute", ("items",), {"0": 1}),
    ("distribute", ("items",), [0] * 100_001),
    ("distribute", ("count",), -1),
    ("distribute", ("count",), 10_000_001),
    ("distribute", ("to", "devices", 1), 7),
    ("distribute", ("to", "vendors"), "nvidia"),
    ("distribute", ("strategy",), "by luck - at `$.items`"),
    ("distribute", ("max_per_device",), -1),
    ("distribute", ("batch_size",), 0),
]


@pytest.mark.parametrize(("verb", "path", "value"), DEEP_FAULTS, ids=lambda part: repr(part)[:60])
def test_a_wrong_value_is_named_by_its_path(verb: str, path: Path, value: object) -> None:
    assert refused_field(verb, changed(verb, path, value)) == shown(path)


HUGE_NUMBERS: list[tuple[str, Path]] = [
    ("place", ("workload", "shards", 0, "memory_bytes")),
    ("place", ("workload", "host", "memory_bytes")),
    ("release", ("workload_id",)),
    ("cordon", ("reason",)),
    ("uncordon", ("device_id",)),
    ("distribute", ("max_per_device",)),
    ("distribute", ("count",)),
]


@pytest.mark.parametrize("number", ["1" + "0" * 30, "-1" + "0" * 30, "1" * 5000, "1e30", "1e999"])
@pytest.mark.parametrize(("verb", "path"), HUGE_NUMBERS)
def test_a_huge_number_is_refused_where_it_stands(verb: str, path: Path, number: str) -> None:
    text = json.dumps(changed(verb, path, "HERE")).replace('"HERE"', number)
    assert refusal(verb, text.encode()).field == shown(path)


@pytest.mark.parametrize(("key", "weight"), [("gpu 0", 1.0), ("node-7-gpu-0", -1.0), ("node-7-gpu-0", "much")])
def test_a_wrong_weight_is_refused(key: str, weight: object) -> None:
    assert refused_field("distribute", changed("distribute", ("weights",), {key: weight})).startswith("$.weights")


A_MODEL: Document = {"weight_bytes": 1, "layers": 1, "hidden_size": 8, "attention_heads": 4}

MAKES_NO_SENSE: list[tuple[str, Path, object, str]] = [
    ("place", ("workload",), {"workload_id": "a"}, "$.workload"),
    ("place", ("workload", "shards", 1, "shard_id"), "first-half", "$.workload"),
    ("place", ("workload", "constraints", "same_node"), False, "$.workload"),
    ("place", ("workload", "replicas"), 2, "$.workload"),
    ("place", ("workload", "model"), A_MODEL, "$.workload"),
    ("place", ("workload",), {"workload_id": "a", "model": A_MODEL | {"attention_heads": 3}}, "$.workload.model"),
    ("place", ("workload",), {"workload_id": "a", "model": A_MODEL | {"key_value_heads": 3}}, "$.workload.model"),
    ("place", ("workload",), {"workload_id": "a", "shards": [{}] * 10, "replicas": 100}, "$.workload"),
    ("place", ("workload",), {"workload_id": "a", "shards": [{"shard_id": "s" * 128}], "replicas": 2}, "$.workload"),
    ("distribute", ("count",), 5, "$"),
    ("distribute", ("items",), [], "$"),
    ("distribute", ("strategy",), "uniform", "$"),
]


@pytest.mark.parametrize(("verb", "path", "value", "field"), MAKES_NO_SENSE)
def test_fields_that_contradict_each_other_are_refused(verb: str, path: Path, value: object, field: str) -> None:
    assert refused_field(verb, changed(verb, path, value)) == field


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_field_that_is_not_known_is_refused_at_every_depth(verb: str) -> None:
    checked = [path for path in objects_in(EXAMPLES[verb]) if path not in ANY_KEYS.get(verb, [])]
    for path in checked:
        wrong = (*path, "same_nod")
        assert refused_field(verb, changed(verb, wrong, True)) == shown(wrong)


def test_an_unknown_verb_is_said_to_be_unknown() -> None:
    with pytest.raises(codec.UnknownTypeError, match=r"'destroy'.*place, release"):
        codec.decode_command("destroy", b"{}")


def test_of_a_name_that_stands_twice_the_last_one_counts() -> None:
    as_json = b'{"device_id": "gpu-0", "device_id": "gpu-1"}'
    as_msgpack = b"\x82\xa9device_id\xa5gpu-0\xa9device_id\xa5gpu-1"
    assert codec.decode_command("cordon", as_json) == Cordon(device_id="gpu-1")
    assert codec.decode_command("cordon", as_msgpack, AS_MSGPACK) == Cordon(device_id="gpu-1")


def nested_item(depth: int) -> bytes:
    return b'{"items": [' + b"[" * depth + b"]" * depth + b"]}"


def test_items_may_nest_as_deep_as_every_reader_can_follow() -> None:
    around_the_item = 2
    deepest = MAX_DEPTH - around_the_item
    command = cast("Distribute", codec.decode_command("distribute", nested_item(deepest)))
    assert bytes(command.items[0]) == b"[" * deepest + b"]" * deepest
    assert refusal("distribute", nested_item(deepest + 1)).field == "$"


def test_items_travel_as_they_were_typed() -> None:
    command = cast("Distribute", codec.decode_command("distribute", b'{"items": [1.50, {"a" : null}, "\xc3\xa9"]}'))
    assert [bytes(item) for item in command.items] == [b"1.50", b'{"a" : null}', b'"\xc3\xa9"']
    assert codec.decode_command("distribute", codec.encode(command)) == command


def test_a_whole_number_stands_for_a_weight_and_a_fraction_for_no_count() -> None:
    document: Document = {"count": 3, "strategy": "capacity", "weights": {"gpu-0": 2}}
    command = cast("Distribute", codec.decode_command("distribute", codec.encode(document)))
    assert command.weights == {"gpu-0": 2.0}
    assert refused_field("distribute", {"count": 3.0}) == "$.count"


def test_an_error_is_one_printable_line_of_bounded_length() -> None:
    error = refusal("release", json.dumps({"workload_id": "a", "x\r\nStatus: 200\x1b[31m" + "y" * 100_000: 1}).encode())
    assert error.field.startswith("$.x")
    for text in (error.field, error.reason):
        assert text.isprintable()
        assert len(text) <= codec.MAX_ERROR_CHARACTERS
    loud = refusal("distribute", json.dumps({"count": 1, "strategy": "\n" + "z" * 100_000}).encode())
    assert loud.field == "$.strategy"
    assert loud.reason.isprintable()
    assert len(loud.reason) <= codec.MAX_ERROR_CHARACTERS


def test_a_question_may_be_empty_but_not_misspelt() -> None:
    assert codec.decode_query(DevicesQuery, b"") == DevicesQuery()
    with pytest.raises(ContractError) as caught:
        codec.decode_query(DevicesQuery, b'{"vendro": "amd"}')
    assert caught.value.field == "$.vendro"


@pytest.mark.parametrize("items", [[0] * 1_000_000, ["x" * 600] * 1000])
def test_too_many_items_are_refused_with_the_way_to_do_it(items: list[object]) -> None:
    with pytest.raises(codec.TooMuchError, match=r"Publish them to a subject of a stream.*`source`"):
        codec.decode_command("distribute", json.dumps({"items": items}).encode())
