"""The codec: bytes to structs and back, JSON or MessagePack, with bounds held at the door.

Where a name stands twice in one object the last one counts, in both formats. MessagePack is read as the JSON that it
stands for: binary becomes base64, a key that is a number becomes text.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Literal, TypeVar, cast, get_args

import msgspec

from fleetfold_contracts import events as evt
from fleetfold_contracts.commands import COMMANDS, INSTEAD_OF_TOO_MUCH, Command
from fleetfold_contracts.ids import EventId
from fleetfold_contracts.inventory import Label
from fleetfold_contracts.samples import Instant, NodeSample

CONTENT_TYPE = "Content-Type"
JSON = "application/json"
MSGPACK = "application/msgpack"
MAX_PAYLOAD_BYTES = 512 * 1024
"""A larger command is rejected: the server's own limit is 1 MiB, and the event of its outcome must fit beside it."""
MAX_DEPTH = 64
"""Lists and objects in each other. Not every reader takes more, and a worker must be able to read its items."""
MAX_ERROR_CHARACTERS = 1000

TYPE_PREFIX = "fleet."
TYPE_VERSION = ".v1"

T = TypeVar("T")
StructT = TypeVar("StructT", bound=msgspec.Struct)


class ContractError(ValueError):
    """A payload that cannot be read. `field` is the path in it, `$` the whole.

    Both texts may repeat what a stranger sent, and go into logs and headers: they are made one line of bounded length.
    """

    def __init__(self, reason: str, field: str = "$") -> None:
        self.reason = _one_line(reason)
        self.field = _one_line(field)
        super().__init__(f"{self.field}: {self.reason}")


class TooMuchError(ContractError):
    """More than one message may hold."""


class UnknownTypeError(ContractError):
    """A well-formed envelope of a type, or a command of a verb, that this version does not know."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A CloudEvents 1.0 object in structured mode, which every event is published in."""

    specversion: Literal["1.0"]
    id: EventId
    """The message's id too: made of what caused it, so that a retry is the same message."""
    type: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    """Such as `fleet.placement.decided.v1`. It says what `data` is."""
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    """The service that says so."""
    time: Instant
    subject: Label | None = None
    """What the event is about: the id of a node, a device, a workload or a work."""
    datacontenttype: str = JSON
    cause: EventId | None = None
    """The command or event behind it."""
    data: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))


def event_type(kind: type[evt.Event]) -> str:
    """What the envelope's `type` says of an event: `fleet.placement.decided.v1`."""
    return f"{TYPE_PREFIX}{evt.TYPE_OF_EVENT[kind]}{TYPE_VERSION}"


_EVENTS = {event_type(kind): kind for kind in evt.TYPE_OF_EVENT}
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WHERE = re.compile(r"(?P<reason>.*) - at `(?:key` in `)?\$(?P<path>[^`]*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_TOO_LONG = re.compile(r"Expected `array` of length <=")
_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Any struct or plain value as JSON."""
    return _encoder.encode(value)


def decode(payload: bytes, kind: type[T]) -> T:
    """JSON as `kind`. A field that `kind` does not have is ignored: whoever wrote it may be newer.

    Raises:
        ContractError: it is not.
    """
    return _read(payload, kind)


def encode_event(event: evt.Event, *, id: str, source: str, time: datetime, cause: str | None = None) -> bytes:  # noqa: A002
    """An event in its envelope.

    Raises:
        ContractError: something in it is out of its bounds. The log is for ever, so nothing may reach it that nobody
            could read.
    """
    envelope = Envelope(
        specversion="1.0",
        id=id,
        type=event_type(type(event)),
        source=source,
        time=time,
        subject=evt.about(event),
        cause=cause,
        data=msgspec.Raw(_encoder.encode(event)),
    )
    payload = _encoder.encode(envelope)
    decode_event(decode_envelope(payload))
    return payload


def decode_envelope(payload: bytes) -> Envelope:
    """The envelope alone: it can be read even when the type of its data is not known.

    Raises:
        ContractError: it is no envelope.
    """
    return _read(payload, Envelope)


def decode_event(envelope: Envelope) -> evt.Event:
    """What an envelope carries.

    Raises:
        UnknownTypeError: its type is not known here.
        ContractError: its data is not of its type.
    """
    kind = _EVENTS.get(envelope.type)
    if kind is None:
        raise UnknownTypeError(f"unknown event type {envelope.type!r}", "$.type")
    return _read(envelope.data, kind, "$.data")


def decode_samples(payload: bytes) -> NodeSample:
    """A node's samples.

    Raises:
        ContractError: they are none.
    """
    return _read(payload, NodeSample)


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
    try:
        return _decode_typed(kind, payload, headers or {})
    except TooMuchError as error:
        raise TooMuchError(
            ". ".join(filter(None, (error.reason, INSTEAD_OF_TOO_MUCH.get(verb)))), error.field
        ) from None


def decode_query(kind: type[StructT], payload: bytes, headers: Mapping[str, str] | None = None) -> StructT:
    """A question that somebody typed; with nothing in it, all that it may ask is left at its default.

    Raises:
        ContractError: too large, not readable, of the wrong shape or out of bounds.
    """
    return _decode_typed(kind, payload or b"{}", headers or {})


def _read(payload: bytes | msgspec.Raw, kind: type[T], root: str = "$") -> T:
    try:
        return _decoder(kind).decode(payload)
    except _UNREADABLE as error:
        raise _contract_error(error, root) from None


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def _decode_typed(kind: type[StructT], payload: bytes, headers: Mapping[str, str]) -> StructT:
    document = _bounded(_as_json(_bounded(payload), headers))
    value = _read(document, kind)
    plain = _read(document, object)
    _refuse_deep(plain)
    # A field that is not there is refused: an ignored constraint would place a workload where it must not be.
    _refuse_unknown_fields(kind, plain, "$")
    return value


def _bounded(document: bytes) -> bytes:
    if len(document) > MAX_PAYLOAD_BYTES:
        raise TooMuchError(f"{len(document)} bytes of JSON are too many; at most {MAX_PAYLOAD_BYTES} are taken")
    return document


def _as_json(payload: bytes, headers: Mapping[str, str]) -> bytes:
    content_type = headers.get(CONTENT_TYPE, JSON).partition(";")[0].strip().lower()
    if content_type == JSON:
        return payload
    if content_type != MSGPACK:
        raise ContractError(f"{CONTENT_TYPE} {content_type!r} is not read; send {JSON} or {MSGPACK}")
    try:
        value = msgspec.msgpack.decode(payload)
        _refuse_non_finite(value, "$")
        return _encoder.encode(value)
    except _UNREADABLE as error:
        raise _contract_error(error) from None
    except TypeError as error:  # MessagePack has values that JSON has not
        raise ContractError(str(error)) from None


def _refuse_non_finite(value: object, path: str) -> None:
    # JSON has no NaN and no infinity, and MessagePack has: one door lets neither in.
    if isinstance(value, float) and not math.isfinite(value):
        raise ContractError("NaN and infinity are not numbers here", path)
    for key, inner in _entries(value):
        _refuse_non_finite(inner, _step(path, key))


def _refuse_deep(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for _, inner in _entries(outer) if isinstance(inner, (dict, list))]
        if not level:
            return
    raise ContractError(f"nested too deeply: at most {MAX_DEPTH} lists and objects in each other are taken")


def _refuse_unknown_fields(struct: type[msgspec.Struct], value: object, path: str) -> None:
    if isinstance(value, list):
        for key, inner in _entries(cast("list[object]", value)):
            _refuse_unknown_fields(struct, inner, _step(path, key))
    elif isinstance(value, dict):
        fields = _fields(struct)
        for key, inner in cast("dict[str, object]", value).items():
            here = _step(path, key)
            if key not in fields:
                raise ContractError(f"no such field; {struct.__name__} has {', '.join(fields)}", here)
            nested = fields[key]
            if nested is not None:
                _refuse_unknown_fields(nested, inner, here)


def _entries(value: object) -> Iterable[tuple[object, object]]:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).items()
    return enumerate(cast("list[object]", value)) if isinstance(value, list) else ()


def _step(path: str, key: object) -> str:
    return f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    # Each field's name, with the struct that it holds one or many of.
    return {field.encode_name: _struct_in(field.type) for field in msgspec.structs.fields(struct)}


def _struct_in(kind: object) -> type[msgspec.Struct] | None:
    # The struct inside Annotated[tuple[Shard, ...], Meta(...)], Shard | None and the like: at most one a field.
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((struct for part in get_args(kind) if (struct := _struct_in(part)) is not None), None)


def _contract_error(error: Exception, root: str = "$") -> ContractError:
    if isinstance(error, RecursionError):
        return ContractError("nested too deeply", root)
    if isinstance(error, UnicodeDecodeError):
        return ContractError(f"text is not UTF-8: {error.reason}", root)
    where = _WHERE.fullmatch(str(error))
    reason, path = (where["reason"], where["path"]) if where else (str(error), "")
    missing = _MISSING.match(reason)
    kind = TooMuchError if _TOO_LONG.match(reason) else ContractError
    return kind(reason, f"{root}{path}.{missing[1]}" if missing else root + path)


def _one_line(text: str) -> str:
    shown = text if len(text) <= MAX_ERROR_CHARACTERS else f"{text[: MAX_ERROR_CHARACTERS - 1]}…"
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in shown)
