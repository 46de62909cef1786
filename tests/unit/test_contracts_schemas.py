"""The folder `schemas` says what the structs say, and its golden messages are read for ever."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import msgspec
import pytest

from fleetfold_contracts import codec
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import COMMANDS, Distribute
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.schemas import examples, files
from fleetfold_contracts.schemas.__main__ import main
from fleetfold_contracts.schemas.catalogue import MESSAGES, STRICT, Message, message_name
from fleetfold_contracts.schemas.json_schemas import json_schema
from fleetfold_contracts.work import Batch

SCHEMAS = Path(__file__).parents[2] / "schemas"
GOLDEN = sorted((SCHEMAS / "golden").glob("*.json"))
BARE: dict[str, Message] = {message_name(message): message for message in (*COMMANDS.values(), NodeSample, Batch)}

every_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
every_golden = pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)


def fault(message: Message, document: Any) -> str | None:
    """What the message's schema finds wrong with a document."""
    error = next(jsonschema.Draft202012Validator(json_schema(message)).iter_errors(document), None)  # pyright: ignore[reportUnknownMemberType]
    return error and error.message


def test_the_committed_folder_is_what_the_structs_say() -> None:
    assert files.stale(SCHEMAS) == [], "run `just schemas`, and commit what it writes"


def test_what_is_written_is_not_stale(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--check"]) == 1
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0


def test_stale_files_are_named_with_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    (tmp_path / "types/Place.json").write_text("{}")
    (tmp_path / "types/Gone.json").write_text("{}")
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "golden/place.v1.json").unlink()
    assert main([str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().err
    for path in ("types/Place.json", "types/Gone.json", "asyncapi.json", "golden/place.v1.json"):
        assert f"stale: {tmp_path / path}\n" in said
    assert said.count("stale: ") == 4
    assert "just schemas" in said
    main([str(tmp_path)])
    assert files.stale(tmp_path) == []


def test_a_golden_message_is_never_written_again(tmp_path: Path) -> None:
    main([str(tmp_path)])
    old = tmp_path / "golden/release.v1.json"
    old.write_text('{"workload_id": "as-it-was"}\n')
    main([str(tmp_path)])
    assert old.read_text() == '{"workload_id": "as-it-was"}\n'
    assert main([str(tmp_path), "--check"]) == 0


def test_what_is_written_does_not_depend_on_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fleetfold_contracts.schemas", str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "1"})
    assert files.stale(tmp_path) == []


def test_every_file_is_sorted_indented_and_ends_with_a_line_feed() -> None:
    for text in (files.generated() | files.golden()).values():
        assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@every_message
def test_a_schema_is_one_of_its_dialect_and_has_a_name_of_its_own(message: Message) -> None:
    schema = json_schema(message)
    jsonschema.Draft202012Validator.check_schema(schema)  # pyright: ignore[reportUnknownMemberType]
    assert schema["$id"] == f"urn:fleetfold:schema:{message_name(message)}"
    assert schema["title"] == message.__name__
    assert schema["description"]


def test_no_two_messages_share_a_name() -> None:
    assert len({message_name(message) for message in MESSAGES}) == len(MESSAGES)


def test_a_schema_tells_what_the_source_tells_of_a_field() -> None:
    assert json_schema(evt.CommandRejected)["properties"]["payload_bytes"]["description"].startswith("The full size")
    for verb in COMMANDS.values():
        assert "Nats-Msg-Id" in json_schema(verb)["properties"]["command_id"]["description"]


@every_message
def test_only_what_people_type_is_closed_to_unknown_fields(message: Message) -> None:
    schema = json_schema(message)
    structs = [schema, *(inner for inner in schema.get("$defs", {}).values() if "properties" in inner)]
    assert {struct.get("additionalProperties") for struct in structs} == ({False} if message in STRICT else {None})


def golden_message(path: Path) -> tuple[Message, msgspec.Struct]:
    """What a golden file holds, read by the door that it would come through."""
    name, payload = path.stem, path.read_bytes()
    if name not in BARE:
        event = codec.decode_event(codec.decode_envelope(payload))
        return type(event), event
    verb = name.removesuffix(codec.TYPE_VERSION)
    value = codec.decode_command(verb, payload) if verb in COMMANDS else codec.decode(payload, BARE[name])
    return BARE[name], value


@every_golden
def test_a_golden_message_is_read_and_written_back_as_the_same(path: Path) -> None:
    kind, value = golden_message(path)
    assert type(value) is kind
    assert message_name(kind) == path.stem
    assert codec.decode(codec.encode(value), kind) == value
    document = json.loads(path.read_bytes())
    assert json.loads(codec.encode(value)) == (document if path.stem in BARE else document["data"])


@every_golden
def test_a_golden_message_fits_its_schema(path: Path) -> None:
    kind, _ = golden_message(path)
    document = json.loads(path.read_bytes())
    if path.stem not in BARE:
        assert fault(codec.Envelope, document) is None
        document = document["data"]
    assert fault(kind, document) is None


def test_every_event_command_and_sample_has_a_golden_message() -> None:
    events = {message_name(kind) for kind in evt.EVENT_TYPES.values()}
    assert {path.stem for path in GOLDEN} >= events | BARE.keys()


def structs_in(value: object) -> Iterator[msgspec.Struct]:
    if isinstance(value, msgspec.Struct):
        yield value
        for field in value.__struct_fields__:
            yield from structs_in(getattr(value, field))
    elif isinstance(value, tuple):
        for inner in cast("tuple[object, ...]", value):
            yield from structs_in(inner)


GIVEN_INSTEAD: dict[type[msgspec.Struct], set[str]] = {
    Distribute: {"count", "source"},
    cmd.Cordon: {"node_id"},
    cmd.Uncordon: {"node_id"},
    cmd.Drain: {"device_id"},
    evt.DeviceDrainStarted: {"node_id"},
    evt.DeviceDrainFinished: {"device_id"},
    evt.PlacementPreviewed: {"decided", "queued"},
}
"""The fields that an example leaves out because another is given instead."""


def test_the_examples_leave_no_field_out() -> None:
    shown: dict[type[msgspec.Struct], set[str]] = {}
    for value in structs_in((examples.EVENTS, examples.COMMANDS, examples.SAMPLES, examples.BATCH)):
        document: dict[str, Any] = json.loads(codec.encode(value))
        shown.setdefault(type(value), set()).update(document)
    for kind, fields in GIVEN_INSTEAD.items():
        shown[kind] |= fields
    assert shown == {kind: set(kind.__struct_fields__) for kind in shown}


def test_the_schema_and_the_codec_refuse_the_same() -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("place", {}),
        ("place", {"workload": {"shards": [{}]}}),
        ("place", {"workload": {"workload_id": "a", "shards": [{"memory_bytes": -1}]}}),
        ("place", {"workload": {"workload_id": "a", "shards": [{"gpu_milli": 1001}]}}),
        ("place", {"workload": {"workload_id": "a", "shards": [{"gpu_mili": 100}]}}),
        ("place", {"workload": {"workload_id": "a", "shards": [{}] * 1025}}),
        ("release", {"workload_id": "a.b"}),
        ("cordon", {"device_id": "d", "reason": "x" * 1025}),
        ("uncordon", {"device_id": "a.b"}),
        ("distribute", {"count": 10_000_001}),
        ("distribute", {"count": 1, "near": {"a b": [[0, 1]]}}),
        ("distribute", {"source": {"stream": "A.B", "subject": "a"}}),
        ("distribute", {"count": 1, "strategy": "by luck"}),
        ("distribute", {"count": 1, "to": {"vendors": ["nobody"]}}),
        ("distribute", {"count": 1, "strategy": "capacity", "weights": {"a b": 1}}),
    ]
    for verb, document in wrong:
        with pytest.raises(codec.ContractError):
            codec.decode_command(verb, codec.encode(document))
        assert fault(COMMANDS[verb], document) is not None, document
