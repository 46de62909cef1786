"""Whatever the structs allow travels and comes back the same; whatever else comes is refused, and nothing breaks."""

import json
import string
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timezone
from datetime import timedelta as delta
from functools import cache, partial
from typing import Any, cast

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from msgspec import inspect as mi

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.commands import COMMANDS, Command
from fleetfold_contracts.ids import ID_PATTERN, check_token, token
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.schemas.catalogue import MESSAGES, QUERIES, Message
from fleetfold_contracts.schemas.json_schemas import json_schema

AS_MSGPACK = {codec.CONTENT_TYPE: codec.MSGPACK}
TOKENS = string.ascii_letters + string.digits + "_-"
IDS = st.builds("".join, st.tuples(st.sampled_from(TOKENS[:-2]), st.text(TOKENS, max_size=127)))
TEXT = " aZ7_-.*>/\\\"'{}[]\0\n\x1b\x7f\u00e9\u2028\u6f22\ufeff\ufffd\U0001f642"
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT), inner, max_size=3),
    max_leaves=5,
)
INSTANTS = st.datetimes(
    min_value=datetime(1990, 1, 1),
    max_value=datetime(2100, 1, 1),
    timezones=st.sampled_from([UTC, timezone(delta(hours=5, minutes=30)), timezone(delta(hours=-11))]),
)


def values(kind: mi.Type) -> st.SearchStrategy[Any]:  # noqa: C901 - one case a type
    """Anything that a field of this type may hold, bounds included."""
    match kind:
        case mi.Metadata():
            return values(kind.type)
        case mi.StructType():
            return structs(kind.cls)
        case mi.EnumType():
            return st.sampled_from(list(kind.cls))
        case mi.LiteralType():
            return st.sampled_from(kind.values)
        case mi.UnionType():
            return st.one_of(*map(values, kind.types))
        case mi.IntType():
            return st.integers(kind.ge, kind.le)
        case mi.FloatType():
            return floats(kind)
        case mi.StrType(pattern=pattern) if pattern == ID_PATTERN:
            return IDS
        case mi.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case mi.StrType():
            return st.text(TEXT, min_size=kind.min_length or 0, max_size=kind.max_length)
        case mi.BytesType():
            return st.binary()
        case mi.BoolType():
            return st.booleans()
        case mi.NoneType():
            return st.none()
        case mi.DateTimeType():
            return INSTANTS
        case mi.RawType():
            return JSON_VALUES.map(lambda value: msgspec.Raw(codec.encode(value)))
        case mi.VarTupleType():
            return st.lists(values(kind.item_type), min_size=kind.min_length or 0, max_size=3).map(tuple)
        case mi.TupleType():
            return st.tuples(*map(values, kind.item_types))
        case mi.DictType():
            return st.dictionaries(values(kind.key_type), values(kind.value_type), max_size=3)
        case _:
            raise AssertionError(f"no strategy for {kind}")


def floats(kind: mi.FloatType) -> st.SearchStrategy[float]:
    above = kind.gt is not None
    return st.floats(kind.gt if above else kind.ge, kind.le, exclude_min=above, allow_nan=False, allow_infinity=False)


@cache
def structs(kind: Message) -> st.SearchStrategy[Any]:
    """Structs of a kind, with any of the fields that have a default left out."""
    fields = cast("mi.StructType", mi.type_info(kind)).fields
    required = {field.name: values(field.type) for field in fields if field.required}
    optional = {field.name: values(field.type) for field in fields if not field.required}

    def build(given: dict[str, Any]) -> msgspec.Struct:
        try:
            return kind(**given)
        except ValueError:  # the fields contradict each other
            reject()

    return st.fixed_dictionaries(required, optional=optional).map(build)


def any_of(kinds: Iterable[Message]) -> st.SearchStrategy[Any]:
    return st.sampled_from(list(kinds)).flatmap(structs)


# Fields that contradict each other are common, and are drawn again.
patient = [HealthCheck.filter_too_much, HealthCheck.too_slow]
a_few = settings(max_examples=10, deadline=None, suppress_health_check=patient)
many = settings(max_examples=100, deadline=None, suppress_health_check=patient)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@a_few
@given(data=st.data())
def test_what_is_written_is_read_back_the_same_and_fits_its_schema(kind: Message, data: st.DataObject) -> None:
    value = data.draw(structs(kind))
    payload = codec.encode(value)
    assert codec.decode(payload, kind) == value
    validator(kind).validate(json.loads(payload))  # pyright: ignore[reportUnknownMemberType]


@many
@given(any_of(evt.EVENT_TYPES.values()), IDS, INSTANTS, st.none() | IDS)
def test_an_event_travels_in_its_envelope(event: evt.Event, given_id: str, time: datetime, cause: str | None) -> None:
    payload = codec.encode_event(event, id=given_id, source="solver", time=time, cause=cause)
    envelope = codec.decode_envelope(payload)
    assert codec.decode_event(envelope) == event
    assert (envelope.id, envelope.source, envelope.time, envelope.cause) == (given_id, "solver", time, cause)


@many
@given(any_of(COMMANDS.values()))
def test_a_command_is_the_same_in_both_formats(command: Command) -> None:
    verb = VERBS[type(command)]
    as_json = codec.encode(command)
    as_msgpack = msgspec.msgpack.encode(json.loads(as_json))
    assert codec.decode_command(verb, as_json) == command
    assert codec.decode_command(verb, as_msgpack, AS_MSGPACK) == command


@cache
def validator(kind: Message) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(kind))


VERBS = {kind: verb for verb, kind in COMMANDS.items()}
DECODERS: dict[str, Callable[[bytes], object]] = {
    "envelope": codec.decode_envelope,
    "event": lambda payload: codec.decode_event(codec.decode_envelope(payload)),
    "samples": codec.decode_samples,
    **{message.__name__: partial(codec.decode, kind=message) for message in MESSAGES},
    **{verb: partial(codec.decode_command, verb) for verb in COMMANDS},
    **{f"{verb} in MessagePack": partial(codec.decode_command, verb, headers=AS_MSGPACK) for verb in COMMANDS},
    **{query.__name__: partial(codec.decode_query, query) for query, _ in QUERIES.values()},
}
AS_JSON = list(examples.payloads().values())
PAYLOADS = [*AS_JSON, *(msgspec.msgpack.encode(json.loads(payload)) for payload in AS_JSON)]
SPLINTERS = [b'"', b"{", b"[", b"]", b":", b",", b"null", b"-", b"1e999", b"\xff", b"\\ud800", b"\xc1", b"\xdf"]


@st.composite
def damaged_payloads(draw: st.DrawFn) -> bytes:
    """A good payload with a few wounds."""
    payload = draw(st.sampled_from(PAYLOADS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(payload)))
        end = start + draw(st.integers(0, 8))
        payload = payload[:start] + draw(st.sampled_from(SPLINTERS) | st.binary(max_size=3)) + payload[end:]
    return payload


def refusal(decode: Callable[[bytes], object], payload: bytes) -> ContractError | None:
    """Why a payload is not read; None when it is. Any other error is a fault, and goes on."""
    try:
        decode(payload)
    except ContractError as error:
        return error
    return None


@many
@given(payload=st.binary(max_size=200) | damaged_payloads())
def test_no_bytes_break_a_decoder(payload: bytes) -> None:
    for decode in DECODERS.values():
        error = refusal(decode, payload)
        assert error is None or (error.reason and error.field.startswith("$"))


@st.composite
def damaged_commands(draw: st.DrawFn) -> tuple[str, Any]:
    """A verb, and its example with another value somewhere in it."""
    command = draw(st.sampled_from(examples.COMMANDS))
    document = json.loads(codec.encode(command))
    place, key = draw(st.sampled_from(list(places_in(document))))
    place[key] = draw(JSON_VALUES)
    return VERBS[type(command)], document


def places_in(value: Any) -> Iterator[tuple[Any, str | int]]:
    """Every place in a document: what it is in, and its key there."""
    for key in list(cast("dict[str, Any]", value)) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places_in(value[key])


@many
@given(damaged_commands())
def test_a_command_that_is_taken_fits_its_schema(damaged: tuple[str, Any]) -> None:
    verb, document = damaged
    error = refusal(DECODERS[verb], codec.encode(document))
    assert error is not None or validator(COMMANDS[verb]).is_valid(document)  # pyright: ignore[reportUnknownMemberType]


@many
@given(st.text(TEXT))
def test_what_is_made_a_token_is_one_and_stays_as_it_is(text: str) -> None:
    try:
        made = token(text)
    except ValueError:
        assert not any(character.isascii() and character.isalnum() for character in text)
    else:
        assert check_token(made) == made == token(made)
