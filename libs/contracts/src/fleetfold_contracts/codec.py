"""The codec: bytes to structs and back, JSON or MessagePack, with bounds held at the door."""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, TypeVar, cast, get_args

import msgspec

from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import COMMANDS, Command
from fleetfold_contracts.ids import EventId
from fleetfold_contracts.samples import Instant, NodeSample

CONTENT_TYPE = "Content-Type"
JSON = "application/json"
MSGPACK = "application/msgpack"
MAX_PAYLOAD_BYTES = 512 * 1024
"""A larger command is rejected: the server's own limit is 1 MiB, and the event of its outcome must fit beside it."""

TYPE_PREFIX = "fleet."
TYPE_VERSION = ".v1"

T = TypeVar("T")
_MISSING = re.compile(r"missing required field `(\w+)`")


class ContractError(ValueError):
    """A payload that cannot be read. `field` is the path in it, `$` the whole."""

    def __init__(self, reason: str, field: str = "$") -> None:
        super().__init__(f"{field}: {reason}")
        self.reason = reason
        self.field = field


class UnknownTypeError(ContractError):
    """A well-formed envelope of a type, or a command of a verb, that this version does not know."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CloudEvents 1.0 object in structured mode. `cause` is the command or event behind it."""

    specversion: str
    id: EventId
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    time: Instant
    subject: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    datacontenttype: str = JSON
    cause: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_envelope_decoder = msgspec.json.Decoder(Envelope)
_event_decoders = {words: msgspec.json.Decoder(kind) for words, kind in evt.EVENT_TYPES.items()}
_samples_decoder = msgspec.json.Decoder(NodeSample)
_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Any struct or plain value as JSON."""
    return _encoder.encode(value)


def decode(payload: bytes, kind: type[T]) -> T:
    """JSON as `kind`.

    Raises:
        ContractError: it is not.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _contract_error(error) from None


def encode_event(event: evt.Event, *, id: str, source: str, time: datetime, cause: str | None = None) -> bytes:  # noqa: A002
    """An event in its envelope."""
    envelope = Envelope(
        specversion="1.0",
        id=id,
        type=type_name(event),
        source=source,
        time=time,
        cause=cause,
        data=msgspec.Raw(_encoder.encode(event)),
    )
    return _encoder.encode(envelope)


def type_name(event: evt.Event) -> str:
    """An event's type as its envelope names it: `fleet.placement.decided.v1`."""
    return f"{TYPE_PREFIX}{evt.TYPE_OF_EVENT[type(event)]}{TYPE_VERSION}"


def decode_envelope(payload: bytes) -> Envelope:
    """The envelope alone: it can be read even when the type of its data is not known.

    Raises:
        ContractError: it is no envelope.
    """
    try:
        return _envelope_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _contract_error(error) from None


def decode_event(envelope: Envelope) -> evt.Event:
    """What an envelope carries.

    Raises:
        UnknownTypeError: its type is not known here.
        ContractError: its data is not of its type.
    """
    words = envelope.type.removeprefix(TYPE_PREFIX).removesuffix(TYPE_VERSION)
    decoder = _event_decoders.get(words)
    if decoder is None:
        raise UnknownTypeError(f"unknown event type {envelope.type!r}", "$.type")
    try:
        return decoder.decode(envelope.data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _contract_error(error, "$.data") from None


def decode_samples(payload: bytes) -> NodeSample:
    """A node's samples.

    Raises:
        ContractError: they are none.
    """
    try:
        return _samples_decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise _contract_error(error) from None


def decode_command(verb: str, payload: bytes, headers: Mapping[str, str] | None = None) -> Command:
    """A command that somebody typed.

    Raises:
        UnknownTypeError: nobody knows the verb.
        ContractError: too large, not readable, of the wrong shape or out of bounds.
    """
    kind = COMMANDS.get(verb)
    if kind is None:
        known = ", ".join(COMMANDS)
        raise UnknownTypeError(f"unknown command {verb!r}; known are {known}")
    return _decode_typed(kind, payload, headers or {})


def decode_query(kind: type[T], payload: bytes, headers: Mapping[str, str] | None = None) -> T:
    """A question that somebody typed; with nothing in it, all that it may ask is left at its default.

    Raises:
        ContractError: too large, not readable, of the wrong shape or out of bounds.
    """
    return _decode_typed(kind, payload or b"{}", headers or {})


def _decode_typed(kind: type[T], payload: bytes, headers: Mapping[str, str]) -> T:
    # A field that is not there is refused: an ignored constraint would place a workload where it must not be.
    document = _as_json(payload, headers)
    try:
        value = _decoder(kind).decode(document)
        _refuse_unknown_fields(kind, msgspec.json.decode(document), "$")
    except (msgspec.DecodeError, RecursionError) as error:
        raise _contract_error(error) from None
    return value


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _as_json(payload: bytes, headers: Mapping[str, str]) -> bytes:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ContractError(f"{len(payload)} bytes are too many; at most {MAX_PAYLOAD_BYTES} are taken")
    content_type = headers.get(CONTENT_TYPE, JSON).partition(";")[0].strip().lower()
    if content_type == JSON:
        return payload
    if content_type != MSGPACK:
        raise ContractError(f"{CONTENT_TYPE} {content_type!r} is not read; send {JSON} or {MSGPACK}")
    try:
        value = msgspec.msgpack.decode(payload)
        _refuse_non_finite(value, "$")
        return _encoder.encode(value)
    except (msgspec.DecodeError, RecursionError, TypeError, ValueError) as error:
        raise error if isinstance(error, ContractError) else _contract_error(error) from None


def _refuse_non_finite(value: object, path: str) -> None:
    # JSON has no NaN and no infinity, and MessagePack has: one door lets neither in.
    if isinstance(value, float) and not math.isfinite(value):
        raise ContractError("NaN and infinity are not numbers here", path)
    if isinstance(value, dict):
        for key, inner in cast(dict[object, object], value).items():
            _refuse_non_finite(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(cast(list[object], value)):
            _refuse_non_finite(inner, f"{path}[{index}]")


def _refuse_unknown_fields(kind: object, value: object, path: str) -> None:
    struct = _struct_in(kind)
    if struct is not None and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
        for key, inner in cast(dict[str, object], value).items():
            if key not in fields:
                raise ContractError(f"no such field; {struct.__name__} has {', '.join(fields)}", f"{path}.{key}")
            _refuse_unknown_fields(fields[key], inner, f"{path}.{key}")
    elif struct is not None and isinstance(value, list):
        for index, inner in enumerate(cast(list[object], value)):
            _refuse_unknown_fields(struct, inner, f"{path}[{index}]")


def _struct_in(kind: object) -> type[msgspec.Struct] | None:
    # The struct inside Annotated[tuple[Shard, ...], Meta(...)], Shard | None and the like: at most one a field.
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((struct for part in get_args(kind) if (struct := _struct_in(part)) is not None), None)


def _contract_error(error: Exception, root: str = "$") -> ContractError:
    if isinstance(error, RecursionError):
        return ContractError("nested too deeply", root)
    reason, _, path = str(error).partition(" - at ")
    field = root + path.strip("`").removeprefix("$")
    missing = _MISSING.search(reason)
    return ContractError(reason, f"{field}.{missing[1]}" if missing else field)
